"""Presses of the mouse on the layer under correction: clicks, and lines drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers.labels._labels_utils import mouse_event_to_labels_coordinate

from napari_emseg.gui.proofread.hands import Voxel

if TYPE_CHECKING:
    from napari_emseg.gui.proofread.proofreading import Proofreading

_STILL_PX = 4  # a hand on a trackpad is never quite still
_DRAWING = ("merge", "line")
_NAPARIS = ("paint", "erase", "fill", "polygon", "transform")


class Mouse:
    """Follows the left button on the layer.

    Parameters
    ----------
    proofreading : Proofreading
        Whose hand acts.
    """

    def __init__(self, proofreading: Proofreading) -> None:
        self._proofreading = proofreading

    def __call__(self, layer: Any, event: Any) -> Iterator[None]:
        """Be one of napari's callbacks for a drag."""
        proofreading = self._proofreading
        if event.button != 1 or str(layer.mode) in _NAPARIS or proofreading.editor is None:
            return
        first = _voxel_at(layer, event)
        start, corners, has_moved = np.array(event.pos), [first], False
        draws = proofreading.mode in _DRAWING and not layer.mouse_pan
        yield
        while event.type == "mouse_move":
            has_moved = has_moved or bool(np.hypot(*(np.array(event.pos) - start)) > _STILL_PX)
            if has_moved and draws:
                corners.append(_voxel_at(layer, event))
                layer.draw_path([c for c in corners if c is not None])
            yield
        more = "Shift" in event.modifiers
        if not has_moved and first is not None:
            proofreading.click(first, more=more)
        elif has_moved and draws:
            layer.draw_path(())
            drawn = [corner for corner in corners if corner is not None]
            if len(drawn) > 1:
                proofreading.stroke(drawn)


def _voxel_at(layer: Any, event: Any) -> Voxel | None:
    found = mouse_event_to_labels_coordinate(layer, event)
    if found is None:
        return None
    z, y, x = (round(float(c)) for c in found)
    return z, y, x
