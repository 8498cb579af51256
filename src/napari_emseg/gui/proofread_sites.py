"""The queue of suspicious places: found in the background, walked through, decided."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_emseg.errors import InputError
from napari_emseg.gui.proofread_order import Order, key_of
from napari_emseg.gui.proofread_sides import SidesLayer
from napari_emseg.progress import Progress

if TYPE_CHECKING:
    from napari_emseg.gui.proofreading import Proofreading
    from napari_emseg.proofreading import Change, Preview, Proofreader
    from napari_emseg.proofreading.guidance import Site

LIMIT = 100
_JOB, _SIDES_JOB, _LANE = "proofread places", "proofread sides", "proofread places"
_REST_MS = 700  # without an edit, before the list is made anew
_FIELD_PX = 400  # a place is not looked at from further away
_TRIES = 3
_ASKS = {
    "split": "This place asks whether one segment is two cells: split it, or keep it.",
    "merge": "This place asks whether two segments are one cell: merge them, or keep them.",
}


@dataclass(frozen=True)
class Found:
    """Suspicious places of one version of the segmentation, best first."""

    sites: list[Site]
    version: int


class SiteQueue(QObject):
    """The list, the place looked at, and what is decided there.

    Signals: `listed` when the list is another one; `shown` with the place gone to, or None;
    `busy_changed` when a new list is made, or is there.

    Parameters
    ----------
    proofreading : Proofreading
    """

    listed = Signal()
    shown = Signal(object)
    busy_changed = Signal(bool)

    def __init__(self, proofreading: Proofreading) -> None:
        super().__init__()
        self.setParent(proofreading)
        self.proofreading = proofreading
        self.order = Order()
        self.is_listed = False
        self.n_decided = 0
        self._is_seen = False
        self._is_deciding = False
        self._held = False
        self._kept_back: Found | None = None
        self._sides = SidesLayer(proofreading.viewer)
        self._marks = True
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST_MS)
        self._rest.timeout.connect(self.refresh)
        proofreading.started.connect(self._on_started)
        proofreading.ended.connect(self._on_ended)
        proofreading.changed.connect(self._on_changed)
        proofreading.previewed.connect(self._on_previewed)
        proofreading.viewer.dims.events.ndisplay.connect(self._on_ndisplay)
        if proofreading.editor is not None:
            self._on_started()

    @property
    def current(self) -> Site | None:
        """The place that is looked at, if one is."""
        return self.order.current if self._is_seen else None

    @property
    def is_busy(self) -> bool:
        """Whether a new list is being made."""
        return self.proofreading.context.jobs.is_busy(_JOB)

    def refresh(self) -> None:
        """Look for suspicious places in the background."""
        self._rest.stop()
        editor = self.proofreading.editor
        if editor is None:
            return
        self.proofreading.context.jobs.start(
            partial(find_sites, editor),
            title="Looking for suspicious places",
            key=_JOB,
            lane=_LANE,
            on_result=self._on_found,
            on_end=lambda: self.busy_changed.emit(self.is_busy),
        )
        self.busy_changed.emit(True)

    def hold(self, is_held: bool) -> None:
        """Leave the list as it is while the mouse is over it."""
        self._held = is_held
        if not is_held and self._kept_back is not None:
            found, self._kept_back = self._kept_back, None
            self._on_found(found)

    def step(self, by: int) -> None:
        """Go to the next place (1) or the one before (-1)."""
        if not self.order.sites:
            self.proofreading.said.emit(
                "The places are still being looked for."
                if self.is_busy
                else "There is no suspicious place left."
            )
            return
        if self._is_seen:
            self.order.step(by)
        self.show()

    def go(self, row: int) -> None:
        """Go to the place of a row of the list."""
        self.order.go(row)
        self.show()

    def show(self) -> None:
        """Go to the present place: section, camera, both sides in colour."""
        site, proofreading = self.order.current, self.proofreading
        self._is_seen = site is not None
        if site is not None and proofreading.layer is not None:
            proofreading.drop()
            proofreading.go_to(site.position)
            self._come_near()
            proofreading.select(site.segments)
        self._mark()
        self.shown.emit(self.current)

    def decide(self, decision: str) -> None:
        """Decide the place looked at ("merge", "keep", "split", "later") and go to the next."""
        site, editor = self.current, self.proofreading.editor
        if editor is None:
            return
        if site is None:
            self.step(1)  # nothing is decided unseen
            return
        if decision == "later":
            self.order.put_off()
            self.listed.emit()
            self.show()
            return
        if decision not in ("keep", site.kind):
            self.proofreading.said.emit(_ASKS[site.kind])
            return
        before, self._is_deciding = editor.version, True
        try:
            self.proofreading.decide(site, decision)
        finally:
            self._is_deciding = False
        if editor.version != before:
            self.n_decided += 1
            self.show()

    def set_marks(self, on: bool) -> None:
        """Colour both sides on the canvas, or stop."""
        self._marks = on
        self._mark()

    def _on_started(self) -> None:
        self.order, self._is_seen, self.is_listed = Order(), False, False
        self.listed.emit()
        self.shown.emit(None)
        self.refresh()

    def _on_ended(self) -> None:
        self._rest.stop()
        self.proofreading.context.jobs.stop(_JOB)
        self._sides.remove()
        self.order, self._is_seen, self.is_listed = Order(), False, False
        self.listed.emit()
        self.shown.emit(None)

    def _on_changed(self, change: Change) -> None:
        editor = self.proofreading.editor
        if editor is None:
            return
        before = self.current
        items = editor.history[: editor.position]
        decided = [item.decided for item in items if item.decided is not None]
        is_back = self.order.follow(editor.state, decided)
        self.listed.emit()
        now = self.order.current
        if is_back:
            self.show()
        elif before is not None and (now is None or key_of(now) != key_of(before)):
            self._is_seen = False
            self._mark()
            if not self._is_deciding:  # decided in another way; the view stays where it is
                self.shown.emit(None)
        self._rest.start()

    def _on_found(self, found: Found) -> None:
        editor = self.proofreading.editor
        if editor is None:
            return
        if self._held:
            self._kept_back = found
            return
        self.order.renew(found.sites)
        items = editor.history[: editor.position]
        self.order.follow(editor.state, [i.decided for i in items if i.decided is not None])
        self.is_listed = True
        self.listed.emit()
        if found.version != editor.version:
            self._rest.start()

    def _on_previewed(self, preview: Preview | None) -> None:
        if preview is not None:
            self._sides.hide()  # it has colours of its own
        else:
            self._mark()

    def _on_ndisplay(self, event: Any) -> None:
        self._mark()

    def _come_near(self) -> None:
        """Look from near enough; who is nearer already stays there."""
        viewer, layer = self.proofreading.viewer, self.proofreading.layer
        assert layer is not None
        if viewer.dims.ndisplay != 2:
            return
        field = _FIELD_PX * float(abs(layer.scale[-1]))
        nearest = min(viewer.canvas.size) / field
        if viewer.scene.camera.zoom < nearest:
            viewer.scene.camera.zoom = nearest

    def _mark(self) -> None:
        site, proofreading = self.current, self.proofreading
        editor, layer = proofreading.editor, proofreading.layer
        if site is None or editor is None or layer is None or not self._marks:
            self._sides.hide()
            return
        if proofreading.preview is None:
            self._sides.show(editor, layer, site, None)
            if site.kind == "split":
                self._look_for_sides(editor, site)

    def _look_for_sides(self, editor: Proofreader, site: Site) -> None:
        """Find out, in the background, into what a segment would part."""
        self.proofreading.context.jobs.start(
            partial(preview_sides, editor, site),
            title="Looking at both sides",
            key=_SIDES_JOB,
            lane=_LANE,
            on_result=partial(self._on_sides, site),
        )

    def _on_sides(self, site: Site, preview: Preview | None) -> None:
        editor, layer = self.proofreading.editor, self.proofreading.layer
        is_outdated = self.current is None or key_of(self.current) != key_of(site)
        if preview is None or editor is None or layer is None or is_outdated or not self._marks:
            return
        if self.proofreading.preview is None:
            self._sides.show(editor, layer, site, preview)


def queue_of(proofreading: Proofreading) -> SiteQueue:
    """Return the queue of a proofreading, made when first asked for."""
    found = proofreading.findChild(SiteQueue)
    return found if found is not None else SiteQueue(proofreading)


def find_sites(editor: Proofreader, progress: Progress) -> Found:
    """Look for suspicious places while edits may go on; those of one version are returned.

    Parameters
    ----------
    editor : Proofreader
    progress : Progress
        Of measuring contacts, where that was not done yet.
    """
    editor.prepare(progress=progress)
    for k in range(_TRIES):
        version = editor.version
        try:
            return Found(editor.suspicious_sites(LIMIT), version)
        except Exception:
            if editor.version == version or k == _TRIES - 1:
                raise  # it was no edit that came between
        finally:
            progress.update(1, 1, "Looking for suspicious places")
    raise AssertionError("unreachable")


def preview_sides(editor: Proofreader, site: Site, progress: Progress) -> Preview | None:
    """Return what a split at a place would do; None where it cannot be split."""
    from napari_emseg.proofreading.edit import place_in

    version = editor.version
    try:
        return editor.preview("split", [[place_in(editor.state, f)] for f in site.fragments])
    except InputError:
        return None
    except Exception:
        if editor.version == version:
            raise
        return None  # an edit came between
