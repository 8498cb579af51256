"""What is inside the cells of the synthetic sample: mitochondria, vesicles, synapses, tubules."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_emseg.samples.neuropil import Discs

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]
Profile = Callable[
    [npt.NDArray[np.float64], npt.NDArray[np.intp]], npt.NDArray[np.float64]
]  # darkness at a distance in nm of the stamp with an index


@dataclass(frozen=True)
class Section:
    """One section while it is drawn; sizes in nm.

    Attributes
    ----------
    depth : float
        Depth of its middle.
    y, x : (Y, X) float32
        Where in the tissue each pixel looks.
    cell : (Y, X) int32
        The cell at each pixel.
    distance : (Y, X) float32
        Distance to the nearest membrane.
    pixel : (y, x) in nm
        Size of a pixel.
    """

    depth: float
    y: FloatArray
    x: FloatArray
    cell: IntArray
    distance: FloatArray
    pixel: tuple[float, float]


@dataclass(frozen=True)
class Mitochondrion:
    """An ellipsoid, flattened where the wall of its cell is near, that travels with a disc."""

    disc: int
    offset: tuple[float, float]
    middle: float
    half_depth: float
    radii: tuple[float, float]
    angle: float
    twist: float
    spacing: float
    tone: float


@dataclass(frozen=True)
class Synapse:
    """A density at the membrane of a disc, in the direction `angle`."""

    disc: int
    middle: float
    half_depth: float
    angle: float
    spread: float
    strength: float


@dataclass(frozen=True)
class Organelles:
    """Everything that is fixed in the tissue before it is cut.

    Attributes
    ----------
    mitochondria, synapses : list
        One entry each.
    vesicles : (C + 1,) float
        Vesicles per square micrometre of each cell.
    tubules : (T, 3) float
        Disc, and (y, x) offset in nm, of each microtubule.
    """

    mitochondria: list[Mitochondrion]
    synapses: list[Synapse]
    vesicles: npt.NDArray[np.float64]
    tubules: npt.NDArray[np.float64]


def place_organelles(
    rng: np.random.Generator, discs: Discs, top_nm: float, depth_nm: float
) -> Organelles:
    """Draw the organelles of all cells between `top_nm` and `top_nm + depth_nm`."""
    mitochondria, synapses, tubules = [], [], []
    cells = int(discs.cell.max()) + 1
    vesicles = np.where(rng.random(cells) < 0.25, rng.uniform(120, 330, cells), 90.0)
    for disc, radius in enumerate(discs.base_radius):
        lengths = depth_nm / 600.0
        if radius > 58:
            for _ in range(rng.poisson((0.25 + 0.25 * lengths) * min(radius / 100, 2.0))):
                mitochondria.append(_draw_mitochondrion(rng, disc, float(radius), top_nm, depth_nm))
        for _ in range(rng.poisson((0.2 + lengths) * min(radius / 350, 0.6))):
            synapses.append(_draw_synapse(rng, disc, float(radius), top_nm, depth_nm))
        for _ in range(rng.poisson(min(radius / 25, 9)) if rng.random() < 0.6 else 0):
            tubules.append((disc, *rng.normal(0, 0.33 * radius, 2)))
    for synapse in synapses:
        cell = discs.cell[synapse.disc]
        vesicles[cell] = max(vesicles[cell], 130.0)
    return Organelles(mitochondria, synapses, vesicles, np.array(tubules).reshape(-1, 3))


def _draw_mitochondrion(
    rng: np.random.Generator, disc: int, radius: float, top: float, depth: float
) -> Mitochondrion:
    short = float(np.clip(0.46 * radius * math.exp(rng.normal(0, 0.15)), 40, 100))
    free = max(radius - short, 0.0)
    return Mitochondrion(
        disc=disc,
        offset=(float(rng.uniform(-0.5, 0.5)) * free, float(rng.uniform(-0.5, 0.5)) * free),
        middle=float(rng.uniform(top - 200, top + depth + 200)),
        half_depth=float(rng.uniform(180, 700)),
        radii=(short, short * float(rng.uniform(1.0, 1.6))),
        angle=float(rng.uniform(0, 2 * math.pi)),
        twist=float(rng.normal(0, 0.0008)),
        spacing=float(rng.uniform(24, 32)),
        tone=float(rng.uniform(34, 58)),
    )


def _draw_synapse(
    rng: np.random.Generator, disc: int, radius: float, top: float, depth: float
) -> Synapse:
    return Synapse(
        disc=disc,
        middle=float(rng.uniform(top, top + depth)),
        half_depth=float(rng.uniform(45, 90)),
        angle=float(rng.uniform(0, 2 * math.pi)),
        spread=float(rng.uniform(40, 85)),
        strength=float(rng.uniform(40, 85)),
    )


def draw_mitochondria(
    grey: FloatArray,
    section: Section,
    discs: Discs,
    mitochondria: list[Mitochondrion],
    wobble: FloatArray,
    patches: FloatArray,
) -> npt.NDArray[np.bool_]:
    """Draw the mitochondria into `grey` and return where they are."""
    inside = np.zeros(grey.shape, bool)
    for mito in mitochondria:
        along = (section.depth - mito.middle) / mito.half_depth
        if abs(along) >= 1 or discs.radius[mito.disc] <= 0:
            continue
        scale = math.sqrt(1 - along**4)
        cy, cx = discs.position[mito.disc] + mito.offset
        window = _window(section, cy, cx, max(mito.radii) * scale + 20)
        if window is None:
            continue
        mine = section.cell[window] == discs.cell[mito.disc]
        dy, dx = section.y[window] - np.float32(cy), section.x[window] - np.float32(cx)
        angle = mito.angle + mito.twist * section.depth
        u = math.cos(angle) * dy + math.sin(angle) * dx
        v = math.cos(angle) * dx - math.sin(angle) * dy
        short, long = mito.radii[0] * scale, mito.radii[1] * scale
        depth = (1 - np.hypot(u / short, v / long)) * short + 6 * patches[window]
        # The cell's own wall comes first, with a little cytoplasm between.
        depth = np.where(
            mine & ~inside[window], np.minimum(depth, section.distance[window] - 17), -99
        )
        area = depth > 0
        ripple = v + 0.06 * u**2 / short + 7 * wobble[window]
        cristae = np.sin(2 * math.pi * ripple / mito.spacing) + 0.6 * wobble[window]
        body = mito.tone + 17 * np.clip(1.6 * cristae, -1.2, 1.2) * (depth > 9)
        wall = 42 * np.exp(-(((depth - 4) / 4.5) ** 2)) - 12 * np.exp(-(((depth - 11) / 4) ** 2))
        grey[window] -= np.where(area, body * np.clip(depth / 5, 0, 1), 0) + wall * mine
        inside[window] |= depth > -6
    return inside


def draw_synapses(
    grey: FloatArray,
    section: Section,
    discs: Discs,
    synapses: list[Synapse],
    wobble: FloatArray,
) -> FloatArray:
    """Draw synaptic densities into `grey`; return how near each pixel is to one, in [0, 1]."""
    nearness = np.zeros(grey.shape, np.float32)
    for synapse in synapses:
        along = (section.depth - synapse.middle) / synapse.half_depth
        radius = discs.radius[synapse.disc]
        if abs(along) > 1.6 or radius <= 0:
            continue
        cy = discs.position[synapse.disc, 0] + radius * math.sin(synapse.angle)
        cx = discs.position[synapse.disc, 1] + radius * math.cos(synapse.angle)
        window = _window(section, cy, cx, 330)
        if window is None:
            continue
        distance = np.hypot(section.y[window] - np.float32(cy), section.x[window] - np.float32(cx))
        fade = math.exp(-(along**2))
        ragged = distance / synapse.spread - 0.28 * wobble[window]
        wall = np.exp(-section.distance[window] / 42)
        cloud = np.exp(-(np.clip(ragged, 0, None) ** 2.5)) * (0.25 + 0.75 * wall)
        grey[window] -= synapse.strength * fade * cloud
        mine = section.cell[window] == discs.cell[synapse.disc]
        nearness[window] = np.maximum(nearness[window], mine * np.exp(-((distance / 170) ** 2)))
    return nearness


def draw_vesicles(
    rng: np.random.Generator,
    grey: FloatArray,
    section: Section,
    per_um2: FloatArray,
) -> None:
    """Scatter vesicles, rings of about 40 nm, over `grey` at the given density."""
    area_um2 = grey.size * section.pixel[0] * section.pixel[1] / 1e6
    highest = float(per_um2.max())
    count = rng.poisson(highest * area_um2) if highest > 0 else 0
    rows = rng.integers(0, grey.shape[0], count)
    columns = rng.integers(0, grey.shape[1], count)
    keep = rng.random(count) * highest < per_um2[rows, columns]
    keep &= section.distance[rows, columns] > 24
    rows, columns = rows[keep], columns[keep]
    radius = rng.normal(15, 2.5, len(rows))
    depth = rng.uniform(8, 50, len(rows))
    is_dense = rng.random(len(rows)) < 0.05

    def profile(r: npt.NDArray[np.float64], k: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        ring = np.exp(-(((r - radius[k]) / 5.0) ** 2)) - 0.35 * np.exp(-((r / 8.0) ** 2))
        core = 1.4 * np.exp(-((r / 18.0) ** 4))
        return np.asarray(depth[k] * np.where(is_dense[k], core, ring))

    _stamp(rng, grey, section, rows, columns, 30.0, profile)


def draw_tubules(
    rng: np.random.Generator,
    grey: FloatArray,
    section: Section,
    discs: Discs,
    tubules: npt.NDArray[np.float64],
) -> None:
    """Draw microtubules, dark dots of about 24 nm that run along the neurite."""
    if len(tubules) == 0:
        return
    disc = tubules[:, 0].astype(int)
    where = discs.position[disc] + tubules[:, 1:]
    # The map from pixel to tissue is a small displacement: undoing it once is near enough.
    origin = np.array([section.y[0, 0], section.x[0, 0]])
    guess = np.round((where - origin) / section.pixel).astype(int)
    seen = np.all((guess >= 0) & (guess < grey.shape), axis=1)
    guess, where, disc = guess[seen], where[seen], disc[seen]
    error = where - np.stack([section.y[tuple(guess.T)], section.x[tuple(guess.T)]], axis=1)
    place = np.round(guess + error / section.pixel).astype(int)
    ok = np.all((place >= 0) & (place < grey.shape), axis=1)
    place, disc = place[ok], disc[ok]
    rows, columns = place[:, 0], place[:, 1]
    ok = section.cell[rows, columns] == discs.cell[disc]
    ok &= section.distance[rows, columns] > 18
    rows, columns = rows[ok], columns[ok]
    depth = rng.uniform(6, 30, len(rows))

    def profile(r: npt.NDArray[np.float64], k: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        return np.asarray(depth[k] * np.exp(-((r / 9.0) ** 2)))

    _stamp(rng, grey, section, rows, columns, 18.0, profile)


def _stamp(
    rng: np.random.Generator,
    grey: FloatArray,
    section: Section,
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
    reach_nm: float,
    profile: Profile,
) -> None:
    """Subtract a round `profile(distance_nm, index)` around each position."""
    half = [math.ceil(reach_nm / p) for p in section.pixel]
    dy, dx = np.mgrid[-half[0] : half[0] + 1, -half[1] : half[1] + 1]
    jitter = rng.uniform(-0.5, 0.5, (2, len(rows)))
    for oy, ox in zip(dy.ravel(), dx.ravel(), strict=True):
        y, x = rows + oy, columns + ox
        ok = np.flatnonzero((y >= 0) & (y < grey.shape[0]) & (x >= 0) & (x < grey.shape[1]))
        distance = np.hypot(
            (oy + jitter[0, ok]) * section.pixel[0], (ox + jitter[1, ok]) * section.pixel[1]
        )
        np.subtract.at(grey, (y[ok], x[ok]), profile(distance, ok).astype(np.float32))


def _window(section: Section, cy: float, cx: float, reach: float) -> tuple[slice, slice] | None:
    """Pixels that may lie within `reach` nm of a place in the tissue."""
    margin = reach + 160  # the tissue is displaced by less than this
    slices = []
    for centre, start, size, pixel in zip(
        (cy, cx),
        (float(section.y[0, 0]), float(section.x[0, 0])),
        section.cell.shape,
        section.pixel,
        strict=True,
    ):
        low = max(int((centre - start - margin) / pixel), 0)
        high = min(int((centre - start + margin) / pixel) + 2, size)
        if low >= high:
            return None
        slices.append(slice(low, high))
    return slices[0], slices[1]
