"""Choosing where to compute."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from napari_emseg.errors import InputError

_BUDGET_BYTES = 2 * 2**30


def choose_device(device: str = "auto") -> str:
    """Return the torch device to compute on.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda", "mps"}
        "auto" takes a graphics card that works, else the CPU; "cuda:1" names a card.

    Raises
    ------
    InputError
        If the device asked for is unknown or not there.

    Examples
    --------
    >>> choose_device("cpu")
    'cpu'
    """
    if device == "auto":
        return next((name for name in ("cuda", "mps") if _is_working(name)), "cpu")
    kind, _, index = device.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not index.isdigit()):
        raise InputError(f"There is no device '{device}'; choose auto, cpu, cuda or mps.")
    if kind != "cpu" and not _is_working(device):
        raise InputError(f"Device '{device}' cannot be used on this computer; choose auto or cpu.")
    return device


def memory_budget_bytes(device: str) -> int:
    """Return how much memory one forward pass may take."""
    if device.startswith("cuda"):
        free, _ = torch.cuda.mem_get_info(device)
        return int(free // 2)
    return _BUDGET_BYTES


def volume_budget_bytes(device: str) -> int:
    """Return how much memory one forward pass through a 3D network may take.

    It depends on the computer, not on what else it does: the blocks of a volume, and in
    the last digits the map, are the same the next time.
    """
    if device.startswith("cuda"):
        return int(torch.cuda.get_device_properties(device).total_memory // 3)
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return min(max(memory // 4, _BUDGET_BYTES), 2 * _BUDGET_BYTES)
    return _BUDGET_BYTES


def release_memory(device: str) -> None:
    """Give memory that torch keeps for later back to the graphics card."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device.startswith("mps"):
        torch.mps.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception means that memory did not suffice."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # the CPU allocator and MPS raise plain RuntimeErrors
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        sign in text for sign in ("out of memory", "can't allocate memory", "not enough memory")
    )


def threads_for(*, background: bool = False) -> int:
    """Return how many CPU cores a prediction should use.

    A network computed by one thread and by several may differ in the last digit, and
    so may labels at the edge of a threshold. So a prediction in the background takes
    as many cores as one in the shell where the system lets its threads stand back
    behind the window's: on Linux, by niceness. Elsewhere it leaves one core free.

    Parameters
    ----------
    background : bool
        Whether a window must stay fluid meanwhile; the thread that predicts is then
        expected to have lowered its priority where that is possible.

    Returns
    -------
    int
        All cores that torch would use, or one fewer; at least 1.

    Examples
    --------
    >>> 1 <= threads_for(background=True) <= threads_for()
    True
    """
    every = torch.get_num_threads()
    stands_back = sys.platform == "linux"
    return every if stands_back or not background else max(1, every - 1)


@contextmanager
def limit_threads(n_threads: int | None) -> Iterator[None]:
    """Let torch use at most `n_threads` CPU cores for a while."""
    before = torch.get_num_threads()
    if n_threads is not None:
        torch.set_num_threads(max(1, n_threads))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _is_working(device: str) -> bool:
    # a driver may be present and its card too old for this build of torch
    backend = torch.cuda if device.startswith("cuda") else torch.backends.mps
    if not backend.is_available():
        return False
    try:
        return bool((torch.ones(2, device=device) + 1).sum().item() == 4)
    except RuntimeError:
        return False
