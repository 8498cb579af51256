"""Which sections stay as they are under another table of bad sections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_emseg.inference import Predictor
from napari_emseg.networks import build_network
from napari_emseg.networks.checkpoint import save_model
from napari_emseg.networks.info import ModelInfo
from napari_emseg.steps.affected import differ_in_sections_only, unaffected
from napari_emseg.steps.predict import PredictParams, open_predictor, with_bad_sections
from napari_emseg.volume import Volume

RAW = Volume(np.random.default_rng(0).integers(1, 255, (9, 24, 30), np.uint8))


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "three.safetensors"
    network = build_network("unet2d", width=4, depth=2, in_sections=3)
    save_model(path, network, ModelInfo(network="unet2d"))
    return str(path)


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ((), ("4:misaligned",), {3, 4, 5}),
        (("4:misaligned",), ("4:blank",), {3, 4, 5}),
        (("0:blank", "8:misaligned"), ("8:misaligned",), {0, 1}),
        (("2:blank",), ("2:blank", "3:blank"), {2, 3, 4}),
        (("6:misaligned",), ("6:misaligned",), set()),
    ],
)
def test_what_is_called_unaffected_is_the_same_to_the_bit(
    model: str, before: Any, after: Any, changed: set[int]
) -> None:
    one = PredictParams(model=model, tta=False, bad_sections=before)
    other = one.model_copy(update={"bad_sections": after})
    assert differ_in_sections_only(one, other)
    same = unaffected(one, other, 9)
    maps = []
    for params in (one, other):
        with open_predictor(params) as predictor:
            maps.append(predictor.predict(RAW, tta=False).read())
    np.testing.assert_array_equal(maps[0][same], maps[1][same])
    assert {int(z) for z in np.flatnonzero(~same)} == changed


def test_a_recursive_network_sees_as_far_as_its_earlier_one_beyond_its_own(tmp_path: Path) -> None:
    recursive = build_network("vd2d3d", "paper", width=4)
    earlier = build_network("unet2d", width=4, depth=2, in_sections=3)
    path = tmp_path / "recursive.safetensors"
    known = ModelInfo(network="unet2d", in_sections=3)
    save_model(path, recursive, ModelInfo(network="vd2d3d"), maps_from=(earlier, known))
    one = PredictParams(model=str(path))
    same = unaffected(one, one.model_copy(update={"bad_sections": ("4:misaligned",)}), 9)
    assert np.flatnonzero(same).tolist() == [0, 8]


def test_another_model_is_another_map(model: str) -> None:
    one = PredictParams(model=model)
    assert not differ_in_sections_only(one, PredictParams(model=model, tta=False))
    auto = PredictParams(model=model, bad_sections=("auto",))
    assert not unaffected(one, auto, 5).any()


def test_auto_names_what_it_finds(model: str) -> None:
    stack = np.repeat(RAW.read(slice(0, 1)), 9, axis=0)
    stack[3] = 8
    found = with_bad_sections(Volume(stack), PredictParams(bad_sections=("auto",)))
    assert found.bad_sections == ("3:blank",)
    assert isinstance(open_predictor(PredictParams(model=model)), Predictor)
