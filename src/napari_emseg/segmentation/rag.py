"""The region graph: which fragments touch, along how many faces, and how strong the wall is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.jit import kernel
from napari_emseg.segmentation.parallel import ignore

Map = npt.NDArray[np.float32]

CONTACT = np.dtype(
    [
        *(("total", np.float64), ("a", np.uint32), ("b", np.uint32)),
        *(("count", np.uint32), ("highest", np.float32)),
    ]
)
"""Two fragments, the sum, number and maximum of the values of their faces."""


@dataclass(frozen=True, eq=False)
class RegionGraph:
    """Adjacent fragments and what lies between them.

    Attributes
    ----------
    a, b : (E,) uint32
        The two fragments, ``a < b``; each pair once, in ascending order.
    total : (E,) float64
        Sum of the face values of the contact.
    count : (E,) int64
        Faces of the contact, at least 1.
    n_fragments : int
        Fragments have the ids 1..n_fragments.
    """

    a: npt.NDArray[np.uint32]
    b: npt.NDArray[np.uint32]
    total: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]
    n_fragments: int

    @property
    def n_edges(self) -> int:
        """Number of pairs E."""
        return self.a.size

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """Mean face value of each contact, (E,)."""
        return self.total / self.count


def build_rag(
    fragments: npt.NDArray[np.uint32],
    boundary: Map | Callable[[int], Map],
    n_fragments: int,
    report: Callable[[], None] = ignore,
) -> RegionGraph:
    """Measure the contacts between fragments.

    A face is shared by two voxels of different fragments; its value is the mean
    of the two voxels.

    Parameters
    ----------
    fragments : (z, y, x) uint32
        Ids 1..n_fragments; 0 is nothing and touches nothing.
    boundary : (z, y, x) float32, or callable
        The map the face values are taken from; or what returns section z of it,
        (y, x) float32, and is asked for each once in ascending order.
    n_fragments : int
        The largest id there may be.
    report : callable
        Called once per section; what it raises ends the work.

    Returns
    -------
    RegionGraph

    Raises
    ------
    InputError
        If the shapes differ.

    Examples
    --------
    >>> wall = np.array([[[0.0, 0.25, 0.75, 0.0]]], np.float32)
    >>> rag = build_rag(np.array([[[1, 1, 2, 2]]], np.uint32), wall, n_fragments=2)
    >>> rag.a, rag.b, rag.mean
    (array([1], dtype=uint32), array([2], dtype=uint32), array([0.5]))
    """
    contacts, slots = empty_contacts()
    n = 0
    above = np.empty((0, 0), np.float32)
    for z in range(fragments.shape[0]):
        here = np.ascontiguousarray(boundary(z) if callable(boundary) else boundary[z], np.float32)
        if here.shape != fragments.shape[1:]:
            raise InputError(
                f"The sections of the fragments have the shape {fragments.shape[1:]} but those of "
                f"the map {here.shape}; both must show the same voxels."
            )
        contacts, slots, n = _add_section(fragments, z, here, above, contacts, slots, n)
        above = here
        report()
    contacts = contacts[:n]
    contacts = contacts[np.lexsort((contacts["b"], contacts["a"]))]
    return RegionGraph(
        a=contacts["a"].copy(),
        b=contacts["b"].copy(),
        total=contacts["total"].copy(),
        count=contacts["count"].astype(np.int64),
        n_fragments=n_fragments,
    )


def empty_contacts() -> tuple[npt.NDArray[Any], npt.NDArray[np.int32]]:
    """Return room for contacts, and the slots of a hash table of them."""
    return np.empty(1024, CONTACT), np.full(2048, -1, np.int32)


@kernel
def _slot(slots: Any, contacts: Any, i: Any, j: Any) -> Any:
    """Slot of the contact of i and j, or the empty one where it belongs."""
    mask = slots.size - 1
    key = np.int64(i) * 0x9E3779B1 + np.int64(j) * 0x85EBCA6B
    key ^= key >> 17
    # Contacts of fragments that lie together lie together here too, unless there are many.
    slot = (16 * np.int64(i) + (key & 15)) & mask
    n_tries = 0
    while slots[slot] >= 0:
        contact = contacts[slots[slot]]
        if contact.a == i and contact.b == j:
            break
        n_tries += 1
        slot = (key if n_tries == 8 else slot + 1) & mask
    return slot


@kernel
def add_face(contacts: Any, slots: Any, n: int, last: Any, i: Any, j: Any, value: Any) -> Any:
    """Add a face to the contact of i and j; return it and the number of contacts."""
    if i > j:
        i, j = j, i
    contact = contacts[last]
    if last >= n or contact.a != i or contact.b != j:  # most faces are like the one before
        slot = _slot(slots, contacts, i, j)
        if slots[slot] < 0:
            slots[slot] = n
            new = contacts[n]
            new.a, new.b, new.total, new.count, new.highest = i, j, 0.0, 0, value
            n += 1
        last = np.int64(slots[slot])
        contact = contacts[last]
    contact.total += value
    contact.count += 1
    contact.highest = max(contact.highest, np.float32(value))
    return last, n


@kernel
def with_room(contacts: Any, n: int) -> Any:
    """Return contacts and slots in larger arrays."""
    larger = np.empty(2 * contacts.size, contacts.dtype)
    for k in range(n):
        larger[k] = contacts[k]
    slots = np.full(4 * contacts.size, -1, np.int32)
    for k in range(n):
        slots[_slot(slots, larger, larger[k].a, larger[k].b)] = k
    return larger, slots


@kernel
def _add_section(
    labels: Any, z: int, here: Any, above: Any, contacts: Any, slots: Any, n: int
) -> Any:
    """Add the faces from section `z` to the voxels before along z, y and x."""
    _, n_y, n_x = labels.shape
    half = np.float64(0.5)
    last_z, last_y, last_x = np.int64(0), np.int64(0), np.int64(0)
    for y in range(n_y):
        while n + 3 * n_x > contacts.size:
            contacts, slots = with_room(contacts, n)
        for x in range(n_x):
            i, value = labels[z, y, x], np.float64(here[y, x])
            if i == 0:
                continue
            if z > 0:
                j = labels[z - 1, y, x]
                if j != i and j != 0:
                    face = (value + above[y, x]) * half
                    last_z, n = add_face(contacts, slots, n, last_z, i, j, face)
            if y > 0:
                j = labels[z, y - 1, x]
                if j != i and j != 0:
                    face = (value + here[y - 1, x]) * half
                    last_y, n = add_face(contacts, slots, n, last_y, i, j, face)
            if x > 0:
                j = labels[z, y, x - 1]
                if j != i and j != 0:
                    face = (value + here[y, x - 1]) * half
                    last_x, n = add_face(contacts, slots, n, last_x, i, j, face)
    return contacts, slots, n
