"""What ilastik, PlantSeg, PyTorch Connectomics and CREMI write opens directly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr
from tests.io import foreign

from napari_emseg import InputError, Volume, build_hierarchy, open_volume, save_volume
from napari_emseg.io.lazy import LazyArray
from napari_emseg.segmentation.affinities import open_affinities

# Axis orders that ilastik writes for inputs from HDF5, TIFF and Fiji, and one of its own.
AXES = ["zyxc", "tzyxc", "czyx", "xyzc", "tczyx"]


class TestIlastik:
    @pytest.mark.parametrize("axes", AXES)
    @pytest.mark.parametrize("membrane", [0, 1])
    def test_of_two_classes_the_rarer_is_membrane(
        self, axes: str, membrane: int, tmp_path: Path
    ) -> None:
        path = foreign.write_ilastik_probabilities(tmp_path / "p.h5", axes, membrane=membrane)
        boundary = open_volume(path)
        assert (boundary.kind, boundary.shape) == ("boundary", foreign.SHAPE)
        np.testing.assert_allclose(boundary.read(), foreign.membranes(), atol=1e-6)
        np.testing.assert_allclose(boundary.read(3), foreign.membranes()[3], atol=1e-6)
        assert f"Channel {membrane} of 2" in " ".join(boundary.provenance["notes"])

    @pytest.mark.parametrize("axes", AXES)
    def test_any_channel_can_be_named(self, axes: str, tmp_path: Path) -> None:
        path = foreign.write_ilastik_probabilities(tmp_path / "p.h5", axes)
        cell = open_volume(f"{path}:/exported_data/0", kind="boundary", invert=False)
        np.testing.assert_allclose(cell.read(), 1 - foreign.membranes(), atol=1e-6)

    def test_of_three_classes_one_must_be_named(self, tmp_path: Path) -> None:
        p = foreign.membranes()
        path = foreign.write_ilastik(
            tmp_path / "p.h5", np.stack([p, (1 - p) / 2, (1 - p) / 2], -1), "zyxc"
        )
        with pytest.raises(InputError, match=r"3 channels.*p\.h5:/exported_data/0"):
            open_volume(path)
        with pytest.raises(InputError, match="no channel 3"):
            open_volume(f"{path}:/exported_data/3")
        first = open_volume(f"{path}:/exported_data/0")
        assert first.kind == "boundary"
        np.testing.assert_allclose(first.read(), p, atol=1e-6)

    def test_8_and_16_bits(self, tmp_path: Path) -> None:
        p = foreign.membranes()
        for dtype, top in ((np.uint8, 255), (np.uint16, 65535)):
            both = (np.stack([p, 1 - p], -1) * top).astype(dtype)
            path = foreign.write_ilastik(tmp_path / "p.h5", both, "zyxc")
            boundary = open_volume(path)
            assert boundary.kind == "boundary"
            scale = 255 if boundary.dtype == np.uint8 else 1
            np.testing.assert_allclose(boundary.read() / scale, p, atol=0.005)

    def test_a_multicut_segmentation_is_labels(self, tmp_path: Path) -> None:
        ids = foreign.cells()[..., None]
        path = foreign.write_ilastik(tmp_path / "s.h5", ids, "tzyxc")
        labels = open_volume(path)
        assert labels.kind == "labels"
        np.testing.assert_array_equal(labels.read(), foreign.cells())

    def test_the_map_can_be_segmented_as_it_comes(self, tmp_path: Path) -> None:
        path = foreign.write_ilastik_probabilities(tmp_path / "p.h5", "xyzc")
        segmentation = build_hierarchy(open_volume(path), sigma_px=0).cut(0.2)
        n_cells = len(np.unique(foreign.cells()[0]))
        assert segmentation.n_segments == n_cells * foreign.SHAPE[0]


class TestPlantSeg:
    def test_the_prediction_is_found_by_kind(self, tmp_path: Path) -> None:
        path = foreign.write_plantseg(tmp_path / "a.h5")
        boundary = open_volume(path, kind="boundary")
        np.testing.assert_allclose(boundary.read(), foreign.membranes(), atol=1e-6)
        assert boundary.voxel_size_nm == pytest.approx((50, 4, 4))
        labels = open_volume(path, kind="labels")
        np.testing.assert_array_equal(labels.read(), foreign.cells())
        assert open_volume(path).kind == "raw"

    def test_names_tell_the_kind(self, tmp_path: Path) -> None:
        path = foreign.write_plantseg(tmp_path / "a.h5", channel=True)
        assert open_volume(f"{path}:/predictions").kind == "boundary"
        assert open_volume(f"{path}:/predictions").shape == foreign.SHAPE
        assert open_volume(f"{path}:/segmentation").kind == "labels"

    def test_without_raw_the_prediction_opens(self, tmp_path: Path) -> None:
        path = foreign.write_plantseg(tmp_path / "a.h5", with_raw=False)
        assert open_volume(path).kind == "boundary"


class TestPyTorchConnectomics:
    @pytest.mark.parametrize("dataset", ["vol0", "main"])
    @pytest.mark.parametrize("n_channels", [3, 12])
    def test_affinities(self, dataset: str, n_channels: int, tmp_path: Path) -> None:
        path = foreign.write_pytc(tmp_path / "result.h5", dataset, n_channels=n_channels)
        affinities = open_volume(path)
        assert (affinities.kind, affinities.shape) == ("affinities", (n_channels, *foreign.SHAPE))
        assert affinities.dtype == np.uint8
        borders = affinities.read(2) < 128
        assert 0.02 < borders.mean() < 0.1

    def test_one_channel_of_them_can_be_named(self, tmp_path: Path) -> None:
        path = foreign.write_pytc(tmp_path / "result.h5")
        along_x = open_volume(f"{path}:/vol0/2", kind="boundary")
        assert along_x.shape == foreign.SHAPE
        assert along_x.read()[:, :, 20].min() == 250  # inverted: 1 = boundary

    def test_as_a_boundary_map_the_message_tells_how(self, tmp_path: Path) -> None:
        path = foreign.write_pytc(tmp_path / "result.h5")
        with pytest.raises(InputError, match=r"result\.h5:/vol0/0"):
            open_volume(path, kind="boundary")


class TestCremi:
    def test_names_tell_the_kind(self, tmp_path: Path) -> None:
        path = foreign.write_cremi(tmp_path / "sample_A.hdf")
        assert open_volume(path).kind == "raw"
        neurons = open_volume(f"{path}:/volumes/labels/neuron_ids")
        assert (neurons.kind, neurons.voxel_size_nm) == ("labels", (40, 4, 4))

    def test_labels_are_found_by_kind(self, tmp_path: Path) -> None:
        path = foreign.write_cremi(tmp_path / "sample_A.hdf", padded=True)
        neurons = open_volume(path, kind="labels")
        np.testing.assert_array_equal(neurons.read(), foreign.cells())
        assert neurons.offset_nm == (80, 32, 32)
        assert open_volume(path).offset_nm == (0, 0, 0)


def test_nothing_is_read_before_it_is_used(tmp_path: Path) -> None:
    for path in (
        foreign.write_ilastik_probabilities(tmp_path / "i.h5", "xyzc"),
        foreign.write_pytc(tmp_path / "p.h5"),
    ):
        assert isinstance(open_volume(path).data, LazyArray)


class TestOddities:
    @pytest.mark.parametrize("tags", ["no json", "[]", '{"axes": [{"key": "z"}]}', b"\xff", 7])
    def test_axistags_that_make_no_sense_are_ignored(self, tags: object, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as h5:
            h5["exported_data"] = foreign.grey()
            h5["exported_data"].attrs["axistags"] = tags
        np.testing.assert_array_equal(open_volume(tmp_path / "a.h5").read(), foreign.grey())

    def test_a_map_called_labels_is_not_taken_for_ids(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as h5:
            h5["labels"] = foreign.membranes()
        assert open_volume(tmp_path / "a.h5").kind == "boundary"

    @pytest.mark.parametrize("size", [(0.0, 0.1, 0.1), (1.0, 1.0, 1.0), "small"])
    def test_a_size_of_nothing_is_not_known(self, size: object, tmp_path: Path) -> None:
        """A cubic micrometre is what PlantSeg writes where it was told no size."""
        with h5py.File(tmp_path / "a.h5", "w") as h5:
            h5["raw"] = foreign.grey()
            h5["raw"].attrs["element_size_um"] = size
        assert open_volume(tmp_path / "a.h5").voxel_size_nm is None

    def test_one_of_our_own_files_gives_each_kind_asked_for(self, tmp_path: Path) -> None:
        path = tmp_path / "a.h5"
        boundary = Volume(foreign.membranes(), kind="boundary")
        save_volume(boundary, path)
        save_volume(boundary.derive(foreign.cells(), kind="labels"), path)
        assert open_volume(path, kind="boundary").dtype == np.float32
        assert open_volume(path, kind="labels").dtype == np.uint32
        with pytest.raises(InputError, match="holds 2 volumes"):
            open_volume(path)

    def test_a_volume_without_channels_has_channel_0_only(self, tmp_path: Path) -> None:
        path = foreign.write_plantseg(tmp_path / "a.h5")
        np.testing.assert_array_equal(open_volume(f"{path}:/raw/0").read(), foreign.grey())
        with pytest.raises(InputError, match="no channel 1"):
            open_volume(f"{path}:/raw/1")

    def test_nothing_is_written_into_a_channel(self, tmp_path: Path) -> None:
        path = foreign.write_plantseg(tmp_path / "a.h5")
        with pytest.raises(InputError, match="is a dataset, which nothing can be put into"):
            save_volume(Volume(foreign.grey()), f"{path}:/raw/0")


OFFSETS = [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [0, 0, -9]]


def _write_affinities(path: Path, told: Any) -> None:
    values = np.random.default_rng(0).random((4, 3, 20, 24)).astype(np.float32)
    if path.suffix == ".h5":
        with h5py.File(path, "w") as h5:
            h5.create_dataset("prediction", data=values).attrs["offsets"] = told
        return
    array = zarr.create_array(path, shape=values.shape, dtype=values.dtype)
    array[:] = values
    array.attrs["offsets"] = told


@pytest.mark.parametrize("suffix", [".h5", ".zarr"])
@pytest.mark.parametrize("told", [OFFSETS, json.dumps(OFFSETS)], ids=["numbers", "text"])
def test_offsets_of_affinities_arrive(suffix: str, told: Any, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    _write_affinities(path, told)
    affinities = open_volume(path)
    assert (affinities.kind, affinities.provenance["offsets"]) == ("affinities", OFFSETS)
    assert open_affinities(affinities).offsets[3] == (0, 0, -9)
    saved = open_volume(save_volume(affinities, tmp_path / f"b{suffix}"))
    assert saved.provenance["offsets"] == OFFSETS


@pytest.mark.parametrize("suffix", [".h5", ".zarr"])
@pytest.mark.parametrize("told", [OFFSETS[:3], [[0.5, 0, 0]] * 4, "none", 7])
def test_an_attribute_that_is_no_offsets_is_left_alone(
    suffix: str, told: Any, tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    _write_affinities(path, told)
    affinities = open_volume(path, kind="affinities")
    assert "offsets" not in affinities.provenance
