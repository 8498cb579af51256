"""The panel of surfaces: segments under correction in 3D."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QSlider, QWidget

from napari_emseg.gui.frame import ElidedLabel, button, column, row
from napari_emseg.gui.proofread.actions import requests_of
from napari_emseg.gui.proofread.colours import CHANGED_COLOURS, KEPT_COLOUR
from napari_emseg.gui.proofread.keys import KeyListener, keys_of
from napari_emseg.gui.proofread.shape_files import ShapeFiles, Wanted
from napari_emseg.gui.proofread.shapes import Moment, Whereabouts, make_surfaces
from napari_emseg.gui.proofread.surface_scene import SurfaceScene
from napari_emseg.morphometry import Surface, TileIndex, can_simplify
from napari_emseg.progress import Progress

if TYPE_CHECKING:
    from napari_emseg.gui.proofread.proofreading import Proofreading
    from napari_emseg.proofreading import Change, Preview

QUICK_FACES, FINE_FACES = 50_000, 100_000  # of all segments together: more, and drawing stalls
MOST_SEGMENTS = 12
_MOST_KEPT = 100  # surfaces, of a few megabytes each
_JOB = "proofread surfaces"
_HINT = "Select a segment to see it in 3D"


class SurfacesPanel(QWidget):
    """Surfaces of the segments selected and touched last; live while the 3D view is on.

    Parameters
    ----------
    proofreading : Proofreading
    """

    def __init__(self, proofreading: Proofreading) -> None:
        super().__init__()
        self.proofreading = proofreading
        self.scene: SurfaceScene | None = None
        self._where: Whereabouts | None = None
        self.files = ShapeFiles(proofreading, self.wanted)
        self._touched: tuple[int, ...] = ()
        self._quick: dict[int, Surface] = {}
        self._fine: dict[int, Surface] = {}
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._renew)
        self._make_rows()
        self._connect()
        self._on_started()

    @property
    def is_3d(self) -> bool:
        """Whether the 3D view of surfaces is on."""
        return self.scene is not None and self.scene.is_open

    @property
    def segments(self) -> tuple[int, ...]:
        """Segments that are shown: those selected, then those of the last edit."""
        found = dict.fromkeys((*self.proofreading.selection, *self._touched))
        return tuple(s for s in found if self.proofreading.is_segment(s))[:MOST_SEGMENTS]

    def wanted(self) -> Wanted | None:
        """Return what is shown, for a file: while it is written, edits may go on."""
        editor, where, segments = self.proofreading.editor, self._where, self.segments
        if editor is None or where is None or not segments:
            return None
        geometry = editor.state.voxel_size_nm, editor.state.volume.offset_nm
        moment = Moment.of(editor, segments)
        return Wanted(moment, segments, where, *geometry, self._colours(None))

    def toggle(self) -> None:
        """Turn to the 3D view, or back to sections."""
        if self.is_3d:
            self._close()
        elif self.proofreading.layer is not None:
            self._open()
        self._show_state()

    def detach(self) -> None:
        """Stop listening; the window goes away."""
        self._soon.stop()
        for signal, slot in self._connections:
            signal.disconnect(slot)
        self.proofreading.viewer.dims.events.ndisplay.disconnect(self._on_ndisplay)
        self._close()

    def _make_rows(self) -> None:
        rows = column(self)
        self.view_button = button("Show in 3D", self.toggle, "")
        self.view_button.setCheckable(True)
        self.state = ElidedLabel(_HINT)
        self.state.setProperty("role", "quiet")
        rows.addLayout(row("", self.view_button))
        rows.addWidget(self.state)
        self.section = QSlider(Qt.Orientation.Horizontal)
        self.section.setToolTip("Section that is shown among the surfaces")
        self.section.valueChanged.connect(self._on_section_moved)
        self.section_row = QWidget()
        inside = column(self.section_row)
        inside.addLayout(row("Section", self.section))
        rows.addWidget(self.section_row)
        rows.addWidget(self.files)
        self.keys = KeyListener(self, self.proofreading)

    def _connect(self) -> None:
        proofreading = self.proofreading
        self._connections: list[tuple[Any, Callable[..., None]]] = [
            (proofreading.started, self._on_started),
            (proofreading.ended, self._on_ended),
            (proofreading.changed, self._on_changed),
            (proofreading.previewed, self._on_previewed),
            (proofreading.selected, self._on_selected),
            (requests_of(proofreading).asked, self._on_asked),
            (keys_of(proofreading).changed, self._show_state),
        ]
        for signal, slot in self._connections:
            signal.connect(slot)
        proofreading.viewer.dims.events.ndisplay.connect(self._on_ndisplay)

    def _on_started(self) -> None:
        editor = self.proofreading.editor
        self._forget()
        self._where = Whereabouts(editor) if editor is not None else None
        self._show_state()

    def _on_ended(self) -> None:
        self._close()
        self._on_started()

    def _on_asked(self, what: str) -> None:
        if what == "surfaces":
            self.toggle()

    def _on_selected(self, _segments: object) -> None:
        self._show_state()
        self._soon.start()

    def _on_previewed(self, _preview: object) -> None:
        self._soon.start()

    def _on_changed(self, change: Change) -> None:
        if self._where is None:
            return
        self._where.follow()
        self.proofreading.context.jobs.stop(_JOB)  # its surfaces are of before
        for segment in change.segments:
            self._quick.pop(segment, None)
            self._fine.pop(segment, None)
        self._touched = change.segments[:MOST_SEGMENTS]
        self._show_state()
        self._soon.start()

    def _on_ndisplay(self, _event: Any) -> None:
        if self.is_3d and self.proofreading.viewer.dims.ndisplay == 2:  # by napari's own button
            self._close()
            self._show_state()

    def _on_section_moved(self, section: int) -> None:
        proofreading = self.proofreading
        raw = proofreading.context.layer("raw")
        if self.is_3d and self.scene is not None and raw is not None and raw.ndim == 3:
            self.scene.show_plane(raw, section)

    def _on_click(self, segment: int, place: Any, inward: Any) -> None:
        """Go to a place on a surface, in its section."""
        proofreading, layer = self.proofreading, self.proofreading.layer
        if layer is None:
            return
        step = 0.5 * np.array(layer.scale) * inward
        voxels = [layer.world_to_data(place + k * step) for k in range(6)]
        nearest = [tuple(round(float(c)) for c in voxel) for voxel in voxels]
        inside = [v for v in nearest if proofreading.segment_at(v) == segment]
        z, y, x = (inside or nearest)[0]
        self._close()
        self._show_state()
        proofreading.select((segment,))
        proofreading.go_to((z, y, x))

    def _open(self) -> None:
        proofreading, layer = self.proofreading, self.proofreading.layer
        assert layer is not None
        proofreading.put_brush_away()
        if self.scene is None or self.scene.like is not layer:
            self.scene = SurfaceScene(proofreading.viewer, layer, self._on_click)
        section = proofreading.context.section
        self.scene.open()
        self.section.setRange(0, int(layer.data.shape[0]) - 1)
        self.section.setValue(section)
        self._on_section_moved(section)
        self._renew()

    def _close(self) -> None:
        self.proofreading.context.jobs.stop(_JOB)
        if self.scene is not None and self.is_3d:
            self.scene.close()

    def _forget(self) -> None:
        self._touched = ()
        self._quick.clear()
        self._fine.clear()

    def _renew(self) -> None:
        """Make the surfaces that are wanted and not there, first quick ones."""
        editor, where, preview = self.proofreading.editor, self._where, self._preview
        if not self.is_3d or editor is None or where is None:
            return
        if preview is not None:
            wanted = tuple(s for s in preview.edit.after if s)[:MOST_SEGMENTS]
            moment = Moment.of(editor, wanted, preview)
            self._start(moment, wanted, {}, quick=True, preview=preview)
            return
        missing = tuple(s for s in self.segments if s not in self._quick and s not in self._fine)
        if missing:
            self._start(Moment.of(editor, missing), missing, self._quick, quick=True)
            return
        rough = tuple(s for s in self.segments if s not in self._fine and can_simplify())
        self._display({s: self._fine.get(s) or self._quick[s] for s in self.segments}, None)
        if rough:
            self._start(Moment.of(editor, rough), rough, self._fine, quick=False)
        else:
            self.proofreading.context.jobs.stop(_JOB)

    @property
    def _preview(self) -> Preview | None:
        preview, editor = self.proofreading.preview, self.proofreading.editor
        is_now = preview is not None and editor is not None and preview.version == editor.version
        return preview if is_now else None

    def _start(
        self,
        moment: Moment,
        segments: Sequence[int],
        kept: dict[int, Surface],
        *,
        quick: bool,
        preview: Preview | None = None,
    ) -> None:
        layer, where = self.proofreading.layer, self._where
        assert layer is not None
        assert where is not None
        most = QUICK_FACES if quick else FINE_FACES
        share = most * len(segments) // max(len(self.segments), len(segments))
        # Surfaces lie in the layer's world, whatever its units are.
        scale, translate = (tuple(map(float, v)) for v in (layer.scale, layer.translate))
        geometry: Any = scale, translate
        find = where.finder()

        def work(progress: Progress) -> tuple[TileIndex, dict[int, Surface]]:
            index = find(progress)
            shapes = moment.shapes(index, *geometry)
            return index, make_surfaces(shapes, segments, share, quick=quick, progress=progress)

        self.state.setText("computing…" if quick else f"{self.state.text()} (refining)")
        self.proofreading.context.jobs.start(
            work,
            title="Making surfaces",
            key=_JOB,
            lane=_JOB,
            on_result=partial(self._on_made, where, kept, preview),
        )

    def _on_made(
        self,
        where: Whereabouts,
        kept: dict[int, Surface],
        preview: Preview | None,
        made: tuple[TileIndex, dict[int, Surface]],
    ) -> None:
        index, surfaces = made
        where.take(index)
        if where is not self._where or not self.is_3d:
            return
        if preview is not None:
            if preview is self._preview:
                self._display(surfaces, preview)
            return
        kept.update(surfaces)
        for segment in list(kept)[:-_MOST_KEPT]:
            del kept[segment]
        self._soon.start()

    def _display(self, surfaces: dict[int, Surface], preview: Preview | None) -> None:
        assert self.scene is not None
        n_faces = self.scene.show(surfaces, self._colours(preview))
        n = len(surfaces)
        words = f"{n} segment{'' if n == 1 else 's'}, {n_faces:,} triangles"
        if preview is not None:
            words = f"preview: {words}"
        self.state.setText(words if n else _HINT)

    def _colours(self, preview: Preview | None) -> dict[int, tuple[float, float, float]]:
        layer = self.proofreading.layer
        assert layer is not None
        if preview is None:
            return {s: _rgb(layer.colormap.map(np.array([s]))[0]) for s in self.segments}
        new = [s for s in preview.edit.after if s not in preview.edit.before]
        shades = dict(zip(new, CHANGED_COLOURS * (len(new) // 4 + 1), strict=False))
        return {s: _hex(shades.get(s, KEPT_COLOUR)) for s in preview.edit.after if s}

    def _show_state(self) -> None:
        key = keys_of(self.proofreading).key_of("surfaces")
        self.view_button.setChecked(self.is_3d)
        self.view_button.setText("Back to sections" if self.is_3d else "Show in 3D")
        self.view_button.setToolTip(
            f"Surfaces of the segments selected and touched last, with the section ({key})"
        )
        self.view_button.setEnabled(self.proofreading.layer is not None)
        self.section_row.setVisible(self.is_3d)
        self.files.setEnabled(bool(self.segments))
        if not self.segments:
            self.state.setText(_HINT)


def _rgb(colour: Any) -> tuple[float, float, float]:
    r, g, b = (float(c) for c in colour[:3])
    return r, g, b


def _hex(colour: str) -> tuple[float, float, float]:
    r, g, b = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return r, g, b
