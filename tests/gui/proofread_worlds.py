"""A crop of FIB-25 segmented in the window, and a hand on mouse and keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_emseg.volume import Volume

CROP = (slice(0, 12), slice(0, 96), slice(0, 96))
SECTION = 6
NO_KEY = Qt.KeyboardModifier.NoModifier


def read_crop(shared_data: Path) -> tuple[Volume, Volume]:
    """Raw sections, and a map of what is dark in them."""
    from scipy.ndimage import gaussian_filter

    from napari_emseg import open_volume

    raw = open_volume(shared_data / "fib25" / "raw.tif", voxel_size_nm=(10, 10, 10)).read()[CROP]
    smooth = gaussian_filter(raw.astype(np.float32), 1.0)
    low, high = np.percentile(smooth, [2, 60])
    wall = np.clip((high - smooth) / (high - low), 0, 1).astype(np.float32)
    size = (10.0, 10.0, 10.0)
    return (
        Volume(raw, name="fib25", voxel_size_nm=size),
        Volume(wall, kind="boundary", name="fib25 map", voxel_size_nm=size),
    )


class Hand:
    """Sends real events to the canvas of a viewer."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self.canvas = viewer.window._qt_viewer.canvas.native

    def click(self, layer: Any, voxel: Sequence[float], held: Any = NO_KEY) -> None:
        """Click a voxel of the visible section."""
        place = self._place(layer, voxel)
        self._move(place)
        self._send(QEvent.Type.MouseButtonPress, place, True, held)
        self._send(QEvent.Type.MouseButtonRelease, place, False, held)

    def drag(self, layer: Any, voxels: Sequence[Sequence[float]]) -> None:
        """Press at the first voxel, move over the others, release."""
        places = [self._place(layer, voxel) for voxel in voxels]
        self._move(places[0])
        self._send(QEvent.Type.MouseButtonPress, places[0], True)
        for place in places[1:]:
            self._send(QEvent.Type.MouseMove, place, True)
        self._send(QEvent.Type.MouseButtonRelease, places[-1], False)

    def key(self, key: str, held: Any = NO_KEY) -> None:
        """Press a key over the canvas."""
        QTest.keyClick(self.canvas, getattr(Qt.Key, f"Key_{key}"), held)
        QApplication.processEvents()

    def _move(self, place: QPointF) -> None:
        self._send(QEvent.Type.MouseMove, place, False)

    def _place(self, layer: Any, voxel: Sequence[float]) -> QPointF:
        world = np.asarray(layer.data_to_world(voxel))[-2:]
        camera = self._viewer.scene.camera
        middle = np.array([self.canvas.height(), self.canvas.width()]) / 2
        y, x = (world - np.array(camera.center[-2:])) * camera.zoom + middle
        return QPointF(x, y)

    def _send(self, kind: Any, place: QPointF, is_down: bool, held: Any = NO_KEY) -> None:
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        acts = kind != QEvent.Type.MouseMove
        everywhere = QPointF(self.canvas.mapToGlobal(place.toPoint()))
        event = QMouseEvent(
            kind, place, everywhere, left if acts else none, left if is_down else none, held
        )
        QApplication.sendEvent(self.canvas, event)
        QApplication.processEvents()


def inside(labels: np.ndarray, segment: int, section: int = SECTION) -> tuple[int, int, int]:
    """Return the voxel of a segment in a section that is furthest from others."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(labels == segment, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return section, int(y), int(x)


def core_of(mask: np.ndarray) -> np.ndarray:
    """Return the pixels at least two from what is outside."""
    from scipy.ndimage import binary_erosion

    return binary_erosion(mask, np.ones((5, 5)))


def largest(labels: np.ndarray, n: int) -> list[int]:
    """Return the segments with most pixels."""
    ids, counts = np.unique(labels[labels > 0], return_counts=True)
    return [int(i) for i in ids[np.argsort(-counts)][:n]]
