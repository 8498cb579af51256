"""Layers as data to train on, and what labels most likely are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_emseg.gui.layers import kind_of, volume_of
from napari_emseg.gui.painting.layer import is_painting
from napari_emseg.gui.train.material import Material
from napari_emseg.training.painting import INSIDE, MEMBRANE
from napari_emseg.training.pairs import LabelsKind

if TYPE_CHECKING:
    from napari.layers import Layer

KINDS: dict[str, str] = {
    "painted": "painted strokes",
    "labels": "neurons, each its own number",
    "membranes": "membranes as an image",
}
"""What labels can be, by what it is called in the window."""

_STROKES = {0, MEMBRANE, INSIDE}


@dataclass(frozen=True, eq=False)
class TrainData:
    """Two layers and what is to be learned from them; see :class:`Material`."""

    raw: Layer
    labels: Layer
    kind: LabelsKind
    sections: str = ""
    held_out: str = ""

    @property
    def name(self) -> str:
        """What people read."""
        return f"{self.raw.name} + {self.labels.name}"

    def is_same(self, other: TrainData) -> bool:
        """Whether both are of the same layers."""
        return self.raw is other.raw and self.labels is other.labels

    def material(self) -> Material:
        """Read the layers, without copying their voxels.

        Raises
        ------
        InputError
            If a layer is no stack of the right kind.
        """
        raw = volume_of(self.raw, "raw")
        labels = volume_of(self.labels, "raw" if self.kind == "membranes" else "labels")
        return Material(raw, labels, self.kind, self.sections, self.held_out)


def guess_kind(layer: Layer) -> LabelsKind:
    """Say what a layer of labels most likely is."""
    if type(layer).__name__ != "Labels":
        return "membranes"
    if is_painting(layer):
        return "painted"
    if kind_of(layer) == "labels" and layer.metadata.get("emseg", {}).get("steps"):
        return "labels"
    data = layer.data
    sections = data if data.ndim == 3 else data[None]
    seen: set[int] = set()
    for section in sections[:: max(1, len(sections) // 8)]:
        seen |= set(np.unique(np.asarray(section)[::2, ::2]).tolist())
    return "painted" if seen <= _STROKES else "labels"
