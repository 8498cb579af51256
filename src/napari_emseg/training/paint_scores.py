"""How much of what was painted a map shows as it was painted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_emseg.training.targets import Target

_THRESHOLD = 0.5


def paint_scores(boundary: npt.NDArray[np.floating], target: Target) -> dict[str, float]:
    """Compare a boundary map with paint, which is too sparse to tell whether cells are parted.

    Parameters
    ----------
    boundary : float array
        1 = membrane.
    target : uint8 array, same shape
        1 = membrane, 0 = inside, 255 = not known.

    Returns
    -------
    dict
        ``membrane_recall`` and ``inside_recall``, the shares of the painted membrane at
        0.5 or above and of the painted inside below, each where there is any;
        ``accuracy``, their mean. Empty where nothing is painted.

    Examples
    --------
    >>> target = np.array([[1, 1, 0, 255]], np.uint8)
    >>> paint_scores(np.array([[0.9, 0.2, 0.1, 0.9]]), target)
    {'accuracy': 0.75, 'membrane_recall': 0.5, 'inside_recall': 1.0}
    """
    shown = boundary >= _THRESHOLD
    recalls = {}
    for name, value in (("membrane_recall", 1), ("inside_recall", 0)):
        known = target == value
        if known.any():
            recalls[name] = float((shown[known] == value).mean())
    if not recalls:
        return {}
    return {"accuracy": float(np.mean(list(recalls.values()))), **recalls}
