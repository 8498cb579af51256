from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_emseg.errors import InputError
from napari_emseg.io import check_writable, open_pyramid, open_volume, save_volume
from napari_emseg.volume import Volume

_GREY = np.random.default_rng(0).integers(0, 255, (6, 20, 24)).astype(np.uint8)


def _ome(
    folder: Path, version: str, axes: str, unit: str | None, data: np.ndarray, scale: list[float]
) -> Path:
    types = {"t": "time", "c": "channel"}
    described = [{"name": a, "type": types.get(a, "space")} for a in axes]
    for axis in described:
        if unit and axis["type"] == "space":
            axis["unit"] = unit
    multiscale = {
        "axes": described,
        "datasets": [
            {
                "path": "s0",
                "coordinateTransformations": [
                    {"type": "scale", "scale": scale},
                    {"type": "translation", "translation": [2 * s for s in scale]},
                ],
            }
        ],
    }
    attributes: dict[str, Any] = {"multiscales": [multiscale | {"version": version}]}
    if version == "0.5":
        attributes = {"ome": attributes | {"version": version}}
    group = zarr.create_group(
        folder / "a.zarr", zarr_format=3 if version == "0.5" else 2, attributes=attributes
    )
    group.create_array("s0", data=data, chunks=(1,) * (data.ndim - 2) + data.shape[-2:])
    return folder / "a.zarr"


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    ("unit", "factor"), [("nanometer", 1), ("micrometer", 1e3), ("angstrom", 0.1)]
)
def test_ome_zarr_in_any_unit(tmp_path: Path, version: str, unit: str, factor: float) -> None:
    scale = [1, 1, 50 / factor, 4.6 / factor, 4 / factor]
    store = _ome(tmp_path, version, "tczyx", unit, _GREY[None, None], scale)
    volume = open_volume(store)
    assert volume.voxel_size_nm == pytest.approx((50, 4.6, 4))
    assert volume.offset_nm == pytest.approx((100, 9.2, 8))
    np.testing.assert_array_equal(volume.read(), _GREY)
    np.testing.assert_array_equal(volume.read((2, slice(3, 5))), _GREY[2, 3:5])
    assert volume.provenance["format"] == f"OME-Zarr {version}"
    assert open_volume(store / "s0").voxel_size_nm == volume.voxel_size_nm


def test_a_scale_without_unit_is_not_used(tmp_path: Path) -> None:
    volume = open_volume(_ome(tmp_path, "0.4", "zyx", None, _GREY, [50, 4, 4]))
    assert volume.voxel_size_nm is None
    assert "without a unit" in volume.provenance["notes"][0]


def test_channels_need_a_choice(tmp_path: Path) -> None:
    affinities = np.repeat(_GREY[None] / np.float32(255), 3, axis=0)
    store = _ome(tmp_path, "0.5", "czyx", "nanometer", affinities, [1, 50, 4, 4])
    with pytest.raises(InputError, match=r"3 channels .* open it as affinities"):
        open_volume(store)
    assert open_volume(store, kind="affinities").shape == (3, 6, 20, 24)


@pytest.mark.parametrize("version", [2, 3])
def test_plain_arrays_with_the_attributes_of_cremi(tmp_path: Path, version: int) -> None:
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=version)
    raw = group.create_array("volumes/raw", data=_GREY)
    raw.attrs.update({"resolution": [40, 4, 4], "offset": [80, 0, 4]})
    group.create_array("volumes/labels", data=_GREY.astype(np.uint64))
    volume = open_volume(tmp_path / "a.zarr")
    assert (volume.voxel_size_nm, volume.offset_nm) == ((40, 4, 4), (80, 0, 4))
    np.testing.assert_array_equal(volume.read(), _GREY)
    assert open_volume(tmp_path / "a.zarr" / "volumes" / "labels").dtype == np.uint64


