"""Training in a process: what it gives, how it stops, what is left when something is killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from napari_emseg.errors import InputError
from napari_emseg.networks.checkpoint import load_model
from napari_emseg.progress import Cancelled
from napari_emseg.training import train
from napari_emseg.training.process import train_in_process
from napari_emseg.training.saved import saved_step
from napari_emseg.training.watch import Watch
from napari_emseg.volume import Volume

can_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
ENDLESS = {"steps": 10**6, "save_interval_s": 0.05, "validation_interval_steps": 10**6}


class Act:
    """Does something when a step is reported, once."""

    def __init__(self, step: int, act: Callable[[], None]) -> None:
        self.step, self.act = step, act
        self.messages: list[str] = []

    def update(self, done: int, total: int, message: str = "") -> None:
        self.messages.append(message)
        if message.startswith("step") and done >= self.step:
            self.step = 10**9
            self.act()


def cancel() -> None:
    raise Cancelled


def wait_for(happened: Callable[[], object], timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def same_weights(first: Path, second: Path) -> bool:
    a, b = (load_model(path)[0].state_dict() for path in (first, second))
    return all(torch.equal(a[key], b[key]) for key in a)


@pytest.fixture(autouse=True)
def own_temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr("napari_emseg.training.process.NICENESS", 0)  # tests run side by side
    yield
    assert not list(folder.glob("emseg-*"))
    assert not multiprocessing.active_children()


def test_it_gives_what_training_here_gives_and_tells_the_same(cells, tiny, tmp_path):
    """Neighbours of the sections come along; a gap in the sections is one there too."""
    pair = replace(cells, train_sections=(0, 2), validation_sections=(4,))
    params = tiny.model_copy(update={"in_sections": 3})
    here, there = tmp_path / "here.safetensors", tmp_path / "there.safetensors"
    expected = train([pair], here, params=params)
    watch, told = Watch(), Act(10**9, cancel)
    found = train_in_process([pair], there, params=params, watch=watch, progress=told)
    assert same_weights(here, there)
    assert (found.steps, found.best_step, found.scores) == (8, expected.best_step, expected.scores)
    assert found.model_path == there
    state = watch.state()
    assert (state.step, state.samples, state.eta_s) == (8, 16, 0)
    assert [step for step, _ in state.losses] == list(range(1, 9))
    v_rand = [(step, scores["v_rand"]) for step, scores in state.validations]
    assert [step for step, _ in v_rand] == [4, 8]
    assert max(v_rand, key=lambda at: at[1]) == (state.best_step, state.best_score)
    assert told.messages[0] == "starting"
    assert any(m.startswith("reading") for m in told.messages)
    info = load_model(there)[1]
    assert info.trained_on == "cells sections 0, 2"
    assert info.voxel_size_nm == (50, 4, 4)


def test_a_stop_saves_and_resuming_goes_on_where_it_was(cells, tiny, tmp_path):
    """Watched meanwhile: the map of a section of another stack is made there."""
    path = tmp_path / "m.safetensors"
    watch, other = Watch(), Volume(cells.raw.data[:, :40, ::-1].copy())
    watch.look_at(other, 1)
    params = tiny.model_copy(update={**ENDLESS, "save_interval_s": 1e6})

    class StopWhenSeen:
        def update(self, done, total, message=""):
            if watch.state().map is not None and watch.state().step > 10:
                raise Cancelled

    with pytest.raises(Cancelled):
        train_in_process([cells], path, params=params, watch=watch, progress=StopWhenSeen())
    state = watch.state()
    assert state.map.shape == (40, 61)
    assert (state.section, state.view.raw) == (1, other)
    assert saved_step(path.with_suffix(".training")) >= state.map_step > 0
    assert load_model(path)[0].params.width == 4
    at = saved_step(path.with_suffix(".training"))
    again = Watch()
    with pytest.raises(Cancelled):
        train_in_process(
            [cells],
            path,
            params=params,
            watch=again,
            progress=Act(at + 3, cancel),
            resume=True,
        )
    assert saved_step(path.with_suffix(".training")) >= at + 3
    steps = [step for step, _ in again.state().losses]
    assert steps == sorted(steps)
    assert steps[0] == 10  # of the curve on disk
    assert steps[-1] >= at + 3


def test_a_stop_before_the_first_step_is_answered_at_once(cells, tiny, tmp_path):
    class Stop:
        def update(self, done, total, message=""):
            raise Cancelled

    with pytest.raises(Cancelled):
        train_in_process([cells], tmp_path / "m", params=tiny, progress=Stop())
    assert not list(tmp_path.glob("m.*"))


def test_what_cannot_be_trained_on_is_said_in_the_same_words(cells, tiny, tmp_path):
    blank = replace(cells, raw=Volume(np.zeros(cells.raw.shape, np.uint8)))
    with pytest.raises(InputError, match="cells: all training sections are blank"):
        train_in_process([blank], tmp_path / "m", params=tiny)
    with pytest.raises(InputError, match="nothing to train on"):
        train_in_process([], tmp_path / "m", params=tiny)


@can_kill
def test_a_killed_training_is_explained_and_goes_on(cells, tiny, tmp_path):
    path, params = tmp_path / "m.safetensors", tiny.model_copy(update=ENDLESS)

    def kill() -> None:
        wait_for(lambda: saved_step(path.with_suffix(".training")))
        (child,) = multiprocessing.active_children()
        os.kill(child.pid, signal.SIGKILL)

    with pytest.raises(InputError, match=r"for want of memory.*up to step \d+ is saved.*Resume"):
        train_in_process([cells], path, params=params, progress=Act(5, kill))
    at = saved_step(path.with_suffix(".training"))
    longer = params.model_copy(update={"steps": at + 2})
    assert train([cells], path, params=longer, resume=True).steps == at + 2


@can_kill
def test_the_process_ends_after_saving_when_its_parent_is_killed(cells, tiny, tmp_path):
    """The parent is a script without a guard, which is not run again over there either."""
    params = tiny.model_copy(update={**ENDLESS, "save_interval_s": 1e6, "workers": 1})
    np.save(tmp_path / "raw.npy", cells.raw.data)
    np.save(tmp_path / "labels.npy", cells.labels.data)
    (tmp_path / "params.json").write_text(params.model_dump_json())
    script = tmp_path / "no_guard.py"
    script.write_text(
        textwrap.dedent(
            """
            import multiprocessing, pathlib, sys, tempfile
            import numpy as np
            from napari_emseg.training import TrainParams, hold_out
            from napari_emseg.training import process
            from napari_emseg.training.process import train_in_process
            from napari_emseg.volume import Volume

            class Tell:
                def update(self, done, total, message=""):
                    if message.startswith("step") and done > 3:
                        (child,) = multiprocessing.active_children()
                        print(child.pid, "torch" in sys.modules, flush=True)

            folder = pathlib.Path(__file__).parent
            tempfile.tempdir = str(folder / "temporary")
            process.NICENESS = 0
            print("main", flush=True)
            params = TrainParams.model_validate_json((folder / "params.json").read_text())
            raw, labels = (np.load(folder / f"{name}.npy") for name in ("raw", "labels"))
            pair = hold_out(Volume(raw), Volume(labels, kind="labels"))
            train_in_process([pair], folder / "m.safetensors", params=params, progress=Tell())
            """
        )
    )
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline() == "main\n"
    pid, has_torch = parent.stdout.readline().split()
    assert has_torch == "False"  # nothing heavy is loaded beside the window
    family = [psutil.Process(int(pid)), *psutil.Process(int(pid)).children()]
    parent.kill()
    assert "main" not in parent.stdout.read()
    parent.wait()
    wait_for(lambda: not any(p.is_running() and p.status() != "zombie" for p in family), 30)
    assert saved_step(tmp_path / "m.training") > 3
    assert load_model(tmp_path / "m.safetensors")[0].params.width == 4


def test_a_program_that_ends_meanwhile_waits_for_the_save_and_no_longer(cells, tiny, tmp_path):
    """As a window that is closed: the thread that waits for the training is no reason to stay."""
    params = tiny.model_copy(update={**ENDLESS, "save_interval_s": 1e6})
    (tmp_path / "params.json").write_text(params.model_dump_json())
    script = tmp_path / "closed.py"
    script.write_text(
        textwrap.dedent(
            """
            import contextlib, pathlib, tempfile, threading
            from napari_emseg.progress import Cancelled
            from napari_emseg.samples import make_synthetic
            from napari_emseg.training import TrainParams, hold_out
            from napari_emseg.training import process

            begun = threading.Event()

            class Tell:
                def update(self, done, total, message=""):
                    if message.startswith("step") and done > 3:
                        begun.set()

            def work():
                pair = hold_out(*make_synthetic((3, 64, 64)))
                path = folder / "m.safetensors"
                with contextlib.suppress(Cancelled):
                    process.train_in_process([pair], path, params=params, progress=Tell())

            process.NICENESS = 0
            folder = pathlib.Path(__file__).parent
            tempfile.tempdir = str(folder / "temporary")
            params = TrainParams.model_validate_json((folder / "params.json").read_text())
            threading.Thread(target=work, daemon=True).start()
            begun.wait()
            """
        )
    )
    ended = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=250, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert saved_step(tmp_path / "m.training") > 3


def test_a_state_of_before_is_not_taken_for_one_of_this_training(cells, tiny, tmp_path):
    path = tmp_path / "m.safetensors"
    train([cells], path, params=tiny)
    with pytest.raises(Cancelled):
        train([cells], path, params=tiny, progress=Act(1, cancel))
    assert saved_step(path.with_suffix(".training")) == 1
    assert saved_step(tmp_path / "nothing.training") is None
    path.with_suffix(".training").write_bytes(b"\x05\0\0\0\0\0\0\0[[[[[")
    assert saved_step(path.with_suffix(".training")) is None
    header = json.dumps({"__metadata__": {"counters": "[]"}}).encode()
    path.with_suffix(".training").write_bytes(len(header).to_bytes(8, "little") + header)
    assert saved_step(path.with_suffix(".training")) is None
