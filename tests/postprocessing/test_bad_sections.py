"""Bad sections are found where they were made, and the table survives a spreadsheet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from napari_emseg.errors import InputError
from napari_emseg.postprocessing.bad_sections import find_bad_sections, find_shift
from napari_emseg.postprocessing.section_table import (
    FAULTS,
    BadSection,
    format_entries,
    parse_entries,
    read_table,
    write_table,
)
from napari_emseg.volume import Volume


def make_stack(n_z: int = 14, shape: tuple[int, int] = (90, 110), seed: int = 0) -> np.ndarray:
    """Tissue that changes slowly along z, of odd size, with noise of its own in each section."""
    rng = np.random.default_rng(seed)
    tissue = gaussian_filter(rng.normal(size=(n_z, *shape)), (1.5, 3, 3))
    noise = gaussian_filter(rng.normal(size=(n_z, *shape)), (0, 0.6, 0.6))
    stack = 128 + 60 * tissue / tissue.std() + 15 * noise / noise.std()
    return np.clip(stack, 0, 255).astype(np.uint8)


def faults(stack: np.ndarray) -> dict[int, str]:
    return {bad.z: bad.fault for bad in find_bad_sections(Volume(stack))}


def test_an_even_stack_has_no_bad_section() -> None:
    assert faults(make_stack()) == {}


def test_each_damage_is_named() -> None:
    stack = make_stack(20)
    stack[3] = np.roll(stack[3], (-9, 12), (0, 1))
    stack[7] = 40
    stack[11] = gaussian_filter(stack[11].astype(float), 2.5)
    stack[16] = stack[16] // 6 + 90
    assert faults(stack) == {3: "misaligned", 7: "blank", 11: "blurred", 16: "contrast"}
    used = {bad.z: bad.use for bad in find_bad_sections(Volume(stack))}
    assert used[3]
    assert used[7]
    assert not used[11], "its own map is still better than that of its neighbours"
    assert not used[16], "a network standardises each section"


@pytest.mark.parametrize("n_shown", [0, 1, 2, 4])
def test_a_stack_of_which_next_to_nothing_shows_is_judged(n_shown: int) -> None:
    stack = make_stack(8)
    stack[n_shown:] = 0
    named = faults(stack)
    assert {z for z, fault in named.items() if fault == "blank"} >= set(range(max(n_shown, 1), 8))
    assert "misaligned" not in named.values()


def test_both_sides_of_a_jump_are_named() -> None:
    stack = make_stack()
    stack[6:] = np.roll(stack[6:], 11, axis=2)
    assert faults(stack) == {5: "misaligned", 6: "misaligned"}


def test_a_torn_section_counts_as_blank() -> None:
    stack = make_stack()
    stack[4, :45] = 0
    assert faults(stack) == {4: "blank"}


def test_an_oblique_stack_that_drifts_evenly_is_sound() -> None:
    stack = make_stack(12, (160, 160))
    drifting = np.stack([np.roll(section, 4 * z, axis=1) for z, section in enumerate(stack)])
    assert faults(drifting) == {}


@pytest.mark.parametrize("n_z", [1, 2, 4])
def test_few_sections_tell_nothing_but_blank_ones(n_z: int) -> None:
    stack = make_stack(n_z)
    assert faults(stack) == {}
    stack[-1] = 0
    assert faults(stack) == {n_z - 1: "blank"}


def test_a_large_section_is_binned_and_the_shift_said_in_its_pixels() -> None:
    stack = np.kron(make_stack(8, (260, 260)), np.ones((1, 4, 4), np.uint8))
    stack[3] = np.roll(stack[3], 24, axis=1)
    (bad,) = find_bad_sections(Volume(stack))
    assert bad.z == 3
    assert abs(int(bad.what.split()[0]) - 24) <= 2


@given(st.integers(-12, 12), st.integers(-12, 12), st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_a_shift_is_measured_and_its_inverse_is_its_negative(y: int, x: int, seed: int) -> None:
    image = gaussian_filter(np.random.default_rng(seed).normal(size=(80, 97)), 2)
    image = image.astype(np.float32)
    other = np.roll(image, (y, x), (0, 1))
    there, back = find_shift(image, other), find_shift(other, image)
    np.testing.assert_allclose(there, (y, x), atol=1)
    np.testing.assert_allclose(there, np.negative(back), atol=1e-3)


def test_a_real_stack_gives_few_false_alarms(shared_data: Path) -> None:
    from napari_emseg.io import open_volume

    raw = open_volume(shared_data / "fib25" / "raw.tif").read((slice(60, 80), slice(160)))
    assert faults(raw) == {}
    raw = raw.copy()
    raw[8] = np.roll(raw[8], 6, axis=1)
    assert faults(raw) == {8: "misaligned"}


def test_labels_are_refused() -> None:
    with pytest.raises(InputError, match="labels volume"):
        find_bad_sections(Volume(np.ones((3, 4, 5), np.uint32), kind="labels"))


SECTIONS = st.lists(
    st.builds(
        BadSection,
        z=st.integers(0, 10**6),
        fault=st.sampled_from(FAULTS),
        strength=st.integers(0, 900).map(lambda n: n / 100),
        use=st.booleans(),
        what=st.text("abc,;\"' é\u2248", max_size=8).map(str.strip),
    ),
    max_size=6,
    unique_by=lambda bad: bad.z,
)


@given(sections=SECTIONS)
@settings(max_examples=25, deadline=None)
def test_a_table_comes_back_as_it_was_written(
    sections: list[BadSection], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("table") / "sections.csv"
    expected = tuple(sorted(sections, key=lambda bad: bad.z))
    assert read_table(write_table(sections, path)) == expected
    used = [bad for bad in expected if bad.use]
    assert [(b.z, b.fault) for b in parse_entries(format_entries(sections))] == [
        (b.z, b.fault) for b in used
    ]


def test_a_table_of_a_spreadsheet_with_semicolons_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sections.csv"
    path.write_text("\ufeffsection;fault;substitute\n7;Blank;no\n3;misaligned;\n", "utf-8")
    assert read_table(path) == (
        BadSection(3, "misaligned", use=False),
        BadSection(7, "blank", use=False),
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("z,why\n1,blank\n", "first line must be section,fault"),
        ("section,fault\n-1,blank\n", "line 2: a section is a whole number"),
        ("section,fault\n1,torn\n", "line 2: a fault is one of blank, blurred"),
        ("section,fault\n1,blank\n1,blurred\n", "Section 1 is twice"),
        ("section,fault,substitute\n1,blank,maybe\n", "substitute must be yes or no"),
        ("section,fault,strength\n1,blank,big\n", "strength must be a number"),
    ],
)
def test_a_bad_table_is_refused_in_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "sections.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_table(path)
