from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_emseg.errors import InputError
from napari_emseg.io import describe, open_volume, save_volume
from napari_emseg.io.lazy import LazyArray
from napari_emseg.progress import Cancelled
from napari_emseg.volume import Volume

_GREY = np.random.default_rng(0).integers(0, 255, (5, 31, 47)).astype(np.uint8)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("nm", 1), ("um", 1e3), ("micron", 1e3), ("\\u00B5m", 1e3), ("mm", 1e6), ("cm", 1e7)],
)
def test_imagej_voxel_size_in_any_unit(tmp_path: Path, unit: str, factor: float) -> None:
    z, y, x = 50 / factor, 4.6 / factor, 4 / factor
    tifffile.imwrite(
        tmp_path / "a.tif",
        _GREY,
        imagej=True,
        resolution=(1 / x, 1 / y),
        metadata={"axes": "ZYX", "spacing": z, "unit": unit},
    )
    volume = open_volume(tmp_path / "a.tif")
    assert volume.voxel_size_nm == pytest.approx((50, 4.6, 4), rel=1e-6)
    np.testing.assert_array_equal(volume.read(), _GREY)


def test_imagej_in_pixels_or_without_spacing_has_no_voxel_size(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", _GREY, imagej=True, metadata={"spacing": 1, "unit": "pixel"}
    )
    tifffile.imwrite(
        tmp_path / "b.tif",
        _GREY,
        imagej=True,
        resolution=(0.25, 0.25),
        metadata={"axes": "ZYX", "unit": "nm"},
    )
    assert open_volume(tmp_path / "a.tif").voxel_size_nm is None
    partly = open_volume(tmp_path / "b.tif")
    assert partly.voxel_size_nm is None
    assert partly.provenance["notes"] == [
        "The file gives only part of the voxel size: y 4 nm and x 4 nm."
    ]


@pytest.mark.parametrize(("unit", "factor"), [("nm", 1), ("µm", 1e3), ("mm", 1e6), ("Å", 0.1)])
def test_ome_voxel_size_in_any_unit(tmp_path: Path, unit: str, factor: float) -> None:
    metadata: dict[str, Any] = {"axes": "ZYX"}
    for axis, step in zip("ZYX", (50, 4.6, 4), strict=True):
        metadata |= {f"PhysicalSize{axis}": step / factor, f"PhysicalSize{axis}Unit": unit}
    tifffile.imwrite(tmp_path / "a.ome.tif", _GREY, metadata=metadata)
    assert open_volume(tmp_path / "a.ome.tif").voxel_size_nm == pytest.approx((50, 4.6, 4))


