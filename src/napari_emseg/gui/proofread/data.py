"""The data behind the layer under correction: the editor's labels, and a stroke over them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari_emseg.proofreading import Proofreader

Labels = npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Stroke:
    """Voxels that were given one label.

    Attributes
    ----------
    mask : (z, y, x) bool
    origin : (z, y, x)
        First voxel of the mask.
    label : int
        0 where they were erased.
    """

    mask: npt.NDArray[np.bool_]
    origin: tuple[int, int, int]
    label: int


class EditedLabels:
    """Array-like over an editor: reads look labels up, writes are a draft until taken.

    Parameters
    ----------
    editor : Proofreader
    on_write : callable, optional
        Called after each write.
    """

    ndim = 3
    dtype = np.dtype(np.uint32)

    def __init__(self, editor: Proofreader, on_write: Callable[[], object] | None = None) -> None:
        self._editor, self.on_write = editor, on_write
        self._draft: dict[int, Labels] = {}  # whole sections with a stroke on them
        self._written: dict[int, npt.NDArray[np.bool_]] = {}  # which of their voxels

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along z, y and x in voxels."""
        return self._editor.view.shape

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        if not self._draft:
            return self._editor.view[key]
        z, rest = self._parts(key)
        if isinstance(z, int):
            return self._section(z)[rest]
        if isinstance(z, slice):
            sections = [self._section(k)[rest] for k in range(*z.indices(len(self)))]
            return np.stack(sections)
        found = np.array(self._editor.view[key])
        sections_at = np.broadcast_to(np.asarray(z), found.shape)
        rows, columns = (np.broadcast_to(np.asarray(part), found.shape) for part in rest)
        for k, section in self._draft.items():
            here = sections_at == k
            found[here] = section[rows[here], columns[here]]
        return found

    def __setitem__(self, key: Any, values: Any) -> None:
        z, rest = self._parts(key)
        if isinstance(z, int):
            self._write(z, rest, values)
        elif isinstance(z, slice):
            chosen = range(*z.indices(len(self)))
            shape = (len(chosen), *self._section(0)[rest].shape)
            for k, value in zip(chosen, np.broadcast_to(values, shape), strict=True):
                self._write(k, rest, value)
        else:
            z, rows, columns, values = np.broadcast_arrays(z, *rest, values)
            for k in np.unique(z).tolist():
                here = z == k
                self._write(int(k), (rows[here], columns[here]), values[here])
        if self.on_write is not None:
            self.on_write()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("the labels have to be computed, so they cannot be had uncopied")
        labels: npt.NDArray[Any] = np.asarray(self[:])
        return labels if dtype is None else labels.astype(dtype, copy=False)

    def __deepcopy__(self, memo: Any) -> Labels:
        """Return the labels as they are: a duplicated layer is an ordinary one."""
        return np.array(self)

    def forget(self) -> None:
        """Drop the draft."""
        self._draft.clear()
        self._written.clear()

    def take(self) -> list[Stroke]:
        """Return what was written, one stroke for each label, and drop the draft."""
        changes = {}
        for z, section in sorted(self._draft.items()):
            is_new = self._written[z] & (section != self._editor.view[z])
            if is_new.any():
                changes[z] = section, is_new
        self.forget()
        if not changes:
            return []
        labels = np.unique(np.concatenate([s[new] for s, new in changes.values()])).tolist()
        return [_stroke(changes, label) for label in labels]

    def _write(self, z: int, place: tuple[Any, ...], values: Any) -> None:
        if z not in self._draft:
            self._draft[z] = np.array(self._editor.view[z])
            self._written[z] = np.zeros(self.shape[1:], bool)
        # napari writes whole boxes: what is as it was is no part of the stroke.
        self._written[z][place] |= self._draft[z][place] != values
        self._draft[z][place] = values

    def _section(self, z: int) -> Labels:
        found: Labels = self._draft[z] if z in self._draft else self._editor.view[z]
        return found

    def _parts(self, key: Any) -> tuple[Any, tuple[Any, ...]]:
        """Return the part of a key that is along z, and the others."""
        parts = list(key) if isinstance(key, tuple) else [key]
        if any(part is Ellipsis for part in parts):
            at = next(k for k, part in enumerate(parts) if part is Ellipsis)
            parts[at : at + 1] = [slice(None)] * (4 - len(parts))
        parts += [slice(None)] * (3 - len(parts))
        z = parts[0]
        if isinstance(z, int | np.integer):
            z = int(z) % len(self)
        return z, tuple(parts[1:])


def _stroke(changes: dict[int, tuple[Labels, npt.NDArray[np.bool_]]], label: int) -> Stroke:
    masks = {z: new & (section == label) for z, (section, new) in changes.items()}
    masks = {z: mask for z, mask in masks.items() if mask.any()}
    seen = np.any(list(masks.values()), axis=0)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    first, y, x = min(masks), int(rows[0]), int(columns[0])
    box = (slice(y, int(rows[-1]) + 1), slice(x, int(columns[-1]) + 1))
    mask = np.zeros((max(masks) - first + 1, *seen[box].shape), bool)
    for z, plane in masks.items():
        mask[z - first] = plane[box]
    return Stroke(mask, (first, y, x), label)
