"""What a click on the segments does: the modes, their keys' names and their words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mode:
    """One way of working.

    Attributes
    ----------
    name : str
        By which the program knows it.
    title : str
        On the button.
    tip : str
        What it is good for, in one sentence.
    """

    name: str
    title: str
    tip: str


MODES: tuple[Mode, ...] = (
    Mode("look", "Look", "Click a segment to select it; nothing is changed"),
    Mode("merge", "Merge", "Click two segments, or draw across several, that are one cell"),
    Mode("split", "Split", "Click points on both cells that were taken for one"),
    Mode("line", "Cut", "Draw a line right across a segment where it should part"),
    Mode("paint", "Paint", "Brush, eraser and fill of napari; each stroke is one edit"),
)
MODE_NAMES = tuple(mode.name for mode in MODES)

LAYER_MODES = {
    "look": "pan_zoom",
    "merge": "pick",  # of napari's, in which a drag does not move the view, but Space does
    "split": "pan_zoom",
    "line": "pick",
    "paint": "paint",
}
"""In which mode of napari's the layer is meanwhile."""
