"""How sections would look after an edit, before it is made."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from napari_emseg.proofreading.delta import Delta
from napari_emseg.proofreading.edit import Edit
from napari_emseg.proofreading.runs import Ids
from napari_emseg.proofreading.state import State
from napari_emseg.segmentation.cutting import relabel


class Preview:
    """An edit that was asked for and not yet accepted.

    Parameters
    ----------
    state : State
        As it is now; when it has changed, the preview is outdated.
    edit : Edit
    version : int
        Of the state the edit starts from.
    """

    def __init__(self, state: State, edit: Edit, version: int) -> None:
        self._state = state
        self.edit = edit
        self.version = version

    @property
    def delta(self) -> Delta:
        """What would change."""
        return self.edit.delta

    @property
    def words(self) -> str:
        """What a person is told."""
        return self.edit.words

    @property
    def segments(self) -> tuple[int, ...]:
        """Segments that take part, before or after, ascending."""
        return tuple(sorted({*self.edit.before, *self.edit.after}))

    def section_view(self, z: int) -> Ids:
        """Return the labels of a section as they would be.

        Parameters
        ----------
        z : int

        Returns
        -------
        (y, x) uint32
        """
        fragments = np.ascontiguousarray(self._state.fragments[z])
        voxels = self.delta.voxels
        if voxels is not None:
            rows, columns = voxels.box[1:]
            for section, inside, _, new in voxels.sections():
                if section == z:
                    fragments = fragments.copy()
                    part = fragments[rows, columns].copy()
                    part.reshape(-1)[inside] = new
                    fragments[rows, columns] = part
        labels = np.empty(fragments.shape, np.uint32)
        relabel(fragments, self._table, labels)
        return labels

    @cached_property
    def _table(self) -> Ids:
        table, delta = self._state.segment_of, self.delta
        highest = [table.size]
        if delta.fragments.size:
            highest.append(int(delta.fragments[-1]) + 1)
        if delta.voxels is not None:
            highest.append(int(delta.voxels.new.max()) + 1)
        longer = np.zeros(max(highest), np.uint32)
        longer[: table.size] = table
        longer[delta.fragments] = delta.after
        return longer
