"""Which sections of a labels layer a stroke, an undo or a redo has changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_emseg.gui.painting.sparse import SparsePainting

if TYPE_CHECKING:
    from napari.layers import Labels


class Strokes(QObject):
    """Listens to one layer.

    Signals: `made` with a frozenset of sections, after each stroke, undo and redo.
    """

    made = Signal(object)

    def __init__(self, layer: Labels) -> None:
        super().__init__()
        self._layer = layer
        self._seen = self._lengths()
        layer.events.paint.connect(self._on_painted)
        layer.events.set_data.connect(self._on_refreshed)  # undo tells nothing else
        layer.events.data.connect(self._on_replaced)

    def detach(self) -> None:
        """Stop listening."""
        events = self._layer.events
        events.paint.disconnect(self._on_painted)
        events.set_data.disconnect(self._on_refreshed)
        events.data.disconnect(self._on_replaced)

    @property
    def sections(self) -> frozenset[int]:
        """All sections that may hold anything."""
        data: Any = self._layer.data
        if isinstance(data, SparsePainting):
            return frozenset(data.painted_sections)
        return frozenset(range(data.shape[0] if self._layer.ndim == 3 else 1))

    def _on_painted(self, event: Any) -> None:
        self._seen = self._lengths()
        self._tell(event.value)

    def _on_refreshed(self, _event: Any) -> None:
        """Look whether this was an undo or redo; a step to another section is neither."""
        now, before = self._lengths(), self._seen
        self._seen = now
        if now[1] > before[1]:
            self._tell(self._layer._redo_history[-1])
        elif now[1] < before[1] and now[0] > 0:
            self._tell(self._layer._undo_history[-1])

    def _on_replaced(self, _event: Any) -> None:
        self._seen = self._lengths()
        self.made.emit(self.sections)

    def _tell(self, atoms: Iterable[Any]) -> None:
        if self._layer.ndim != 3:
            self.made.emit(frozenset({0}))
            return
        sections: set[int] = set()
        for atom in atoms:
            sections |= _sections_in(atom[0][0])
        if sections:
            self.made.emit(frozenset(sections))

    def _lengths(self) -> tuple[int, int]:
        """Return how many strokes can be undone and redone."""
        layer: Any = self._layer
        return len(layer._undo_history), len(layer._redo_history)


def is_in_memory(layer: Any) -> bool:
    """Whether what is painted in a labels layer is lost with the program."""
    data = layer.data
    if layer.multiscale or layer.ndim not in (2, 3):
        return False
    is_written_through = isinstance(data, np.memmap) and data.mode == "r+"
    return isinstance(data, np.ndarray | SparsePainting) and not is_written_through


def _sections_in(place: Any) -> set[int]:
    """Return the sections of the first part of an index: a slice, a number, or numbers."""
    if isinstance(place, slice):
        return set(range(place.start, place.stop))
    return set(np.unique(place).tolist())
