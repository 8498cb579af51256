"""The made-up stack: the same for the same seed, true to its labels, and like a recorded one."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.errors import InputError
from napari_emseg.progress import Cancelled
from napari_emseg.samples import make_synthetic
from napari_emseg.volume import Volume

Stack = tuple[Volume, Volume]


@pytest.fixture(scope="module")
def stack() -> Stack:
    return make_synthetic((12, 256, 240), seed=5)


def near_membrane(labels: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
    """Pixels whose label differs from that of a neighbour in the section, or is 0."""
    edge = labels == 0
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[:, :, 1:] |= labels[:, :, 1:] != labels[:, :, :-1]
    return edge


def test_same_seed_same_stack_other_seed_other_stack() -> None:
    first, again, other = (make_synthetic((2, 70, 81), seed=seed) for seed in (4, 4, 5))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.read(), b.read())
    assert (first[0].read() != other[0].read()).mean() > 0.5


def test_types_geometry_and_ids(stack: Stack) -> None:
    raw, labels = stack
    assert raw.dtype == np.uint8
    assert labels.dtype == np.uint32
    assert raw.shape == labels.shape == (12, 256, 240)
    assert raw.voxel_size_nm == labels.voxel_size_nm == (50, 4, 4)
    ids = np.unique(labels.read())
    np.testing.assert_array_equal(ids, np.arange(len(ids)))
    assert len(ids) > 25


def test_membranes_are_dark_where_the_labels_say(stack: Stack) -> None:
    raw, labels = (volume.read() for volume in stack)
    edge = near_membrane(labels)
    for section in range(len(raw)):
        dark, light = raw[section][edge[section]], raw[section][~edge[section]]
        assert dark.mean() < light.mean() - 35
    assert 0.1 < (labels == 0).mean() < 0.3


def test_neurites_run_through_sections_and_overlap(stack: Stack) -> None:
    labels = stack[1].read()
    ids = range(1, int(labels.max()) + 1)
    sections = np.array([np.flatnonzero((labels == i).any((1, 2))).size for i in ids])
    area = np.array([np.count_nonzero(labels == i) for i in ids])
    assert np.median(sections[area > 500]) >= 5
    kept = [
        np.count_nonzero((a == b) & (a > 0)) / np.count_nonzero(a > 0) for a, b in pairwise(labels)
    ]
    assert min(kept) > 0.5
    assert max(kept) < 0.95, "sections must differ, or there is nothing to follow"


def test_sizes_vary_widely(stack: Stack) -> None:
    sections = stack[1].read()
    areas = np.concatenate([np.bincount(s.ravel())[1:] for s in sections])
    low, high = np.percentile(areas[areas > 30], (10, 90))
    assert high > 12 * low


def test_labels_move_with_misaligned_sections() -> None:
    still, shaken = (
        make_synthetic((4, 128, 128), seed=1, misalignment_px=shift) for shift in (0.0, 8.0)
    )
    assert (still[1].read() != shaken[1].read()).mean() > 0.02
    raw, labels = (volume.read() for volume in shaken)
    edge = near_membrane(labels)
    assert raw[edge].mean() < raw[~edge].mean() - 35


def test_noise_is_only_noise() -> None:
    (clean, cells), (noisy, same_cells) = (make_synthetic((1, 96, 96), noise=n) for n in (0, 3))
    roughness = [np.abs(np.diff(v.read().astype(float))).mean() for v in (clean, noisy)]
    assert roughness[1] > 1.5 * roughness[0]
    np.testing.assert_array_equal(cells.read(), same_cells.read())


def test_a_fold_darkens_one_section_and_changes_nothing_else() -> None:
    (plain, cells), (folded, same_cells) = (
        make_synthetic((3, 96, 96), fold=f) for f in (False, True)
    )
    np.testing.assert_array_equal(cells.read(), same_cells.read())
    change = folded.read().astype(int) - plain.read()
    assert sum(section.any() for section in change) == 1
    assert change.max() <= 1
    assert change.min() < -40


@settings(deadline=None, max_examples=12)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 60), st.integers(1, 60)),
    voxel=st.tuples(st.sampled_from([8.0, 30.0, 50.0]), *[st.sampled_from([2.0, 4.0, 16.0])] * 2),
    seed=st.integers(0, 2**31),
)
def test_any_size_and_any_voxel(
    shape: tuple[int, int, int], voxel: tuple[float, float, float], seed: int
) -> None:
    raw, labels = make_synthetic(shape, voxel, seed)
    assert raw.shape == labels.shape == shape
    assert labels.voxel_size_nm == voxel
    assert labels.read().max() < 10_000


def test_same_tissue_at_half_the_resolution() -> None:
    fine = make_synthetic((2, 256, 256), (50, 4, 4), seed=2)[1].read()
    coarse = make_synthetic((2, 128, 128), (50, 8, 8), seed=2)[1].read()
    cells = [np.mean([len(np.unique(s)) for s in v]) for v in (fine, coarse)]
    assert cells[1] == pytest.approx(cells[0], rel=0.5)


def test_looks_like_isbi_2012_in_numbers(shared_data: Path) -> None:
    real = tifffile.imread(shared_data / "isbi2012" / "train_raw.tif")
    membranes = tifffile.imread(shared_data / "isbi2012" / "train_membranes_z00-23.tif")
    raw, labels = (v.read() for v in make_synthetic((4, 512, 512), seed=0))
    assert raw.mean() == pytest.approx(real.mean(), abs=15)
    assert raw.std() == pytest.approx(real.std(), rel=0.2)
    assert np.abs(power(raw) - power(real[:4])).max() < 0.6, "power per octave, in decades"
    ours, theirs = profile(raw, labels > 0), profile(real[:4], membranes[:4] > 0)
    assert np.abs(ours - theirs).max() < 30, "grey value against distance from the membrane"
    areas = np.concatenate([np.bincount(s.ravel())[1:] for s in labels])
    assert 350 < np.median(areas[areas > 30]) < 1000, "ISBI 2012: 664 pixels"


def power(stack: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Logarithm of the power spectrum, averaged in octaves of spatial frequency."""
    window = np.outer(*[np.hanning(512)] * 2)
    spectrum = np.mean([np.abs(np.fft.rfft2((s - s.mean()) * window)) ** 2 for s in stack], axis=0)
    radius = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512))
    edges = [1 / 128, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2]
    rings = [spectrum[(radius >= a) & (radius < b)].mean() for a, b in pairwise(edges)]
    return np.log10(rings)


def profile(
    stack: npt.NDArray[np.uint8], interior: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Mean grey value at 1, 2, 4 and 8 pixels inside a cell."""
    from scipy import ndimage

    distance = np.stack([ndimage.distance_transform_edt(s) for s in interior]).round()
    return np.array([stack[distance == d].mean() for d in (1, 2, 4, 8)])


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape_zyx": (0, 5, 5)},
        {"shape_zyx": (5, 5)},
        {"voxel_size_nm": (50, 4, -4)},
        {"seed": -1},
        {"noise": -1},
        {"misalignment_px": -1},
    ],
)
def test_impossible_wishes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        make_synthetic(**wrong)  # type: ignore[arg-type]


def test_progress_can_stop() -> None:
    class Stop:
        def update(self, done: int, total: int, message: str = "") -> None:
            assert (done, total) == (1, 9)
            raise Cancelled

    with pytest.raises(Cancelled):
        make_synthetic((9, 20, 20), progress=Stop())
