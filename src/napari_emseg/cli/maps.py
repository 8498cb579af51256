"""Opening what is to be segmented: a boundary map or affinities."""

from __future__ import annotations

import argparse

from napari_emseg.cli.arguments import open_input
from napari_emseg.errors import InputError
from napari_emseg.volume import ZYX, Volume


def add_affinities(parser: argparse.ArgumentParser) -> None:
    """Add ``--affinities`` and ``--no-affinities``."""
    parser.add_argument(
        "--affinities",
        action=argparse.BooleanOptionalAction,
        help="The file holds affinities (channel, z, y, x), 1 = same neuron, to the previous voxel "
        "along z, y and x first; or take it as a boundary map (default: what the file says)",
    )


def open_map(
    path: str,
    *,
    affinities: bool | None,
    force: bool,
    invert: bool | None = None,
    voxel_size_nm: ZYX | None = None,
) -> Volume:
    """Open a boundary map, or affinities as the boundary map that carries them along.

    Raises
    ------
    InputError
        If it cannot be read or clearly holds something else.
    """
    from napari_emseg.steps.plausibility import says_affinities
    from napari_emseg.steps.segment import as_boundary

    if affinities is None:
        affinities = says_affinities(path)
    if not affinities:
        return open_input(path, "boundary", force=force, invert=invert, voxel_size_nm=voxel_size_nm)
    if invert is not None:
        raise InputError(
            "--invert is for boundary maps; affinities must be 1 where voxels are of one neuron."
        )
    volume = open_input(path, "affinities", force=force, voxel_size_nm=voxel_size_nm)
    return as_boundary(volume)
