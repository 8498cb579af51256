"""Batches in order, the same whoever makes them; processes that start, die and end."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_emseg.errors import InputError
from napari_emseg.networks import build_network
from napari_emseg.training import TrainingPair, TrainParams
from napari_emseg.training.batches import Batch, BatchSource, make_batch
from napari_emseg.training.input_spec import describe_input
from napari_emseg.training.makers import default_workers
from napari_emseg.training.shared_arrays import CannotShare, pack, unpack
from napari_emseg.training.side_thread import SideThread
from napari_emseg.training.sources import open_sources
from napari_emseg.training.worker_pool import WorkerPool
from napari_emseg.volume import Volume


@pytest.fixture
def network():
    return build_network("unet2d", in_sections=3, width=4, depth=2)


def params(tiny: TrainParams, workers: int = 0) -> TrainParams:
    return tiny.model_copy(update={"workers": workers, "batch_size": 3})


def take(source: BatchSource, count: int) -> list[Batch]:
    return [source.next() for _ in range(count)]


def same(first: Batch, second: Batch) -> bool:
    return torch.equal(first.images, second.images) and torch.equal(first.targets, second.targets)


def all_same(first: list[Batch], second: list[Batch]) -> bool:
    return all(same(a, b) for a, b in zip(first, second, strict=True))


def pool_of(source: BatchSource) -> WorkerPool:
    assert isinstance(source._maker, WorkerPool)
    return source._maker


def wait_until_ready(source: BatchSource) -> None:
    pool = pool_of(source)
    deadline = time.monotonic() + 120
    while not all(worker.is_ready for worker in pool._workers):
        pool._collect(timeout_s=1)
        assert time.monotonic() < deadline


def test_a_batch_depends_on_its_step_and_the_seed_alone(cells, tiny, network):
    spec = describe_input(network)
    sources = open_sources([cells], params(tiny), spec)
    once = [make_batch(sources, params(tiny), spec, step) for step in (5, 6)]
    again = [make_batch(sources, params(tiny), spec, step) for step in (6, 5)]
    assert all_same(once, again[::-1])
    assert not same(*once)
    other = params(tiny).model_copy(update={"seed": 1})
    assert not same(once[0], make_batch(sources, other, spec, 5))
    with BatchSource([cells], params(tiny), network, first_step=5) as source:
        assert all_same(take(source, 2), once)
    torch.set_num_threads(threads := torch.get_num_threads())
    try:
        torch.set_num_threads(2)
        assert same(make_batch(sources, params(tiny), spec, 5), once[0])
    finally:
        torch.set_num_threads(threads)


def test_batches_are_the_same_with_any_number_of_processes(cells, tiny, network):
    with BatchSource([cells], params(tiny), network, first_step=2) as source:
        expected = take(source, 9)
    assert source.waited_s > 0
    for workers in (1, 2):
        with BatchSource([cells], params(tiny, workers), network, first_step=2) as source:
            first = take(source, 2)
            wait_until_ready(source)
            processes = [worker.process for worker in pool_of(source)._workers]
            assert len(processes) == workers
            assert all_same(first + take(source, 7), expected)
        assert not multiprocessing.active_children()
        source.close()  # a second time does no harm


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_a_killed_process_is_replaced_and_loses_nothing(cells, tiny, network):
    with BatchSource([cells], params(tiny), network) as source:
        expected = take(source, 12)
    with BatchSource([cells], params(tiny, 1), network) as source:
        found = take(source, 2)
        wait_until_ready(source)
        found += take(source, 4)
        os.kill(pool_of(source)._workers[0].process.pid, signal.SIGKILL)
        found += take(source, 6)
        assert all_same(found, expected)
    assert not multiprocessing.active_children()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_processes_that_end_again_and_again_are_explained(cells, tiny, network, monkeypatch):
    monkeypatch.setattr("napari_emseg.training.worker_pool._RESTARTS", 0)
    with BatchSource([cells], params(tiny, 1), network) as source:
        wait_until_ready(source)
        os.kill(pool_of(source)._workers[0].process.pid, signal.SIGKILL)
        with pytest.raises(InputError, match="ended 1 times, probably for want of memory"):
            take(source, 50)
    assert not multiprocessing.active_children()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_a_thread_helps_where_processes_end_while_they_load(cells, tiny, network):
    with BatchSource([cells], params(tiny), network) as source:
        expected = take(source, 6)
    with BatchSource([cells], params(tiny, 1), network) as source:
        process = pool_of(source)._workers[0].process
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert all_same(take(source, 6), expected)
        assert isinstance(pool_of(source)._thread, SideThread)


def test_nothing_is_left_when_the_source_is_forgotten(cells, tiny, network):
    source = BatchSource([cells], params(tiny, 1), network)
    process = pool_of(source)._workers[0].process
    source.next()
    assert process in multiprocessing.active_children()
    del source
    gc.collect()
    assert not multiprocessing.active_children()


def test_the_main_module_is_not_run_again(tmp_path):
    script = tmp_path / "no_guard.py"
    script.write_text(
        textwrap.dedent(
            """
            import numpy as np
            from napari_emseg.networks import build_network
            from napari_emseg.volume import Volume
            from napari_emseg.training import TrainParams, hold_out
            from napari_emseg.training.batches import BatchSource

            print("main", flush=True)
            params = TrainParams(workers=1, patch_px=32, batch_size=1)
            ids = np.random.default_rng(0).integers(1, 5, (3, 64, 64), np.uint8)
            pair = hold_out(Volume(ids), Volume(ids, kind="labels"))
            with BatchSource([pair], params, build_network("unet2d", width=4)) as batches:
                worker = batches._maker._workers[0]
                while not worker.is_ready:
                    batches._maker._collect(1)
                batches.next(), batches.next()
            """
        )
    )
    ended = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=300, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "main\n", "")


class Unreadable:
    """Data that fail after the first reads, as on a drive that is unplugged."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.reads = array, 0
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        self.reads += 1
        if self.reads > 20:
            raise InputError("stack.zarr is no longer there; put it back or open it again.")
        return self.array[key]


