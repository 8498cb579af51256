"""The same surface with fewer triangles."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from napari_emseg.morphometry.surfaces import Surface
from napari_emseg.progress import NO_PROGRESS, Progress

_CHILD = Path(__file__).with_name("simplifying_child.py")
_LOOK_S = 0.1


def can_simplify() -> bool:
    """Return whether the library for it is installed."""
    return find_spec("fast_simplification") is not None


def simplify(surface: Surface, most_faces: int, *, progress: Progress = NO_PROGRESS) -> Surface:
    """Merge triangles where that changes the shape least.

    Edges are collapsed by quadric errors (Garland and Heckbert, "Surface simplification
    using quadric error metrics", SIGGRAPH 1997), by the library fast-simplification. It
    holds Python's lock for seconds, so it runs in a process of its own and windows stay
    alive.

    Parameters
    ----------
    surface : Surface
    most_faces : int
        About so many triangles at most. Where the library is not installed, and where
        there are fewer, the surface is returned as it is.
    progress : Progress
        Called ten times a second.

    Returns
    -------
    Surface

    Examples
    --------
    >>> empty = Surface(np.empty((0, 3), np.float32), np.empty((0, 3), np.int32))
    >>> simplify(empty, 100) is empty
    True
    """
    if surface.n_faces <= most_faces or not can_simplify():
        return surface
    # Coordinates around the middle keep their digits in float32.
    middle = surface.vertices.mean(axis=0)
    head = np.array([len(surface.vertices), surface.n_faces, most_faces], np.int64)
    parts = (head, (surface.vertices - middle).astype(np.float32), surface.faces)
    answer = _ask(b"".join(np.ascontiguousarray(part).tobytes() for part in parts), progress)
    n_vertices, n_faces = np.frombuffer(answer, np.int64, 2).tolist()
    vertices = np.frombuffer(answer, np.float32, 3 * n_vertices, 16).reshape(-1, 3)
    faces = np.frombuffer(answer, np.int32, 3 * n_faces, 16 + 12 * n_vertices).reshape(-1, 3)
    return Surface(vertices + middle, faces.copy())


def _ask(question: bytes, progress: Progress) -> bytes:
    """Give the child its input and wait for its answer; a stop ends it."""
    with TemporaryFile() as asked, TemporaryFile() as answered, TemporaryFile() as said:
        asked.write(question)
        asked.seek(0)
        child = subprocess.Popen(
            [sys.executable, "-P", str(_CHILD)],  # -P: modules beside the script are not for it
            stdin=asked,
            stdout=answered,
            stderr=said,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        try:
            _wait(child, progress)
        except BaseException:
            child.kill()
            child.wait()
            raise
        answered.seek(0)
        said.seek(0)
        if child.returncode:
            words = said.read().decode(errors="replace")
            raise RuntimeError(f"simplifying a surface failed: {words[-500:]}")
        return answered.read()


def _wait(child: subprocess.Popen[bytes], progress: Progress) -> None:
    while True:
        try:
            child.wait(_LOOK_S)
            return
        except subprocess.TimeoutExpired:
            progress.update(0, 1, "Simplifying surfaces")
