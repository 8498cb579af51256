"""The comparison on few sections: the imitated hand, the cells, the page."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, label

from napari_emseg.samples import make_synthetic
from napari_emseg.training.targets import IGNORED, label_target

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "few-sections.md"


def _import(name: str) -> ModuleType:
    """Import what lives beside the benchmarks."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return import_module(name)
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def strokes() -> ModuleType:
    return _import("_strokes")


@pytest.fixture(scope="module")
def target() -> np.ndarray:
    _, labels = make_synthetic((1, 256, 256), seed=3)
    return label_target(labels.read(0), boundary_px=2)


@pytest.mark.parametrize("fraction", [0.01, 0.05])
def test_a_hand_paints_as_much_as_it_is_told(
    strokes: ModuleType, target: np.ndarray, fraction: float
) -> None:
    painted = strokes.paint_section(target, strokes.Hand(fraction), 0)
    assert (painted > 0).sum() == round(fraction * target.size)
    share = (painted == strokes.MEMBRANE).sum() / (painted > 0).sum()
    assert share == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_a_hand_paints_what_is_there(strokes: ModuleType, target: np.ndarray, seed: int) -> None:
    painted = strokes.paint_section(target, strokes.Hand(), seed)
    assert (target[painted == strokes.INSIDE] == 0).all()
    within_a_pixel = binary_dilation(target == 1)
    assert within_a_pixel[painted == strokes.MEMBRANE].mean() > 0.95


def test_strokes_are_as_wide_as_the_brush_and_longer(
    strokes: ModuleType, target: np.ndarray
) -> None:
    hand = strokes.Hand(fraction=0.01)
    painted = strokes.paint_section(target, hand, 0)
    for value, width in ((strokes.MEMBRANE, hand.membrane_px), (strokes.INSIDE, hand.inside_px)):
        parts, count = label(painted == value)
        sizes = np.bincount(parts.ravel())[1:]
        assert count > 1
        assert np.median(sizes) > 2 * width**2


def test_another_seed_is_another_hand_and_the_same_seed_the_same(
    strokes: ModuleType, target: np.ndarray
) -> None:
    first, again, other = (
        strokes.paint_section(target, strokes.Hand(), seed) for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_nothing_is_painted_where_nothing_is_known(strokes: ModuleType) -> None:
    unknown = np.full((64, 64), IGNORED, np.uint8)
    assert not strokes.paint_section(unknown, strokes.Hand(), 0).any()


def test_few_sections_are_spread_and_never_held_out() -> None:
    sets = _import("_few_sets")
    for data in sets.DATA_SETS.values():
        assert not set(data.training) & set(data.held_out)
        for count in (1, 2, 4):
            chosen = sets.choose_sections(data, count)
            assert len(set(chosen)) == count
            assert set(chosen) <= set(data.training)
    assert sets.choose_sections(sets.DATA_SETS["isbi2012"], 2) == (4, 14)


def test_what_is_left_out_is_not_learned_from() -> None:
    from napari_emseg.training.training_set import read_training_set

    for name in _import("_few_sets").DATA_SETS:
        content = read_training_set(ROOT / "scripts" / f"training_set_leave_{name}.yaml")
        seen = {entry.name for entry in content.sets}
        assert name not in seen
        assert name != "fib25" or "gala_fib" not in seen


def test_painted_labels_are_the_strokes_of_the_chosen_sections(shared_data: Path) -> None:
    sets = _import("_few_sets")
    data = sets.DATA_SETS["fib25"]
    pair = sets.open_pair(data, shared_data)
    few = sets.label_few(data, pair, "sparse", (3, 50))
    painted = [z for z in range(170) if few.labels.read(z).any()]
    assert painted == [3, 50] == list(few.train_sections)
    assert np.isin(few.labels.read(3), (0, 1, 2)).all()
    assert (few.labels.read(3) > 0).mean() == pytest.approx(0.05, abs=0.001)


def test_the_page_is_made_of_the_measured_lines() -> None:
    pages = _import("_few_pages")
    text = PAGE.read_text(encoding="utf-8")
    lines = pages.read_lines(ROOT / "docs" / "few_sections.jsonl")
    assert text == pages.fill(text, lines)


def test_no_cell_is_measured_twice() -> None:
    lines = _import("_few_pages").read_lines(ROOT / "docs" / "few_sections.jsonl")
    cells = [tuple(line[key] for key in _import("few_sections").KEYS) for line in lines]
    assert len(set(cells)) == len(cells)