def test_what_goes_wrong_in_a_process_is_said_in_its_own_words(cells, tiny, network):
    pair = replace(cells, raw=Volume(Unreadable(cells.raw.data)))
    with BatchSource([pair], params(tiny, 1), network, memory_bytes=0) as source:
        wait_until_ready(source)
        with pytest.raises(InputError, match="no longer there"):
            take(source, 50)
    assert not multiprocessing.active_children()


class Unpicklable(Unreadable):
    def __getitem__(self, key: Any) -> np.ndarray:
        return self.array[key]

    def __reduce__(self) -> Any:
        raise pickle.PicklingError("an open file")


def test_a_thread_helps_where_processes_cannot(cells, tiny, network):
    pair = replace(cells, raw=Volume(Unpicklable(cells.raw.data)))
    with BatchSource([cells], params(tiny), network) as source:
        expected = take(source, 4)
    with BatchSource([pair], params(tiny, 2), network, memory_bytes=0) as source:
        assert isinstance(source._maker, SideThread)
        assert all_same(take(source, 4), expected)


@pytest.mark.parametrize(("cores", "on_cpu", "on_card"), [(1, 0, 1), (2, 1, 1), (16, 1, 8)])
def test_processes_are_started_where_they_pay(cores, on_cpu, on_card, monkeypatch):
    monkeypatch.setattr("napari_emseg.training.makers._cores", lambda: cores)
    assert default_workers("cpu") == on_cpu
    monkeypatch.setattr("napari_emseg.inference.device.choose_device", lambda name: name)
    assert default_workers("cuda") == on_card


def test_files_are_read_patch_by_patch_to_the_same_batches(cells, tiny, network, tmp_path):
    import zarr

    def stored(volume: Volume, name: str) -> Volume:
        array = zarr.create_array(tmp_path / name, data=volume.read(), chunks=(2, 16, 16))
        return replace(volume, data=array)

    in_file = replace(cells, raw=stored(cells.raw, "raw"), labels=stored(cells.labels, "labels"))
    with BatchSource([cells], params(tiny), network) as source:
        expected = take(source, 4)
    with BatchSource([in_file], params(tiny), network) as source:
        assert all_same(take(source, 4), expected)
    with BatchSource([in_file], params(tiny, 1), network, memory_bytes=0) as source:
        wait_until_ready(source)
        assert all_same(take(source, 4), expected)


def test_large_arrays_are_shared_once_and_mapped_files_not_at_all(tmp_path):
    large = np.arange(50_000, dtype=np.uint16).reshape(2, 250, 100)
    mapped = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint16, large.shape)
    mapped[:] = large
    packed = pack({"a": large, "again": large, "part": mapped[1:], "small": large[0, :2]}, 10**6)
    assert len(packed.arrays) == 1  # a part of 50 kB goes along as it is
    packed = pack([mapped, large], large.nbytes)
    found = unpack(packed)
    assert all(np.array_equal(array, large) for array in found)
    with pytest.raises(CannotShare, match="too large"):
        pack([large], large.nbytes - 1)
    mapped[0, 0, 0] = 77
    mapped.flush()
    assert found[0][0, 0, 0] == 77
    assert found[1][0, 0, 0] == 0


def test_the_real_sections_give_batches_that_fit_the_network(shared_data: Path, tiny):
    from napari_emseg.io import open_volume

    folder = shared_data / "isbi2012"
    pair = TrainingPair(
        open_volume(folder / "train_raw.tif", voxel_size_nm=(50, 4, 4)),
        open_volume(folder / "train_membranes_z00-23.tif"),
        "membranes",
        (0, 1, 2),
        name="isbi2012",
    )
    network = build_network("unet2d", width=4, depth=2)
    with BatchSource([pair], TrainParams(workers=0), network) as source:
        batch = source.next()
    assert batch.images.shape == batch.targets.shape == (4, 1, 192, 192)
    assert batch.images.dtype == torch.float32
    assert set(batch.targets.unique().tolist()) == {0, 1}
    assert 0.1 < batch.targets.float().mean() < 0.4
    assert network(batch.images).shape == batch.targets.shape
