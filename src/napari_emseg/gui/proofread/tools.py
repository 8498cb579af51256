"""napari's own tools on the layer under correction: they go with a mode, strokes are edits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_emseg.gui.proofread.modes import LAYER_MODES

if TYPE_CHECKING:
    from napari_emseg.gui.proofread.data import Stroke
    from napari_emseg.gui.proofread.layer import ProofreadLabels
    from napari_emseg.gui.proofread.proofreading import Proofreading

PAINTING = ("paint", "erase", "fill", "polygon")


class Tools:
    """Keeps the tool of the layer and the mode of the proofreading together.

    Parameters
    ----------
    proofreading : Proofreading
    layer : ProofreadLabels
    """

    def __init__(self, proofreading: Proofreading, layer: ProofreadLabels) -> None:
        self._proofreading, self._layer = proofreading, layer
        self._is_taking = False
        layer.events.mode.connect(self._on_mode_changed)
        layer.events.selected_label.connect(self._on_label_changed)

    def take(self, mode: str) -> None:
        """Take up the tool that goes with a mode; another one to paint with may stay."""
        if mode == "paint" and str(self._layer.mode) in PAINTING:
            return
        self._is_taking = True
        try:
            self._layer.mode = LAYER_MODES[mode]
        finally:
            self._is_taking = False

    def _on_mode_changed(self, _event: Any) -> None:
        if self._is_taking:
            return
        if str(self._layer.mode) in PAINTING:
            self._proofreading.follow_tool("paint")
        elif self._proofreading.mode == "paint":
            self._proofreading.follow_tool("look")

    def _on_label_changed(self, _event: Any) -> None:
        self._proofreading.hinted.emit()


def paint_strokes(
    proofreading: Proofreading, layer: ProofreadLabels, strokes: Sequence[Stroke]
) -> None:
    """Make an edit of each stroke; a label that no segment has becomes a new segment."""
    for stroke in strokes:
        is_new = stroke.label != 0 and not proofreading.is_segment(stroke.label)
        segment = None if is_new else stroke.label
        made = proofreading.commit("paint", stroke.mask, segment, origin=stroke.origin)
        if made is not None and is_new and int(layer.selected_label) == stroke.label:
            layer.selected_label = made.edit.after[0]
    proofreading.hinted.emit()
