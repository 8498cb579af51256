"""Packing of neurites in three dimensions: where the cells of the synthetic sample are.

A cell is a short chain of discs that travels through the depth of the volume,
depth playing the part of time: discs wander, swell and shrink, push each other
aside, split from each other (a branch) or fade out (an ending). A point belongs
to the cell whose disc it is deepest inside, or least far outside of, which
gives tightly packed, curved, non-convex outlines of widely varying size that
change continuously from section to section.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]

MEDIAN_RADIUS_NM = 72.0
RADIUS_SPREAD = 0.6
RADIUS_RANGE_NM = (46.0, 280.0)
MARGIN_NM = 420.0
"""Tissue kept beyond the field of view, so that its rim is like its middle."""
ROUNDING_NM = 5.0
"""How much the corners where three cells meet are rounded."""


@dataclass
class Discs:
    """The discs of all cells at one depth, positions and sizes in nm.

    Attributes
    ----------
    position : (N, 2) float64
        (y, x) of each centre; the field of view starts at (0, 0).
    radius, base_radius : (N,) float64
        Now, and on average over the depth; a radius below zero is an absent disc.
    cell : (N,) int32
        The cell each disc belongs to, from 1.
    velocity : (N, 2) float64
        Sideways movement in nm per nm of depth.
    swelling : (N,) float64
        Logarithm of radius over base radius.
    depth_range : (N, 2) float64
        Depths between which the disc exists.
    springs : (S, 2) int32
        Pairs of discs of one chain.
    spring_length, spring_end : (S,) float64
        Rest length, and the depth at which the spring breaks (a branch).
    origin, size : (2,) float64
        The torus the discs live on.
    """

    position: npt.NDArray[np.float64]
    radius: npt.NDArray[np.float64]
    base_radius: npt.NDArray[np.float64]
    cell: IntArray
    velocity: npt.NDArray[np.float64]
    swelling: npt.NDArray[np.float64]
    depth_range: npt.NDArray[np.float64]
    springs: IntArray
    spring_length: npt.NDArray[np.float64]
    spring_end: npt.NDArray[np.float64]
    origin: npt.NDArray[np.float64]
    size: npt.NDArray[np.float64]


def grow_neuropil(
    rng: np.random.Generator, field_nm: tuple[float, float], depths_nm: npt.NDArray[np.float64]
) -> Iterator[Discs]:
    """Yield the discs at each of `depths_nm`, ascending.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    field_nm : (y, x) in nm
        Size of the field of view.
    depths_nm : (D,) float64
        Depths wanted, evenly spaced.
    """
    depth_nm = float(depths_nm[-1] - depths_nm[0])
    discs = _sow(rng, field_nm, float(depths_nm[0]), depth_nm)
    _settle(discs, float(depths_nm[0]), iterations=150)
    yield _snapshot(discs)
    for previous, depth in pairwise(depths_nm):
        _wander(rng, discs, float(depth - previous))
        _settle(discs, float(depth), iterations=3)
        yield _snapshot(discs)


def _snapshot(discs: Discs) -> Discs:
    return replace(discs, position=discs.position.copy(), radius=discs.radius.copy())


def _sow(
    rng: np.random.Generator, field_nm: tuple[float, float], top_nm: float, depth_nm: float
) -> Discs:
    size = np.asarray(field_nm, np.float64) + 2 * MARGIN_NM
    radii = _draw_radii(rng, area_nm2=float(size.prod()) * 0.88)
    position: list[npt.NDArray[np.float64]] = []
    radius: list[float] = []
    cell: list[int] = []
    ranges: list[tuple[float, float]] = []
    springs: list[tuple[int, int]] = []
    lengths: list[float] = []
    ends: list[float] = []
    for number, cell_radius in enumerate(radii, start=1):
        beads, spacing, stiff = _draw_chain(rng, cell_radius)
        centre = rng.uniform(0, 1, 2) * size
        angle = rng.uniform(0, 2 * math.pi)
        first = len(radius)
        for k, bead_radius in enumerate(beads):
            angle += rng.normal(0, 0.25)
            position.append(centre + k * spacing * np.array([math.sin(angle), math.cos(angle)]))
            radius.append(bead_radius)
            cell.append(number)
        ranges += [_draw_depth_range(rng, top_nm, depth_nm, stiff)] * len(beads)
        is_branching = len(beads) == 2 and rng.random() < 0.5
        end = rng.uniform(top_nm, top_nm + depth_nm) if is_branching else math.inf
        for k in range(first, len(radius) - 1):
            springs.append((k, k + 1))
            lengths.append(spacing)
            ends.append(end)
        for k in range(first, len(radius) - 2 if stiff else 0):
            springs.append((k, k + 2))
            lengths.append(1.92 * spacing)
            ends.append(math.inf)
    count = len(radius)
    return Discs(
        position=np.array(position, np.float64).reshape(count, 2) - MARGIN_NM,
        radius=np.array(radius, np.float64),
        base_radius=np.array(radius, np.float64),
        cell=np.array(cell, np.int32),
        velocity=rng.normal(0, 0.3, (count, 2)),
        swelling=rng.normal(0, 0.12, count),
        depth_range=np.array(ranges, np.float64).reshape(count, 2),
        springs=np.array(springs, np.int32).reshape(-1, 2),
        spring_length=np.array(lengths, np.float64),
        spring_end=np.array(ends, np.float64),
        origin=np.full(2, -MARGIN_NM),
        size=size,
    )


def _draw_radii(rng: np.random.Generator, area_nm2: float) -> list[float]:
    """Radii of cells, widely varying, that together fill `area_nm2`."""
    radii: list[float] = []
    covered = 0.0
    while covered < area_nm2:
        radius = MEDIAN_RADIUS_NM * math.exp(rng.normal(0, RADIUS_SPREAD))
        radius = min(max(radius, RADIUS_RANGE_NM[0]), RADIUS_RANGE_NM[1])
        radii.append(radius)
        covered += math.pi * radius**2
    return radii


def _draw_chain(rng: np.random.Generator, radius: float) -> tuple[list[float], float, bool]:
    """Discs that make up a cell of `radius`, their spacing, and whether it is a stiff rod."""
    kind = rng.random()
    if kind < 0.35:
        return [radius], 0.0, False
    if kind < 0.88:  # a lumpy profile of a few discs
        count = int(rng.integers(2, 5))
        bead = max(radius / math.sqrt(0.75 * count), 36.0)
        return [bead * math.exp(rng.normal(0, 0.2)) for _ in range(count)], 1.15 * bead, False
    bead = max(0.42 * radius, 40.0)  # cut lengthwise, or a sheet of glia
    count = int(np.clip(radius**2 / bead**2, 4, 14))
    return [bead * math.exp(rng.normal(0, 0.12)) for _ in range(count)], 1.25 * bead, True


def _draw_depth_range(
    rng: np.random.Generator, top_nm: float, depth_nm: float, is_rod: bool
) -> tuple[float, float]:
    """Most neurites pass right through, some end; those cut lengthwise stay for a while."""
    if is_rod and rng.random() < 0.5:
        middle = rng.uniform(top_nm, top_nm + depth_nm)
        half = rng.uniform(100, 400)
        return middle - half, middle + half
    if rng.random() < 0.1:
        end = rng.uniform(top_nm, top_nm + depth_nm)
        return (-math.inf, end) if rng.random() < 0.5 else (end, math.inf)
    return -math.inf, math.inf


def _wander(rng: np.random.Generator, discs: Discs, step_nm: float) -> None:
    """Let every disc drift and swell for `step_nm`, as smooth random walks."""
    count = len(discs.radius)
    keep = math.exp(-step_nm / 350.0)
    kick = math.sqrt(1 - keep**2)
    discs.velocity *= keep
    discs.velocity += kick * rng.normal(0, 0.5, (count, 2))
    discs.position += discs.velocity * step_nm
    keep = math.exp(-step_nm / 300.0)
    discs.swelling *= keep
    discs.swelling += math.sqrt(1 - keep**2) * rng.normal(0, 0.16, count)


def _settle(discs: Discs, depth: float, iterations: int) -> None:
    fade_nm = 60.0
    alive = np.minimum(depth - discs.depth_range[:, 0], discs.depth_range[:, 1] - depth) / fade_nm
    alive = np.clip(alive, -1.0, 1.0)
    discs.radius[:] = discs.base_radius * np.exp(discs.swelling) * np.minimum(1, 0.5 + 0.5 * alive)
    discs.radius[alive <= -1.0] = -1e4
    _relax(
        discs.position, discs.radius, discs.cell, discs.springs, discs.spring_length,
        discs.spring_end, depth, discs.origin, discs.size, iterations,
    )  # fmt: skip


@kernel
def _relax(
    position: Any,
    radius: Any,
    cell: Any,
    springs: Any,
    spring_length: Any,
    spring_end: Any,
    depth: float,
    origin: Any,
    size: Any,
    iterations: int,
) -> None:
    """Push overlapping discs apart and pull chains together, on a torus."""
    count = len(radius)
    for _ in range(iterations):
        for i in range(count):
            if radius[i] <= 0:
                continue
            for j in range(i + 1, count):
                if radius[j] <= 0:
                    continue
                dy = position[j, 0] - position[i, 0]
                dx = position[j, 1] - position[i, 1]
                dy -= size[0] * np.round(dy / size[0])
                dx -= size[1] * np.round(dx / size[1])
                reach = radius[i] + radius[j]
                if cell[i] == cell[j]:
                    reach *= 0.55
                square = dy * dy + dx * dx
                if square >= reach * reach or square == 0.0:
                    continue
                distance = math.sqrt(square)
                push = 0.4 * (reach - distance) / distance
                share = radius[i] ** 2 / (radius[i] ** 2 + radius[j] ** 2)
                position[i, 0] -= (1 - share) * push * dy
                position[i, 1] -= (1 - share) * push * dx
                position[j, 0] += share * push * dy
                position[j, 1] += share * push * dx
        for s in range(len(spring_length)):
            if depth > spring_end[s]:
                continue
            i, j = springs[s]
            dy = position[j, 0] - position[i, 0]
            dx = position[j, 1] - position[i, 1]
            dy -= size[0] * np.round(dy / size[0])
            dx -= size[1] * np.round(dx / size[1])
            distance = math.sqrt(dy * dy + dx * dx) + 1e-9
            pull = 0.3 * (distance - spring_length[s]) / distance
            position[i, 0] += pull * dy
            position[i, 1] += pull * dx
            position[j, 0] -= pull * dy
            position[j, 1] -= pull * dx
        for i in range(count):
            for axis in range(2):
                offset = position[i, axis] - origin[axis]
                position[i, axis] -= size[axis] * np.floor(offset / size[axis])


def partition(discs: Discs, y_nm: FloatArray, x_nm: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the cell at every pixel and its distance to the nearest membrane.

    Parameters
    ----------
    discs : Discs
        The tissue at this depth.
    y_nm, x_nm : (Y, X) float32
        Where in the tissue each pixel looks; smooth, but need not be a regular grid.

    Returns
    -------
    cell : (Y, X) int32
    distance_nm : (Y, X) float32
        Zero on the line half way between two cells, positive everywhere.
    """
    present = discs.radius > 0
    cell, distance = _partition(
        np.ascontiguousarray(discs.position[present].astype(np.float32)),
        discs.radius[present].astype(np.float32),
        discs.cell[present],
        y_nm,
        x_nm,
        np.float32(ROUNDING_NM),
    )
    return cell, distance


