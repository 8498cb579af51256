"""Tables at some thresholds: the nearest counts, and nothing damaged is read."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from napari_emseg.errors import InputError
from napari_emseg.evaluation import evaluate, score_curve
from napari_emseg.evaluation.curve import SCORE_NAMES
from napari_emseg.segmentation import Partitions, build_hierarchy, group
from napari_emseg.segmentation.partitions import read_grouped


@pytest.fixture(params=["2d", "3d"])
def partitions(request: pytest.FixtureRequest) -> Partitions:
    boundary = np.random.default_rng(0).random((3, 14, 11)).astype(np.float32)
    hierarchy = build_hierarchy(boundary, sigma_px=0.5, mode=request.param)
    return group(hierarchy, boundary, grouping="multicut")


def test_the_nearest_threshold_counts(partitions: Partitions):
    for k, threshold in enumerate(partitions.thresholds):
        for h in (threshold - 0.004, threshold, threshold + 0.004):
            assert np.array_equal(partitions.cut(float(h)).segment_of, partitions.tables[k])
    assert np.array_equal(partitions.cut(0).segment_of, partitions.tables[0])
    assert np.array_equal(partitions.cut(1).segment_of, partitions.tables[-1])


def test_the_curve_is_the_score_of_each_table(partitions: Partitions):
    truth = np.random.default_rng(1).integers(0, 5, partitions.fragments.shape)
    curve = score_curve(partitions, truth)
    assert curve.h.size == partitions.thresholds.size
    for h in [*partitions.thresholds.tolist(), curve.best()[0], 0.33]:
        expected = evaluate(partitions.cut(h).to_volume(), truth, metrics=SCORE_NAMES)
        assert curve.at(h) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(("h", "size"), [(-0.1, 0), (1.1, 0), (float("nan"), 0), (0.1, -1)])
def test_a_bad_cut_is_refused(partitions: Partitions, h: float, size: int):
    with pytest.raises(InputError):
        partitions.cut(h, size)
    with pytest.raises(InputError):
        partitions.cut_section(0, h, size)


def test_a_cut_may_be_changed_without_changing_the_next(partitions: Partitions):
    partitions.cut(0.5).segment_of[:] = 7
    assert partitions.cut(0.5).segment_of[0] == 0


def test_exact_borders_are_refused(partitions: Partitions):
    with pytest.raises(InputError, match="Exact borders"):
        partitions.cut(0.5).to_volume(exact_borders=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tables", np.full((21, 3), 9, np.uint32)),
        ("thresholds", np.zeros(3, np.float32)),
        ("section_starts", np.array([0, 10**6])),
        ("fragment_sizes_voxels", np.zeros(2, np.int64)),
        ("forest/outside", np.full(5, 10**6, np.uint32)),
    ],
)
def test_damaged_storage_is_refused(partitions: Partitions, name, value, tmp_path):
    with h5py.File(tmp_path / "session.h5", "w") as file:
        with pytest.raises(InputError, match="holds no partitions"):
            Partitions.read(file)
        partitions.write(file)
        assert isinstance(read_grouped(file), Partitions)
        del file[name]
        with pytest.raises(InputError, match="damaged"):
            read_grouped(file)
        file[name] = value
        with pytest.raises(InputError, match="damaged"):
            read_grouped(file)


def test_a_segment_outside_its_range_is_refused(partitions: Partitions, tmp_path):
    with h5py.File(tmp_path / "session.h5", "w") as file:
        partitions.write(file)
        tables = file["tables"][...]
        tables[3, 1] = tables.shape[1]
        file["tables"][...] = tables
        with pytest.raises(InputError, match="damaged"):
            read_grouped(file)
