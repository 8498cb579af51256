"""What clicks and strokes on the segments do, mode by mode; and what the next one will do."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_emseg.proofreading.shading import N_GROUPS

if TYPE_CHECKING:
    from napari_emseg.gui.proofread.proofreading import Proofreading
    from napari_emseg.proofreading import Preview

Voxel = tuple[int, int, int]
DECIDE = "Enter accepts, Esc drops"
GROUP_WORDS = ("blue", "orange", "green", "yellow")


class Hand:
    """The mode Look: a click selects. The other modes are made from it."""

    def __init__(self, proofreading: Proofreading) -> None:
        self._proofreading = proofreading

    @property
    def hint(self) -> str:
        """What the next click does."""
        if self._proofreading.preview is not None:
            return DECIDE
        return "Click a segment to select it. Drag moves the view."

    @property
    def is_pending(self) -> bool:
        """Whether something was clicked that is not an edit yet."""
        return False

    @property
    def points(self) -> tuple[tuple[Voxel, int], ...]:
        """Voxels to mark, each with the number of its group."""
        return ()

    def take_up(self) -> None:
        """Begin: the mode was chosen."""

    def clear(self) -> None:
        """Forget what was clicked and is not an edit yet."""

    def take_back(self) -> None:
        """Forget the last click."""
        self.clear()

    def accepted(self, preview: Preview) -> None:
        """Go on after an edit that was previewed was made."""
        self._proofreading.select(preview.edit.after)

    def click(self, voxel: Voxel, *, more: bool) -> None:
        """Act on a click; `more` where Shift was held."""
        proofreading = self._proofreading
        segment = proofreading.segment_at(voxel)
        if not more:
            proofreading.select([segment])
        elif segment in proofreading.selection:
            proofreading.select([s for s in proofreading.selection if s != segment])
        else:
            proofreading.select([*proofreading.selection, segment])
        if segment:
            proofreading.layer.selected_label = segment  # type: ignore[union-attr]

    def stroke(self, voxels: Sequence[Voxel]) -> None:
        """Act on a line that was drawn, given by its corners."""


class MergeHand(Hand):
    """Segments clicked one after the other become one."""

    def __init__(self, proofreading: Proofreading) -> None:
        super().__init__(proofreading)
        self._chosen: list[int] = []
        self._places: dict[int, Voxel] = {}

    @property
    def hint(self) -> str:
        listed = ", ".join(map(str, self._chosen[:4])) + ("…" if len(self._chosen) > 4 else "")
        if self._proofreading.preview is not None:
            return f"{DECIDE}. Click: one more, or leave one out."
        if self._chosen:
            return f"Click what belongs to segment {listed}, or draw across it."
        return "Click two segments that are one cell, or draw across them."

    @property
    def is_pending(self) -> bool:
        return len(self._chosen) > 1

    def take_up(self) -> None:
        self._chosen = list(self._proofreading.selection)
        self._places.clear()
        if len(self._chosen) > 1:
            self._propose()

    def clear(self) -> None:
        self._chosen = self._chosen[:1]
        self._proofreading.select(self._chosen)

    def take_back(self) -> None:
        self._chosen.pop()
        self._propose()

    def accepted(self, preview: Preview) -> None:
        super().accepted(preview)
        self._chosen = list(self._proofreading.selection)

    def click(self, voxel: Voxel, *, more: bool) -> None:
        segment = self._proofreading.segment_at(voxel)
        if segment == 0:
            self._proofreading.say("There is no segment at that place: click beside it.")
            return
        self._places[segment] = voxel
        self._choose(
            [s for s in self._chosen if s != segment]
            if segment in self._chosen
            else [*self._chosen, segment]
        )

    def stroke(self, voxels: Sequence[Voxel]) -> None:
        crossed = []
        for voxel in voxels_between(voxels):
            segment = self._proofreading.segment_at(voxel)
            if segment:
                crossed.append(segment)
                self._places.setdefault(segment, voxel)
        self._choose([*self._chosen, *crossed])

    def _choose(self, segments: Sequence[int]) -> None:
        self._chosen = list(dict.fromkeys(segments))
        self._propose()

    def _propose(self) -> None:
        proofreading = self._proofreading
        known = [s for s in self._chosen if proofreading.is_segment(s)]
        self._chosen = known
        proofreading.select(known)
        if len(known) < 2:
            proofreading.show_preview(None)
            return
        places = [self._places[s] for s in known] if self._places.keys() >= set(known) else None
        if not proofreading.try_propose("merge", known, positions=places):
            self._chosen = known[:-1]
            proofreading.select(self._chosen)


class SplitHand(Hand):
    """Points on both cells; the segment parts between them."""

    def __init__(self, proofreading: Proofreading) -> None:
        super().__init__(proofreading)
        self._clicked: list[tuple[Voxel, int]] = []
        self._group = 0
        self._segment = 0

    @property
    def hint(self) -> str:
        colour = GROUP_WORDS[self._group]
        if self._proofreading.is_proposing:
            return "Looking for the best cut…"
        if self._proofreading.preview is not None:
            return f"{DECIDE}. Click: more {colour}; G: another colour."
        if self._clicked:
            return f"Now click the other cell ({colour}), in any section."
        return "Click one of the two cells that were taken for one segment."

    @property
    def is_pending(self) -> bool:
        return bool(self._clicked)

    @property
    def points(self) -> tuple[tuple[Voxel, int], ...]:
        return tuple(self._clicked)

    def take_up(self) -> None:
        self._forget()

    def clear(self) -> None:
        self._forget()

    def take_back(self) -> None:
        _, self._group = self._clicked.pop()
        self._propose()

    def accepted(self, preview: Preview) -> None:
        self._forget()
        super().accepted(preview)

    def next_group(self) -> None:
        """Let the next clicks be on the next cell."""
        used = {group for _, group in self._clicked}
        last = min(max(used, default=0) + 1, N_GROUPS - 1)
        self._group = 0 if self._group >= last else self._group + 1
        self._proofreading.hinted.emit()

    def click(self, voxel: Voxel, *, more: bool) -> None:
        proofreading = self._proofreading
        segment = proofreading.segment_at(voxel)
        if segment == 0:
            proofreading.say("There is no segment at that place: click beside it.")
            return
        if not self._clicked:
            self._segment = segment
            proofreading.select([segment])
        elif segment != self._segment:
            proofreading.say(
                f"That is segment {segment}; the points are on segment {self._segment}. "
                "Esc begins anew."
            )
            return
        is_first = not self._clicked
        self._clicked.append((voxel, self._group))
        if is_first:
            self._group = 1
        self._propose()

    def _propose(self) -> None:
        proofreading = self._proofreading
        groups = [[voxel for voxel, group in self._clicked if group == k] for k in range(N_GROUPS)]
        groups = [group for group in groups if group]
        if len(groups) < 2:
            proofreading.show_preview(None)
        elif not proofreading.try_propose("split", groups, self._segment):
            _, self._group = self._clicked.pop()
            proofreading.show_preview(None)

    def _forget(self) -> None:
        self._clicked.clear()
        self._group = self._segment = 0


class LineHand(Hand):
    """A line across a segment; it parts there."""

    @property
    def hint(self) -> str:
        if self._proofreading.is_proposing:
            return "Looking for the best cut…"
        if self._proofreading.preview is not None:
            return f"{DECIDE}. Another line begins anew."
        return "Draw a line right across a segment, from outside to outside."

    def click(self, voxel: Voxel, *, more: bool) -> None:
        self._proofreading.say("Press and draw: a line right across a segment.")

    def stroke(self, voxels: Sequence[Voxel]) -> None:
        section = voxels[0][0]
        line = [(float(y), float(x)) for _, y, x in voxels]
        self._proofreading.try_propose("split_by_line", section, line)


class PaintHand(Hand):
    """napari's brush, eraser, fill and polygon; each stroke is an edit."""

    @property
    def hint(self) -> str:
        layer = self._proofreading.layer
        if layer is None:
            return ""
        if str(layer.mode) == "erase":
            return "Each stroke erases. Ctrl+Z takes it back."
        label = int(layer.selected_label)
        words = f"segment {label}" if self._proofreading.is_segment(label) else "a new segment"
        if label == 0:
            words = "nothing: this erases"
        return f"Each stroke paints {words}. L: pick another, M: a new one."

    def take_up(self) -> None:
        proofreading = self._proofreading
        if proofreading.layer is None or proofreading.editor is None:
            return
        chosen = proofreading.selection or (proofreading.editor.state.next_segment,)
        if proofreading.selection or int(proofreading.layer.selected_label) <= 1:
            proofreading.layer.selected_label = chosen[0]

    def click(self, voxel: Voxel, *, more: bool) -> None:
        """Leave it to napari."""


HANDS: dict[str, type[Hand]] = {
    "look": Hand,
    "merge": MergeHand,
    "split": SplitHand,
    "line": LineHand,
    "paint": PaintHand,
}


def voxels_between(corners: Sequence[Voxel]) -> list[Voxel]:
    """Return the voxels along a line with these corners.

    Examples
    --------
    >>> voxels_between([(0, 0, 0), (0, 1, 2)])
    [(0, 0, 0), (0, 0, 1), (0, 1, 2)]
    """
    found: list[Voxel] = [corners[0]]
    for one, two in itertools.pairwise(corners):
        n = max(abs(a - b) for a, b in zip(one, two, strict=True))
        steps = np.rint(np.linspace(one, two, n + 1)).astype(int).tolist()
        found += [(z, y, x) for z, y, x in steps[1:]]
    return found
