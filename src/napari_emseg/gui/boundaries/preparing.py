"""Loading what a prediction needs while somebody looks at the stack he has opened."""

from __future__ import annotations

from qtpy.QtCore import QObject, QTimer

from napari_emseg.gui.context import Context
from napari_emseg.progress import Progress

IDLE_MS = 700  # after a stack was opened, which itself keeps the window busy


class Preparing(QObject):
    """Loads torch in the background, once, when there is a stack to predict."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._context = context
        self._is_prepared = False
        self._idle = QTimer(self)
        self._idle.setSingleShot(True)
        self._idle.setInterval(IDLE_MS)
        self._idle.timeout.connect(self._prepare)
        context.layer_changed.connect(self._on_layer_changed)
        self._on_layer_changed("raw")

    def _on_layer_changed(self, role: str) -> None:
        if role == "raw" and self._context.layer("raw") is not None and not self._is_prepared:
            self._idle.start()

    def _prepare(self) -> None:
        self._is_prepared = True
        self._context.jobs.start(_load, title="Loading torch", key="load", lane="load")


def _load(progress: Progress) -> None:
    from napari_emseg.inference.preloading import load_torch

    load_torch(progress)
