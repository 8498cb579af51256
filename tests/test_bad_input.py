"""What a user may get wrong: exit code 2, one sentence, nothing lost.

Each row makes its files in an empty folder and runs one command there. An
output file that exists before must be the same afterwards.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from napari_emseg.cli import main
from napari_emseg.networks import build_network
from napari_emseg.networks.checkpoint import save_model
from napari_emseg.networks.info import ModelInfo

PRECIOUS = b"an earlier result"
RANDOM = np.random.default_rng(7)
GREY = RANDOM.normal(130, 30, (3, 48, 61)).clip(1, 254).astype(np.uint8)
IDS = np.broadcast_to(np.arange(61) // 7 + 1, GREY.shape).astype(np.uint16)
WALLS = np.broadcast_to(np.arange(61) % 7 == 0, GREY.shape).astype(np.float32)

PREDICT = ["predict", "in.tif", "out.tif", "--model", "tiny.safetensors", "--no-tta", "--quiet"]
SEGMENT = ["segment", "in.tif", "out.tif", "--quiet"]
EVALUATE = ["evaluate", "in.tif", "truth.tif", "--quiet"]
Maker = Callable[[Path], Any]


def tif(data: np.ndarray, name: str = "in.tif", **options: Any) -> Maker:
    options.setdefault("photometric", "minisblack")
    return lambda folder: tifffile.imwrite(folder / name, data, **options)


def both(*makers: Maker) -> Maker:
    return lambda folder: [make(folder) for make in makers]


def content(data: bytes, name: str = "in.tif") -> Maker:
    return lambda folder: (folder / name).write_bytes(data)


def nothing(folder: Path) -> None:
    pass


def cut_short(share: float, **options: Any) -> Maker:
    def make(folder: Path) -> None:
        tif(GREY, **options)(folder)
        data = (folder / "in.tif").read_bytes()
        (folder / "in.tif").write_bytes(data[: int(share * len(data))])

    return make


def with_value(data: np.ndarray, value: float) -> np.ndarray:
    changed = data.astype(np.float32)
    changed[1, 20, 30] = value
    return changed


class Malicious:
    """Makes a file as soon as somebody unpickles it."""

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, ("pwned", "w")


def model(data: bytes, name: str = "bad.safetensors") -> Maker:
    return both(tif(GREY), content(data, name))


def with_model(name: str) -> list[str]:
    return ["predict", "in.tif", "out.tif", "--model", name]


def absurd_header() -> bytes:
    return (2**62).to_bytes(8, "little") + b'{"a": 1}'


def huge_tensor() -> bytes:
    tensor = {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}
    header = json.dumps({"__metadata__": {"napari_emseg": "{}"}, "w": tensor}).encode()
    return len(header).to_bytes(8, "little") + header


def h5(make: Callable[[Any], Any]) -> Maker:
    def write(folder: Path) -> None:
        import h5py

        with h5py.File(folder / "in.h5", "w") as file:
            make(file)

    return write


def corrupt_h5(folder: Path) -> None:
    import h5py

    h5(lambda file: file.create_dataset("raw", data=GREY, chunks=(1, 48, 61), compression="gzip"))(
        folder
    )
    with h5py.File(folder / "in.h5") as file:
        chunk = file["raw"].id.get_chunk_info(1)
    data = bytearray((folder / "in.h5").read_bytes())
    data[chunk.byte_offset + 10 : chunk.byte_offset + 200] = bytes(190)
    (folder / "in.h5").write_bytes(data)


def corrupt_zarr(folder: Path) -> None:
    import zarr

    array = zarr.create_array(
        folder / "in.zarr", shape=GREY.shape, chunks=(1, 48, 61), dtype=GREY.dtype
    )
    array[:] = GREY
    chunks = sorted(p for p in (folder / "in.zarr" / "c").rglob("*") if p.is_file())
    chunks[1].write_bytes(b"rotten" * 20)


def empty_h5(folder: Path) -> None:
    h5(lambda file: file.create_dataset("raw", shape=(0, 48, 61), dtype="u1"))(folder)


def from_h5(*argv: str) -> list[str]:
    return ["in.h5:/raw" if a == "in.tif" else a for a in argv]


ROWS: dict[str, tuple[Maker, list[str], str]] = {
    # What the file holds
    "four axes": (tif(GREY[None].repeat(2, 0)), PREDICT, ""),
    "colour": (tif(np.zeros((3, 40, 50, 3), np.uint8), photometric="rgb"), PREDICT, "colour"),
    "one colour picture": (tif(np.zeros((40, 50, 3), np.uint8), photometric="rgb"), PREDICT, "col"),
    "NaN in raw": (tif(with_value(GREY, np.nan)), PREDICT, "NaN"),
    "infinity in raw": (tif(with_value(GREY, np.inf)), PREDICT, "infinite"),
    "complex raw": (tif(GREY.astype(np.complex64)), PREDICT, "complex"),
    "NaN in map": (tif(with_value(WALLS, np.nan)), SEGMENT, "NaN"),
    "infinity in map": (tif(with_value(WALLS, -np.inf)), SEGMENT, ""),
    "negative map": (tif(with_value(WALLS, -3)), SEGMENT, ""),
    "labels as raw": (tif(IDS), PREDICT, "looks like labels"),
    "big labels as raw": (tif(IDS.astype(np.uint32) * 70000), PREDICT, "labels"),
    "map as raw": (tif(WALLS), PREDICT, "looks like a boundary map"),
    "raw as map": (tif(GREY), SEGMENT, "looks like grey values"),
    "labels as map": (tif(IDS), SEGMENT, "looks like labels"),
    "raw as labels": (both(tif(GREY), tif(IDS, "truth.tif")), EVALUATE, "looks like grey values"),
    "raw as truth": (both(tif(IDS), tif(GREY, "truth.tif")), EVALUATE, "looks like grey values"),
    "map as labels": (both(tif(WALLS), tif(IDS, "truth.tif")), EVALUATE, "whole ids"),
    "another field": (both(tif(IDS), tif(IDS[:, :, 1:], "truth.tif")), EVALUATE, "48 x 60"),
    "fewer sections": (both(tif(IDS), tif(IDS[:2], "truth.tif")), EVALUATE, "--sections"),
    "empty truth": (both(tif(IDS), tif(IDS * 0, "truth.tif")), EVALUATE, "0 everywhere"),
    "negative ids": (both(tif(-IDS.astype(np.int16)), tif(IDS, "truth.tif")), EVALUATE, ""),
    "tune, another field": (
        both(tif(WALLS), tif(IDS[:, 1:], "truth.tif")),
        ["tune", "in.tif", "truth.tif"],
        "47 x 61",
    ),
    # Files that are broken or not there
    "missing file": (nothing, PREDICT, "There is no file in.tif"),
    "missing folder": (nothing, ["info", "nowhere/in.tif"], "There is no folder"),
    "empty file": (content(b""), ["info", "in.tif"], ""),
    "text named tif": (content(b"section one\n"), ["info", "in.tif"], ""),
    "unknown suffix": (content(b"x", "in.doc"), ["info", "in.doc"], "suffix"),
    "truncated TIFF": (cut_short(0.6), PREDICT, ""),
    "truncated compressed TIFF": (cut_short(0.6, compression="zlib"), PREDICT, ""),
    "TIFF without its end": (cut_short(0.97, compression="zlib"), PREDICT, ""),
    "corrupt HDF5 chunk": (corrupt_h5, from_h5(*PREDICT), ""),
    "corrupt Zarr chunk": (
        corrupt_zarr,
        ["in.zarr" if a == "in.tif" else a for a in PREDICT],
        "",
    ),
    "no such dataset": (h5(lambda file: file.create_group("other")), from_h5(*PREDICT), "raw"),
    "zero-size axis": (empty_h5, from_h5(*PREDICT), "no voxels"),
    "HDF5 that is text": (content(b"text", "in.h5"), ["info", "in.h5"], ""),
    # Where the result shall go
    "no output folder": (tif(GREY), ["predict", "in.tif", "no/out.tif"], "there is no folder"),
    "unknown output suffix": (tif(WALLS), ["segment", "in.tif", "out.doc"], "must end in one of"),
    "output is input": (tif(WALLS), ["segment", "in.tif", "in.tif"], "replace its own input"),
    "output over other data": (
        h5(lambda file: file.create_dataset("raw", data=GREY)),
        ["segment", "missing.tif", "in.h5:/raw"],  # said before anything is read
        "in.h5",
    ),
    "output is a folder": (
        both(tif(WALLS), lambda folder: (folder / "dir.tif").mkdir()),
        ["segment", "in.tif", "dir.tif"],
        "folder",
    ),
    # Models
    "unknown model": (tif(GREY), with_model("nonesuch"), "There is no model 'nonesuch'"),
    "missing model": (tif(GREY), with_model("no.safetensors"), "no.safetensors"),
    "pickle": (model(pickle.dumps(Malicious()), "bad.pt"), with_model("bad.pt"), "pickled"),
    "pickle in disguise": (model(pickle.dumps(Malicious())), with_model("bad.safetensors"), "any"),
    "absurd header": (model(absurd_header()), with_model("bad.safetensors"), "header"),
    "huge tensor": (model(huge_tensor()), with_model("bad.safetensors"), "bytes"),
    "model without numbers": (model(b""), with_model("bad.safetensors"), ""),
    "picture as model": (tif(GREY), with_model("in.tif"), ""),
    # Parameters
    "h too large": (tif(WALLS), [*SEGMENT, "--h", "1.5"], "--h must be at most 1, not 1.5"),
    "h negative": (tif(WALLS), [*SEGMENT, "--h=-0.1"], "--h must be at least 0"),
    "h not a number": (tif(WALLS), [*SEGMENT, "--h", "deep"], "--h must be a number"),
    "h NaN": (tif(WALLS), [*SEGMENT, "--h", "nan"], "--h must be a finite number"),
    "sigma too large": (tif(WALLS), [*SEGMENT, "--sigma-px", "99"], "--sigma-px must be at most"),
    "size in halves": (tif(WALLS), [*SEGMENT, "--min-size-voxels", "2.5"], "whole number"),
    "unknown mode": (tif(WALLS), [*SEGMENT, "--mode", "4d"], "choose from"),
    "unknown flag": (tif(WALLS), [*SEGMENT, "--colour", "red"], "--colour red; see 'emseg segment"),
    "voxel size zero": (tif(GREY), [*PREDICT, "--voxel-size-nm", "0", "4", "4"], "positive"),
    "voxel size short": (tif(GREY), [*PREDICT, "--voxel-size-nm", "50", "4"], "3 arguments"),
    "unknown device": (tif(GREY), [*PREDICT, "--device", "tpu"], "tpu"),
    "unknown metric": (
        both(tif(IDS), tif(IDS, "truth.tif")),
        [*EVALUATE, "--metrics", "beauty"],
        "no metric named 'beauty'",
    ),
    "no metric": (
        both(tif(IDS), tif(IDS, "truth.tif")),
        [*EVALUATE, "--metrics", ""],
        "--metrics needs names",
    ),
    "sections backwards": (
        both(tif(IDS), tif(IDS, "truth.tif")),
        [*EVALUATE, "--sections", "2:1"],
        "2:1",
    ),
    "sections beyond": (
        both(tif(IDS), tif(IDS, "truth.tif")),
        [*EVALUATE, "--sections", "1:9"],
        "has 3",
    ),
    "unknown command": (nothing, ["colour"], "There is no command 'colour'"),
    "too few words": (nothing, ["segment", "in.tif"], "out"),
    "missing recipe": (tif(GREY), ["run", "no.yaml", "in.tif", "out"], "no.yaml"),
    "recipe that is a picture": (tif(GREY), ["run", "in.tif", "in.tif", "out"], "not text"),
    "nothing to train on": (nothing, ["train", "m.safetensors"], "Write emseg train"),
    "train, another field": (
        both(tif(GREY), tif(IDS[:, 2:], "truth.tif")),
        ["train", "in.tif", "truth.tif", "m.safetensors"],
        "48 x 61 px",
    ),
    "train without labels": (tif(GREY), ["train", "in.tif", "m.safetensors"], "RAW LABELS"),
    "train on words": (
        content(b"words", "set.yml"),
        ["train", "set.yml", "m.safetensors"],
        "'sets'",
    ),
    "train on a drawing": (
        both(tif(GREY), tif((WALLS * 255).astype(np.uint8), "truth.tif")),
        ["train", "in.tif", "truth.tif", "m.safetensors"],
        "--labels-kind membranes",
    ),
    "train, labels of other sections": (
        both(tif(GREY[:2]), tif(IDS, "truth.tif")),
        ["train", "in.tif", "truth.tif", "m.safetensors"],
        "3 sections of labels but only 2",
    ),
    "train, unknown network": (
        both(tif(GREY), tif(IDS, "truth.tif")),
        ["train", "in.tif", "truth.tif", "m.safetensors", "--network", "nonesuch"],
        "nonesuch",
    ),
}


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    torch.manual_seed(0)
    save_model(path, build_network("unet2d", width=4, depth=2), ModelInfo(network="unet2d"))
    return path.read_bytes()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: bytes) -> Path:
    """An empty working folder with a model and an earlier result."""
    (tmp_path / "tiny.safetensors").write_bytes(tiny_model)
    (tmp_path / "out.tif").write_bytes(PRECIOUS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMSEG_MODELS", str(tmp_path / "models"))
    return tmp_path


def is_one_sentence(text: str) -> bool:
    lines = text.splitlines()
    return len(lines) == 1 and lines[0].startswith("emseg: ") and lines[0][-1] in ".?"


@pytest.mark.parametrize("row", ROWS)
def test_a_mistake_gets_one_sentence_and_loses_nothing(
    row: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make, argv, words = ROWS[row]
    make(folder)
    before = sorted(p.name for p in folder.iterdir())
    code = main(argv)
    out, err = capfd.readouterr()
    assert (code, out) == (2, ""), err
    assert is_one_sentence(err), err
    assert words in err
    assert "Traceback" not in err
    assert ("--force" in err) == ("looks like" in err)
    assert sorted(p.name for p in folder.iterdir()) == before
    assert (folder / "out.tif").read_bytes() == PRECIOUS


SENSIBLE: dict[str, tuple[Maker, list[str]]] = {
    "signed raw": (tif(GREY.astype(np.int16) - 128), PREDICT),
    "float raw": (tif(GREY.astype(np.float64) * 1e3), PREDICT),
    "constant raw": (tif(np.full_like(GREY, 77)), PREDICT),
    "blank section": (tif(GREY * np.array([1, 0, 1], np.uint8)[:, None, None]), PREDICT),
    "one section": (tif(GREY[:1]), PREDICT),
    "one plain picture": (tif(GREY[0]), PREDICT),
    "one pixel wide": (tif(GREY[:, :, :1]), PREDICT),
    "one pixel": (tif(GREY[:1, :1, :1]), PREDICT),
    "forced labels": (tif(IDS), [*PREDICT, "--force"]),
    "constant map": (tif(WALLS * 0), SEGMENT),
    "blank section in map": (tif(WALLS * np.array([1, 0, 1])[:, None, None]), SEGMENT),
    "map of bytes": (tif((WALLS * 255).astype(np.uint8)), SEGMENT),
    "one section of map": (tif(WALLS[:1]), [*SEGMENT, "--mode", "3d"]),
    "map one pixel wide": (tif(WALLS[:, :, :1]), [*SEGMENT, "--exact-borders"]),
    "huge smoothing": (tif(WALLS), [*SEGMENT, "--sigma-px", "20", "--h", "1"]),
    "scores of one segment": (both(tif(IDS * 0 + 1), tif(IDS, "truth.tif")), EVALUATE),
    "scores of signed ids": (both(tif(IDS.astype(np.int64)), tif(IDS, "truth.tif")), EVALUATE),
}


@pytest.mark.parametrize("row", SENSIBLE)
def test_unusual_but_sensible_input_works(
    row: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make, argv = SENSIBLE[row]
    make(folder)
    code = main([*argv, "--json"])
    out, err = capfd.readouterr()
    assert code == 0, err
    assert "Traceback" not in err
    report = json.loads(out)
    assert "NaN" not in out
    if argv[0] != "evaluate":
        result = tifffile.imread(folder / "out.tif")
        assert np.isfinite(result).all()
        assert report["sections"] == np.atleast_3d(result).reshape(-1, *result.shape[-2:]).shape[0]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("blank section", "blank"),
        ("blank section in map", "section 1 is blank: it is one fragment"),
    ],
)
def test_what_was_unusual_is_said(
    row: str, words: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make, argv = SENSIBLE[row]
    make(folder)
    assert main(argv) == 0
    assert words in capfd.readouterr().err.lower()


def test_a_damaged_chunk_leaves_no_noise(folder: Path) -> None:
    """Zarr's abandoned tasks speak up when the process ends, so it has to be one."""
    make, argv, _ = ROWS["corrupt Zarr chunk"]
    make(folder)
    command = [sys.executable, "-m", "napari_emseg.cli", *argv]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert is_one_sentence(result.stderr), result.stderr