def test_an_image_written_beside_raw_does_not_take_its_place(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    group = zarr.create_group(store)
    group.create_array("raw", data=_GREY)
    group.create_array("labels", data=_GREY.astype(np.uint64))
    save_volume(Volume(_GREY / np.float32(255), kind="boundary"), store / "bnd")
    raw = open_volume(store)
    np.testing.assert_array_equal(raw.read(), _GREY)
    assert "'raw' was opened; the file also holds bnd, labels." in raw.provenance["notes"]


def test_the_first_image_is_opened_where_no_name_is_usual(tmp_path: Path) -> None:
    for name in ("b", "a", "0/c"):
        save_volume(Volume(_GREY, voxel_size_nm=(50, 4, 4)), tmp_path / "a.zarr" / name)
    volume = open_volume(tmp_path / "a.zarr")
    assert volume.voxel_size_nm == (50, 4, 4)
    assert volume.provenance["notes"] == ["'a' was opened; the file also holds 0/c, b."]


def test_what_we_write_is_ome_zarr_05(tmp_path: Path) -> None:
    volume = Volume(_GREY, voxel_size_nm=(50, 4, 4), offset_nm=(100, 0, 0), name="raw")
    group = zarr.open_group(save_volume(volume, tmp_path / "a.ome.zarr"), mode="r")
    ome: Any = group.attrs["ome"]
    (multiscale,) = ome["multiscales"]
    assert ome["version"] == "0.5"
    assert multiscale["axes"][0] == {"name": "z", "type": "space", "unit": "nanometer"}
    assert multiscale["datasets"][0] == {
        "path": "0",
        "coordinateTransformations": [
            {"type": "scale", "scale": [50, 4, 4]},
            {"type": "translation", "translation": [100, 0, 0]},
        ],
    }
    assert group["0"].metadata.dimension_names == ("z", "y", "x")


def test_a_pyramid_keeps_everything_in_place(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(2100, dtype=np.float32), (2, 9, 2100)) * 4
    volume = Volume(ramp, voxel_size_nm=(50, 4, 4), provenance={"model": "a"})
    levels = open_pyramid(save_volume(volume, tmp_path / "a.zarr"))
    assert [level.shape for level in levels] == [(2, 9, 2100), (2, 5, 1050), (2, 3, 525)]
    for level in levels:
        assert level.voxel_size_nm is not None
        at = level.offset_nm[2] + np.arange(level.shape[2]) * level.voxel_size_nm[2]
        np.testing.assert_allclose(level.read((0, 0)), at)
    given = open_pyramid(tmp_path / "a.zarr", voxel_size_nm=(30, 6, 6))
    assert [level.voxel_size_nm for level in given] == [(30, 6, 6), (30, 12, 12), (30, 24, 24)]


def test_coarse_ids_are_ids_that_are_there(tmp_path: Path) -> None:
    ids = np.full((1, 3, 1026), 2**40, np.uint64)
    ids[0, :, 1:4] = 3
    coarse = open_pyramid(save_volume(Volume(ids, kind="labels"), tmp_path / "a.zarr"))[1]
    assert coarse.kind == "labels"
    assert coarse.read((0, 0, slice(3))).tolist() == [2**40, 3, 2**40]


def test_saving_into_a_store_keeps_the_rest(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    save_volume(Volume(_GREY), store / "raw")
    ids = Volume(_GREY.astype(np.uint32), kind="labels", voxel_size_nm=(50, 4, 4))
    save_volume(ids, store / "labels" / "mine")
    save_volume(ids, store / "labels" / "mine")
    np.testing.assert_array_equal(open_volume(store / "raw").read(), _GREY)
    again = open_volume(store / "labels" / "mine")
    assert (again.kind, again.voxel_size_nm) == ("labels", (50, 4, 4))
    with pytest.raises(InputError, match="which would be lost"):
        save_volume(ids, store)


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ("raw/mine", "raw is an array"),
        ("raw", "raw was not written by napari-emseg"),
        ("boundary", "boundary holds boundary, which labels would replace"),
        ("boundary/0/mine", "0 is an array"),
        ("boundary/0", "0 was not written by napari-emseg"),
        ("", "holds boundary, raw, which would be lost"),
    ],
)
def test_nothing_of_the_user_is_replaced(tmp_path: Path, inside: str, words: str) -> None:
    store = tmp_path / "a.zarr"
    zarr.create_group(store).create_array("raw", data=_GREY)
    save_volume(Volume(_GREY / np.float32(255), kind="boundary"), store / "boundary")
    with pytest.raises(InputError, match=words):
        check_writable(store / inside, "labels")
    with pytest.raises(InputError, match=words):
        save_volume(Volume(_GREY, kind="labels"), store / inside)
    np.testing.assert_array_equal(open_volume(store / "raw").read(), _GREY)


def test_labels_beside_the_levels_of_an_image_are_kept(tmp_path: Path) -> None:
    store = save_volume(Volume(_GREY), tmp_path / "a.zarr")
    save_volume(Volume(_GREY, kind="labels"), store / "labels" / "mine")
    with pytest.raises(InputError, match="holds labels, which would be lost"):
        save_volume(Volume(_GREY), store)


@pytest.mark.parametrize("version", [2, 3])
def test_a_store_of_the_user_is_not_replaced(tmp_path: Path, version: int) -> None:
    array, image = tmp_path / "array.zarr", tmp_path / "image.zarr"
    zarr.create_array(array, data=_GREY, zarr_format=version)
    (tmp_path / "in").mkdir()
    _ome(tmp_path / "in", "0.4" if version == 2 else "0.5", "zyx", None, _GREY, [1, 1, 1])
    (tmp_path / "in" / "a.zarr").rename(image)
    for store in (array, image):
        with pytest.raises(InputError, match="was not written by napari-emseg and would be lost"):
            save_volume(Volume(_GREY, kind="labels"), store)
        np.testing.assert_array_equal(open_volume(store).read(), _GREY)


def test_a_map_is_not_replaced_by_labels_but_by_a_map(tmp_path: Path) -> None:
    map_ = Volume(_GREY / np.float32(255), kind="boundary")
    store = save_volume(map_, tmp_path / "a.zarr")
    with pytest.raises(InputError, match="holds boundary, which labels would replace"):
        check_writable(store, "labels")
    save_volume(map_, store)


def test_files_of_the_user_in_a_store_are_kept(tmp_path: Path) -> None:
    store = save_volume(Volume(_GREY), tmp_path / "a.zarr")
    (store / "thesis.txt").write_text("years of work")
    (store / "notes").mkdir()
    (store / "notes" / "more.txt").touch()
    for target, words in [
        (store, "holds notes, thesis.txt, which would be lost"),
        (store / "notes", "is no part of the Zarr store"),
    ]:
        with pytest.raises(InputError, match=words):
            save_volume(Volume(_GREY), target)
    assert (store / "notes" / "more.txt").exists()
