"""Keeps on disk what is painted, as it is painted."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_emseg.errors import InputError
from napari_emseg.gui.context import Context
from napari_emseg.gui.painting.journal import About, PaintingJournal
from napari_emseg.gui.painting.layer import is_painting
from napari_emseg.gui.painting.strokes import Strokes, is_in_memory
from napari_emseg.gui.preview_labels import is_preview
from napari_emseg.gui.train.wishes import wishes_of
from napari_emseg.progress import Progress

if TYPE_CHECKING:
    from napari.layers import Layer

LANE = "paint"  # its own: strokes do not wait until a session of gigabytes is saved
_SOON_MS = 300
_KEY = "keep paint"


@dataclass(eq=False)
class Kept:
    """A layer, its strokes that are not on disk yet, and its journal once there is one."""

    layer: Any
    strokes: Strokes
    journal: PaintingJournal | None = None
    n_changes: int = 0
    dirty: set[int] = field(default_factory=set)
    writing: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be written of a layer; its voxels may be painted meanwhile."""

    kept: Kept
    data: Any
    sections: frozenset[int]
    about: About


class PaintingKeeper(QObject):
    """Follows the paintings of one viewer.

    Signals: `deleted` with the journal of a painting whose layer was removed.
    """

    deleted = Signal(object)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._context, self._wishes = context, wishes_of(context)
        self._kept: list[Kept] = []
        self._has_warned = False
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON_MS)
        self._soon.timeout.connect(self._write)
        events = context.viewer.layers.events
        events.inserted.connect(self._on_inserted)
        events.removed.connect(self._on_removed)
        self._wishes.layer_changed.connect(self._on_labels_chosen)
        context.closed.connect(self._close)
        for layer in context.viewer.layers:
            self._follow_painting(layer)
        self._on_labels_chosen()

    def journal_of(self, layer: Layer) -> PaintingJournal | None:
        """Return the journal of a layer, None while all its strokes are saved."""
        kept = self._find(layer)
        return kept.journal if kept is not None else None

    def follow(self, layer: Any, journal: PaintingJournal | None = None) -> None:
        """Keep what is painted in a layer, in the journal that holds it already if there is one."""
        if self._find(layer) is not None or is_preview(layer) or not is_in_memory(layer):
            return
        kept = Kept(layer, Strokes(layer), journal)
        kept.strokes.made.connect(partial(self._on_stroke, kept))
        self._kept.append(kept)

    def adopt(self, layer: Layer, journal: PaintingJournal) -> None:
        """Go on with a journal, of which all is in this layer now."""
        self.follow(layer)
        kept = self._find(layer)
        if kept is not None:
            kept.journal = journal

    def note_saving(self) -> dict[int, int]:
        """Say how far each painting is that is about to be saved, for `note_saved`."""
        return {id(kept): kept.n_changes for kept in self._kept}

    def note_saved(self, noted: dict[int, int]) -> None:
        """Close the journals of what was saved, unless it was painted in meanwhile."""
        for kept in self._kept:
            if noted.get(id(kept)) != kept.n_changes:
                continue
            kept.dirty.clear()
            with kept.writing:
                journal, kept.journal = kept.journal, None
            if journal is not None:
                journal.remove()

    def _find(self, layer: Layer) -> Kept | None:
        return next((kept for kept in self._kept if kept.layer is layer), None)

    def _follow_painting(self, layer: Layer) -> None:
        if is_painting(layer):
            self.follow(layer)

    def _on_labels_chosen(self, *_: object) -> None:
        chosen = self._wishes.layer("labels")
        if chosen is not None and type(chosen).__name__ == "Labels":
            self.follow(chosen)

    def _on_inserted(self, event: Any) -> None:
        self._follow_painting(event.value)

    def _on_removed(self, event: Any) -> None:
        kept = self._find(event.value)
        if kept is None:
            return
        self._let_go(kept)
        self._kept.remove(kept)
        if kept.journal is not None:
            self.deleted.emit(kept.journal)

    def _let_go(self, kept: Kept) -> None:
        """Write the last strokes of a layer; once this returns its journal is complete."""
        kept.strokes.detach()
        if kept.dirty:
            self._on_written(write_all([self._take_up(kept)]))
        with kept.writing:  # in the background until now
            kept.dirty.clear()

    def _on_stroke(self, kept: Kept, sections: frozenset[int]) -> None:
        kept.n_changes += 1
        kept.dirty |= sections
        if not self._soon.isActive():
            self._soon.start()

    def _write(self) -> None:
        """Write in the background what was painted until now."""
        todo = [self._take_up(kept) for kept in self._kept if kept.dirty and not self._is_writing]
        if todo:
            self._context.jobs.start(
                partial(_write_job, todo),
                title="Keeping what is painted",
                key=_KEY,
                lane=LANE,
                on_result=self._on_written,
                on_end=self._on_write_ended,
            )

    @property
    def _is_writing(self) -> bool:
        return self._context.jobs.is_busy(_KEY)

    def _take_up(self, kept: Kept) -> Task:
        """Return what to write of a layer; it counts as written from now on."""
        about = self._about(kept)
        sections = frozenset(kept.dirty)
        if kept.journal is None and about.is_painting:  # what was there before, too
            sections |= kept.strokes.sections
        kept.dirty.clear()
        return Task(kept, kept.layer.data, sections, about)

    def _on_written(self, failed: Sequence[tuple[Task, InputError]]) -> None:
        for task, error in failed:
            task.kept.dirty |= task.sections  # tried again with the next stroke
            if not self._has_warned:
                self._has_warned = True
                show_warning(describe_failure(error))

    def _on_write_ended(self) -> None:
        if not self._has_warned and any(kept.dirty for kept in self._kept):
            self._soon.start()

    def _about(self, kept: Kept) -> About:
        layer = kept.layer
        before = kept.journal.about if kept.journal is not None else None
        return About(
            layer=layer.name,
            shape=tuple(layer.data.shape),
            dtype=np.dtype(layer.data.dtype).str,
            scale=tuple(map(float, layer.scale)),
            translate=tuple(map(float, layer.translate)),
            units=tuple(map(str, layer.units)),
            axes=tuple(map(str, layer.axis_labels)),
            is_painting=is_painting(layer) if before is None else before.is_painting,
            **self._stack_under(layer, before),
        )

    def _stack_under(self, layer: Any, before: About | None) -> dict[str, str]:
        """Return name and fingerprint of the sections that are painted on."""
        raw = self._context.session.raw
        if raw is not None and tuple(raw.shape[-2:]) == tuple(layer.data.shape[-2:]):
            return {"stack": raw.name, "fingerprint": raw.fingerprint}
        if before is not None:
            return {"stack": before.stack, "fingerprint": before.fingerprint}
        return {}

    def _close(self) -> None:
        for kept in self._kept:
            self._let_go(kept)
            if kept.journal is not None:
                kept.journal.release()
        self._kept.clear()
        self._soon.stop()


def write_all(tasks: Sequence[Task]) -> list[tuple[Task, InputError]]:
    """Write what was painted; return what failed, and why."""
    failed = []
    for task in tasks:
        kept = task.kept
        with kept.writing:
            try:
                if kept.journal is None:
                    kept.journal = PaintingJournal.create(task.about)
                kept.journal.keep(task.data, sorted(task.sections), task.about)
            except InputError as error:
                failed.append((task, error))
    return failed


def describe_failure(error: InputError) -> str:
    """Say in one sentence that paint is in memory only, and why.

    Examples
    --------
    >>> describe_failure(InputError("Cannot write /x: the disk is full; free some space."))
    'Strokes are only in memory (the disk is full): save the session now and then.'
    """
    reason = str(error).partition(": ")[2].partition(";")[0].strip(" .") or str(error).strip(" .")
    return f"Strokes are only in memory ({reason}): save the session now and then."


def _write_job(tasks: Sequence[Task], _progress: Progress) -> list[tuple[Task, InputError]]:
    return write_all(tasks)


def painting_keeper_of(context: Context) -> PaintingKeeper:
    """Return the one keeper of a context, made when first asked for."""
    found = context.findChild(PaintingKeeper)
    return found if found is not None else PaintingKeeper(context)
