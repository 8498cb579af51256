"""Edits made so far, to go back and forth in; small enough to keep tens of thousands."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from napari_emseg.proofreading.belief import Lesson
from napari_emseg.proofreading.contacts import Edges
from napari_emseg.proofreading.delta import Delta, decode, inverse
from napari_emseg.proofreading.state import State

_CONTACTS_KEPT = 32


@dataclass(frozen=True)
class Change:
    """What a window has to show anew after an edit, an undo or a redo.

    Attributes
    ----------
    sections : range
        Sections with other labels than before; empty where only flags changed.
    segments : tuple of int
        Segments that changed, in voxels or flags.
    words : str
        What a person is told.
    """

    sections: range
    segments: tuple[int, ...]
    words: str


@dataclass(frozen=True)
class HistoryItem:
    """One edit of the history.

    Attributes
    ----------
    n : int
        Its number in the log.
    operation, words, who, time : str
        What was done, as told to a person; by whom, and when (UTC).
    seconds : float
        Since the edit before it.
    before, after : tuple of int
        Segments that took part.
    place : (z, y, x) or None
        A voxel where it happened.
    packed : bytes
        Its delta.
    decided : (int, int) or None
        Fragments at whose contact this was decided, not to be asked again.
    lesson : Lesson or None
        What that teaches.
    """

    n: int
    operation: str
    words: str
    who: str
    time: str
    seconds: float
    before: tuple[int, ...]
    after: tuple[int, ...]
    place: tuple[int, int, int] | None
    packed: bytes
    decided: tuple[int, int] | None = None
    lesson: Lesson | None = None

    @property
    def n_bytes(self) -> int:
        """Its memory; numbers and short texts that many edits share are counted each time."""
        parts: list[object] = [self, vars(self), *vars(self).values(), *self.before, *self.after]
        if self.lesson is not None:
            parts += [vars(self.lesson), self.lesson.features, *self.lesson.features]
        return sum(sys.getsizeof(part) for part in parts)

    @property
    def delta(self) -> Delta:
        """What it changed."""
        return decode(self.packed)


class History:
    """Edits in order, of which the first :attr:`position` count now.

    Parameters
    ----------
    state : State
        What the edits change; by nobody else.

    Attributes
    ----------
    items : list of HistoryItem
    position : int
    version : int
        Another one after each change.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self.items: list[HistoryItem] = []
        self.position = 0
        self.version = 0
        # How contacts change with an edit, as it is made: an undo starts where it has led to.
        self._contacts: dict[int, Edges] = {}

    @property
    def n_bytes(self) -> int:
        """Memory of all edits."""
        return sum(item.n_bytes for item in self.items)

    def make(self, item: HistoryItem) -> Change:
        """Make an edit; those that were undone can no longer be redone."""
        delta = item.delta
        sections = self._change(item, delta)
        del self.items[self.position :]
        self.items.append(item)
        self.position += 1
        return Change(sections, delta.segments, item.words)

    def go(self, position: int) -> Change:
        """Undo or redo up to a position.

        Raises
        ------
        ValueError
            If there are not that many edits.
        """
        if not 0 <= position <= len(self.items):
            raise ValueError(f"there is no edit {position} to go to")
        sections, words = range(0), ""
        segments: set[int] = set()
        while self.position != position:
            forward = position > self.position
            item = self.items[self.position - (0 if forward else 1)]
            delta = item.delta if forward else inverse(item.delta)
            sections = _hull(sections, self._change(item, delta, is_undone=not forward))
            self.position += 1 if forward else -1
            segments.update(delta.segments)
            words = f"{'Redone' if forward else 'Undone'}: {item.words}"
        return Change(sections, tuple(sorted(segments)), words)

    def _change(self, item: HistoryItem, delta: Delta, *, is_undone: bool = False) -> range:
        """Change the state; return the sections that look different."""
        before = self._sections(delta)
        known = self._contacts.pop(item.n, None)
        if known is not None and is_undone:
            known = known.negated()
        contacts = self._state.apply(delta, known)
        if contacts is not None:
            self._contacts[item.n] = contacts.negated() if is_undone else contacts
            for n in list(self._contacts)[:-_CONTACTS_KEPT]:
                del self._contacts[n]
        self.version += 1
        return _hull(before, self._sections(delta))

    def _sections(self, delta: Delta) -> range:
        """Sections in which fragments that a delta changes lie."""
        extents, sections = self._state.extents, range(0)
        known = delta.fragments[delta.fragments < self._state.next_fragment]
        known = known[extents.high[known, 0] >= 0]
        if known.size:
            z = extents.box(known)[0]
            sections = range(z.start, z.stop)
        if delta.voxels is not None:
            z = delta.voxels.box[0]
            sections = _hull(sections, range(z.start, z.stop))
        return sections


def _hull(one: range, two: range) -> range:
    if not len(one) or not len(two):
        return one or two
    return range(min(one.start, two.start), max(one.stop, two.stop))
