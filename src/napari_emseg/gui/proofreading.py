"""Proofreading in one viewer: the editor, its layer, and what is selected and proposed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_emseg.errors import InputError
from napari_emseg.gui.context import Context
from napari_emseg.gui.layers import free_name, volume_of
from napari_emseg.gui.proofread_modes import MODE_NAMES
from napari_emseg.progress import Progress

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_emseg.proofreading import Change, Preview, Proofreader
    from napari_emseg.proofreading.guidance import Site
    from napari_emseg.volume import Volume

JOB = "proofread"


class Proofreading(QObject):
    """Corrections of the labels of one viewer.

    What cannot be done is said in one sentence, by the signal `said` and to the user.

    Signals: `started` when the editor and its layer are there, `ended` when they are
    gone; `changed` with a `Change` after each edit, undo, redo or jump; `previewed` with
    a `Preview` or None; `selected` with the ids of segments; `mode_changed` with the name
    of a mode; `said` with a sentence.
    """

    started = Signal()
    ended = Signal()
    changed = Signal(object)
    previewed = Signal(object)
    selected = Signal(object)
    mode_changed = Signal(str)
    said = Signal(str)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.context, self.viewer = context, context.viewer
        self.editor: Proofreader | None = None
        self.layer: Labels | None = None
        self.folder: Any = None
        self.mode = "look"
        self.selection: tuple[int, ...] = ()
        self.preview: Preview | None = None
        context.closed.connect(self._close_editor)

    @property
    def is_active(self) -> bool:
        """Whether a segmentation is being corrected."""
        return self.editor is not None

    @property
    def is_starting(self) -> bool:
        """Whether the start is being computed."""
        return self.context.jobs.is_busy(JOB)

    def start(self, segmentation_layer: Labels) -> None:
        """Correct a labels layer from now on; computed in the background."""
        self._try(partial(self._start, segmentation_layer))

    def finish(self) -> None:
        """End the corrections; all of them are on disk already."""
        self.context.jobs.stop(JOB)
        if self.editor is None:
            return
        self.drop()
        layer, self.layer = self.layer, None
        self._close_editor()
        if layer is not None and layer in self.viewer.layers:
            self.viewer.layers.remove(layer)
        self.ended.emit()

    def set_mode(self, name: str) -> None:
        """Choose what a click does; see :data:`MODES`."""
        if name not in MODE_NAMES:
            raise ValueError(f"there is no mode {name!r}")
        if name != self.mode:
            self.drop()
            self.mode = name
            self.mode_changed.emit(name)

    def select(self, segments: Sequence[int]) -> None:
        """Select segments, the first chosen first; none deselects."""
        found = tuple(dict.fromkeys(int(s) for s in segments if s))
        if found != self.selection:
            self.selection = found
            self.selected.emit(found)

    def propose(self, operation: str, *args: Any, **options: Any) -> None:
        """Show what an operation would do; :meth:`accept` makes it."""
        if self.editor is not None:
            self._try(lambda: self._show_preview(self._editor.preview(operation, *args, **options)))

    def accept(self) -> None:
        """Make the edit that is previewed."""
        preview = self.preview
        if preview is not None:
            self._show_preview(None)
            self._try(lambda: self._editor.commit(preview))

    def drop(self) -> None:
        """Forget the edit that is previewed."""
        if self.preview is not None:
            self._show_preview(None)

    def edit(self, operation: str, *args: Any, **options: Any) -> None:
        """Make an edit at once."""
        if self.editor is None:
            return
        self.drop()
        self._try(lambda: self._editor.commit(self._editor.preview(operation, *args, **options)))

    def decide(self, site: Site, decision: str) -> None:
        """Make what was decided at a suspicious place: "merge", "split" or "keep"."""
        if self.editor is not None:
            self.drop()
            self._try(lambda: self._editor.decide(site, decision))

    def undo(self) -> None:
        """Take the last edit back."""
        if self.editor is not None:
            self.drop()
            self._try(self._editor.undo)

    def redo(self) -> None:
        """Make the edit that was undone last again."""
        if self.editor is not None:
            self.drop()
            self._try(self._editor.redo)

    def jump_to(self, position: int) -> None:
        """Go to the state after the first `position` edits."""
        if self.editor is not None:
            self.drop()
            self._try(partial(self._editor.jump_to, position))

    def go_to(self, position: tuple[int, int, int]) -> None:
        """Turn to a voxel (z, y, x): section and camera."""
        layer = self.layer
        if layer is None:
            return
        world = np.asarray(layer.data_to_world(position), float)
        dims = self.viewer.dims
        dims.set_point(dims.ndim - 3, world[0])
        self.viewer.scene.camera.center = tuple(world[-3:])

    def segment_at(self, position: Sequence[float]) -> int:
        """Return the segment at a voxel (z, y, x); 0 is nothing, or outside."""
        if self.editor is None:
            return 0
        z, y, x = (round(float(p)) for p in position)
        inside = all(0 <= p < n for p, n in zip((z, y, x), self.editor.view.shape, strict=True))
        return self.editor.state.segment_at((z, y, x)) if inside else 0

    def say(self, words: str) -> None:
        """Tell the user something in the status line."""
        self.said.emit(words)

    @property
    def _editor(self) -> Proofreader:
        assert self.editor is not None
        return self.editor

    def _start(self, segmentation_layer: Labels) -> None:
        self.finish()
        labels = volume_of(segmentation_layer, "labels")
        boundary = self._boundary(labels)
        self.context.jobs.start(
            partial(_open, labels, boundary),
            title="Preparing to proofread",
            key=JOB,
            on_result=partial(self._on_opened, segmentation_layer),
        )

    def _boundary(self, labels: Volume) -> Volume | None:
        layer = self.context.layer("boundary")
        if layer is None or not self.context.is_boundary_complete:
            return None
        boundary = self.context.volume("boundary")
        return boundary if boundary.shape == labels.shape else None

    def _on_opened(self, source: Labels, editor: Proofreader) -> None:
        self.editor = editor
        editor.on_change(self._on_change)
        self.layer = self.viewer.add_labels(
            editor.view,
            name=free_name(self.viewer, f"{source.name} proofread"),
            scale=source.scale,
            translate=source.translate,
            units=source.units,
            axis_labels=source.axis_labels,
            opacity=source.opacity,
        )
        source.visible = False
        self.started.emit()

    def _on_change(self, change: Change) -> None:
        assert self.layer is not None
        self.select([s for s in self.selection if s in self._editor.state.members])
        self.layer.refresh(extent=False, thumbnail=False, highlight=False)
        self.changed.emit(change)
        self.say(change.words)

    def _show_preview(self, preview: Preview | None) -> None:
        self.preview = preview
        self.previewed.emit(preview)
        if preview is not None:
            self.say(preview.words)

    def _close_editor(self) -> None:
        editor, self.editor = self.editor, None
        if editor is not None:
            editor.close()

    def _try(self, action: Callable[[], object]) -> None:
        """Do something; what the user did wrong is said in one sentence."""
        try:
            action()
        except InputError as error:
            self.context.refuse(error)
            self.say(str(error))


def _open(labels: Volume, boundary: Volume | None, progress: Progress) -> Proofreader:
    from napari_emseg.proofreading import Proofreader

    editor = Proofreader(labels, boundary=boundary, progress=progress)
    editor.prepare(progress=progress)
    return editor


def proofreading_of(context: Context) -> Proofreading:
    """Return the one of a context, made when first asked for."""
    found = context.findChild(Proofreading)
    return found if found is not None else Proofreading(context)
