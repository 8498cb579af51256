"""Processes that make batches ahead.

Data go to them through shared memory, as do the batches back.

Until a process is ready, the caller makes its batches itself; one that ends, for
want of memory or killed, is started again, and what it was making is made anew.
Where none gets ready, a thread makes the batches.
Every process hangs on a pipe of its parent: it ends when the parent does, however.
"""

from __future__ import annotations

import multiprocessing
import signal
import weakref
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from napari_emseg.errors import InputError
from napari_emseg.training.batch_arrays import Arrays, make_arrays
from napari_emseg.training.input_spec import InputSpec
from napari_emseg.training.params import TrainParams
from napari_emseg.training.shared_arrays import CannotShare, Packed, SharedArray, pack, unpack
from napari_emseg.training.side_thread import SideThread
from napari_emseg.training.sources import Source
from napari_emseg.training.spawning import start_process

_TASKS_EACH = 2
"""One being made and one waiting, so that no process is ever idle."""
_RESTARTS = 3
_PATIENCE_S = 5.0

_Slot = tuple[SharedArray, SharedArray]
"""Room for the images and the targets of a batch."""


class CannotStart(Exception):
    """Processes cannot be started here."""


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    slots: list[_Slot]
    free: list[int]
    tasks: dict[int, int] = field(default_factory=dict)  # step: slot
    is_ready: bool = False


class WorkerPool:
    """Makes batches in processes; see :class:`napari_emseg.training.makers.Maker`.

    Raises
    ------
    CannotStart
        If the data cannot be told to processes or none can be started.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        params: TrainParams,
        spec: InputSpec,
        first_step: int,
        *,
        count: int,
        memory_bytes: int,
    ) -> None:
        self._work = (sources, params, spec)
        # it also tells how large a batch is, and compiles what the processes will load
        first = make_arrays(sources, params, spec, first_step)
        self._done = {first_step: first}
        self._next = first_step + 1
        self._lost: deque[int] = deque()
        self._restarts = 0
        self._thread: SideThread | None = None
        self._workers: list[_Worker] = []
        self._finalizer = weakref.finalize(self, _stop, self._workers)
        try:
            self._packed = pack(self._work, memory_bytes)
            self._work = unpack(self._packed)  # what was read from files is in memory only once
            for _ in range(count):
                self._workers.append(self._start(_make_slots(first)))
        except (CannotShare, OSError, RuntimeError, AssertionError, ValueError) as error:
            self.close()
            raise CannotStart(str(error)) from error

    def get(self, step: int) -> Arrays:
        """Return the batch of a step, made ahead if there was time."""
        if self._next <= step:
            self._next = step + 1
        self._collect(timeout_s=0)
        if self._thread and step not in self._done:
            return self._thread.get(step)
        self._hand_out(step)
        while step not in self._done:
            if not any(step in worker.tasks for worker in self._workers):
                self._lost = deque(s for s in self._lost if s != step)
                return make_arrays(*self._work, step)
            self._collect(timeout_s=None)
            self._hand_out(step)
        return self._done.pop(step)

    def close(self) -> None:
        """End the processes."""
        self._finalizer()
        if self._thread:
            self._thread.close()

    def _start(self, slots: list[_Slot]) -> _Worker:
        context = multiprocessing.get_context("spawn")
        pipe, far_end = context.Pipe()
        process = start_process(_serve, (far_end, self._packed, slots), name="batches", daemon=True)
        far_end.close()  # so that the end of the process is seen at this end
        return _Worker(process, pipe, slots, list(range(len(slots))))

    def _hand_out(self, step: int) -> None:
        """Give each process what comes next, no farther ahead of `step` than all can hold."""
        last = step + _TASKS_EACH * len(self._workers)
        for worker in list(self._workers):
            while worker.is_ready and worker.free:
                if self._lost:
                    task = self._lost.popleft()
                elif self._next <= last:
                    task, self._next = self._next, self._next + 1
                else:
                    return
                slot = worker.free.pop()
                worker.tasks[task] = slot
                try:
                    worker.pipe.send((task, slot))
                except OSError:
                    self._replace(worker)
                    break

    def _collect(self, timeout_s: float | None) -> None:
        """Take over what is made; wait for one batch if there is no limit of time."""
        if not self._workers:
            return
        by_pipe = {worker.pipe: worker for worker in self._workers}
        for pipe in wait(list(by_pipe), timeout_s):
            worker = by_pipe[pipe]  # type: ignore[index]
            try:
                while worker.pipe.poll():
                    self._take(worker, worker.pipe.recv())
            except (EOFError, OSError):
                self._replace(worker)

    def _take(self, worker: _Worker, message: tuple[int, Exception | None] | None) -> None:
        if message is None:
            worker.is_ready = True
            return
        step, error = message
        slot = worker.tasks.pop(step)
        worker.free.append(slot)
        if error is not None:
            self.close()
            raise error
        images, targets = worker.slots[slot]
        self._done[step] = images.array().copy(), targets.array().copy()

    def _replace(self, worker: _Worker) -> None:
        """Start another process in place of one that has ended."""
        self._workers.remove(worker)
        self._lost.extend(sorted(worker.tasks))
        _stop([worker])
        if not worker.is_ready:  # processes do not run here
            if not self._workers:
                self._thread = SideThread(*self._work)
            return
        self._restarts += 1
        if self._restarts > _RESTARTS:
            self.close()
            raise InputError(
                f"Processes that prepare batches ended {self._restarts} times, probably for want "
                "of memory: take fewer workers (0 for none) or a smaller patch or batch size."
            )
        with suppress(OSError):
            self._workers.append(self._start(worker.slots))


def _make_slots(like: Arrays) -> list[_Slot]:
    images, targets = like
    return [(SharedArray.like(images), SharedArray.like(targets)) for _ in range(_TASKS_EACH)]


def _stop(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.pipe.close()
        worker.process.terminate()
    for worker in workers:
        worker.process.join(_PATIENCE_S)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join(_PATIENCE_S)
        worker.process.close()
    workers.clear()


def _serve(pipe: Connection, packed: Packed, slots: list[_Slot]) -> None:
    """Make the batches asked for until the pipe ends; runs in the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C concerns the parent, which ends this one
    work: tuple[Any, Any, Any] = unpack(packed)
    arrays = [(images.array(), targets.array()) for images, targets in slots]
    with suppress(EOFError, OSError):
        pipe.send(None)
        while True:
            step, slot = pipe.recv()
            pipe.send((step, _fill(work, step, *arrays[slot])))


def _fill(work: tuple[Any, Any, Any], step: int, images: Any, targets: Any) -> Exception | None:
    try:
        images[...], targets[...] = make_arrays(*work, step)
    except MemoryError:
        raise  # ends the process: the parent tries again, then explains
    except InputError as error:
        return InputError(str(error))
    except Exception as error:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return None