def test_dots_per_inch_of_a_printer_are_no_voxel_size(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", _GREY, resolution=(300, 300), resolutionunit="INCH")
    volume = open_volume(tmp_path / "a.tif")
    assert volume.voxel_size_nm is None
    assert volume.provenance["notes"] == []


def test_a_given_voxel_size_wins(tmp_path: Path) -> None:
    save_volume(Volume(_GREY, voxel_size_nm=(50, 4, 4)), tmp_path / "a.tif")
    assert open_volume(tmp_path / "a.tif", voxel_size_nm=(30, 6, 6)).voxel_size_nm == (30, 6, 6)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"compression": "lzw", "predictor": True},
        {"tile": (16, 32)},
        {"tile": (16, 32), "compression": "zlib"},
        {"rowsperstrip": 7},
        {"byteorder": ">"},
        {"byteorder": ">", "compression": "zlib"},
        {"imagej": True},
        {"imagej": True, "compression": "zlib"},
        {"bigtiff": True},
        {"ome": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_every_layout_gives_the_same_voxels_in_native_order(
    tmp_path: Path, options: dict[str, Any], dtype: str
) -> None:
    values = _GREY.astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", **options)
    volume = open_volume(tmp_path / "a.tif", kind="raw")
    assert volume.dtype.isnative
    np.testing.assert_array_equal(volume.read(), values)
    for key in (3, -1, (..., 4), (slice(1, 4), 30), (slice(None, None, -2), slice(3, 20, 4))):
        part = volume.read(key)
        assert part.dtype.isnative
        np.testing.assert_array_equal(part, values[key])


def test_a_plain_stack_is_mapped_and_may_be_changed_in_memory_only(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", _GREY)
    volume = open_volume(tmp_path / "a.tif")
    assert isinstance(volume.data, np.memmap)
    volume.data[0] = 7
    np.testing.assert_array_equal(open_volume(tmp_path / "a.tif").read(), _GREY)


def test_a_compressed_stack_is_read_one_section_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", _GREY, compression="zlib")
    volume = open_volume(tmp_path / "a.tif", kind="raw")
    decoded = []
    read = tifffile.TiffFrame.asarray

    def count(page: Any, *args: Any, **options: Any) -> Any:
        decoded.append(page.index)
        return read(page, *args, **options)

    monkeypatch.setattr(tifffile.TiffFrame, "asarray", count)
    volume.read((2, slice(3), slice(3)))
    volume.read((2, slice(9), slice(5)))
    assert isinstance(volume.data, LazyArray)
    assert decoded == [2]


def test_one_image_is_one_section(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", _GREY[0])
    volume = open_volume(tmp_path / "a.tif")
    assert volume.shape == (1, 31, 47)
    assert volume.provenance["notes"] == ["The file holds a single section."]
    np.testing.assert_array_equal(volume.read(0), _GREY[0])


def test_time_points_are_sections(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", _GREY, imagej=True, metadata={"axes": "TYX"})
    volume = open_volume(tmp_path / "a.tif")
    assert volume.shape == _GREY.shape
    assert volume.provenance["notes"] == ["The file's 5 time points were opened as sections."]


def test_the_first_of_several_series_is_opened_and_it_says_so(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(_GREY)
        writer.write(_GREY[:, :9, :9])
    volume = open_volume(tmp_path / "a.tif")
    assert volume.shape == _GREY.shape
    assert "2 image series" in volume.provenance["notes"][0]


def test_fiji_reads_the_voxel_size_of_ids_of_32_bits(tmp_path: Path) -> None:
    ids = _GREY.astype(np.uint32) + 2**31
    volume = Volume(ids, kind="labels", voxel_size_nm=(50, 4.6, 4), offset_nm=(100, 0, 8))
    with tifffile.TiffFile(save_volume(volume, tmp_path / "a.tif")) as tiff:
        header = tiff.imagej_metadata
        resolution = tiff.pages[0].tags["XResolution"].value
    assert header is not None
    assert (header["unit"], header["spacing"], header["slices"]) == ("nm", 50, 5)
    assert (header["zorigin"], header["xorigin"]) == (-2, -2)
    assert resolution[1] / resolution[0] == 4


def test_ome_tiff_carries_the_size_for_others(tmp_path: Path) -> None:
    path = save_volume(Volume(_GREY, voxel_size_nm=(50, 4.6, 4)), tmp_path / "a.ome.tif")
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        assert 'PhysicalSizeZ="50.0" PhysicalSizeZUnit="nm"' in tiff.ome_metadata


class _StopAtThree:
    def update(self, done: int, total: int, message: str = "") -> None:
        if done == 3:
            raise Cancelled


@pytest.mark.parametrize("suffix", [".tif", ".h5", ".zarr"])
def test_stopping_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    path = save_volume(Volume(_GREY), tmp_path / f"a{suffix}")
    deep = Volume(np.zeros((400, 31, 47), np.uint8))
    stop = _StopAtThree() if suffix != ".zarr" else _StopAfterStart()
    with pytest.raises(Cancelled):
        save_volume(deep, path, progress=stop)
    np.testing.assert_array_equal(open_volume(path).read(), _GREY)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


class _StopAfterStart:
    def update(self, done: int, total: int, message: str = "") -> None:
        if done > 0:
            raise Cancelled


def test_real_stacks_are_told_apart(shared_data: Path) -> None:
    expected = {
        "isbi2012/train_raw.tif": ("raw", False),
        "isbi2012/train_membranes_z00-23.tif": ("boundary", True),
        "vnc2013/stack1_raw.tif": ("raw", False),
        "vnc2013/stack1_membranes_z00-13.tif": ("boundary", False),
        "fib25/neurons_z000-169.tif": ("labels", False),
        "gala_fib/train_raw.tif": ("raw", False),
        "gala_fib/train_boundary.tif": ("boundary", False),
        "gala_fib/train_neurons.tif": ("labels", False),
        "snemi_mini/boundary_prob_raw.tif": ("boundary", True),
        "snemi_mini/labels.tif": ("labels", False),
        "sbem_mito/train_raw.tif": ("raw", False),
    }
    for name, (kind, inverted) in expected.items():
        told = describe(shared_data / name)
        assert told["kind"] == kind, name
        assert any("inverted" in note for note in told["notes"]) == inverted, name


@pytest.mark.parametrize("n_sections", [3, 4])
def test_few_sections_taken_for_colours_by_the_writer_are_sections(
    tmp_path: Path, n_sections: int
) -> None:
    sections = np.arange(n_sections * 20 * 31, dtype=np.uint8).reshape(n_sections, 20, 31)
    tifffile.imwrite(tmp_path / "few.tif", sections, photometric="rgb", planarconfig="separate")
    volume = open_volume(tmp_path / "few.tif")
    np.testing.assert_array_equal(volume.read(), sections)
    assert "colour planes" in volume.provenance["notes"][0]


@pytest.mark.parametrize(
    ("axes", "named"),
    [("QQYX", "CZYX"), ("CZYX", "CZYX"), ("ZCYX", "ZCYX"), ("TCYX", "ZCYX"), ("QZYX", "CZYX")],
)
def test_four_axes_are_affinities_where_that_is_what_was_asked_for(
    axes: str, named: str, tmp_path: Path
) -> None:
    """Whatever the file calls them; an array without names is channel, z, y, x."""
    values = np.random.default_rng(0).random((3, 4, 20, 24)).astype(np.float32)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, metadata={"axes": axes}, photometric="minisblack")
    affinities = open_volume(path, kind="affinities")
    expected = values if named == "CZYX" else values.swapaxes(0, 1)
    np.testing.assert_array_equal(affinities.read(), expected)
    np.testing.assert_array_equal(affinities.read((1, 2)), expected[1, 2])
    is_guessed = axes == "QQYX"
    assert any("were taken as channel" in n for n in affinities.provenance["notes"]) == is_guessed


def test_four_planes_of_three_sections_are_not_taken_for_colours(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (4, 3, 20, 24), dtype=np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="rgb", planarconfig="separate")
    with tifffile.TiffFile(path) as tiff:
        assert tiff.series[0].axes == "QSYX"
    np.testing.assert_array_equal(open_volume(path, kind="affinities").read(), values)


def test_four_axes_without_a_kind_say_what_to_do(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", np.zeros((3, 4, 20, 24), np.float32), photometric="minisblack"
    )
    with pytest.raises(InputError, match="or open it as affinities"):
        open_volume(tmp_path / "a.tif")
