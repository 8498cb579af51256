"""Which way round the values of a boundary map are, and what stands for 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.io.kinds import is_inverted
from napari_emseg.io.lazy import MapArray


def to_boundary(
    data: Any,
    sample: npt.NDArray[Any],
    invert: bool | None,
    where: str,
    notes: list[str],
) -> Any:
    """Bring a map to 1 = membrane in [0, 1] (uint8: 255).

    Parameters
    ----------
    data : array-like
        ZYX.
    sample : ndarray
        Some of its voxels.
    invert : bool or None
        Whether to swap 0 and 1; None: where the sample shows bright cells.
    where : str
        The file, for messages.
    notes : list of str
        Receives what was done.

    Returns
    -------
    array-like
        As lazy as `data`.
    """
    top = _top(sample)
    flip = invert
    if flip is None:
        flip = is_inverted(sample, top)
        if flip:
            notes.append("Membranes are dark in the file; they were inverted to be bright.")
        elif flip is None:
            notes.append(
                "It is not certain that membranes are bright in this map; "
                "look at it, and switch 'invert' if they are dark."
            )
    elif flip:
        notes.append("The map was inverted as asked.")
    is_map = sample.dtype.kind in "bf" or sample.dtype == np.uint8
    if not is_map or top != (255 if sample.dtype == np.uint8 else 1):
        if top != 1:
            notes.append(f"Values were divided by {top:g} to lie between 0 and 1.")
        return MapArray(data, flip=bool(flip), top=top, source=where)
    return MapArray(data, flip=True, source=where) if flip else data


def _top(sample: npt.NDArray[Any]) -> float:
    """Return the value that means 1 in a boundary map."""
    if sample.dtype == bool:
        return 1
    highest = float(np.max(sample[np.isfinite(sample)], initial=0))
    if highest <= 1 and (sample.dtype.kind == "f" or set(np.unique(sample)) == {0, 1}):
        return 1
    return 255 if highest <= 255 else float(np.iinfo(np.uint16).max)
