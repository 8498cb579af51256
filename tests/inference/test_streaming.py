"""Maps that grow on the disk, and computations that are killed."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_emseg.errors import InputError
from napari_emseg.inference import Predictor
from napari_emseg.inference.streaming import predict_to_zarr
from napari_emseg.io import open_volume
from napari_emseg.io.zarr_image import ZarrImage
from napari_emseg.networks import build_network
from napari_emseg.networks.base import Network
from napari_emseg.networks.checkpoint import save_model
from napari_emseg.networks.info import ModelInfo
from napari_emseg.progress import Cancelled
from napari_emseg.volume import Volume

RAW = np.random.default_rng(1).integers(0, 256, (11, 40, 33)).astype(np.uint8)
STACK = Volume(RAW, voxel_size_nm=(50, 4, 4), name="stack")

# Runs in a process of its own: argv is store, model, when to kill it, and at which time.
KILLED = """
import os, signal, sys
import numpy as np
from napari_emseg.inference import Predictor
from napari_emseg.inference.streaming import predict_to_zarr
from napari_emseg.io.zarr_image import ZarrImage
from napari_emseg.volume import Volume

path, model, where, count = *sys.argv[1:4], int(sys.argv[4])
calls = 0

def die():
    global calls
    calls += 1
    if calls == count:
        os.kill(os.getpid(), signal.SIGKILL)

class Progress:
    def update(self, done, total, message=""):
        if where == "computing":
            die()

write = ZarrImage.write

def written(self, start, values):
    if where == "half written":
        write(self, start, values[..., :1, :, :])
        die()
    write(self, start, values)
    if where == "written":
        die()

ZarrImage.write = written
raw = np.random.default_rng(1).integers(0, 256, (11, 40, 33)).astype(np.uint8)
with Predictor(model, device="cpu") as predictor:
    stack = Volume(raw, voxel_size_nm=(50, 4, 4), name="stack")
    predict_to_zarr(predictor, stack, path, tta=False, progress=Progress())
"""


def make_network(name: str = "unet2d", **params: Any) -> Network:
    torch.manual_seed(3)
    return build_network(name, "tiny", **params).eval()


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let 4 sections be stored together."""
    monkeypatch.setattr("napari_emseg.io.zarr_image._MAX_CHUNK_SECTIONS", 4)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    save_model(path, make_network(), ModelInfo(network="unet2d", voxel_size_nm=(50, 4, 4)))
    return path


def stream(model: Any, path: Path, raw: Any = STACK, **options: Any) -> Volume:
    with Predictor(model, device="cpu") as predictor:
        return predict_to_zarr(predictor, raw, path, **{"tta": False, **options})


class StopAt:
    """Stops at a report with so many sections done; counts reports."""

    def __init__(self, done: int | None = None) -> None:
        self.stop = done
        self.seen: list[int] = []

    def update(self, done: int, total: int, message: str = "") -> None:
        assert total == 11
        self.seen.append(done)
        if done == self.stop:
            raise Cancelled


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("name", ["unet2d", "rsunet"])
def test_the_store_holds_what_predict_gives(name: str, dtype: Any, tmp_path: Path) -> None:
    network = make_network(name)
    raw = Volume(RAW[:6, :16], voxel_size_nm=(50, 4, 4))
    found = stream(network, tmp_path / "map.zarr", raw, dtype=dtype)
    with Predictor(network, device="cpu") as predictor:
        expected = predictor.predict(raw, tta=False)
    scale = 255 if dtype == "uint8" else 1
    assert (found.kind, found.shape) == (expected.kind, expected.shape)
    assert found.voxel_size_nm == (50, 4, 4)
    np.testing.assert_allclose(found.read() / scale, expected.read(), atol=0.51 / 255 * (scale > 1))
    assert found.provenance.get("offsets") == expected.provenance.get("offsets")
    assert found.provenance["predict"]["sections"] == 6
    assert not list((tmp_path / "map.zarr").glob(".finished*"))


