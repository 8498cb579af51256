"""How loops are compiled: the only place that knows of numba."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
import platformdirs

Function = TypeVar("Function", bound=Callable[..., Any])
_KEPT_S = 7 * 24 * 3600
_CALLED = ("jit.py", "segmentation", "evaluation")  # by kernels of other parts


def kernel(function: Function) -> Function:
    """Compile at the first call, without the interpreter lock, and remember it on disk.

    Where neither the user's cache folder nor the package folder can be written
    to, the function is compiled anew in each process.
    """
    try:
        with _own_cache(function.__module__):
            compiled: Function = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder for its cache
        compiled = numba.njit(nogil=True)(function)
    return compiled


@contextmanager
def _own_cache(module: str) -> Iterator[None]:
    """Let numba remember in a folder that no other state of the package's files shares.

    Numba itself looks at the file of a function only: a function would go on with
    what it once took from another file, and types that are no more would fail to load.
    """
    chosen = numba.config.CACHE_DIR
    if not chosen:
        numba.config.CACHE_DIR = str(_cache_folder(module.split(".")[1]))
    try:
        yield
    finally:
        numba.config.CACHE_DIR = chosen


@cache
def _cache_folder(part: str) -> Path:
    """Return where the kernels of one part of the package are remembered.

    They call kernels of their own part and of `_CALLED` only.
    """
    package = Path(__file__).parent
    state = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).parts[0] in (part, *_CALLED):
            status = path.stat()
            state.update(f"{path} {status.st_mtime_ns} {status.st_size}\n".encode())
    place = hashlib.sha256(str(package).encode()).hexdigest()[:8]
    caches = Path(platformdirs.user_cache_dir("napari-emseg", appauthor=False)) / "kernels"
    root = caches / place / part
    folder = root / state.hexdigest()[:16]
    if not folder.exists():
        _remove_old(root)
    return folder


def _remove_old(root: Path) -> None:
    """Remove what earlier states of the package left, unless it may be in use."""
    for folder in root.glob("*"):
        try:
            if time.time() - folder.stat().st_mtime > _KEPT_S:
                shutil.rmtree(folder)
        except OSError:  # somebody else's, or gone already
            continue
