"""Strokes of a brush as a hand would paint them: along membranes and inside cells.

A hand cannot be kept in a repository, so it is imitated from the ground truth. It follows the
middle of a membrane for a while, wobbling, then paints a short winding line inside some cell,
turning away from the edge, and so on until it has painted enough. What it paints inside
is right but for what the ground truth has wrong; along membranes the wobble takes it off the
membrane now and then, as it does with people.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, gaussian_filter1d
from skimage.morphology import skeletonize

UNPAINTED, MEMBRANE, INSIDE = 0, 1, 2
"""What the labels of a painted stack mean (labels_kind: painted)."""

Section = npt.NDArray[np.uint8]
Path = npt.NDArray[np.float64]

_MARGIN_PX = 0.5
_MEMBRANE_SHARE = 0.5
_MOST_PATHS = 4000


@dataclass(frozen=True)
class Hand:
    """How a hand paints.

    Attributes
    ----------
    fraction : float
        Share of the pixels of a section that it paints.
    membrane_px, inside_px : float
        Width of the brush on membranes and inside of cells.
    length_px : (least, most)
        Of a stroke.
    wobble_px : float
        Standard deviation of what a stroke along a membrane is off its middle.
    """

    fraction: float = 0.05
    membrane_px: float = 3.0
    inside_px: float = 5.0
    length_px: tuple[int, int] = (25, 120)
    wobble_px: float = 0.7


def paint_section(target: Section, hand: Hand, seed: int) -> Section:
    """Paint one section.

    Parameters
    ----------
    target : uint8 array, (Y, X)
        1 = membrane, 0 = inside, 255 = not known, where no stroke begins.
    hand : Hand
    seed : int

    Returns
    -------
    uint8 array, (Y, X)
        0 = unpainted, 1 = membrane, 2 = inside; exactly `hand.fraction` of the pixels are
        painted, half of them membrane, as far as there is enough of both.
    """
    rng = np.random.default_rng(seed)
    painted = np.zeros(target.shape, np.uint8)
    wanted = round(hand.fraction * target.size)
    membrane = round(_MEMBRANE_SHARE * wanted)
    along = _membrane_paths(rng, target, hand)
    _paint(painted, along, MEMBRANE, membrane, hand.membrane_px)
    within = _inside_paths(rng, target, hand)
    _paint(painted, within, INSIDE, wanted - membrane, hand.inside_px)
    return painted


def _paint(painted: Section, paths: Iterator[Path], value: int, wanted: int, width: float) -> None:
    """Follow paths with a round brush until enough is painted, never over other strokes."""
    for path in paths:
        for y, x in path:
            if wanted <= 0:
                return
            wanted -= _dab(painted, float(y), float(x), value, width / 2, wanted)


def _dab(painted: Section, y: float, x: float, value: int, radius: float, most: int) -> int:
    top, left = max(0, int(y - radius)), max(0, int(x - radius))
    part = painted[top : int(y + radius) + 2, left : int(x + radius) + 2]
    rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
    disc = (rows + top - y) ** 2 + (columns + left - x) ** 2 <= radius**2
    fresh = np.flatnonzero(disc & (part == UNPAINTED))[:most]
    part[np.unravel_index(fresh, part.shape)] = value
    return fresh.size


def _membrane_paths(rng: np.random.Generator, target: Section, hand: Hand) -> Iterator[Path]:
    """Follow the middle lines of membranes, each piece once."""
    free = skeletonize(target == 1)
    for start in rng.permutation(np.argwhere(free)):
        length = rng.integers(*hand.length_px)
        path = _follow(rng, free, start, int(length))
        if len(path) >= hand.length_px[0] // 2:
            yield _wobble(rng, path, hand.wobble_px)


def _follow(
    rng: np.random.Generator, free: npt.NDArray[np.bool_], start: npt.NDArray[np.intp], most: int
) -> Path:
    """Walk on over a line of pixels, straight on where it forks; what was walked is not free."""
    y, x = (int(n) for n in start)
    if not free[y, x]:
        return np.zeros((0, 2))
    free[y, x] = False
    path, heading = [(y, x)], rng.normal(size=2)
    while len(path) < most:
        near = np.argwhere(free[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2])
        if not near.size:
            break
        steps = near + np.array([max(0, y - 1) - y, max(0, x - 1) - x])
        ahead = steps @ heading / np.linalg.norm(steps, axis=1)
        step = steps[int(np.argmax(ahead))]
        heading = 0.7 * heading + step
        y, x = y + int(step[0]), x + int(step[1])
        free[y, x] = False
        path.append((y, x))
    return np.array(path, np.float64)


def _wobble(rng: np.random.Generator, path: Path, sigma_px: float) -> Path:
    """Smooth a path and lead it astray, slowly."""
    noise = gaussian_filter1d(rng.normal(size=path.shape), 6, axis=0)
    noise *= sigma_px / max(float(noise.std()), 1e-9)
    smooth: Path = gaussian_filter1d(path, 2, axis=0, mode="nearest")
    return smooth + noise


def _inside_paths(rng: np.random.Generator, target: Section, hand: Hand) -> Iterator[Path]:
    """Wind through cells, at random places."""
    room = distance_transform_edt(np.pad(target == 0, 1))[1:-1, 1:-1]
    least = hand.inside_px / 2 + _MARGIN_PX
    starts = np.argwhere(room > least)
    for start in rng.permutation(starts)[:_MOST_PATHS]:
        yield _wind(rng, room, start, least, int(rng.integers(*hand.length_px)))


def _wind(
    rng: np.random.Generator,
    room: npt.NDArray[np.float64],
    start: npt.NDArray[np.intp],
    least: float,
    most: int,
) -> Path:
    place, heading = start.astype(np.float64), float(rng.uniform(0, 2 * np.pi))
    path = [place]
    turns = (0.0, 0.4, -0.4, 0.8, -0.8, 1.2, -1.2)
    while len(path) < most:
        heading += float(rng.normal(0, 0.15))
        for turn in turns:
            there = place + np.array([np.sin(heading + turn), np.cos(heading + turn)])
            y, x = np.rint(there).astype(int)
            if 0 <= y < room.shape[0] and 0 <= x < room.shape[1] and room[y, x] > least:
                heading, place = heading + turn, there
                break
        else:
            break
        path.append(place)
    return np.array(path)
