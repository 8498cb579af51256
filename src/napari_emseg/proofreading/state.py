"""What a proofreader changes: the table, the flags, and voxels laid over the fragments."""

from __future__ import annotations

import hashlib
import threading
import zlib

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.proofreading.contacts import (
    Contacts,
    Edges,
    box_around,
    measure_change,
    measure_contacts,
)
from napari_emseg.proofreading.delta import Delta, FlagChange
from napari_emseg.proofreading.extents import measure_extents
from napari_emseg.proofreading.members import Members
from napari_emseg.proofreading.patched import PatchedFragments
from napari_emseg.proofreading.profiles import ProfileBook, ProfileMeter
from napari_emseg.proofreading.runs import Box, Ids, Triple, VoxelRuns
from napari_emseg.proofreading.wall import Wall
from napari_emseg.volume import ZYX, Volume

_LAST_ID = 2**32 - 1


class State:
    """Present state of a segmentation under correction; changed by :meth:`apply` only.

    Parameters
    ----------
    fragments : Volume
        (z, y, x) ids 1..F, never written.
    segment_of : (F + 1,) uint32
        Starting table; copied.
    boundary : Volume, optional
        The map that says where walls are.
    progress : Progress
        Called once per section.

    Attributes
    ----------
    fragments : PatchedFragments
    next_fragment, next_segment : int
        Ids an edit may give away; those once given are never given again, undone or not.
    done, set_aside : set of int
        Segments that are locked, and those put aside.
    names : dict
        Names of segments.
    fragments_digest, table_digest : str
        By which the fragments and the starting table are known again.
    lock : threading.RLock
        Held while the state changes; whoever copies it in another thread takes it.
    """

    def __init__(
        self,
        fragments: Volume,
        segment_of: Ids,
        boundary: Volume | None = None,
        *,
        progress: Progress = NO_PROGRESS,
    ) -> None:
        self.volume = fragments
        self.fragments = PatchedFragments(fragments.data)
        self._table = np.array(segment_of, np.uint32)
        self.next_fragment = self._table.size
        self.next_segment, self._stop_segment = _widest_room(self._table)
        self.members = Members(self._table)
        sections: list[int] = []
        self.extents = measure_extents(
            fragments.data,
            self._table.size - 1,
            look=lambda ids: sections.append(zlib.crc32(ids.data)),
            progress=progress,
        )
        self.fragments_digest = _digest(repr((self.fragments.shape, sections)).encode())
        self.table_digest = _digest(self._table.astype("<u4").tobytes())
        self.done: set[int] = set()
        self.set_aside: set[int] = set()
        self.names: dict[int, str] = {}
        self.wall = Wall(boundary, self.fragments.shape)
        self.voxel_version = 0
        self._contacts: Contacts | None = None
        self._profiles: ProfileBook | None = None
        self.lock = threading.RLock()

    @property
    def voxel_size_nm(self) -> ZYX:
        """Size of a voxel; where it is not known, voxels count as cubes."""
        return self.volume.voxel_size_nm or (1.0, 1.0, 1.0)

    @property
    def segment_of(self) -> Ids:
        """Segment of each fragment, a view that follows the edits until the table grows."""
        return self._table[: self.next_fragment]

    @property
    def has_contacts(self) -> bool:
        """Whether the contacts were measured already."""
        return self._contacts is not None

    @property
    def contacts(self) -> Contacts:
        """Contacts between fragments, measured when first asked for."""
        if self._contacts is None:
            self.measure_contacts()
        assert self._contacts is not None
        return self._contacts

    @property
    def profiles(self) -> ProfileBook:
        """Fragments section by section, measured with the contacts."""
        if self._profiles is None:
            self.measure_contacts()
        assert self._profiles is not None
        return self._profiles

    def measure_contacts(self, *, progress: Progress = NO_PROGRESS) -> None:
        """Measure the contacts, in any thread; edits made meanwhile count."""
        while self._contacts is None:
            with self.lock:
                version, fragments = self.voxel_version, self.fragments.snapshot()
                meter = ProfileMeter(self.next_fragment - 1)
            edges = measure_contacts(fragments, self.wall, look=meter.look, progress=progress)
            profiles = ProfileBook(meter.profiles())
            with self.lock:
                if version == self.voxel_version:
                    self._profiles, self._contacts = profiles, Contacts(edges)

    @property
    def change_bytes(self) -> int:
        """Memory of what edits of voxels changed: tiles, contacts and profiles."""
        parts = self.fragments.patch_bytes
        parts += self._contacts.change_bytes if self._contacts is not None else 0
        return parts + (self._profiles.change_bytes if self._profiles is not None else 0)

    def segment_at(self, position: Triple) -> int:
        """Return the segment at a voxel; 0 is nothing."""
        return int(self._table[self.fragment_at(position)])

    def fragment_at(self, position: Triple) -> int:
        """Return the fragment at a voxel; 0 is nothing.

        Raises
        ------
        InputError
            If the position is outside the volume.
        """
        if not all(0 <= p < n for p, n in zip(position, self.fragments.shape, strict=True)):
            raise InputError(
                f"The position {tuple(position)} is outside the volume, which has "
                f"{self.fragments.shape} voxels (z, y, x)."
            )
        return int(self.fragments[tuple(position)])

    def size(self, segment: int) -> int:
        """Return the voxels of a segment."""
        return int(self.extents.size[self.members.of(segment)].sum())

    def box(self, segment: int) -> Box:
        """Return the bounding box of a segment."""
        return self.extents.box(self.members.of(segment))

    def flag(self, segment: int, flag: str) -> bool | str:
        """Return what is noted of a segment under "done", "set_aside" or "name"."""
        if flag == "name":
            return self.names.get(segment, "")
        return segment in (self.done if flag == "done" else self.set_aside)

    def check(self, delta: Delta) -> None:
        """Make sure that a delta starts from this state.

        Raises
        ------
        ValueError
            If it does not.
        """
        ids = delta.fragments
        new = 0 if delta.voxels is None else int(delta.voxels.new.max())
        if max(new, int(ids[-1]) if ids.size else 0) > self.next_fragment + self.fragments.size:
            raise ValueError("it makes more fragments than there are voxels")
        known = ids[ids < self.next_fragment]
        present = np.zeros(ids.size, np.uint32)
        present[: known.size] = self._table[known]
        if (present != delta.before).any():
            raise ValueError("fragments are in other segments than the edit says")
        for change in delta.flags:
            if self.flag(change.segment, change.flag) != change.before:
                raise ValueError(f"segment {change.segment} is not noted as the edit says")

    def apply(self, delta: Delta, contacts: Edges | None = None) -> Edges | None:
        """Change the state by a delta.

        Parameters
        ----------
        delta : Delta
        contacts : Edges, optional
            How contacts change with it, where that is known.

        Returns
        -------
        Edges or None
            How contacts changed; None where they did not, or are not measured yet.

        Raises
        ------
        ValueError
            If it starts from another state; then nothing is changed.
        """
        self.check(delta)
        with self.lock:
            return self._apply(delta, contacts)

    def _apply(self, delta: Delta, contacts: Edges | None) -> Edges | None:
        if delta.voxels is not None:
            contacts = self._change_voxels(delta.voxels, contacts)
        ids = delta.fragments
        if ids.size:
            self._grow(int(ids[-1]) + 1)
            self._table[ids] = delta.after
            self.members.move(ids, delta.before, delta.after)
            self._give_away(delta.after)
        for change in delta.flags:
            self._set_flag(change)
        return contacts

    def _give_away(self, segments: Ids) -> None:
        is_new = (segments >= self.next_segment) & (segments < self._stop_segment)
        if is_new.any():
            self.next_segment = int(segments[is_new].max()) + 1

    def _change_voxels(self, runs: VoxelRuns, contacts: Edges | None) -> Edges | None:
        is_measured = self._contacts is not None and contacts is None
        box, old, new = self.fragments.write(runs, margin=int(is_measured))
        self.voxel_version += 1
        self._grow(int(runs.new.max()) + 1)
        self.extents.change(runs)
        if self._contacts is None:
            return None
        if contacts is None:
            around = box_around(runs, self.fragments.shape)
            inner = tuple(
                slice(a.start - b.start, a.stop - b.start) for a, b in zip(around, box, strict=True)
            )
            contacts = measure_change(old[inner], new[inner], self.wall, around)
        self._contacts.change(contacts)
        self.profiles.change(runs)
        return contacts

    def _grow(self, n: int) -> None:
        if n > self._table.size:
            more = np.zeros(n - self._table.size + self._table.size // 8, np.uint32)
            self._table = np.append(self._table, more)
        self.next_fragment = max(self.next_fragment, n)
        self.extents.grow(self.next_fragment - 1)

    def _set_flag(self, change: FlagChange) -> None:
        if change.flag == "name":
            self.names[change.segment] = str(change.after)
            if not change.after:
                del self.names[change.segment]
            return
        kept = self.done if change.flag == "done" else self.set_aside
        (kept.add if change.after else kept.discard)(change.segment)


def _widest_room(table: Ids) -> tuple[int, int]:
    """Return the first and the end of the ids to give away: as a rule those after the largest."""
    largest = int(table.max())
    if largest < _LAST_ID - 2**24:
        return largest + 1, _LAST_ID
    used = np.unique(np.append(table, 0)).astype(np.int64)
    k = int(np.argmax(np.diff(used)))
    return int(used[k]) + 1, int(used[k + 1])


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
