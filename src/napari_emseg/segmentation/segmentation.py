"""A segmentation: fragments, and a table that says which segment each belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.cutting import relabel
from napari_emseg.segmentation.parallel import Steps, map_threads
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari_emseg.segmentation.hierarchy import Hierarchy

Table = npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Cut:
    """Where a segmentation came from: the hierarchy and the two sliders."""

    hierarchy: Hierarchy
    h: float
    min_size_voxels: int


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Segments as a table over fragments; no voxel is copied until export.

    Attributes
    ----------
    fragments : Volume
        (z, y, x) uint32 ids 1..F; 0 is nothing.
    segment_of : (F + 1,) uint32
        Segment of each fragment; ``segment_of[0] == 0``.
    cut : Cut or None
        The cut that made it; needed for exact borders only.

    Examples
    --------
    >>> fragments = Volume(np.array([[[1, 2, 3]]], np.uint32), kind="fragments")
    >>> segmentation = Segmentation(fragments, np.array([0, 7, 7, 9], np.uint32))
    >>> segmentation.n_segments, segmentation.view()[0]
    (2, array([[7, 7, 9]], dtype=uint32))
    """

    fragments: Volume = field(repr=False)
    segment_of: Table = field(repr=False)
    cut: Cut | None = field(default=None, repr=False)

    @cached_property
    def n_segments(self) -> int:
        """Number of segments."""
        largest = int(self.segment_of.max())
        if largest > 4 * self.segment_of.size:  # ids of an edited table may be anything
            return int(np.count_nonzero(np.unique(self.segment_of)))
        is_used = np.zeros(largest + 1, bool)
        is_used[self.segment_of[1:]] = True
        return int(np.count_nonzero(is_used[1:]))

    def view(self) -> SegmentView:
        """Return the labels as a read-only array that looks voxels up when asked."""
        return SegmentView(self.fragments.data, self.segment_of)

    def to_volume(self, exact_borders: bool = False, *, progress: Progress = NO_PROGRESS) -> Volume:
        """Write the segments out as labels.

        Parameters
        ----------
        exact_borders : bool
            Flood each shallow basin once more from the minima that survive, as
            the literal H-minima watershed does, instead of giving it to one
            side whole.
        progress : Progress
            Called once per section.

        Returns
        -------
        Volume
            Kind "labels", uint32; ids are those of :attr:`segment_of`.

        Raises
        ------
        InputError
            If exact borders are wanted of what is not a cut of H-minima.
        """
        if exact_borders:
            return self._flood(progress)
        fragments = self.fragments
        labels = np.empty(fragments.shape, np.uint32)

        def relabel_section(z: int) -> None:
            relabel(np.ascontiguousarray(fragments.read(z)), self.segment_of, labels[z])

        steps = Steps(progress, labels.shape[0])
        report = partial(steps.finish_one, "Writing labels")
        map_threads(relabel_section, labels.shape[0], report)
        return self._derive(labels, exact_borders=False)

    def _flood(self, progress: Progress) -> Volume:
        from napari_emseg.segmentation.exact import flood_cut

        if self.cut is None:
            raise InputError(
                "Exact borders need a segmentation straight from the sliders; this one was edited "
                "or loaded. Write it without exact borders."
            )
        if self.cut.hierarchy.grouping != "h_minima":
            raise InputError(
                "Exact borders are those of the H-minima watershed; these segments were grouped in "
                "another way. Write them without exact borders."
            )
        return self._derive(flood_cut(self.cut, progress), exact_borders=True)

    def _derive(self, labels: npt.NDArray[np.uint32], exact_borders: bool) -> Volume:
        history: dict[str, Any] = {"exact_borders": exact_borders}
        if self.cut is not None:
            history.update(h=self.cut.h, min_size_voxels=self.cut.min_size_voxels)
        return self.fragments.derive(labels, kind="labels", **history)


class SegmentView:
    """Read-only ``segment_of[fragments]`` that computes only what is indexed.

    napari takes it as ``Labels.data`` and reads one section at a time.

    Parameters
    ----------
    fragments : array-like
        Integer ids; anything with ``shape`` and ``__getitem__``.
    segment_of : (F + 1,) uint32
        Looked up at each access, so the caller may change it in place.
    """

    def __init__(self, fragments: Any, segment_of: Table) -> None:
        self.fragments = fragments
        self.segment_of = segment_of

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis in voxels."""
        return tuple(int(n) for n in self.fragments.shape)

    @property
    def dtype(self) -> np.dtype[np.uint32]:
        """Type of the ids."""
        return self.segment_of.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        ids = np.asarray(self.fragments[key])
        if ids.ndim == 0:
            return self.segment_of[ids]
        segments = np.empty(ids.shape, self.dtype)
        relabel(np.ascontiguousarray(ids), self.segment_of, segments)
        return segments

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("the segments have to be computed, so they cannot be had uncopied")
        labels: npt.NDArray[Any] = self[...]
        return labels if dtype is None else labels.astype(dtype, copy=False)
