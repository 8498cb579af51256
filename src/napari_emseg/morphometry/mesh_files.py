"""Surfaces written for other programs: OBJ, PLY, GLB, and what Neuroglancer reads."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write, check_file_place, check_place
from napari_emseg.morphometry.surfaces import Surface

Colour = tuple[float, float, float]
MESH_FORMATS = ("obj", "ply", "glb", "precomputed")
_NM_PER_UNIT = {"obj": 1.0, "ply": 1.0, "glb": 1000.0}
_GREY = (0.7, 0.7, 0.7)


def save_meshes(
    surfaces: Iterable[tuple[int, Surface]],
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    colours: Mapping[int, Colour] | None = None,
) -> int:
    """Write surfaces, one file for all or a folder with one for each.

    Parameters
    ----------
    surfaces : iterable of (id, Surface)
        Taken one by one; empty ones are left out.
    path : path-like
        A file that ends in ``.obj``, ``.ply`` or ``.glb``, or a new folder.
    format : {"obj", "ply", "glb", "precomputed"}, optional
        Of the files in a folder. "precomputed" is Neuroglancer's single-resolution mesh
        format, of which the folder is the source.
    colours : mapping, optional
        Red, green and blue of the segments, from 0 to 1.

    Returns
    -------
    int
        Number of segments written.

    Raises
    ------
    InputError
        If it cannot be written there, or trimesh, which the first three need, is missing.

    Notes
    -----
    Positions are (x, y, z) in nm; in GLB files in micrometres, whose viewers take a unit
    for a metre and lose sight of what is thousands of them large.
    """
    check_mesh_target(path, format)
    colours = colours or {}
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix in _NM_PER_UNIT:
        return _save_scene(surfaces, path, suffix, colours)
    n_written = 0
    with new_folder(path) as folder:
        if format == "precomputed":
            _write_json(folder / "info", {"@type": "neuroglancer_legacy_mesh"})
        for segment, surface in surfaces:
            if not surface.n_faces:
                continue
            if format == "precomputed":
                _write_precomputed(folder, segment, surface)
            else:
                assert format is not None
                scene = _scene_of([(segment, surface)], format, colours)
                (folder / f"{segment}.{format}").write_bytes(_encode(scene, format))
            n_written += 1
    return n_written


def check_mesh_target(path: str | os.PathLike[str], format: str | None) -> None:
    """Make sure before a long computation that surfaces can be written to a path.

    Parameters
    ----------
    path : path-like
    format : str or None
        As for :func:`save_meshes`.

    Raises
    ------
    InputError
        If they cannot.
    """
    suffix = Path(path).suffix.lower().removeprefix(".")
    if format is not None and format not in MESH_FORMATS:
        raise InputError(f"'{format}' is no format of surfaces; choose {', '.join(MESH_FORMATS)}.")
    if suffix in _NM_PER_UNIT:
        if format not in (None, suffix):
            raise InputError(f"{path} would not be {format}: name a folder, or a .{format} file.")
        check_file_place(path)
    else:
        check_new_folder(path)
        if format is None:
            raise InputError(
                f"Say the format of the surfaces in {path}: one of {', '.join(MESH_FORMATS)}."
            )
        if format == "precomputed" and sys.platform == "win32":
            raise InputError(
                "Neuroglancer's files have a colon in their names, which Windows does not "
                "allow: choose another format."
            )
    if (suffix in _NM_PER_UNIT or format in _NM_PER_UNIT) and find_spec("trimesh") is None:
        raise InputError(
            "Surface files need the library trimesh: pip install 'napari-emseg[meshes]'."
        )


def check_new_folder(path: str | os.PathLike[str]) -> None:
    """Make sure that a folder can be made.

    Raises
    ------
    InputError
        If there is something with that name, or it cannot be made there.
    """
    if os.path.exists(path):
        raise InputError(f"{path} exists already; choose the name of a new folder.")
    check_place(path)


@contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a folder to fill, which gets its name when it is full.

    Parameters
    ----------
    path : path-like
        Where nothing is yet.

    Yields
    ------
    Path
    """
    check_new_folder(path)
    with atomic_write(path) as folder:
        folder.mkdir()
        yield folder


def _save_scene(
    surfaces: Iterable[tuple[int, Surface]],
    path: str | os.PathLike[str],
    format: str,
    colours: Mapping[int, Colour],
) -> int:
    kept = [(segment, surface) for segment, surface in surfaces if surface.n_faces]
    if not kept:
        raise InputError(f"{path} was not written: none of the segments has a voxel.")
    encoded = _encode(_scene_of(kept, format, colours), format)
    with atomic_write(path) as temporary:
        temporary.write_bytes(encoded)
    return len(kept)


def _scene_of(
    surfaces: Iterable[tuple[int, Surface]], format: str, colours: Mapping[int, Colour]
) -> Any:
    import trimesh

    scene = trimesh.Scene()
    for segment, surface in surfaces:
        colour = [round(255 * c) for c in colours.get(segment, _GREY)]
        scene.add_geometry(
            trimesh.Trimesh(
                surface.vertices[:, ::-1] / _NM_PER_UNIT[format],
                surface.faces,
                vertex_colors=np.tile(
                    np.array([*colour, 255], np.uint8), (len(surface.vertices), 1)
                ),
                process=False,
            ),
            node_name=f"segment {segment}",
            geom_name=f"segment {segment}",
        )
    return scene


def _encode(scene: Any, format: str) -> bytes:
    if format == "ply":  # which holds a single mesh
        scene = scene.to_mesh()
    encode = partial(scene.export, file_type=format)
    made = encode(include_texture=False) if format == "obj" else encode()
    return made.encode() if isinstance(made, str) else bytes(made)


def _write_precomputed(folder: Path, segment: int, surface: Surface) -> None:
    name = f"{segment}:0"
    _write_json(folder / name, {"fragments": [f"{name}:surface"]})
    with open(folder / f"{name}:surface", "wb") as file:
        file.write(np.uint32(len(surface.vertices)).tobytes())
        file.write(np.ascontiguousarray(surface.vertices[:, ::-1], "<f4").tobytes())
        file.write(np.ascontiguousarray(surface.faces, "<u4").tobytes())


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