@kernel
def _partition(position: Any, radius: Any, cell: Any, y_nm: Any, x_nm: Any, rounding: Any) -> Any:
    """Tile by tile, so that only discs near a tile are looked at for its pixels."""
    height, width = y_nm.shape
    owner = np.empty((height, width), np.int32)
    distance = np.empty((height, width), np.float32)
    count = len(radius)
    tile = 16
    near = np.empty(count, np.int32)
    depth = np.empty(count, np.float32)
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            bottom, right = min(top + tile, height), min(left + tile, width)
            cy = y_nm[(top + bottom) // 2, (left + right) // 2]
            cx = x_nm[(top + bottom) // 2, (left + right) // 2]
            reach = 0.0
            for y in range(top, bottom):
                for x in range(left, right):
                    reach = max(reach, math.hypot(y_nm[y, x] - cy, x_nm[y, x] - cx))
            best = np.float32(1e9)
            for i in range(count):
                depth[i] = math.hypot(position[i, 0] - cy, position[i, 1] - cx) - radius[i]
                best = min(best, depth[i])
            # Only discs that can be first, or within reach of a membrane, anywhere in the tile.
            n_near = 0
            for i in range(count):
                if depth[i] <= best + 2 * reach + 120.0:
                    near[n_near] = i
                    n_near += 1
            for y in range(top, bottom):
                for x in range(left, right):
                    py, px = y_nm[y, x], x_nm[y, x]
                    first, value = 0, np.float32(1e9)
                    for k in range(n_near):
                        i = near[k]
                        dy, dx = py - position[i, 0], px - position[i, 1]
                        depth[k] = math.sqrt(dy * dy + dx * dx) - radius[i]
                        if depth[k] < value:
                            value, first = depth[k], i
                    uy, ux = py - position[first, 0], px - position[first, 1]
                    norm = math.sqrt(uy * uy + ux * ux) + np.float32(1e-6)
                    uy, ux = uy / norm, ux / norm
                    total, nearest = np.float32(0), np.float32(200)
                    for k in range(n_near):
                        i = near[k]
                        lead = depth[k] - value
                        if cell[i] == cell[first] or lead > 120.0:
                            continue
                        vy, vx = py - position[i, 0], px - position[i, 1]
                        norm = math.sqrt(vy * vy + vx * vx) + np.float32(1e-6)
                        slope = math.hypot(vy / norm - uy, vx / norm - ux)
                        gap = lead / max(slope, np.float32(0.5))
                        nearest = min(nearest, gap)
                        if gap < 12 * rounding:
                            total += math.exp(-gap / rounding)
                    owner[y, x] = cell[first]
                    if total > 0:
                        nearest = min(nearest, max(-rounding * math.log(total), np.float32(0)))
                    distance[y, x] = nearest
    return owner, distance
