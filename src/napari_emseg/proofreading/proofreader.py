"""The proofreader: edits previewed, logged, made, undone and told of."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.proofreading import operations, painting, splitting
from napari_emseg.proofreading.belief import Belief, Lesson
from napari_emseg.proofreading.candidates import Candidates, find_candidates
from napari_emseg.proofreading.delta import encode
from napari_emseg.proofreading.edit import Edit
from napari_emseg.proofreading.entries import item_of, make_entry, make_move
from napari_emseg.proofreading.guidance import Site, best_sites, cut_ends
from napari_emseg.proofreading.history import Change, History, HistoryItem
from napari_emseg.proofreading.labels import as_segmentation
from napari_emseg.proofreading.log import MOVES, EditLog, check_header, make_header, read_log
from napari_emseg.proofreading.preview import Preview
from napari_emseg.proofreading.shorthands import Shorthands
from napari_emseg.proofreading.state import State
from napari_emseg.proofreading.survey import take_survey
from napari_emseg.segmentation import Segmentation, SegmentView
from napari_emseg.volume import Volume

OPERATIONS: dict[str, Callable[..., Edit]] = {
    "merge": operations.merge,
    "split": splitting.split_by_points,
    "split_by_line": splitting.split_by_line,
    "absorb": operations.absorb,
    "detach": operations.detach,
    "delete": operations.delete,
    "rename": operations.rename,
    "set_aside": operations.set_aside,
    "mark_done": operations.mark_done,
    "paint": painting.paint,
    "keep": operations.keep,
}


class Proofreader(Shorthands):
    """Corrects a segmentation, edit by edit; nothing is ever lost.

    An edit changes a table and, where a fragment has to be cut, single voxels; no volume
    is copied. It is on disk before it is made.

    Parameters
    ----------
    segmentation : Segmentation or Volume
        What to correct; labels without fragments will do. Never written.
    boundary : Volume, optional
        The map by which splits find walls.
    log : path-like, optional
        Where edits are kept. One that is there already is replayed and gone on with.
    who : str, optional
        Who edits; by default the user of the computer.
    clock : callable, optional
        Returns seconds; for the time spent between edits.
    progress : Progress
        Told the sections read at the start.

    Raises
    ------
    InputError
        If shapes differ, or the log cannot be written or is of other fragments.

    Examples
    --------
    >>> import numpy as np
    >>> labels = Volume(np.array([[[3, 3, 5, 5, 5]]], np.uint32), kind="labels")
    >>> editor = Proofreader(labels)
    >>> editor.merge([3, 5]).words
    'Merged segment 3 into 5.'
    >>> editor.view[0], editor.undo().words
    (array([[5, 5, 5, 5, 5]], dtype=uint32), 'Undone: Merged segment 3 into 5.')
    >>> editor.view[0]
    array([[3, 3, 5, 5, 5]], dtype=uint32)
    """

    def __init__(
        self,
        segmentation: Segmentation | Volume,
        *,
        boundary: Volume | None = None,
        log: str | os.PathLike[str] | None = None,
        who: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        progress: Progress = NO_PROGRESS,
    ) -> None:
        if isinstance(segmentation, Volume):
            segmentation = as_segmentation(segmentation, progress=progress)
        self.state = State(
            segmentation.fragments, segmentation.segment_of, boundary, progress=progress
        )
        self.view = SegmentView(self.state.fragments, self.state.segment_of)
        self.who = who if who is not None else _user()
        self._history = History(self.state)
        self.belief = Belief()
        self._callbacks: list[Callable[[Change], object]] = []
        self._n_entries = 0
        self._seconds = 0.0
        self._clock = clock
        self._log: EditLog | None = None
        if log is not None:
            self._log = EditLog(log, self.header())
            try:
                self._replay(self._log.entries, os.fspath(log), progress)
            except BaseException:
                self._log.close()
                raise
        self._since = clock()

    @classmethod
    def replay(
        cls,
        log: str | os.PathLike[str],
        segmentation: Segmentation | Volume,
        *,
        boundary: Volume | None = None,
        progress: Progress = NO_PROGRESS,
    ) -> Proofreader:
        """Make the edits of a log again; the log is only read.

        Parameters
        ----------
        log : path-like
        segmentation : Segmentation or Volume
            On which they were made.
        boundary : Volume, optional
        progress : Progress

        Returns
        -------
        Proofreader
            In the same state to the bit; without a log of its own.

        Raises
        ------
        InputError
            If the log is of other fragments, or damaged.
        """
        found = read_log(log)
        editor = cls(segmentation, boundary=boundary, progress=progress)
        check_header(found, editor.header())
        editor._replay(found.entries, os.fspath(log), progress)
        return editor

    @property
    def segmentation(self) -> Segmentation:
        """The present state, which later edits leave alone: for export in another thread."""
        state = self.state
        fragments = state.volume.derive(state.fragments.snapshot(), kind="fragments")
        return Segmentation(fragments, state.segment_of.copy())

    @property
    def history(self) -> tuple[HistoryItem, ...]:
        """All edits that can be undone or redone, in order."""
        return tuple(self._history.items)

    @property
    def position(self) -> int:
        """How many edits of the history count now."""
        return self._history.position

    @property
    def seconds(self) -> float:
        """Time spent on all edits, undos and redos so far."""
        return self._seconds

    @property
    def version(self) -> int:
        """Another number after each change; a preview is of one."""
        return self._history.version

    @property
    def n_entries(self) -> int:
        """How many edits, undos and redos there were."""
        return self._n_entries

    @property
    def history_bytes(self) -> int:
        """Memory of the history: what was told of each edit, and its packed delta."""
        return self._history.n_bytes

    def header(self) -> dict[str, Any]:
        """Return the first line of a log of this segmentation."""
        state = self.state
        return make_header(
            fragments=state.fragments_digest,
            table=state.table_digest,
            shape=state.fragments.shape,
            voxel_size_nm=state.volume.voxel_size_nm,
            created=_now(),
        )

    def prepare(self, *, progress: Progress = NO_PROGRESS) -> None:
        """Measure which fragments touch, which a split needs; safe in another thread."""
        self.state.measure_contacts(progress=progress)

    def preview(self, operation: str, *arguments: Any, **options: Any) -> Preview:
        """Return what an operation would do; nothing is changed.

        Parameters
        ----------
        operation : str
            A key of `OPERATIONS`.
        *arguments, **options
            As the function there takes them, without the state.

        Raises
        ------
        InputError
            If it is not possible, in words.
        """
        version = self.version  # another thread may edit meanwhile
        edit = OPERATIONS[operation](self.state, *arguments, **options)
        return Preview(self.state, edit, version)

    def commit(
        self,
        preview: Preview,
        *,
        seconds: float | None = None,
        stamp: tuple[str, str] | None = None,
    ) -> Preview:
        """Make an edit that was previewed.

        Parameters
        ----------
        preview : Preview
        seconds : float, optional
            Time spent on it, by default since the last one.
        stamp : (who, time), optional
            Where it is somebody's earlier edit that is made again.

        Raises
        ------
        InputError
            If something else was edited since the preview, or the log cannot be written;
            then nothing is changed.
        """
        if preview.version != self.version:
            raise InputError("Something else was edited since this preview: preview it again.")
        edit = preview.edit
        self.state.check(edit.delta)
        packed = encode(edit.delta)
        spent = self._spent(seconds)
        entry = make_entry(edit, packed, self.state, **self._next(stamp), seconds=spent)
        self._write(entry, spent)
        item = item_of(entry, packed, self.state)
        change = self._history.make(item)
        if item.lesson is not None:
            self.belief.learn(item.lesson)
        self._tell(change)
        return preview

    def suspicious_sites(self, limit: int = 100, *, belief: Belief | None = None) -> list[Site]:
        """Return places where the segmentation may be wrong, best first.

        Safe in another thread: it looks at the state as it was when it was called. What
        was decided is not asked again; :meth:`decide` teaches what to expect.

        Parameters
        ----------
        limit : int
        belief : Belief, optional
            What to judge by; by default what was learned here.

        Returns
        -------
        list of Site
        """
        return best_sites(self.candidates(belief=belief), limit, self.state.volume.voxel_size_nm)

    def candidates(self, *, belief: Belief | None = None) -> Candidates:
        """Return all that could be asked, with what it is judged by; safe in another thread."""
        made = self._history.items[: self.position]
        decided = [item.decided for item in made if item.decided is not None]
        return find_candidates(take_survey(self.state, decided), belief or self.belief)

    def preview_at(self, site: Site, decision: str) -> Preview:
        """Return the edit that is made where this is decided at a site.

        Parameters
        ----------
        site : Site
        decision : {"merge", "split", "keep"}

        Raises
        ------
        InputError
            If that is not possible there.
        """
        if decision == "split":
            return self.preview("split", cut_ends(self.state, site), sides=site.sides)
        if decision == "merge":
            segments = dict.fromkeys(int(self.state.segment_of[f]) for f in site.fragments)
            return self.preview("merge", list(segments))
        return self.preview("keep", site.fragments)

    def decide(self, site: Site, decision: str, preview: Preview | None = None) -> Preview:
        """Make what was decided at a site, and learn from it.

        Parameters
        ----------
        site : Site
        decision : {"merge", "split", "keep"}
        preview : Preview, optional
            What :meth:`preview_at` returned, where it did already.

        Raises
        ------
        InputError
            If that is not possible there, or something else was edited since the preview.
        """
        preview = preview or self.preview_at(site, decision)
        is_one_cell = decision == "merge" or (decision == "keep" and site.kind == "split")
        lesson = Lesson(site.question, tuple(round(v, 4) for v in site.features), is_one_cell)
        arguments = {
            **preview.edit.arguments,
            "fragments": list(site.fragments),
            "lesson": lesson.as_json(),
        }
        edit = replace(preview.edit, arguments=arguments)
        return self.commit(Preview(self.state, edit, preview.version))

    def undo(self) -> Change:
        """Take the last edit back.

        Raises
        ------
        InputError
            If there is none, or the log cannot be written.
        """
        if self.position == 0:
            raise InputError("Nothing to undo: this is the segmentation as it was opened.")
        return self._move("undo", self.position - 1)

    def redo(self) -> Change:
        """Make the edit that was undone last again.

        Raises
        ------
        InputError
            If there is none, or the log cannot be written.
        """
        if self.position == len(self._history.items):
            raise InputError("Nothing to redo: no edit was undone.")
        return self._move("redo", self.position + 1)

    def jump_to(self, position: int) -> Change:
        """Go to the state after the first `position` edits of the history.

        Raises
        ------
        InputError
            If there are not that many, or the log cannot be written.
        """
        n = len(self._history.items)
        if not 0 <= position <= n:
            raise InputError(f"There is no edit {position}: the history has {n}.")
        return self._move("jump", position)

    def on_change(self, callback: Callable[[Change], object]) -> Callable[[], None]:
        """Call a function after each change; return what ends that."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()

    def _move(self, operation: str, target: int) -> Change:
        spent = self._spent(None)
        entry = make_move(operation, target, **self._next(), seconds=spent)
        self._write(entry, spent)
        change = self._history.go(target)
        self._learn_anew()
        self._tell(change)
        return change

    def _learn_anew(self) -> None:
        """Believe what the edits that count now teach, no more."""
        lessons = [i.lesson for i in self._history.items[: self.position] if i.lesson is not None]
        if len(lessons) != self.belief.n_learned:
            self.belief = Belief(lessons=lessons)

    def _tell(self, change: Change) -> None:
        self.view.segment_of = self.state.segment_of
        for callback in list(self._callbacks):
            callback(change)

    def _next(self, stamp: tuple[str, str] | None = None) -> dict[str, Any]:
        who, time = stamp or (self.who, _now())
        return {"n": self._n_entries + 1, "time": time, "who": who}

    def _spent(self, seconds: float | None) -> float:
        return self._clock() - self._since if seconds is None else seconds

    def _write(self, entry: Mapping[str, Any], spent: float) -> None:
        if self._log is not None:
            self._log.append(entry)
        self._n_entries += 1
        self._seconds += spent
        self._since = self._clock()

    def _replay(self, entries: Sequence[Mapping[str, Any]], path: str, progress: Progress) -> None:
        for k, entry in enumerate(entries):
            try:
                if entry["operation"] in MOVES:
                    self._history.go(int(entry["to"]))
                else:
                    self._history.make(item_of(entry, None, self.state))
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise InputError(
                    f"Edit {entry['n']} of {path} cannot be made again: {error}."
                ) from error
            self._seconds += float(entry["seconds"])
            self._n_entries += 1
            progress.update(k + 1, len(entries), "Making the edits again")
        self._learn_anew()
        self.view.segment_of = self.state.segment_of


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user, as in some containers
        return ""
