"""The queue of suspicious places: found in the background, walked through, decided."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_emseg.errors import InputError
from napari_emseg.gui.proofread.order import Order, key_of
from napari_emseg.gui.proofread.pace import worth_deciding
from napari_emseg.gui.proofread.proposing import takes_long_at
from napari_emseg.progress import Progress

if TYPE_CHECKING:
    from napari_emseg.gui.proofread.proofreading import Proofreading
    from napari_emseg.proofreading import Change, Preview, Proofreader
    from napari_emseg.proofreading.guidance import Site

LIMIT = 100
SIDES_JOB = "proofread sides"
_JOB, _LANE = "proofread places", "proofread places"
_REST_MS = 700  # without an edit, before the list is made anew
_ASKS = {
    "split": "This place asks whether one segment is two cells: split it, or keep it.",
    "merge": "This place asks whether two segments are one cell: merge them, or keep them.",
}


@dataclass(frozen=True)
class Found:
    """Suspicious places of one version of the segmentation, best first.

    Attributes
    ----------
    sites : list of Site
    version : int
    n_worth : int
        How many decisions hold most of what can be mended, as far as can be told.
    """

    sites: list[Site]
    version: int
    n_worth: int


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
        self.n_worth: int | None = None
        self._is_seen = False
        self._decided: set[tuple[int, int]] = set()
        self._is_deciding = False
        self._sides: Preview | None = None
        self._looks_at: Site | None = None
        self._awaits_cut = False
        self._held = False
        self._kept_back: Found | None = None
        self._marks = True
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST_MS)
        self._rest.timeout.connect(self.refresh)
        proofreading.started.connect(self._on_started)
        proofreading.ended.connect(self._on_ended)
        proofreading.changed.connect(self._on_changed)
        proofreading.selected.connect(self._on_selected)
        proofreading.mode_changed.connect(self._on_mode_changed)
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
            on_result=self.found,
            on_end=self._on_search_ended,
        )
        self.busy_changed.emit(True)

    def hold(self, is_held: bool) -> None:
        """Leave the list as it is while the mouse is over it."""
        self._held = is_held
        if not is_held and self._kept_back is not None:
            found, self._kept_back = self._kept_back, None
            self.found(found)

    def found(self, found: Found) -> None:
        """Take a new list, once the mouse is not over the present one."""
        editor = self.proofreading.editor
        if editor is None:
            return
        if self._held:
            self._kept_back = found
            return
        self.order.renew(found.sites, editor.state)
        items = editor.history[: editor.position]
        self.order.follow(editor.state, [i.decided for i in items if i.decided is not None])
        self.is_listed, self.n_worth = True, found.n_worth
        self.listed.emit()
        if found.version != editor.version:
            self._rest.start()

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
            proofreading.select(site.segments)
        self._mark()
        self.shown.emit(self.current)
        proofreading.hinted.emit()

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
        if decision == "split" and self._sides_now is None and takes_long_at(editor, site):
            self._awaits_cut = True
            self._look_at_sides()
            self.proofreading.said.emit("Looking for the best cut…")
            return
        self._make(site, decision)

    def _make(self, site: Site, decision: str) -> None:
        """Make what was decided, and go to the next place."""
        editor = self.proofreading.editor
        assert editor is not None
        known = self._sides_now if decision == site.kind else None
        before, self._is_deciding = editor.version, True
        try:
            self.proofreading.decide(site, decision, known)
        finally:
            self._is_deciding = False
        if editor.version != before:
            self.show()

    @property
    def has_marks(self) -> bool:
        """Whether both sides are coloured on the canvas."""
        return self._marks

    def set_marks(self, on: bool) -> None:
        """Colour both sides on the canvas, or stop."""
        self._marks = on
        self._mark()
        self.proofreading.hinted.emit()

    def _on_started(self) -> None:
        self.order, self._is_seen, self.is_listed = Order(), False, False
        self.n_worth = None
        self.listed.emit()
        self.shown.emit(None)
        self.refresh()

    def _on_ended(self) -> None:
        self._rest.stop()
        self.proofreading.context.jobs.stop(_JOB)
        self.order, self._is_seen, self.is_listed = Order(), False, False
        self.n_worth = None
        self.listed.emit()
        self.shown.emit(None)

    def _on_changed(self, change: Change) -> None:
        editor = self.proofreading.editor
        if editor is None:
            return
        before = self.current
        items = editor.history[: editor.position]
        decided = {item.decided for item in items if item.decided is not None}
        is_undone, self._decided = bool(self._decided - decided), decided
        is_back = self.order.follow(editor.state, decided, change.segments)
        self.listed.emit()
        now = self.order.current
        if is_back and is_undone:  # after any other edit the view stays where it is
            self.show()
        elif before is not None and (now is None or key_of(now) != key_of(before)):
            self._is_seen = False
            self._mark()
            if not self._is_deciding:  # decided in another way; the view stays where it is
                self.shown.emit(None)
        elif self._sides is not None and self._marks:  # what is on either side may be otherwise
            self._looks_at = None
            self._look_at_sides()
        self._rest.start()

    def _on_search_ended(self) -> None:
        self.is_listed = True  # or there was no list to be had, which was said
        self.busy_changed.emit(self.is_busy)

    def _on_selected(self, selection: tuple[int, ...]) -> None:
        """Colour the sides no more once something else is looked at."""
        site = self.current
        if site is not None and set(selection) != set(site.segments):
            self._unmark()

    def _on_mode_changed(self, name: str) -> None:
        if name != "look":
            self._unmark()

    @property
    def _sides_now(self) -> Preview | None:
        """The edit that the place is about, as far as it is computed and still fits."""
        editor, sides = self.proofreading.editor, self._sides
        is_now = sides is not None and editor is not None and sides.version == editor.version
        return sides if is_now else None

    def _unmark(self) -> None:
        self.proofreading.context.jobs.stop(SIDES_JOB)
        self.proofreading.show_sides(None)
        self._sides = self._looks_at = None
        if self._awaits_cut:
            self._awaits_cut = False
            self.proofreading.said.emit("Not split: you went on before the cut was found.")

    def _mark(self) -> None:
        """Colour both sides of the place looked at."""
        self._unmark()
        if self._marks:
            self._look_at_sides()

    def _look_at_sides(self) -> None:
        """Find out, in the background, what is on either side."""
        site, editor, jobs = self.current, self.proofreading.editor, self.proofreading.context.jobs
        if site is None or editor is None or site is self._looks_at:
            return
        self._looks_at = site
        jobs.start(
            partial(preview_sides, editor, site),
            title="Looking at both sides",
            key=SIDES_JOB,
            lane=SIDES_JOB,
            on_result=partial(self._on_sides, site),
            on_end=self._on_looked,
        )

    def _on_looked(self) -> None:
        self._looks_at, self._awaits_cut = None, False

    def _on_sides(self, site: Site, sides: Preview | None) -> None:
        if self.current is None or key_of(self.current) != key_of(site):
            return
        self._sides = sides
        if self._marks:
            self.proofreading.show_sides(sides)
        if self._awaits_cut:
            self._awaits_cut = False
            self._make(site, "split")


def queue_of(proofreading: Proofreading) -> SiteQueue:
    """Return the queue of a proofreading, made when first asked for."""
    found = proofreading.findChild(SiteQueue)
    return found if found is not None else SiteQueue(proofreading)


def find_sites(editor: Proofreader, progress: Progress) -> Found:
    """Look for suspicious places, while edits may go on.

    Parameters
    ----------
    editor : Proofreader
    progress : Progress
        Of measuring contacts, where that was not done yet.
    """
    from napari_emseg.proofreading.guidance import best_sites

    editor.prepare(progress=progress)
    version = editor.version
    found = editor.candidates()
    progress.update(1, 2, "Looking for suspicious places")
    size = editor.state.volume.voxel_size_nm
    return Found(best_sites(found, LIMIT, size), version, worth_deciding(found.score))


def preview_sides(editor: Proofreader, site: Site, progress: Progress) -> Preview | None:
    """Return the edit that a place is about; None where it cannot be made."""
    version = editor.version
    try:
        return editor.preview_at(site, site.kind)
    except InputError:
        return None
    except Exception:
        if editor.version == version:
            raise
        return None  # an edit came between
