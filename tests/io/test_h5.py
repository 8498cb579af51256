from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_emseg.errors import InputError
from napari_emseg.io import check_writable, open_volume, save_volume
from napari_emseg.io.location import split_location
from napari_emseg.volume import Volume

_GREY = np.random.default_rng(0).integers(0, 255, (6, 20, 24)).astype(np.uint8)


def _cremi(folder: Path) -> Path:
    with h5py.File(folder / "sample_A.hdf", "w") as h5:
        raw = h5.create_dataset("volumes/raw", data=_GREY)
        raw.attrs["resolution"] = (40.0, 4.0, 4.0)
        ids = h5.create_dataset("volumes/labels/neuron_ids", data=_GREY.astype(np.uint64))
        ids.attrs["resolution"] = (40.0, 4.0, 4.0)
        ids.attrs["offset"] = (200.0, 40.0, 8.0)
        h5["annotations/locations"] = np.zeros((9, 3))
    return folder / "sample_A.hdf"


def test_cremi(tmp_path: Path) -> None:
    path = _cremi(tmp_path)
    raw = open_volume(path)
    assert raw.voxel_size_nm == (40, 4, 4)
    np.testing.assert_array_equal(raw.read(), _GREY)
    assert raw.provenance["notes"] == [
        "'volumes/raw' was opened; the file also holds volumes/labels/neuron_ids."
    ]
    ids = open_volume(f"{path}:/volumes/labels/neuron_ids", kind="labels")
    assert ids.offset_nm == (200, 40, 8)
    assert ids.name == "sample_A neuron_ids"


@pytest.mark.parametrize("inside", [":/volumes/labels", ":volumes/labels/", "/volumes/labels"])
def test_a_group_with_one_volume_will_do(tmp_path: Path, inside: str) -> None:
    assert open_volume(f"{_cremi(tmp_path)}{inside}").dtype == np.uint64


def test_saving_keeps_what_else_the_file_holds(tmp_path: Path) -> None:
    path = _cremi(tmp_path)
    volume = Volume(_GREY.astype(np.uint32), kind="labels", voxel_size_nm=(40, 4, 4))
    for _ in range(2):
        save_volume(volume, f"{path}:/volumes/labels/mine")
    save_volume(volume, path)
    with h5py.File(path) as h5:
        assert sorted(h5) == ["annotations", "labels", "volumes"]
        assert sorted(h5["volumes/labels"]) == ["mine", "neuron_ids"]
        assert h5["volumes/labels/mine"].dtype == np.uint32
        assert tuple(h5["volumes/raw"].attrs["resolution"]) == (40, 4, 4)


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ("volumes", "holds volumes/labels, volumes/raw, which would be lost"),
        ("volumes/raw", "volumes/raw was not written by napari-emseg"),
        ("volumes/raw/mine", "volumes/raw is a dataset"),
        ("boundary", "boundary holds boundary, which labels would replace"),
    ],
)
def test_nothing_of_the_user_is_replaced(tmp_path: Path, inside: str, words: str) -> None:
    path = _cremi(tmp_path)
    save_volume(Volume(_GREY / np.float32(255), kind="boundary"), path)
    before = path.read_bytes()
    with pytest.raises(InputError, match=words):
        check_writable(f"{path}:/{inside}", "labels")
    with pytest.raises(InputError, match=words):
        save_volume(Volume(_GREY, kind="labels"), f"{path}:/{inside}")
    assert path.read_bytes() == before


def test_links_and_references_survive(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as h5:
        h5["raw"] = _GREY
        h5["z"] = np.arange(6.0)
        h5["z"].make_scale("z")
        h5["raw"].dims[0].attach_scale(h5["z"])
        h5["again"] = h5["raw"]
        h5["elsewhere"] = h5py.ExternalLink("not_here.h5", "/x")
        h5["soft"] = h5py.SoftLink("/nowhere")
        h5.attrs["best"] = h5["raw"].ref
    save_volume(Volume(_GREY.astype(np.uint32), kind="labels"), path)
    with h5py.File(path) as h5:
        assert sorted(h5) == ["again", "elsewhere", "labels", "raw", "soft", "z"]
        assert h5["again"] == h5["raw"] == h5[h5.attrs["best"]]
        assert h5["raw"].dims[0]["z"] == h5["z"]
        assert h5.get("elsewhere", getlink=True).filename == "not_here.h5"
    for link in ("elsewhere", "soft", "elsewhere/mine"):
        with pytest.raises(InputError, match="is a link to"):
            check_writable(f"{path}:/{link}", "labels")


@pytest.mark.parametrize("room", [-9000, 0, 3000, 40_000])
def test_a_full_disk_leaves_a_file_that_is_added_to(tmp_path: Path, room: int) -> None:
    resource = pytest.importorskip("resource")
    noise = np.random.default_rng(0).integers(0, 255, (9, 100, 120)).astype(np.uint8)
    path = save_volume(Volume(noise), tmp_path / "a.h5")
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, limits[1]))
    try:
        with pytest.raises(InputError, match="Cannot write"):
            save_volume(Volume(noise, kind="labels"), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]


def test_replacing_a_dataset_does_not_let_the_file_grow(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (30, 64, 64)).astype(np.uint8)
    path = save_volume(Volume(noise), tmp_path / "a.h5")
    size = path.stat().st_size
    save_volume(open_volume(path), path)
    assert path.stat().st_size == pytest.approx(size, rel=0.05)


def test_an_open_volume_does_not_lock_the_file(tmp_path: Path) -> None:
    volume = open_volume(_cremi(tmp_path))
    volume.read(0)
    with h5py.File(tmp_path / "sample_A.hdf", "a") as h5:
        h5["mine"] = 1
    np.testing.assert_array_equal(volume.read(5), _GREY[5])


def test_many_threads_read_at_once(tmp_path: Path) -> None:
    volume = open_volume(_cremi(tmp_path))
    with ThreadPoolExecutor(4) as pool:
        for z, section in zip([*range(6)] * 5, pool.map(volume.read, [*range(6)] * 5), strict=True):
            np.testing.assert_array_equal(section, _GREY[z])


def test_provenance_of_any_length(tmp_path: Path) -> None:
    volume = Volume(_GREY, provenance={"log": "x" * 200_000})
    assert len(open_volume(save_volume(volume, tmp_path / "a.h5")).provenance["log"]) == 200_000


@pytest.mark.parametrize(
    ("path", "file", "inside"),
    [
        ("a.h5", "a.h5", ""),
        ("a.h5:/x/y", "a.h5", "x/y"),
        ("a.h5:/x//./y/", "a.h5", "x/y"),
        ("a.H5:x", "a.H5", "x"),
        ("a.zarr/0", "a.zarr", "0"),
        ("dir.h5x/a.hdf5:/r", "dir.h5x/a.hdf5", "r"),
        (r"C:\data\a.h5:/raw", r"C:\data\a.h5", "raw"),
        (r"C:\data\a.zarr\labels\0", r"C:\data\a.zarr", "labels/0"),
        (r"C:\data\stack.tif", r"C:\data\stack.tif", ""),
    ],
)
def test_paths_with_something_inside(path: str, file: str, inside: str) -> None:
    assert split_location(path) == (Path(file), inside)
