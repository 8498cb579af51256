"""A training whose process is killed goes on as if nothing had happened."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from napari_emseg.cli import main
from napari_emseg.io import save_volume
from napari_emseg.training import TrainingPair

STEPS = 60
FLAGS = {
    "--width": 4,
    "--depth": 2,
    "--steps": STEPS,
    "--batch-size": 2,
    "--patch-px": 32,
    "--validation-interval-steps": 20,
    "--save-interval-s": 0.02,
    "--precision": "float32",
    "--device": "cpu",
    "--workers": 0,
}

# As the program itself, but it kills itself in the middle of what FUNCTION does, the COUNT-th time.
KILLED_INSIDE = """
import importlib, os, signal, sys
module, function, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
module = importlib.import_module(module)
original, calls = getattr(module, function), 0

def half(*args, **kwargs):
    global calls
    calls += 1
    if calls < count:
        return original(*args, **kwargs)
    if function == "save_file":
        original(*args, **kwargs)
        os.truncate(args[1], os.path.getsize(args[1]) // 2)
    elif function == "append_line":
        args[0].open("a").write('{"step": 2')
    os.kill(os.getpid(), signal.SIGKILL)

setattr(module, function, half)
from napari_emseg.cli import main
sys.exit(main(sys.argv[4:]))
"""


def train_command(out: Path) -> list[str]:
    flags = [str(part) for flag in FLAGS.items() for part in flag]
    raw, labels = out.with_name("raw.tif"), out.with_name("labels.tif")
    return ["train", str(raw), str(labels), str(out), *flags, "--quiet"]


def emseg(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "napari_emseg.cli", *arguments])


def killed_inside(module: str, function: str, count: int, *arguments: str) -> int:
    code = [sys.executable, "-c", KILLED_INSIDE, module, function, str(count), *arguments]
    return subprocess.run(code, check=False).returncode


def kill_soon(process: subprocess.Popen[bytes], state: Path, pause_s: float) -> None:
    while process.poll() is None and not state.exists():
        time.sleep(0.005)
    time.sleep(pause_s)
    process.send_signal(signal.SIGKILL)
    process.wait()


def course(path: Path) -> list[tuple[int, float, dict]]:
    records = map(json.loads, path.with_suffix(".curve.jsonl").read_text().splitlines())
    return [(r["step"], r["loss"], r.get("scores", {})) for r in records]


@pytest.mark.slow
def test_a_training_killed_again_and_again_ends_with_the_same_bits(
    cells: TrainingPair, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    save_volume(cells.raw, tmp_path / "raw.tif")
    save_volume(cells.labels, tmp_path / "labels.tif")
    assert main(train_command(whole)) == 0
    state = killed.with_suffix(".training")

    kill_soon(emseg(*train_command(killed)), state, random.Random(time.time_ns()).uniform(0, 0.3))
    again = [*train_command(killed), "--resume"]
    writer, journal = "napari_emseg.training.state", "napari_emseg.training.journal"
    assert killed_inside(writer, "save_file", 3, *again) == -signal.SIGKILL
    assert list(tmp_path.glob(".*.tmp.killed.training"))
    assert killed_inside(journal, "append_line", 1, *again) == -signal.SIGKILL
    assert emseg(*again).wait() == 0

    for suffix in (".safetensors", ".training"):
        a, b = load_file(whole.with_suffix(suffix)), load_file(killed.with_suffix(suffix))
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)
    assert course(whole) == course(killed)
    assert [step for step, _, scores in course(whole) if scores] == [20, 40, 60]
    assert not list(tmp_path.glob(".*.tmp.*"))  # nothing half-written is left
