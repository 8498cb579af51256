"""How loops are compiled: the only place that knows of numba."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, TypeVar

import numba
import platformdirs

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile at the first call, without the interpreter lock, and remember it on disk.

    Where neither the user's cache folder nor the package folder can be written
    to, the function is compiled anew in each process.
    """
    try:
        with _cache_of_this_version():
            compiled: Function = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder for its cache
        compiled = numba.njit(nogil=True)(function)
    return compiled


@contextmanager
def _cache_of_this_version() -> Iterator[None]:
    """Let numba look for what it remembers in a folder of this version of the package.

    What another version left would be unpickled before numba sees that it is
    out of date, and fail where a type is no more.
    """
    chosen = numba.config.CACHE_DIR
    if not chosen:
        folder = platformdirs.user_cache_dir("napari-emseg", appauthor=False)
        numba.config.CACHE_DIR = os.path.join(folder, f"kernels-{version('napari-emseg')}")
    try:
        yield
    finally:
        numba.config.CACHE_DIR = chosen
