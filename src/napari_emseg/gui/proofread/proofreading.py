"""Proofreading in one viewer: the editor, its layer, and what is selected and proposed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEventLoop, QObject, QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QApplication

from napari_emseg.errors import InputError
from napari_emseg.gui.context import Context
from napari_emseg.gui.proofread import keys
from napari_emseg.gui.proofread.banner import Banner
from napari_emseg.gui.proofread.hands import HANDS, Hand, SplitHand, Voxel
from napari_emseg.gui.proofread.modes import MODE_NAMES
from napari_emseg.gui.proofread.mouse import Mouse
from napari_emseg.gui.proofread.opening import (
    Opened,
    begin,
    go_on_alone,
    go_on_packed,
    go_on_with,
)
from napari_emseg.gui.proofread.proposing import Proposing, takes_long
from napari_emseg.gui.proofread.showing import look_at, make_layer, material_for, show_raw
from napari_emseg.gui.proofread.tools import PAINTING, Tools
from napari_emseg.progress import Progress

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_emseg.gui.proofread.layer import ProofreadLabels
    from napari_emseg.proofreading import Change, Preview, Proofreader
    from napari_emseg.proofreading.guidance import Site
    from napari_emseg.session.proofreads import ProofreadFolder

JOB = "proofread"


class Proofreading(QObject):
    """Corrections of the labels of one viewer.

    What cannot be done is said in one sentence, by the signal `said` and to the user.

    Signals: `started` when the editor and its layer are there, `ended` when they are
    gone; `changed` with a `Change` after each edit, undo, redo or jump; `previewed` with
    a `Preview` or None; `selected` with the ids of segments; `mode_changed` with the name
    of a mode; `hinted` when the next click will do something else; `said` with a sentence;
    `reported` with a `Report` while the start is computed, `prepared` when that has ended;
    `told_lost` with edits that were to be brought in and could not be made.
    """

    started = Signal()
    ended = Signal()
    changed = Signal(object)
    previewed = Signal(object)
    selected = Signal(object)
    mode_changed = Signal(str)
    hinted = Signal()
    said = Signal(str)
    reported = Signal(object)
    prepared = Signal()
    told_lost = Signal(object)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.context, self.viewer = context, context.viewer
        self.editor: Proofreader | None = None
        self.layer: ProofreadLabels | None = None
        self.folder: ProofreadFolder | None = None
        self.name = ""
        self._banner: Banner | None = None
        self.mode = "look"
        self.hand: Hand = Hand(self)
        self.selection: tuple[int, ...] = ()
        self.preview: Preview | None = None
        self._sides: Preview | None = None
        self._tools: Tools | None = None
        self._proposing = Proposing(self)
        self._drawing = QTimer(self)
        self._drawing.setSingleShot(True)
        self._drawing.setInterval(0)
        self._drawing.timeout.connect(self._draw)
        context.closed.connect(self._on_context_closed)

    @property
    def is_active(self) -> bool:
        """Whether a segmentation is being corrected."""
        return self.editor is not None

    @property
    def is_starting(self) -> bool:
        """Whether the start is being computed."""
        return self.context.jobs.is_busy(JOB)

    @property
    def is_proposing(self) -> bool:
        """Whether a preview is being computed."""
        return self._proposing.is_busy

    @property
    def hint(self) -> str:
        """What the next click does."""
        return self.hand.hint

    def start(self, segmentation_layer: Layer) -> None:
        """Correct a labels layer from now on; computed in the background."""
        self._try(partial(self._start, segmentation_layer))

    def resume(self, folder: ProofreadFolder) -> None:
        """Go on with a proofreading on disk; computed in the background."""
        self.finish()
        self._run(partial(go_on_alone, folder), None)

    def resume_packed(self, packed: Mapping[str, Any]) -> None:
        """Go on with a proofreading that came in a session file."""
        self.finish()
        self._run(partial(go_on_packed, packed), None)

    def bring_in(self, log: Path) -> None:
        """Make the edits of another log here, too, after those made; in the background."""
        folder, editor = self.folder, self.editor
        if folder is not None and editor is not None:
            boundary, like = editor.state.wall.boundary, self.layer
            self.finish()
            work = partial(go_on_with, folder, log, boundary)
            self._run(work, None, like=like, instead=folder)

    def adopt(
        self, opened: Opened, *, source: Layer | None = None, like: Layer | None = None
    ) -> None:
        """Show an editor that was made ready, in place of the layer `source`, where `like` lies."""
        self.finish()
        like = like or source or show_raw(self.context, opened)
        self.editor, self.folder = opened.editor, opened.folder
        self.name = opened.folder.name
        self.editor.on_change(self._on_change)
        self.layer = layer = make_layer(self, like)
        self.viewer.add_layer(layer)
        self.context.show_result(layer)
        if source is not None:
            source.visible = False
        layer.mouse_drag_callbacks.append(Mouse(self))
        self._tools = Tools(self, layer)
        self.viewer.layers.events.removed.connect(self._on_layer_removed)
        self.viewer.layers.selection.active = layer
        keys.bind(self)
        self._banner = self._banner or Banner(self)
        self.started.emit()
        self._show()
        if n := self.editor.position:
            self.say(f"Going on where you stopped; edits that are back: {n}.")
        for note in opened.notes:
            self.say(note)
        if opened.lost:
            self.told_lost.emit(opened.lost)

    def finish(self) -> None:
        """End the corrections; all of them are on disk already."""
        self.context.jobs.stop(JOB)
        if self.editor is None:
            return
        self.drop()
        keys.release(self)
        self.put_brush_away()
        layer, self.layer = self.layer, None
        self.select(())
        self.mode, self.hand = "look", Hand(self)
        self.mode_changed.emit("look")
        self._close_editor()
        self.viewer.layers.events.removed.disconnect(self._on_layer_removed)
        if layer is not None and layer in self.viewer.layers:
            self.viewer.layers.remove(layer)
        self.ended.emit()

    def put_brush_away(self) -> None:
        """Take napari's brush circle off the canvas, and draw that.

        It is drawn once more otherwise after its layer has gone, or the view has turned to 3D,
        which ends the program where the processor draws.
        """
        if self.layer is None or str(self.layer.mode) not in PAINTING:
            return
        self.layer.mode = "pan_zoom"
        keys.canvas_of(self).update()
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)

    def set_mode(self, name: str) -> None:
        """Choose what a click does; see :data:`MODES`."""
        if name not in MODE_NAMES:
            raise ValueError(f"there is no mode {name!r}")
        if self.layer is None:
            return
        self.viewer.layers.selection.active = self.layer
        if name != self.mode:
            self.drop()
            self.hand.clear()
            self.mode, self.hand = name, HANDS[name](self)
            if self._tools is not None:
                self._tools.take(name)
            self.hand.take_up()
            self._show()
            self.mode_changed.emit(name)

    def follow_tool(self, name: str) -> None:
        """Note that napari's tools were changed by hand, which goes with this mode."""
        if name == "paint":
            self.set_mode(name)
        elif name != self.mode:
            self.mode, self.hand = name, HANDS[name](self)
            self.mode_changed.emit(name)
        self.hinted.emit()

    def select(self, segments: Sequence[int]) -> None:
        """Select segments, the first chosen first; none deselects."""
        found = tuple(dict.fromkeys(int(s) for s in segments if self.is_segment(int(s))))
        if found != self.selection:
            self.selection = found
            self._show()
            self.selected.emit(found)

    def propose(self, operation: str, *args: Any, **options: Any) -> None:
        """Show what an operation would do; :meth:`accept` makes it."""
        self.try_propose(operation, *args, **options)

    def try_propose(self, operation: str, *args: Any, **options: Any) -> bool:
        """As :meth:`propose`; return False where it was refused at once."""
        if self.editor is None:
            return False
        self._proposing.stop()
        if takes_long(self.editor, operation, args):
            self.show_preview(None)
            self._proposing.start(operation, args, options)
            return True
        preview = partial(self.editor.preview, operation, *args, **options)
        return self._try(lambda: self.show_preview(preview()))

    def accept(self) -> None:
        """Make the edit that is previewed."""
        preview = self.preview
        if preview is None:
            self.say(
                "The preview is still being computed: accept it when you see it."
                if self.is_proposing
                else "There is nothing to accept: no change is proposed."
            )
            return
        self._set_preview(None)
        if self._try(lambda: self._editor.commit(preview)):
            self.hand.accepted(preview)
        else:
            self.hand.clear()
        self._show()

    def drop(self) -> None:
        """Forget the edit that is previewed, and clicks that are none yet."""
        self._proposing.stop()
        had_preview = self.preview is not None
        if had_preview or self.hand.is_pending:
            self._set_preview(None)
            self.hand.clear()
            self._show()
        if had_preview:
            self.say("Dropped: nothing was changed.")

    def next_group(self) -> None:
        """Let the next points of a split be on the next cell."""
        if isinstance(self.hand, SplitHand):
            self.hand.next_group()

    def click(self, voxel: Voxel, *, more: bool = False) -> None:
        """Act as the mode says on a click at a voxel; `more` where Shift was held."""
        self.hand.click(voxel, more=more)
        self._show()

    def stroke(self, corners: Sequence[Voxel]) -> None:
        """Act as the mode says on a line that was drawn."""
        self.hand.stroke(corners)
        self._show()

    def edit(self, operation: str, *args: Any, **options: Any) -> None:
        """Make an edit at once."""
        if self.editor is None:
            return
        self.drop()
        self.commit(operation, *args, **options)

    def decide(self, site: Site, decision: str, preview: Preview | None = None) -> None:
        """Make what was decided at a suspicious place: "merge", "split" or "keep"."""
        if self.editor is not None:
            self.drop()
            self._try(lambda: self._editor.decide(site, decision, preview))

    def undo(self) -> None:
        """Take the last click back that is no edit yet, else the last edit."""
        if self.editor is None:
            return
        if self.hand.is_pending:
            self.hand.take_back()
            self._show()
            return
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

    def go_to(self, position: Voxel) -> None:
        """Turn to a voxel (z, y, x): section and camera, with a ring around it."""
        if self.layer is not None:
            look_at(self.viewer, self.layer, position)

    def segment_at(self, position: Sequence[float]) -> int:
        """Return the segment at a voxel (z, y, x); 0 is nothing, or outside."""
        if self.editor is None:
            return 0
        z, y, x = (round(float(p)) for p in position)
        inside = all(0 <= p < n for p, n in zip((z, y, x), self.editor.view.shape, strict=True))
        return self.editor.state.segment_at((z, y, x)) if inside else 0

    def is_segment(self, segment: int) -> bool:
        """Whether there is such a segment now."""
        return bool(segment) and self.editor is not None and segment in self.editor.state.members

    def say(self, words: str) -> None:
        """Tell the user something in the status line."""
        self.viewer.status = words
        self.said.emit(words)

    def show_preview(self, preview: Preview | None) -> None:
        """Show what an edit would do, or nothing; :meth:`accept` makes it."""
        self._set_preview(preview)
        self._show()
        if preview is not None:
            self.say(f"Preview: {preview.words}")

    def show_sides(self, sides: Preview | None) -> None:
        """Colour both sides of a suspicious place as this edit would; it is not proposed."""
        if sides is not self._sides:
            self._sides = sides
            self._show()

    @property
    def _sides_now(self) -> Preview | None:
        sides = self._sides
        is_now = sides is not None and sides.version == self._editor.version
        return sides if is_now else None

    @property
    def _editor(self) -> Proofreader:
        assert self.editor is not None
        return self.editor

    def _set_preview(self, preview: Preview | None) -> None:
        if preview is not self.preview:
            self.preview = preview
            self.previewed.emit(preview)

    def _show(self) -> None:
        """Draw selection, points and preview, once for all that comes in one go."""
        self._drawing.start()

    def _draw(self) -> None:
        layer = self.layer
        if layer is not None:
            layer.zoom = self.viewer.scene.camera.zoom
            layer.show_points(self.hand.points)
            layer.show(selection=self.selection, preview=self.preview or self._sides_now)
        self.hinted.emit()

    def _start(self, segmentation_layer: Layer) -> None:
        if segmentation_layer is self.layer:
            raise InputError("These labels are being proofread already: go on with them.")
        material = material_for(self.context, segmentation_layer)
        self.finish()
        self._run(partial(begin, material), segmentation_layer)

    def _run(
        self,
        work: Callable[[Progress], Opened | None],
        source: Layer | None,
        *,
        like: Layer | None = None,
        instead: ProofreadFolder | None = None,
    ) -> None:
        """Open in the background; where that was stopped or failed, go on with `instead`."""
        self.context.jobs.start(
            work,
            title="Preparing to proofread",
            key=JOB,
            on_report=self.reported.emit,
            on_result=partial(self.adopt, source=source, like=like),
            on_end=partial(self._on_run, instead),
        )

    def _on_run(self, instead: ProofreadFolder | None) -> None:
        self.prepared.emit()
        if instead is not None and self.editor is None:
            self.resume(instead)

    def _on_change(self, change: Change) -> None:
        still = tuple(s for s in self.selection if self.is_segment(s))
        if still != self.selection:
            self.selection = still
            self.selected.emit(still)
        self._show()
        self.changed.emit(change)
        self.say(change.words)

    def _on_layer_removed(self, event: Any) -> None:
        if event.value is self.layer:
            n = self._editor.position
            self.finish()
            self.say(f"Proofreading has ended; edits kept on disk: {n}. Go on opens them.")

    def _on_context_closed(self) -> None:
        self.layer = None
        self._close_editor()

    def _close_editor(self) -> None:
        editor, self.editor, self.folder = self.editor, None, None
        if editor is not None:
            editor.close()

    def commit(self, operation: str, *args: Any, **options: Any) -> Preview | None:
        """Make an edit and return it; None where it was refused, in words."""
        made: list[Preview] = []
        editor = self._editor
        self._try(lambda: made.append(editor.commit(editor.preview(operation, *args, **options))))
        return made[0] if made else None

    def refuse(self, error: InputError) -> None:
        """Tell the user why something was not done."""
        self.context.refuse(error)
        self.say(str(error))

    def _try(self, action: Callable[[], object]) -> bool:
        """Do something; what the user did wrong is said in one sentence."""
        try:
            action()
        except InputError as error:
            self.refuse(error)
            return False
        return True


def proofreading_of(context: Context) -> Proofreading:
    """Return the one of a context, made when first asked for."""
    found = context.findChild(Proofreading)
    return found if found is not None else Proofreading(context)
