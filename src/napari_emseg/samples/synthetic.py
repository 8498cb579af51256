"""A made-up stack that looks like neuropil under a serial-section electron microscope."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import erf

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.samples.neuropil import Discs, grow_neuropil, partition
from napari_emseg.samples.organelles import (
    Organelles,
    Section,
    draw_mitochondria,
    draw_synapses,
    draw_tubules,
    draw_vesicles,
    place_organelles,
)
from napari_emseg.samples.smooth_noise import SmoothNoise
from napari_emseg.volume import Volume

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]

MEMBRANE_NM = 5.0
"""Standard deviation of the dark line of one membrane."""
HALF_CLEFT_NM = 6.2
"""Half the distance between the membranes of two cells that touch."""
UNLABELLED_NM = 10.0
"""Half the width of the band between two cells that belongs to neither."""


def make_synthetic(
    shape_zyx: tuple[int, int, int] = (30, 256, 256),
    voxel_size_nm: tuple[float, float, float] = (50.0, 4.0, 4.0),
    seed: int = 0,
    *,
    misalignment_px: float = 1.0,
    noise: float = 1.0,
    fold: bool = False,
    progress: Progress = NO_PROGRESS,
) -> tuple[Volume, Volume]:
    """Make a stack of ssTEM-like sections and the true neurons in it.

    Everything is laid out in nm and then imaged, so any voxel size gives the
    same kind of tissue. A membrane is the average over the thickness of the
    section: steep ones are sharp, slanted ones faint and wide.

    Parameters
    ----------
    shape_zyx : (z, y, x), optional
        Size in voxels.
    voxel_size_nm : (z, y, x), optional
        Size of a voxel in nm; z is the thickness of a section.
    seed : int, optional
        The same seed gives the same volume.
    misalignment_px : float, optional
        Typical shift between neighbouring sections; labels shift along.
    noise : float, optional
        Strength of the noise of the camera; 1 resembles a good ssTEM stack.
    fold : bool, optional
        Put a fold, a dark stripe, across one section.
    progress : Progress, optional
        Called after each section.

    Returns
    -------
    raw : Volume
        uint8, ZYX.
    labels : Volume
        uint32, ZYX: true ids from 1, the same through all sections; 0 is the
        membrane between two cells.

    Raises
    ------
    InputError
        If a size is not positive, or the seed, noise or shift is negative.

    Examples
    --------
    >>> raw, labels = make_synthetic((2, 64, 48), seed=3)
    >>> raw.shape, str(raw.dtype), labels.kind
    ((2, 64, 48), 'uint8', 'labels')
    """
    _check(shape_zyx, voxel_size_nm, seed, misalignment_px, noise)
    rng = np.random.default_rng(seed)
    tissue = _Tissue(rng, shape_zyx, voxel_size_nm, misalignment_px)
    raw = np.empty(shape_zyx, np.uint8)
    labels = np.empty(shape_zyx, np.uint32)
    # Drawn apart, so that a fold changes nothing but its section.
    defect = np.random.default_rng([seed, 1])
    folded = int(defect.integers(shape_zyx[0])) if fold else -1
    for z, cut in enumerate(tissue.cut()):
        raw[z] = _expose(rng, cut, noise, _fold(defect, cut.section) if z == folded else None)
        labels[z] = np.where(cut.section.distance > UNLABELLED_NM, cut.section.cell, 0)
        progress.update(z + 1, shape_zyx[0], "Synthetic sections")
    ids, dense = np.unique(labels, return_inverse=True)
    if ids[0] != 0:
        dense += 1
    made = {"source": "synthetic", "seed": seed, "notes": ["made up, not recorded"]}
    raw_volume = Volume(raw, "raw", voxel_size_nm, name="synthetic raw", provenance=made)
    dense = dense.reshape(shape_zyx).astype(np.uint32)
    return raw_volume, raw_volume.derive(dense, kind="labels", name="synthetic labels")


def _check(
    shape: tuple[int, int, int],
    voxel: tuple[float, float, float],
    seed: int,
    shift: float,
    noise: float,
) -> None:
    if len(shape) != 3 or min(shape) < 1:
        raise InputError(f"A volume needs three sizes of at least 1 (z, y, x), not {shape}.")
    if len(voxel) != 3 or min(voxel) <= 0:
        raise InputError(f"A voxel size is three positive numbers in nm (z, y, x), not {voxel}.")
    if seed < 0:
        raise InputError(f"A seed is a whole number from 0, not {seed}.")
    if shift < 0 or noise < 0:
        raise InputError(f"Misalignment ({shift} px) and noise ({noise}) cannot be negative.")


@dataclass(frozen=True)
class _Cut:
    """A section with what is needed to draw it; each array is (Y, X).

    `membrane` is its darkness in [0, 1]; `tone` and `grain` are grey level and
    coarseness of the cytoplasm of each pixel's cell; the rest is smooth noise:
    `wobble` bends outlines, `patches` gathers things, `sheets` makes endoplasmic
    reticulum where it crosses zero, `shade` is uneven illumination.
    """

    section: Section
    membrane: FloatArray
    discs: Discs
    organelles: Organelles
    tone: FloatArray
    grain: FloatArray
    wobble: FloatArray
    patches: FloatArray
    sheets: FloatArray
    shade: FloatArray


class _Tissue:
    """The block of tissue before it is imaged; cut once from top to bottom."""

    def __init__(
        self,
        rng: np.random.Generator,
        shape: tuple[int, int, int],
        voxel: tuple[float, float, float],
        misalignment_px: float,
    ) -> None:
        self._rng, self._voxel = rng, voxel
        self._sections = shape[0]
        # A section is looked at where it was cut above, in the middle and below.
        self._depths = np.arange(2 * shape[0] + 1) * voxel[0] / 2
        self._y = np.arange(shape[1], dtype=np.float64) * voxel[1]
        self._x = np.arange(shape[2], dtype=np.float64) * voxel[2]
        self._shift = rng.normal(0, misalignment_px, (shape[0], 2)) * voxel[1:]
        self._warp = [
            (amplitude, self._noise(length), self._noise(length))
            for amplitude, length in ((55.0, (420.0, 210.0)), (9.0, (160.0, 55.0)),
                                      (1.6, (60.0, 17.0)))
        ]  # fmt: skip
        self._slip = [self._noise((1.01 * voxel[0], 180.0)) for _ in range(2)]
        self._slip_nm = 0.5 * misalignment_px * voxel[1]
        self._wobble = self._noise((120.0, 28.0))
        self._patches = self._noise((200.0, 110.0))
        self._sheets = self._noise((90.0, 45.0))
        self._shade = self._noise((voxel[0], 500.0))

    def _noise(self, length_nm: tuple[float, float]) -> SmoothNoise:
        return SmoothNoise(self._rng, self._depths, self._y, self._x, length_nm)

    def cut(self) -> Iterator[_Cut]:
        """Yield a _Cut for each section, top to bottom."""
        rng, depths = self._rng, self._depths
        field = (float(self._y[-1]), float(self._x[-1]))
        grown = grow_neuropil(rng, field, depths)
        discs = next(grown)
        organelles = place_organelles(rng, discs, 0.0, float(depths[-1]))
        cells = int(discs.cell.max()) + 1
        is_glia = rng.random(cells) < 0.1
        tone = rng.normal(0, 5, cells) - 22 * is_glia
        grain = rng.uniform(0.8, 1.2, cells) + 0.6 * is_glia
        for z in range(self._sections):
            above = partition(discs, *self._look(z, depths[2 * z]))
            middle, discs = next(grown), next(grown)
            depth = float(depths[2 * z + 1])
            y, x = self._look(z, depth)
            cell, distance = partition(middle, y, x)
            below = partition(discs, *self._look(z, depths[2 * z + 2]))
            yield _Cut(
                section=Section(depth, y, x, cell, distance, self._voxel[1:]),
                membrane=_project(above, (cell, distance), below),
                discs=middle,
                organelles=organelles,
                tone=tone[cell].astype(np.float32),
                grain=grain[cell].astype(np.float32),
                wobble=self._wobble.at(depth),
                patches=self._patches.at(depth),
                sheets=self._sheets.at(depth),
                shade=self._shade.at(depth),
            )

    def _look(self, z: int, depth: float) -> tuple[FloatArray, FloatArray]:
        """Where in the tissue the pixels of section z look, at `depth`."""
        y = np.empty((len(self._y), len(self._x)), np.float32)
        x = np.empty_like(y)
        y[:] = (self._y + self._shift[z, 0])[:, None]
        x[:] = self._x + self._shift[z, 1]
        middle = float(self._depths[2 * z + 1])
        y += self._slip_nm * self._slip[0].at(middle)
        x += self._slip_nm * self._slip[1].at(middle)
        for amplitude, along_y, along_x in self._warp:
            y += amplitude * along_y.at(depth)
            x += amplitude * along_x.at(depth)
        return y, x


def _project(*levels: tuple[IntArray, FloatArray]) -> FloatArray:
    """Average the darkness of membranes over the thickness of a section.

    Each level is (cell, distance_nm). Between two levels the signed distance is
    taken to change evenly; it changes sign where the cell changes.
    """
    total = np.zeros(levels[0][0].shape, np.float32)
    for (cell_a, near), (cell_b, far) in pairwise(levels):
        far = np.where(cell_a == cell_b, far, -far)
        change = far - near
        change = np.where(np.abs(change) < 0.5, np.float32(0.5), change)
        total += (_darkness(near + change) - _darkness(near)) / change
    return np.asarray(total / (len(levels) - 1), np.float32)


def _darkness(distance: FloatArray) -> FloatArray:
    """Integral over distance of the darkness across a pair of membranes."""
    width = MEMBRANE_NM * math.sqrt(2)
    area = width * math.sqrt(math.pi) / 2
    left = erf((distance + np.float32(HALF_CLEFT_NM)) / np.float32(width))
    right = erf((distance - np.float32(HALF_CLEFT_NM)) / np.float32(width))
    return np.asarray(area * (left + right), np.float32)


def _expose(
    rng: np.random.Generator, cut: _Cut, noise: float, fold: FloatArray | None
) -> npt.NDArray[np.uint8]:
    """Turn a section into the grey values a camera would record."""
    section = cut.section
    shape = section.cell.shape
    grey = 154 + cut.tone + 5 * cut.patches
    texture = _texture(rng, shape, section.pixel)
    inside = draw_mitochondria(
        grey, section, cut.discs, cut.organelles.mitochondria, cut.wobble, cut.patches
    )
    near = draw_synapses(grey, section, cut.discs, cut.organelles.synapses, cut.wobble)
    vesicles = cut.organelles.vesicles[section.cell] * (0.6 + 0.5 * np.clip(cut.patches, -1, 2))
    vesicles = np.where(inside, 0, vesicles + 450 * near).astype(np.float32)
    draw_vesicles(rng, grey, section, vesicles)
    draw_tubules(rng, grey, section, cut.discs, cut.organelles.tubules)
    is_deep = np.clip((section.distance - 22) / 12, 0, 1) * ~inside
    sheet = np.exp(-((cut.sheets / 0.09) ** 2)) * np.clip(cut.patches - 0.4, 0, 1)
    grey -= 30 * sheet * is_deep
    grey += 22 * cut.grain * texture * (1 - 0.5 * np.clip(cut.membrane, 0, 1))
    grey -= 86 * np.minimum(cut.membrane, 1.15) * (1 + 0.12 * cut.patches)
    if fold is not None:
        grey -= fold
    grey = ndimage.gaussian_filter(grey, 0.6)
    grey += noise * ndimage.gaussian_filter(rng.normal(0, 16, shape).astype(np.float32), 0.55)
    grey += 9 * cut.shade
    gain, offset = math.exp(rng.normal(0, 0.05)), rng.normal(0, 7)
    grey = (grey - 128) * gain + 128 + offset
    return np.asarray(np.clip(np.round(grey), 0, 255), np.uint8)


def _texture(
    rng: np.random.Generator, shape: tuple[int, ...], pixel: tuple[float, float]
) -> FloatArray:
    """Cytoplasm: grains from 5 to 20 nm, standard deviation about 1."""
    total = np.zeros(shape, np.float32)
    for sigma_nm, weight in ((3.2, 0.85), (8.0, 0.5)):
        sigma = [max(sigma_nm / p, 0.3) for p in pixel]
        layer = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), sigma, mode="wrap")
        total += weight * layer / max(float(layer.std()), 1e-6)
    # Grains are dark on a lighter ground, so dark extremes are larger than bright ones.
    return np.asarray(total - 0.15 * total**2 + 0.15, np.float32)


def _fold(rng: np.random.Generator, section: Section) -> FloatArray:
    """Darkness of a fold: two layers of tissue along a bent line."""
    angle = rng.uniform(0, math.pi)
    height, width = section.cell.shape
    y = (np.arange(height, dtype=np.float32)[:, None] - height / 2) * section.pixel[0]
    x = (np.arange(width, dtype=np.float32) - width / 2) * section.pixel[1]
    across = math.cos(angle) * y + math.sin(angle) * x
    along = math.cos(angle) * x - math.sin(angle) * y
    across = across + 40 * np.sin(along / 300)
    return np.asarray(75 / (1 + np.exp((np.abs(across) - 45) / 6)), np.float32)
