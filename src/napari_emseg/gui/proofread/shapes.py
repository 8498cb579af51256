"""The shapes of segments under correction: where they lie, kept up with the edits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_emseg.morphometry import Shapes, Surface, TileIndex, index_tiles
from napari_emseg.progress import Progress
from napari_emseg.segmentation import SegmentView

if TYPE_CHECKING:
    from napari_emseg.proofreading import Preview, Proofreader
    from napari_emseg.volume import ZYX

Fragments = npt.NDArray[np.uint32]
_Box = tuple[slice, slice, slice]


class Whereabouts:
    """In which tiles the fragments of an editor lie; found once, then kept up.

    Parameters
    ----------
    editor : Proofreader
    """

    def __init__(self, editor: Proofreader) -> None:
        self.editor = editor
        self._index: TileIndex | None = None
        self._earlier = editor.history  # which may still be undone
        self._known = {item.n for item in self._earlier}
        self._edited: list[_Box] = []

    def follow(self) -> None:
        """Note where the last edits changed voxels; called after each change."""
        for item in reversed(self.editor.history):
            if item.n in self._known:
                break
            self._known.add(item.n)
            voxels = item.delta.voxels
            if voxels is not None:
                self._edited.append(voxels.box)
                if self._index is not None:
                    self._index.note(voxels.box)

    def finder(self) -> Callable[[Progress], TileIndex]:
        """Return what finds the tiles, in another thread; :meth:`take` takes them."""
        index, earlier = self._index, self._earlier
        fragments = self.editor.state.fragments.snapshot()

        def find(progress: Progress) -> TileIndex:
            if index is not None:
                return index
            found = index_tiles(fragments, progress=progress)
            for voxels in (item.delta.voxels for item in earlier):
                if voxels is not None:
                    found.note(voxels.box)
            return found

        return find

    def take(self, index: TileIndex) -> None:
        """Take what was found; edits made meanwhile count."""
        if self._index is None:
            for box in self._edited:
                index.note(box)
            self._index = index


@dataclass(frozen=True, eq=False)
class Moment:
    """Segments as they are at one moment, for another thread to look at.

    Attributes
    ----------
    labels : array-like
        (z, y, x) ids.
    members : dict
        Fragments of the segments, and the box they lie in.
    edited : box or None
        Where a preview would change voxels.
    """

    labels: Any
    members: dict[int, tuple[Fragments, _Box]]
    edited: _Box | None = None

    @classmethod
    def of(
        cls, editor: Proofreader, segments: Sequence[int], preview: Preview | None = None
    ) -> Moment:
        """Take the segments as they are now, or as they would be."""
        state = editor.state
        fragments, table = state.fragments.snapshot(), state.segment_of.copy()
        if preview is None:
            members = {s: state.members.of(s) for s in segments}
            boxes = {s: state.extents.box(m) for s, m in members.items() if m.size}
            return cls(SegmentView(fragments, table), {s: (members[s], boxes[s]) for s in boxes})
        delta, edited = preview.delta, None
        if delta.voxels is not None:
            fragments.write(delta.voxels)
            edited = delta.voxels.box
        longest = int(max([table.size - 1, *delta.fragments[-1:].tolist()])) + 1
        if delta.voxels is not None:
            longest = max(longest, int(delta.voxels.new.max()) + 1)
        table = np.append(table, np.zeros(longest - table.size, np.uint32))
        table[delta.fragments] = delta.after
        n_z, n_y, n_x = fragments.shape
        whole = slice(0, n_z), slice(0, n_y), slice(0, n_x)
        found = {}
        for segment in segments:
            kept = np.setdiff1d(state.members.of(segment), delta.fragments)
            coming = delta.fragments[np.broadcast_to(delta.after, delta.fragments.shape) == segment]
            found[segment] = (np.union1d(kept, coming).astype(np.uint32), whole)
        return cls(SegmentView(fragments, table), found, edited)

    def shapes(self, index: TileIndex, voxel_size_nm: ZYX, offset_nm: ZYX) -> Shapes:
        """Return what makes the shapes, given where fragments lie."""
        if self.edited is not None:
            index = index.noting(self.edited)

        def tiles_of(segment: int) -> npt.NDArray[np.int64]:
            fragments, box = self.members.get(segment, (np.empty(0, np.uint32), None))
            return index.of(fragments.tolist(), box)

        return Shapes(self.labels, tiles_of, voxel_size_nm, offset_nm)


def make_surfaces(
    shapes: Shapes, segments: Sequence[int], most_faces: int, *, quick: bool, progress: Progress
) -> dict[int, Surface]:
    """Make surfaces that together have about so many triangles at most.

    Parameters
    ----------
    shapes : Shapes
    segments : sequence of int
    most_faces : int
    quick : bool
        From coarser voxels.
    progress : Progress

    Returns
    -------
    dict
        Surface of each segment.
    """
    n_tiles = {s: max(len(shapes.tiles_of(s)), 1) for s in segments}
    total = sum(n_tiles.values())
    made = {}
    for k, segment in enumerate(segments):
        share = max(2000, most_faces * n_tiles[segment] // total)
        if quick:
            surface = shapes.quick_surface(segment, most_faces=share, progress=_Part(progress))
        else:
            surface = shapes.surface(segment, most_faces=share, progress=_Part(progress))
        made[segment] = surface
        progress.update(k + 1, len(segments), "Making surfaces")
    return made


class _Part:
    """Passes a stop on, but no counts, which are of one of several segments."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def update(self, done: int, total: int, message: str = "") -> None:
        self._progress.update(0, 1, message)
