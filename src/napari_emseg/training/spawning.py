"""Starting processes anew from any program: a script, a shell, a window with threads.

They are started anew ("spawn"), never forked, as windows and threads are around.
A spawned process usually runs the main module of its parent again: a script
without ``if __name__ == "__main__"`` would do its work in each of them, and the
viewer would be loaded in each. Our processes need nothing of it, so it is hidden
from them.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnProcess
from types import ModuleType
from typing import Any

_main_lock = threading.Lock()


def start_process(
    target: Callable[..., None], args: tuple[Any, ...], *, name: str, daemon: bool
) -> SpawnProcess:
    """Start a process that knows nothing of the main module and starts without Ctrl-C.

    Parameters
    ----------
    target : callable
        Of a module that can be imported.
    args : tuple
        What it is called with; pickled.
    name : str
    daemon : bool
        Whether Python ends it when this program ends; such a process may have none
        of its own.

    Raises
    ------
    OSError, RuntimeError, AssertionError
        If processes cannot be started here.
    """
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=target, args=args, name=name, daemon=daemon)
    with _bare_main(), _interrupts_blocked():
        process.start()
    return process


@contextmanager
def _bare_main() -> Iterator[None]:
    """Hide the main module from a process that is being started."""
    with _main_lock:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Let Ctrl-C not reach a process while it is loading."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
