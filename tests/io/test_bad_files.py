"""Every bad file gives one plain sentence with something to try next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
import zarr

from napari_emseg.errors import InputError
from napari_emseg.io import check_writable, describe, open_volume, save_volume
from napari_emseg.volume import Volume

_GREY = np.random.default_rng(0).integers(0, 255, (6, 40, 50)).astype(np.uint8)


def _tiff(folder: Path, **options: object) -> Path:
    tifffile.imwrite(folder / "stack.tif", _GREY, **options)
    return folder / "stack.tif"


def _cut(path: Path, keep: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    return path


def _missing(folder: Path) -> Path:
    _tiff(folder)
    return folder / "stacks.tif"


def _text_as_tiff(folder: Path) -> Path:
    (folder / "a.tif").write_text("these are my measurements, tab separated")
    return folder / "a.tif"


def _empty(folder: Path) -> Path:
    (folder / "a.tif").touch()
    return folder / "a.tif"


def _rgb_tiff(folder: Path) -> Path:
    tifffile.imwrite(folder / "a.tif", np.zeros((4, 30, 40, 3), np.uint8), photometric="rgb")
    return folder / "a.tif"


def _channels(folder: Path) -> Path:
    tifffile.imwrite(folder / "a.tif", np.zeros((4, 2, 30, 40), np.uint8), imagej=True)
    return folder / "a.tif"


def _h5(folder: Path, **datasets: np.ndarray) -> Path:
    with h5py.File(folder / "a.h5", "w") as h5:
        for name, values in datasets.items():
            h5[name] = values
    return folder / "a.h5"


def _two_datasets(folder: Path) -> Path:
    return _h5(folder, cats=_GREY, dogs=_GREY)


def _corrupt_h5(folder: Path) -> Path:
    return _cut(_h5(folder, raw=_GREY), 0.5)


def _text_as_h5(folder: Path) -> Path:
    (folder / "a.h5").write_text("no HDF5")
    return folder / "a.h5"


def _wrong_dataset(folder: Path) -> str:
    return f"{_h5(folder, cats=_GREY)}:/volumes/raw"


def _zero_size(folder: Path) -> Path:
    return _h5(folder, raw=np.zeros((0, 30, 40), np.uint8))


def _no_volume(folder: Path) -> Path:
    return _h5(folder, table=np.zeros(9))


def _scalar(folder: Path) -> str:
    return f"{_h5(folder, a=np.array(3))}:/a"


def _list_of_numbers(folder: Path) -> str:
    return f"{_h5(folder, a=np.arange(9))}:/a"


def _list_in_zarr(folder: Path) -> Path:
    zarr.create_array(folder / "a.zarr", data=np.arange(9))
    return folder / "a.zarr"


def _two_unknown_axes(folder: Path) -> Path:
    tifffile.imwrite(folder / "a.tif", np.zeros((2, 3, 30, 40), np.uint8), photometric="minisblack")
    return folder / "a.tif"


def _broken_zarr(folder: Path) -> Path:
    zarr.save_array(folder / "a.zarr", _GREY)
    (folder / "a.zarr" / "zarr.json").write_text("{")
    return folder / "a.zarr"


def _empty_zarr(folder: Path) -> Path:
    (folder / "a.zarr").mkdir()
    return folder / "a.zarr"


def _missing_in_zarr(folder: Path) -> str:
    zarr.create_array(folder / "a.zarr" / "raw", data=_GREY)
    zarr.open_group(folder / "a.zarr", mode="a")
    return str(folder / "a.zarr" / "labels")


def _no_images(folder: Path) -> Path:
    (folder / "notes.txt").touch()
    return folder


def _odd_one_out(folder: Path) -> Path:
    for z in range(3):
        tifffile.imwrite(folder / f"z{z}.tif", np.zeros((30, 40 + z // 2), np.uint8))
    return folder


def _stacks_in_folder(folder: Path) -> Path:
    _tiff(folder)
    return folder


def _unknown_suffix(folder: Path) -> Path:
    (folder / "a.docx").touch()
    return folder / "a.docx"


def _dangling(folder: Path) -> Path:
    (folder / "a.tif").symlink_to("gone.tif")
    return folder / "a.tif"


def _loop(folder: Path) -> Path:
    (folder / "a.tif").symlink_to("a.tif")
    return folder / "a.tif"


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "a.tif")
    return folder / "a.tif"


def _no_values(folder: Path) -> Path:
    with h5py.File(folder / "a.h5", "w") as h5:
        h5["a"] = h5py.Empty("f4")
    return folder / "a.h5"


def _complex(folder: Path) -> Path:
    tifffile.imwrite(folder / "a.tif", _GREY.astype(np.complex64), photometric="minisblack")
    return folder / "a.tif"


_CASES: list[tuple[Callable[[Path], str | Path], str]] = [
    (_missing, r"no file stacks.tif in .*; did you mean stack.tif\?"),
    (lambda folder: folder / "no" / "a.tif", "There is no folder"),
    (lambda folder: "https://example.org/a.tif", "download it first"),
    (lambda folder: "", "No file is named"),
    (lambda folder: "a" * 5000 + ".tif", "File name too long"),
    (lambda folder: "a\0b.tif", "cannot hold a zero byte"),
    (lambda folder: "a.zarr/../b.zarr", "give the path without it"),
    (_scalar, "a.h5:/a has 0 axes; choose a stack"),
    (_list_of_numbers, "a.h5:/a has 1 axis; choose a stack"),
    (_list_in_zarr, "a.zarr has 1 axis; choose a stack"),
    (_two_unknown_axes, "2 along axis 1 and 3 along axis 2 besides z, y and x"),
    (lambda folder: _cut(_tiff(folder), 0.6), "is incomplete"),
    (lambda folder: _cut(_tiff(folder, compression="zlib"), 0.6), "is incomplete"),
    (lambda folder: _cut(_tiff(folder, imagej=True), 0.6), "is incomplete"),
    (lambda folder: _cut(_tiff(folder, tile=(16, 16)), 0.9), "is incomplete"),
    (_empty, "is empty"),
    (_text_as_tiff, "no readable TIFF"),
    (_rgb_tiff, "colour image; convert it to grey"),
    (_channels, "2 channels"),
    (_two_datasets, "choose one of .*a.h5:/cats, .*a.h5:/dogs"),
    (_corrupt_h5, "no readable HDF5"),
    (_text_as_h5, "no readable HDF5"),
    (_wrong_dataset, "nothing to open called 'volumes/raw'; choose one of .*a.h5:/cats"),
    (_zero_size, "holds no voxels"),
    (_no_volume, "holds no image volume"),
    (_broken_zarr, "damaged Zarr store"),
    (_empty_zarr, "holds no Zarr array"),
    (_missing_in_zarr, "nothing to open called 'labels'; choose one of .*raw"),
    (_no_images, "holds no section images"),
    (_odd_one_out, "z2.tif is 41 x 30 pixels of uint8, but z0.tif is 40 x 30"),
    (_stacks_in_folder, "holds 6 sections by itself; open that file"),
    (_unknown_suffix, "'.docx' is an unknown suffix"),
    (_dangling, "a.tif is a link to gone.tif, which is not there"),
    (_loop, "a.tif is a link to a.tif, which is not there"),
    (_no_values, "holds no image volume"),
    (lambda folder: f"{_no_values(folder)}:/a", "no grey values or ids"),
    (_complex, "holds values of type complex64"),
]


@pytest.mark.parametrize(("make", "words"), _CASES, ids=[words for _, words in _CASES])
def test_a_bad_file_is_one_sentence(
    tmp_path: Path, make: Callable[[Path], str | Path], words: str
) -> None:
    path = make(tmp_path)
    for read in (open_volume, describe):
        with pytest.raises(InputError, match=words) as caught:
            read(path)
        message = str(caught.value)
        assert "\n" not in message
        assert message[-1] in ".?"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a device or pipe"):
        open_volume(_pipe(tmp_path))


def test_complex_numbers_are_no_map(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds values of type complex64"):
        open_volume(_complex(tmp_path), kind="boundary")


def test_a_negative_is_said(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", _GREY, photometric="miniswhite")
    volume = open_volume(tmp_path / "a.tif", kind="raw")
    np.testing.assert_array_equal(volume.read(), _GREY)
    assert any("0 is white" in note for note in volume.provenance["notes"])


def test_a_file_that_breaks_after_opening_names_the_section(tmp_path: Path) -> None:
    path = _tiff(tmp_path, compression="zlib")
    volume = open_volume(path, kind="raw")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)
    np.testing.assert_array_equal(volume.read(0), _GREY[0])
    with pytest.raises(InputError, match=r"Cannot read section 5 of .*stack.tif"):
        volume.read(5)


def test_a_file_that_goes_away_is_named(tmp_path: Path) -> None:
    path = _tiff(tmp_path, compression="zlib")
    volume = open_volume(path, kind="raw")
    path.unlink()
    with pytest.raises(InputError, match="no longer there"):
        volume.read(0)


@pytest.mark.parametrize("version", [2, 3])
def test_a_corrupt_zarr_chunk_names_the_section(tmp_path: Path, version: int) -> None:
    store = tmp_path / "a.zarr"
    zarr.create_array(store, data=_GREY, chunks=(1, 40, 50), zarr_format=version)
    chunk = store / ("4.0.0" if version == 2 else "c/4/0/0")
    chunk.write_bytes(b"nonsense")
    volume = open_volume(store, kind="raw")
    np.testing.assert_array_equal(volume.read(3), _GREY[3])
    with pytest.raises(InputError, match=r"Cannot read section 4 of .*a.zarr"):
        volume.read(4)


def test_a_corrupt_section_image_names_the_section(tmp_path: Path) -> None:
    for z in range(3):
        tifffile.imwrite(tmp_path / f"z{z}.tif", _GREY[z], compression="zlib")
    volume = open_volume(tmp_path, kind="raw")
    file = tmp_path / "z1.tif"
    file.write_bytes(file.read_bytes()[:400])
    with pytest.raises(InputError, match="Cannot read section 1"):
        volume.read(1)


@pytest.mark.parametrize("name", ["a.docx", "a", "no/a.tif", "folder.tif"])
def test_an_impossible_target(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.tif").mkdir()
    with pytest.raises(InputError, match="Cannot write"):
        check_writable(tmp_path / name, "raw")
    with pytest.raises(InputError, match="Cannot write"):
        save_volume(Volume(_GREY), tmp_path / name)


def test_a_folder_of_other_things_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "thesis.txt").touch()
    with pytest.raises(InputError, match="no Zarr store to replace"):
        save_volume(Volume(_GREY), tmp_path / "a.zarr")
    assert (tmp_path / "a.zarr" / "thesis.txt").exists()


def test_a_text_file_is_not_replaced_by_hdf5(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no HDF5 file to add to"):
        save_volume(Volume(_GREY), _text_as_h5(tmp_path))


@pytest.mark.parametrize("suffix", [".tif", ".h5", ".zarr"])
def test_a_source_that_breaks_while_saving_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    source = _tiff(tmp_path, compression="zlib")
    broken = open_volume(source, kind="raw")
    old = save_volume(Volume(_GREY), tmp_path / f"old{suffix}")
    source.unlink()
    with pytest.raises(InputError, match="no longer there"):
        save_volume(broken, old)
    np.testing.assert_array_equal(open_volume(old).read(), _GREY)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"old{suffix}"]


def test_damaged_labels_of_axes_do_not_end_the_process(tmp_path: Path) -> None:
    path = save_volume(Volume(_GREY), tmp_path / "a.h5")
    content = path.read_bytes()
    assert b"GCOL" in content  # where HDF5 keeps text of any length
    path.write_bytes(content.replace(b"GCOL", b"XXXX"))
    code = (
        "import sys; from napari_emseg import InputError, open_volume\n"
        "try: open_volume(sys.argv[1])\n"
        "except InputError: sys.exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == 9


NONSENSE: list[Any] = [None, 5, "x", [], {}, -1, 2.5, True]


def _damage(node: Any, random: np.random.Generator) -> Any:
    """Drop or replace one value somewhere in plain JSON values."""
    if isinstance(node, dict) and node:
        key = list(node)[random.integers(len(node))]
        if random.random() < 0.1:
            return {k: v for k, v in node.items() if k != key}
        return {**node, key: _damage(node[key], random)}
    if isinstance(node, list) and node and random.random() < 0.9:
        at = int(random.integers(len(node)))
        return [*node[:at], _damage(node[at], random), *node[at + 1 :]]
    return NONSENSE[random.integers(len(NONSENSE))]


@pytest.mark.parametrize("part", ["zarr.json", "0/zarr.json"])
def test_damaged_metadata_of_a_store_is_refused_or_without_effect(
    tmp_path: Path, part: str
) -> None:
    volume = Volume(_GREY, voxel_size_nm=(50, 4, 4), provenance={"steps": [{"step": "x"}]})
    store = save_volume(volume, tmp_path / "a.zarr")
    sound = json.loads((store / part).read_text())
    n_refused = 0
    for seed in range(60):
        (store / part).write_text(json.dumps(_damage(sound, np.random.default_rng(seed))))
        try:
            opened = open_volume(store, kind="raw")
            opened.read((0, slice(2), slice(2)))
        except InputError:
            n_refused += 1
    assert 0 < n_refused < 60


@pytest.mark.parametrize(
    "ours",
    [
        '{"kind": "raw", "offset_nm": [[1], 2, 3], "voxel_size_nm": "wide", "provenance": 3}',
        '{"kind": ["raw"]}',
        '{"kind": "moon", "name": "x"}',
        '{"kind": "raw", "name": 7, "voxel_size_nm": [0, 4, 4], "offset_nm": [NaN, 0, 0]}',
        "[1]",
        "{",
    ],
)
def test_nonsense_said_to_be_ours_is_left_out(tmp_path: Path, ours: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        h5["raw"] = _GREY
        h5["raw"].attrs["resolution"] = (50.0, 4.0, 4.0)
        h5["raw"].attrs["offset"] = (1.0, 2.0, 3.0)
        h5["raw"].attrs["emseg"] = ours
    volume = open_volume(tmp_path / "a.h5")
    assert (volume.kind, volume.name) == ("raw", "a")
    assert (volume.voxel_size_nm, volume.offset_nm) == ((50, 4, 4), (1, 2, 3))