@pytest.mark.parametrize(
    ("where", "count"), [("computing", 12), ("written", 2), ("half written", 2)]
)
def test_a_killed_computation_goes_on_from_the_last_finished_block(
    where: str, count: int, model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "map.zarr"
    code = "import napari_emseg.io.zarr_image as z; z._MAX_CHUNK_SECTIONS = 4\n" + KILLED
    killed = subprocess.run(
        [sys.executable, "-c", code, path, model, where, str(count)], check=False, timeout=100
    )
    assert killed.returncode == -signal.SIGKILL
    assert open_volume(path).provenance["unfinished"]
    progress = StopAt()
    resumed = stream(model, path, progress=progress)
    assert progress.seen[0] == 4, "the first block was finished, and only that"
    straight = stream(model, tmp_path / "straight.zarr")
    np.testing.assert_array_equal(resumed.read(), straight.read())
    assert "unfinished" not in resumed.provenance


def test_stopping_keeps_finished_blocks_and_a_finished_map_is_only_opened(
    model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "map.zarr"
    with pytest.raises(Cancelled):
        stream(model, path, progress=StopAt(9))
    half = open_volume(path).read()
    assert half[:8].any(axis=(1, 2)).all()
    assert not half[8:].any()
    whole = stream(model, path).read()
    np.testing.assert_array_equal(whole[:8], half[:8])
    again = StopAt()
    np.testing.assert_array_equal(stream(model, path, progress=again).read(), whole)
    assert again.seen == []


def test_blended_volumes_go_on_as_if_never_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_emseg.inference.grid._SMALLEST_SHARE", 2)
    monkeypatch.setattr("napari_emseg.inference.grid._NEAR_PX", (8,))
    monkeypatch.setattr("napari_emseg.inference.grid._NEAR_SECTIONS", 4)
    network = make_network("unet3d", depth=2)
    raw = Volume(RAW[:, :16, :16], voxel_size_nm=(50, 4, 4))
    with Predictor(network, device="cpu", block_shape_px=(4, 16, 16)) as predictor:
        with pytest.raises(Cancelled):
            predict_to_zarr(predictor, raw, tmp_path / "map.zarr", tta=False, progress=StopAt(6))
        progress = StopAt()
        resumed = predict_to_zarr(
            predictor, raw, tmp_path / "map.zarr", tta=False, progress=progress
        )
        straight = predict_to_zarr(predictor, raw, tmp_path / "straight.zarr", tta=False)
    assert progress.seen[0] == 4
    np.testing.assert_array_equal(resumed.read(), straight.read())


def test_words_count_the_sections_of_earlier_runs_too(model: Path, tmp_path: Path) -> None:
    path, words = tmp_path / "map.zarr", []

    class Words:
        def update(self, done: int, total: int, message: str = "") -> None:
            words.append(message)

    with pytest.raises(Cancelled):
        stream(model, path, progress=StopAt(5))
    stream(model, path, progress=Words())
    assert words[0] == "4 of 11 sections"
    assert words[-1] == "11 of 11 sections"


def test_what_was_noticed_is_told_by_the_stored_map_too(model: Path, tmp_path: Path) -> None:
    raw = RAW.copy()
    raw[2] = 7
    made = stream(model, tmp_path / "map.zarr", Volume(raw, voxel_size_nm=(50, 4, 4)))
    assert "Blank sections, whose boundary map was set to 0: 2." in made.provenance["notes"]
    assert open_volume(tmp_path / "map.zarr").provenance["predict"]["blank_sections"] == [2]


def test_what_was_begun_otherwise_is_not_mixed(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "map.zarr"
    with pytest.raises(Cancelled):
        stream(model, path, progress=StopAt(5))
    other = tmp_path / "other.safetensors"
    torch.manual_seed(9)
    save_model(other, build_network("unet2d", "tiny"), ModelInfo(network="unet2d"))
    changed = Volume(RAW + 1, voxel_size_nm=(50, 4, 4))
    for options, words in (
        ({"model": other}, "with another model"),
        ({"raw": changed}, "of other raw data"),
        ({"tta": True}, "with another choice of averaging"),
        ({"dtype": "float32"}, "with another type of values"),
        ({"resample": "never"}, "with another choice of resampling"),
    ):
        with pytest.raises(InputError, match=f"map.zarr was begun {words}: choose another name"):
            stream(**{"model": model, "path": path, **options})
    anew = stream(model, path, changed, resume=False)
    straight = stream(model, tmp_path / "straight.zarr", changed)
    np.testing.assert_array_equal(anew.read(), straight.read())


def test_what_is_not_ours_is_left_alone(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "map.zarr"
    path.mkdir()
    (path / "letter.txt").write_text("dear")
    for resume in (True, False):
        with pytest.raises(InputError, match="no Zarr store to replace"):
            stream(model, path, resume=resume)
    assert (path / "letter.txt").read_text() == "dear"


def test_a_full_disk_is_one_sentence_and_finished_blocks_stay(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "map.zarr"
    write = ZarrImage.write

    def full(self: ZarrImage, start: int, values: np.ndarray) -> None:
        if start >= 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, start, values)

    with monkeypatch.context() as patch:
        patch.setattr(ZarrImage, "write", full)
        with pytest.raises(InputError, match=r"the disk is full; free some space .* stays"):
            stream(model, path)
    progress = StopAt()
    stream(model, path, progress=progress)
    assert progress.seen[0] == 4


def test_an_input_larger_than_memory_is_never_whole_in_it(tmp_path: Path) -> None:
    """A third of 1 GB of sections, most of them blank so that it is quick, in its own process."""
    code = """
import resource, sys
from contextlib import suppress
import numpy as np, torch
from napari_emseg.inference import Predictor
from napari_emseg.inference.streaming import predict_to_zarr
from napari_emseg.networks import build_network
from napari_emseg.progress import Cancelled
from napari_emseg.volume import Volume

class Lazy:
    shape, dtype = (1024, 1024, 1024), np.dtype(np.uint8)
    def __getitem__(self, z):
        section = np.zeros(self.shape[1:], np.uint8)
        if z % 100 == 5:
            section[::3] = 9
        return section

class StopAtAThird:
    def update(self, done, total, message=""):
        if done == 340:
            raise Cancelled

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

with Predictor(build_network("unet2d", "tiny"), device="cpu", n_threads=1) as predictor:
    predictor.predict_section(Lazy(), 5)
    before = peak_mb()
    with suppress(Cancelled):
        predict_to_zarr(
            predictor, Volume(Lazy()), sys.argv[1], tta=False, progress=StopAtAThird()
        )
    print(peak_mb() - before)
"""
    path = tmp_path / "map.zarr"
    done = subprocess.run(
        [sys.executable, "-c", code, path], check=True, timeout=300, capture_output=True, text=True
    )
    assert float(done.stdout) < 150, "MB, where 340 went in"
    assert open_volume(path).read(205).any()
