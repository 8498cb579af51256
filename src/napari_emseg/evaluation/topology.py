"""Flipping pixels without changing topology, in one section (compiled by numba).

Images here have a frame of one background pixel. Foreground (1, cells) is
4-connected and background (0, membranes) 8-connected, so that a line of membrane
may be one pixel wide and diagonal and still keep two cells apart.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel

Binary = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]

AGREES, SPLIT, MERGE, HOLE_ADDED, HOLE_DELETED, OBJECT_ADDED, OBJECT_DELETED, MASKED = range(8)


@kernel
def connectivity_number(image: Binary, y: int, x: int) -> int:
    """Count the 4-connected arcs of foreground around a pixel; 1 means that it is simple.

    A pixel is simple if flipping it changes neither the components of the
    foreground nor those of the background. 0 for a pixel inside (all eight
    neighbours foreground) or alone. Yokoi, Toriwaki and Fukumura 1975, "An analysis
    of topological properties of digitized binary pictures using local features".
    """
    number = 0
    for dy, dx in ((0, 1), (-1, 0), (0, -1), (1, 0)):
        # A side neighbour opens an arc unless it joins the next side by way of the corner.
        corner = image[y + dy - dx, x + dx + dy]
        following = image[y - dx, x + dy]
        side = image[y + dy, x + dx]
        number += side - side * corner * following
    return number


@kernel
def warp(image: Binary, target: Binary, may_flip: Binary, urgency: Binary) -> None:
    """Flip simple pixels of `image` towards `target`, in place, until none is left to flip.

    Parameters
    ----------
    image, target : ndarray of uint8, shape (y, x)
        0 and 1, with a frame of 0.
    may_flip : ndarray of uint8, shape (y, x)
        0 where the pixel must stay.
    urgency : ndarray of uint8, shape (y, x)
        Higher goes first; equals go in the order in which they could first be flipped.
    """
    height, width = image.shape
    # 256 queues, each a linked list through `following`; a pixel is in one of them at most.
    first = np.full(256, -1, np.int64)
    last = np.full(256, -1, np.int64)
    following = np.full(image.size, -1, np.int64)
    is_queued = np.zeros(image.size, np.bool_)
    top = -1
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if image[y, x] != target[y, x] and may_flip[y, x]:
                _push(y * width + x, urgency[y, x], first, last, following, is_queued)
                top = max(top, int(urgency[y, x]))
    while top >= 0:
        pixel = first[top]
        if pixel < 0:
            top -= 1
            continue
        first[top] = following[pixel]
        is_queued[pixel] = False
        y, x = pixel // width, pixel % width
        if connectivity_number(image, y, x) != 1:
            continue
        image[y, x] = target[y, x]
        for v in range(y - 1, y + 2):
            for u in range(x - 1, x + 2):
                other = v * width + u
                if image[v, u] != target[v, u] and may_flip[v, u] and not is_queued[other]:
                    _push(other, urgency[v, u], first, last, following, is_queued)
                    top = max(top, int(urgency[v, u]))


@kernel
def _push(
    pixel: int,
    urgency: int,
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
    following: npt.NDArray[np.int64],
    is_queued: npt.NDArray[np.bool_],
) -> None:
    following[pixel] = -1
    if first[urgency] < 0:
        first[urgency] = pixel
    else:
        following[last[urgency]] = pixel
    last[urgency] = pixel
    is_queued[pixel] = True


@kernel
def classify(image: Binary, target: Binary, objects: Labels, background: Labels) -> Binary:
    """Say what flipping each pixel that still differs would do to the topology.

    Parameters
    ----------
    image, target : ndarray of uint8, shape (y, x)
        0 and 1, with a frame of 0; `image` after :func:`warp`.
    objects, background : ndarray of int32, shape (y, x)
        4-connected components of the foreground of `image`, 8-connected ones of
        its background (frame included), from 1; 0 elsewhere.

    Returns
    -------
    ndarray of uint8, shape (y, x)
        AGREES, SPLIT and so on; MASKED for a simple pixel, which only the mask held.
    """
    height, width = image.shape
    kind = np.zeros((height, width), np.uint8)
    ring = np.empty(8, np.int32)
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if image[y, x] == target[y, x]:
                continue
            arcs = connectivity_number(image, y, x)
            if arcs == 1:
                kind[y, x] = MASKED
            elif image[y, x]:
                kind[y, x] = _kind_of_removal(image, background, y, x, arcs, ring)
            else:
                kind[y, x] = _kind_of_addition(image, objects, y, x, ring)
    return kind


@kernel
def _kind_of_removal(
    image: Binary, background: Labels, y: int, x: int, arcs: int, ring: Labels
) -> int:
    if arcs == 0:
        return HOLE_ADDED if image[y, x + 1] else OBJECT_DELETED
    # Between `arcs` arcs of foreground lie as many of background. Where two of them are of
    # one component, a closed curve of background through this pixel parts the object.
    n = 0
    for v in range(y - 1, y + 2):
        for u in range(x - 1, x + 2):
            if not image[v, u]:
                n = _add_distinct(ring, n, background[v, u])
    return SPLIT if n < arcs else HOLE_DELETED


@kernel
def _kind_of_addition(image: Binary, objects: Labels, y: int, x: int, ring: Labels) -> int:
    n_sides = n = 0
    for dy, dx in ((0, 1), (-1, 0), (0, -1), (1, 0)):
        if image[y + dy, x + dx]:
            n_sides += 1
            n = _add_distinct(ring, n, objects[y + dy, x + dx])
    if n_sides == 0:
        return OBJECT_ADDED
    if n > 1:
        return MERGE
    is_hole = n_sides == 4 and connectivity_number(image, y, x) == 0
    return HOLE_DELETED if is_hole else HOLE_ADDED


@kernel
def _add_distinct(found: Labels, n: int, value: int) -> int:
    for k in range(n):
        if found[k] == value:
            return n
    found[n] = value
    return n + 1
