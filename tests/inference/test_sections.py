"""What the network is fed with."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emseg.errors import InputError
from napari_emseg.inference.sections import (
    SectionReader,
    check_raw,
    resize,
    standardise,
    voxel_size_ratio,
)
from napari_emseg.volume import Volume

RAW = np.random.default_rng(0).integers(0, 256, (4, 9, 7)).astype(np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float16, np.float32, float])
def test_every_grey_type_gives_mean_0_and_variance_1(dtype: type) -> None:
    section = RAW[0].astype(dtype) - dtype(100 if np.dtype(dtype).kind != "u" else 0)
    standard = standardise(section)
    assert standard is not None
    assert standard.dtype == np.float32
    assert abs(standard.mean()) < 1e-4
    assert abs(standard.std() - 1) < 1e-4
    np.testing.assert_allclose(standard, standardise(RAW[0]), atol=1e-2)


@pytest.mark.parametrize("offset", [1e12, -1e12])
def test_a_large_offset_loses_nothing(offset: float) -> None:
    np.testing.assert_allclose(standardise(RAW[0] + offset), standardise(RAW[0]), atol=1e-3)


def test_a_blank_section_has_no_standard_form() -> None:
    assert standardise(np.full((3, 4), 7, np.uint8)) is None
    assert standardise(np.full((1, 1), 0.1, np.float32)) is None


def reader(raw: np.ndarray, in_sections: int = 1) -> SectionReader:
    return SectionReader(Volume(raw, name="stack"), in_sections, None)


def test_neighbours_are_the_sections_beside_it_repeated_at_the_ends() -> None:
    single = [standardise(section) for section in RAW]
    five = reader(RAW, 5)
    np.testing.assert_array_equal(five.read(0), np.stack([single[i] for i in (0, 0, 0, 1, 2)]))
    np.testing.assert_array_equal(five.read(2), np.stack([single[i] for i in (0, 1, 2, 3, 3)]))


def test_a_blank_neighbour_is_replaced_by_the_section_itself() -> None:
    raw = RAW.copy()
    raw[1] = 5
    three = reader(raw, 3)
    np.testing.assert_array_equal(three.read(0), np.stack([standardise(RAW[0])] * 3))
    assert three.read(1) is None
    assert three.blank == {1}


def test_each_section_is_read_once() -> None:
    class Counting:
        shape, dtype = RAW.shape, RAW.dtype
        read: list[int] = []  # noqa: RUF012

        def __getitem__(self, z: int) -> np.ndarray:
            self.read.append(z)
            return RAW[z]

    three = SectionReader(Volume(Counting()), 3, None)
    for z in range(4):
        three.read(z)
    assert Counting.read == [0, 1, 2, 3]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("ratio", [None, (2.0, 2.0)])
def test_values_that_are_no_numbers_name_the_section(
    bad: float, ratio: tuple[float, float] | None
) -> None:
    raw = RAW.astype(np.float32)
    raw[2, 3, 3] = bad
    sections = SectionReader(Volume(raw, name="stack"), 1, ratio)
    sections.read(1)
    with pytest.raises(InputError, match="Section 2 of stack holds values that are not numbers"):
        sections.read(2)


def test_a_damaged_section_is_named() -> None:
    class Damaged:
        shape, dtype = RAW.shape, RAW.dtype

        def __getitem__(self, z: int) -> np.ndarray:
            raise OSError("bad chunk")

    with pytest.raises(InputError, match=r"Section 3 of the input cannot be read: bad chunk\."):
        SectionReader(Volume(Damaged()), 1, None).read(3)


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64, np.uint64])
def test_wide_integers_look_like_labels(dtype: type) -> None:
    with pytest.raises(InputError, match="looks like labels"):
        check_raw(RAW.astype(dtype))


@pytest.mark.parametrize("kind", ["labels", "fragments", "boundary"])
def test_other_kinds_of_volume_are_refused(kind: str) -> None:
    with pytest.raises(InputError, match=f"is a {kind} volume"):
        check_raw(Volume(RAW, kind=kind))


def test_wrong_axes_are_refused() -> None:
    with pytest.raises(InputError, match="needs 3 axes"):
        check_raw(RAW[0])


@pytest.mark.parametrize(
    ("data", "model", "expected"),
    [
        (None, (50, 4, 4), None),
        ((50, 4, 4), None, None),
        ((50, 4, 4), (10, 5, 5), None),
        ((50, 6, 6), (50, 4, 4), None),
        ((50, 8, 8), (50, 4, 4), (2, 2)),
        ((50, 4, 2), (50, 4, 4), (1, 0.5)),
    ],
)
def test_only_the_pixel_size_and_only_a_large_difference_counts(
    data: tuple[float, ...] | None, model: tuple[float, ...] | None, expected: object
) -> None:
    assert voxel_size_ratio(data, model) == expected


def test_an_absurd_voxel_size_is_questioned() -> None:
    raw = Volume(RAW, voxel_size_nm=(50, 4000, 4000), name="stack")
    with pytest.raises(InputError, match="is 1e\\+03 times the model's; correct it"):
        SectionReader(raw, 1, (1000, 1000))


def test_smooth_images_survive_shrinking_and_growing() -> None:
    """But for the outermost pixels, which have nothing beyond them to average with."""
    y, x = np.mgrid[:40, :60].astype(np.float32)
    image = np.sin(y / 9) + x / 60
    small = resize(image, (20, 30))
    assert small.shape == (20, 30)
    inside = (slice(3, -3), slice(3, -3))
    np.testing.assert_allclose(resize(small, (40, 60))[inside], image[inside], atol=0.02)


@pytest.mark.parametrize("largest", [1e300, 1.7e308, 1e-320])
def test_values_beyond_computing_are_refused(largest: float) -> None:
    section = np.linspace(0, largest, 60).reshape(6, 10)
    with pytest.raises(InputError, match="beyond what can be computed with"):
        standardise(section)