def test_nothing_in_a_model_file_is_executed(folder: Path) -> None:
    """Every row with a malicious file ran its code's only effect: a file named pwned."""
    for name in ("pickle", "pickle in disguise"):
        make, argv, _ = ROWS[name]
        make(folder)
        assert main(argv) == 2
    assert not (folder / "pwned").exists()


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow beyond 4 kB for a while: writing fails in the middle for real."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["out.tif", "out.h5", "out.zarr"])
def test_a_disk_that_takes_no_more_loses_nothing(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    noise = RANDOM.random((9, 48, 61), np.float32)
    tif(noise)(folder)
    argv = ["segment", "in.tif", name, "--h", "0", "--sigma-px", "0", "--quiet", "--force"]
    assert main(["segment", "in.tif", "first.tif", *argv[3:]]) == 0  # compiles, outside the limit
    before = sorted(p.name for p in folder.iterdir())
    capsys.readouterr()
    request.getfixturevalue("small_files")
    code = main(argv)
    err = capsys.readouterr().err
    assert code == 2, err
    assert is_one_sentence(err), err
    assert "Cannot write" in err
    assert sorted(p.name for p in folder.iterdir()) == before
    assert (folder / "out.tif").read_bytes() == PRECIOUS


def test_a_full_disk_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import errno

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    tif(WALLS)(folder)
    monkeypatch.setattr(os, "fsync", full)
    assert main(SEGMENT) == 2
    assert "the disk is full" in capfd.readouterr().err
    assert (folder / "out.tif").read_bytes() == PRECIOUS
    assert not list(folder.glob(".*"))
