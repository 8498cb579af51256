"""Loading torch beforehand, in a thread, without halting the other threads of the program."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from napari_emseg.progress import NO_PROGRESS, Progress

_SUFFIXES = {"linux": "so", "darwin": "dylib"}
# As torch's own order and modes of loading: the first makes OpenMP and CUDA known to all.
_LIBRARIES = (("libtorch_global_deps", "RTLD_GLOBAL"), ("libtorch_python", "RTLD_LOCAL"))


def load_torch(progress: Progress = NO_PROGRESS) -> None:
    """Import torch and what predicts with it, so that the first prediction need not.

    An import holds the interpreter while the system links the libraries of
    torch, hundreds of megabytes: 0.4 to 0.7 s with the files in memory, seconds from
    a slow disk, in which no window answers. Linked beforehand by a foreign call, which
    lets other threads go on, the longest halt is 0.17 s.

    Parameters
    ----------
    progress : Progress, optional
        Told after each part; may stop before the next.
    """
    if "torch" not in sys.modules:
        # Threads of torch that wait by spinning slow each other and the window tenfold where
        # something else computes too; read once, when the libraries are linked.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        _link_libraries()
    progress.update(1, 3, "Loading torch")
    import torch  # noqa: F401

    progress.update(2, 3, "Loading torch")
    import napari_emseg.inference.opening  # noqa: F401

    progress.update(3, 3, "Loading torch")


def _link_libraries() -> None:
    """Link torch's libraries; where that fails, the import does it, or says what is wrong."""
    suffix, torch = _SUFFIXES.get(sys.platform), find_spec("torch")
    if suffix is None or torch is None or torch.origin is None:
        return  # on Windows torch itself loads them so
    folder = Path(torch.origin).parent / "lib"
    with suppress(OSError, AttributeError):
        dlopen = ctypes.CDLL(None).dlopen
        dlopen.argtypes, dlopen.restype = [ctypes.c_char_p, ctypes.c_int], ctypes.c_void_p
        for name, mode in _LIBRARIES:
            path = folder / f"{name}.{suffix}"
            if path.exists():
                dlopen(os.fsencode(path), os.RTLD_NOW | getattr(os, mode))
