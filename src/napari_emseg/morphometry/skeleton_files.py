"""Skeletons written for other programs: SWC, and what Neuroglancer reads."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write, check_file_place
from napari_emseg.morphometry.mesh_files import check_new_folder, new_folder
from napari_emseg.morphometry.skeletons import Skeleton, parents_of

SKELETON_FORMATS = ("swc", "precomputed")
_NEUROGLANCER = {
    "@type": "neuroglancer_skeletons",
    "transform": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0],
    "vertex_attributes": [{"id": "radius", "data_type": "float32", "num_components": 1}],
}
_NM_PER_UM = 1000.0


def save_skeletons(
    skeletons: Iterable[tuple[int, Skeleton]],
    path: str | os.PathLike[str],
    *,
    format: str = "swc",
) -> int:
    """Write skeletons: one file, or a folder with one for each segment.

    Parameters
    ----------
    skeletons : iterable of (id, Skeleton)
        Taken one by one; empty ones are left out.
    path : path-like
        A file that ends in ``.swc``, for a single segment, or a new folder.
    format : {"swc", "precomputed"}
        Of the files in a folder. SWC files are in micrometres, as their specification
        has it; "precomputed" is Neuroglancer's, in nm.

    Returns
    -------
    int
        Number of segments written.

    Raises
    ------
    InputError
        If it cannot be written there, or several segments should go into one file.
    """
    check_skeleton_target(path, format)
    if Path(path).suffix.lower() == ".swc":
        return _save_one(skeletons, path)
    n_written = 0
    with new_folder(path) as folder:
        if format == "precomputed":
            (folder / "info").write_text(json.dumps(_NEUROGLANCER), encoding="utf-8")
        for segment, skeleton in skeletons:
            if len(skeleton.nodes) and format == "swc":
                text = encode_swc(skeleton, segment)
                (folder / f"{segment}.swc").write_text(text, encoding="ascii")
            elif len(skeleton.nodes):
                (folder / str(segment)).write_bytes(_encode_precomputed(skeleton))
            n_written += bool(len(skeleton.nodes))
    return n_written


def check_skeleton_target(path: str | os.PathLike[str], format: str = "swc") -> None:
    """Make sure before a long computation that skeletons can be written to a path.

    Parameters
    ----------
    path : path-like
    format : str
        As for :func:`save_skeletons`.

    Raises
    ------
    InputError
        If they cannot.
    """
    if format not in SKELETON_FORMATS:
        raise InputError(
            f"'{format}' is no format of skeletons; choose {' or '.join(SKELETON_FORMATS)}."
        )
    if Path(path).suffix.lower() == ".swc":
        check_file_place(path)
    else:
        check_new_folder(path)


def encode_swc(skeleton: Skeleton, segment: int) -> str:
    """Return a skeleton as an SWC file: number, type, x, y, z, radius, parent.

    Parameters
    ----------
    skeleton : Skeleton
    segment : int
        For the first line.

    Returns
    -------
    str
        Positions in micrometres; type 0, undefined.

    Examples
    --------
    >>> nodes = np.array([[0, 0, 0], [40, 8, 4]], np.float32)
    >>> skeleton = Skeleton(nodes, np.array([[0, 1]], np.int32), np.array([9, 8], np.float32))
    >>> print(encode_swc(skeleton, 7))
    # segment 7, micrometres
    1 0 0.0000 0.0000 0.0000 0.0090 -1
    2 0 0.0040 0.0080 0.0400 0.0080 1
    <BLANKLINE>
    """
    order, parent = parents_of(skeleton)
    number = np.zeros(order.size + 1, np.int64)  # the last is that of parent -1
    number[order] = np.arange(1, order.size + 1)
    number[-1] = -1
    lines = [f"# segment {segment}, micrometres"]
    for k, (node, before) in enumerate(zip(order.tolist(), parent.tolist(), strict=True), start=1):
        z, y, x = skeleton.nodes[node] / _NM_PER_UM
        radius = skeleton.radius_nm[node] / _NM_PER_UM
        lines.append(f"{k} 0 {x:.4f} {y:.4f} {z:.4f} {radius:.4f} {number[before]}")
    return "\n".join(lines) + "\n"


def _save_one(skeletons: Iterable[tuple[int, Skeleton]], path: str | os.PathLike[str]) -> int:
    kept = [(segment, skeleton) for segment, skeleton in skeletons if len(skeleton.nodes)]
    if len(kept) != 1:
        raise InputError(
            f"{path} was not written: a .swc file holds one segment, not {len(kept)}; name a "
            "folder for several."
        )
    ((segment, skeleton),) = kept
    with atomic_write(path) as temporary:
        temporary.write_text(encode_swc(skeleton, segment), encoding="ascii")
    return 1


def _encode_precomputed(skeleton: Skeleton) -> bytes:
    counts = np.array([len(skeleton.nodes), len(skeleton.edges)], "<u4")
    parts = [
        counts,
        np.ascontiguousarray(skeleton.nodes[:, ::-1], "<f4"),
        np.ascontiguousarray(skeleton.edges, "<u4"),
        np.ascontiguousarray(skeleton.radius_nm, "<f4"),
    ]
    return b"".join(part.tobytes() for part in parts)
