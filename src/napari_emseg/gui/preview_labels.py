"""The data behind the preview layer: segments of a section, cut when napari asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_emseg.evaluation.error_view import ErrorView
from napari_emseg.sectionwise import SectionwiseArray

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_emseg.segmentation import Cuttable

_KEPT_SECTIONS = 8


class PreviewLabels(SectionwiseArray):
    """Read-only array-like over hierarchies; a cut costs one section, never a volume.

    Parameters
    ----------
    shape : (z, y, x)
        Size of the boundary map.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape, np.uint32)
        self.threshold, self.min_size_voxels = 0.0, 0
        self._whole: Cuttable | None = None
        self._sections: dict[int, tuple[Cuttable, int]] = {}
        self._table: npt.NDArray[np.uint32] | None = None  # of the last section, or of all in 3d
        self._labels: dict[int, npt.NDArray[np.uint32]] = {}

    def set_cut(self, threshold: float, min_size_voxels: int) -> None:
        """Move the sliders."""
        self.threshold, self.min_size_voxels = threshold, min_size_voxels
        self._forget()

    def set_whole(self, hierarchy: Cuttable) -> None:
        """Show this hierarchy from now on, in every section."""
        self._whole, self._sections = hierarchy, {}
        self._forget()

    def set_section(
        self, z: int, hierarchy: Cuttable, *, index: int = 0, keep_others: bool
    ) -> None:
        """Show section `index` of this small hierarchy in section `z` while there is no whole."""
        self._whole = None
        kept = self._sections if keep_others else {}
        self._sections = dict(list(kept.items())[-_KEPT_SECTIONS + 1 :]) | {z: (hierarchy, index)}
        self._forget()

    def clear(self) -> None:
        """Show nothing: the boundary map changed."""
        self._whole, self._sections = None, {}
        self._forget()

    def has_section(self, z: int) -> bool:
        """Whether section `z` can be shown."""
        return self._whole is not None or z in self._sections

    def count(self, z: int) -> int:
        """Count the segments in section `z` (in 3d: in all)."""
        if self._whole is None:
            seen = np.unique(self.section(z))
            return int(np.count_nonzero(seen))
        table, ids = self._cut(z), self._whole.section_ids(z)
        assert table is not None
        return int(np.count_nonzero(table[ids.start : ids.stop] == np.arange(ids.start, ids.stop)))

    def section(self, z: int) -> npt.NDArray[np.uint32]:
        """Return the labels of one section."""
        from napari_emseg.segmentation import SegmentView

        if z in self._labels:
            return self._labels[z]
        table = self._cut(z)
        if table is None:
            labels = np.zeros(self.shape[1:], np.uint32)
        elif self._whole is not None:
            labels = SegmentView(self._whole.fragments.data, table)[z]
        else:
            hierarchy, index = self._sections[z]
            labels = SegmentView(hierarchy.fragments.data, table)[index]
        self._labels = {z: labels}
        return labels

    def __deepcopy__(self, memo: Any) -> npt.NDArray[np.uint32]:
        """Return the labels as they are seen: a duplicated layer is an ordinary one."""
        return np.array(self)

    def _cut(self, z: int) -> npt.NDArray[np.uint32] | None:
        whole = self._whole
        if whole is not None and whole.mode == "3d":
            if self._table is None:
                self._table = whole.cut_section(z, self.threshold, self.min_size_voxels)
            return self._table
        if whole is not None:
            return whole.cut_section(z, self.threshold, self.min_size_voxels)
        if z in self._sections:
            hierarchy, index = self._sections[z]
            return hierarchy.cut_section(index, self.threshold, self.min_size_voxels)
        return None

    def _forget(self) -> None:
        self._table, self._labels = None, {}


def is_preview(layer: Layer) -> bool:
    """Whether a layer is computed when it is seen: segments at the sliders, or their errors."""
    return isinstance(layer.data, PreviewLabels | ErrorView)
