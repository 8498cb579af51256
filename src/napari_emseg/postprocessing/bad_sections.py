"""Finding sections that are misaligned, blank, blurred or of odd contrast in the raw stack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.ndimage import gaussian_filter, median_filter

from napari_emseg.errors import InputError
from napari_emseg.postprocessing.section_table import BadSection
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import Volume

FloatMap = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]

N_MAD = 3.5
_FEWEST_SECTIONS = 5
_WINDOW = 7  # sections that a section is compared with, itself among them
_LARGEST_PX = 512  # a section is binned until its shorter side is below twice this
_LARGEST_BIN = 4
_LARGEST_SHIFT_PX = 48  # binned
_WHITENING = 0.5  # fully whitened, the noise of thin sections outweighs what they share
_LEAST_PEAK = 5.0  # above what is around it, in deviations of that
_FLAT_SHARE = 0.3  # of pixels with the commonest value: saturated, torn or not scanned
_FLAT_CONTRAST = 0.1  # of the contrast usual in the stack
# What is below these does no harm, however even the stack is otherwise.
_LEAST_SHIFT_PX = 3.0
_LEAST_BLUR = 0.5  # natural logarithm of the fine structure lost
_LEAST_CONTRAST = 0.5  # natural logarithm of a change of contrast, or brightness in contrasts


@dataclass(frozen=True, eq=False)
class SectionFeatures:
    """What the sections are judged by.

    Attributes
    ----------
    contrast, brightness : (n_z,) float64
        Logarithm of the standard deviation; mean in typical standard deviations.
    flat_share : (n_z,) float64
        Share of the pixels that have the commonest of the outermost grey values.
    sharpness : (n_z,) float64
        Logarithm of the share of the finest structure.
    compared : tuple of int
        Sections that show something.
    shift_px : (n_compared - 1, 2) float64
        How far (y, x) each of these lies from the one before.
    """

    contrast: Values
    brightness: Values
    flat_share: Values
    sharpness: Values
    compared: tuple[int, ...]
    shift_px: Values


def find_bad_sections(
    raw: Volume, *, n_mad: float = N_MAD, progress: Progress = NO_PROGRESS
) -> tuple[BadSection, ...]:
    """Find sections unlike their neighbours, by comparing each with the stack around it.

    A limit is not set in grey values or pixels: it is what the stack itself varies by
    (median absolute deviation), so an uneven stack does not give many false alarms.

    Parameters
    ----------
    raw : Volume
        Grey values, ZYX; read section by section.
    n_mad : float
        A section is bad when it lies this many (normal-scaled) median absolute
        deviations off its neighbours; smaller finds more.
    progress : Progress, optional
        Told the sections compared.

    Returns
    -------
    tuple of BadSection
        In the order of the sections, one row for each; of several faults the worst.
        Blurred sections and those of odd contrast are listed but not marked for use:
        a network sees every section standardised, and on ISBI 2012 the map of a
        section blurred by 4 px is still better than what its neighbours give (V_rand
        0.91 and 0.78). Fewer than 5 sections tell nothing but blank ones.

    Raises
    ------
    InputError
        If `raw` holds no grey values.

    References
    ----------
    Displacement by phase correlation: C. D. Kuglin, D. C. Hines, Proc. IEEE Conf.
    Cybernetics and Society, 1975. T. Zeng, B. Wu, S. Ji, Bioinformatics 33, 2017
    (section 4.2) chose bad sections by eye; this rule is our stand-in.

    Examples
    --------
    >>> tissue = np.random.default_rng(0).normal(size=(40, 40))
    >>> stack = np.stack([gaussian_filter(tissue, 2)] * 12) * 100
    >>> stack[3] = np.roll(stack[3], 9, axis=1)
    >>> [(bad.z, bad.fault) for bad in find_bad_sections(Volume(stack.astype(np.float32)))]
    [(3, 'misaligned')]
    """
    if raw.kind != "raw":
        raise InputError(
            f"Bad sections are looked for in the raw images, but {raw.name or 'the input'} "
            f"is a {raw.kind} volume."
        )
    features = measure_sections(raw, progress=progress)
    worst: dict[int, BadSection] = {}
    for bad in (*_find_blank(features), *_find_odd(features, n_mad), *_find_moved(features, n_mad)):
        if bad.z not in worst or _rank(bad) > _rank(worst[bad.z]):
            worst[bad.z] = bad
    return tuple(worst[z] for z in sorted(worst))


def _rank(bad: BadSection) -> tuple[bool, bool, float]:
    return bad.fault == "blank", bad.use, bad.strength


def measure_sections(raw: Volume, *, progress: Progress = NO_PROGRESS) -> SectionFeatures:
    """Measure what :func:`find_bad_sections` judges by; each section is read once."""
    n_z = raw.shape[0]
    table = np.zeros((n_z, 4))
    compared: list[int] = []
    shift_px: list[Values] = []
    before: FloatMap | None = None
    for z in range(n_z):
        section, factor = _bin(raw.read(z))
        structure = gaussian_filter(section, 2) - gaussian_filter(section, 8)
        table[z] = section.mean(), section.std(), _flat_share(section), _sharpness(section)
        if table[z, 1] > _FLAT_CONTRAST * table[:, 1].max():
            if before is not None:
                shift_px.append(np.multiply(find_shift(before, structure), float(factor)))
            before = structure
            compared.append(z)
        progress.update(z + 1, n_z, f"Checking section {z + 1} of {n_z}")
    mean, deviation, flat, sharp = table.T
    usual = float(np.median(deviation)) or 1.0
    contrast = np.log(np.maximum(deviation / usual, 1e-6))
    return SectionFeatures(
        contrast, mean / usual, flat, sharp, tuple(compared), np.reshape(shift_px, (-1, 2))
    )


def find_shift(first: FloatMap, second: FloatMap) -> tuple[float, float]:
    """Return how far `second` lies from `first` (y, x) in pixels, by phase correlation.

    It is (0, 0) where the two have nothing in common that stands out.

    Examples
    --------
    >>> tissue = np.random.default_rng(0).normal(size=(32, 48)).astype(np.float32)
    >>> [round(s) for s in find_shift(tissue, np.roll(tissue, (3, -5), (0, 1)))]
    [3, -5]
    """
    spectra = [fft.rfft2((image - image.mean()) * _fade(image.shape)) for image in (first, second)]
    cross = spectra[0].conj() * spectra[1]
    peaks = fft.irfft2(cross / (np.abs(cross) + 1e-12) ** _WHITENING, s=first.shape)
    reach = [min(_LARGEST_SHIFT_PX, (n - 1) // 2) for n in first.shape]
    near = np.roll(peaks, reach, (0, 1))[: 2 * reach[0] + 1, : 2 * reach[1] + 1]
    y, x = map(int, np.unravel_index(int(near.argmax()), near.shape))
    if near[y, x] <= _limit(near, _LEAST_PEAK, 0.0):
        return 0.0, 0.0
    return y + _top(near[:, x], y) - reach[0], x + _top(near[y], x) - reach[1]


def _top(values: npt.NDArray[np.floating], at: int) -> float:
    """Return where between its pixels a peak is highest: the top of a parabola."""
    if not 0 < at < values.size - 1:
        return 0.0
    before, peak, after = map(float, values[at - 1 : at + 2])
    curvature = before - 2 * peak + after
    return (before - after) / (2 * curvature) if curvature < 0 else 0.0


def _find_blank(features: SectionFeatures) -> list[BadSection]:
    found = []
    usual_share = float(np.median(features.flat_share))
    for z, (contrast, share) in enumerate(zip(features.contrast, features.flat_share, strict=True)):
        if contrast < np.log(_FLAT_CONTRAST):
            found.append(BadSection(z, "blank", 10.0, what="next to no contrast"))
        elif share > max(_FLAT_SHARE, 3 * usual_share):
            words = f"{share:.0%} of it has one grey value"
            found.append(BadSection(z, "blank", share / _FLAT_SHARE, what=words))
    return found


def _find_odd(features: SectionFeatures, n_mad: float) -> list[BadSection]:
    """Find blurred sections and those of odd contrast or brightness."""
    if features.contrast.size < _FEWEST_SECTIONS:
        return []
    found = []
    lost = -_off_neighbours(features.sharpness)
    for z, strength in _outliers(lost, n_mad, _LEAST_BLUR):
        words = f"{1 - np.exp(-lost[z]):.0%} of the fine structure is lost"
        found.append(BadSection(z, "blurred", strength, use=False, what=words))
    contrast = _off_neighbours(features.contrast)
    for z, strength in _outliers(np.abs(contrast), n_mad, _LEAST_CONTRAST):
        words = f"{np.exp(contrast[z]):.2g} times the contrast of its neighbours"
        found.append(BadSection(z, "contrast", strength, use=False, what=words))
    brightness = _off_neighbours(features.brightness)
    for z, strength in _outliers(np.abs(brightness), n_mad, _LEAST_CONTRAST):
        words = f"{'brighter' if brightness[z] > 0 else 'darker'} than its neighbours"
        found.append(BadSection(z, "contrast", strength, use=False, what=words))
    return found


def _find_moved(features: SectionFeatures, n_mad: float) -> list[BadSection]:
    """Find single sections that slipped, then jumps from one section to the next."""
    if len(features.compared) < _FEWEST_SECTIONS:
        return []
    usual = np.median(features.shift_px, axis=0)  # an oblique stack drifts evenly
    at, shift = list(features.compared), list(features.shift_px - usual)
    limit = _limit(np.array([_slip(shift, k)[0] for k in range(1, len(shift))]), n_mad)
    found = []
    # The farthest off first: both its neighbours are off it, too.
    while len(shift) > 1:
        slips = [_slip(shift, k) for k in range(1, len(shift))]
        off = [(size, k) for k, (size, left) in enumerate(slips, 1) if left < size]
        size, k = max(off, default=(0.0, 0))
        if size <= limit:
            break
        found.append(BadSection(at[k], "misaligned", size / limit, what=f"{size:.0f} px off"))
        shift[k - 1 : k + 1] = [np.zeros(2)]  # their sum would carry the errors of both
        del at[k]
    return [*found, *_find_jumps(at, np.array(shift), n_mad)]


def _slip(shift: list[Values], k: int) -> tuple[float, float]:
    """Return how far section `k` is off both its neighbours, and they from each other."""
    before, after = shift[k - 1], shift[k]
    size = min(float(np.linalg.norm(before)), float(np.linalg.norm(after)))
    return size, float(np.linalg.norm(before + after))


def _find_jumps(at: list[int], shift: Values, n_mad: float) -> list[BadSection]:
    steps = np.linalg.norm(shift - median_filter(shift, (_WINDOW, 1), mode="nearest"), axis=1)
    limit = _limit(steps, n_mad)
    found: dict[int, BadSection] = {}
    for k in np.flatnonzero(steps > limit):
        if at[k + 1] - at[k] > 1:
            continue  # across a gap tissue may really move
        words = f"jump of {steps[k]:.0f} px between {at[k]} and {at[k + 1]}"
        for z in at[k : k + 2]:
            found.setdefault(z, BadSection(z, "misaligned", float(steps[k] / limit), what=words))
    return list(found.values())


def _off_neighbours(values: Values) -> Values:
    """Return by how much each value differs from the median of those around it."""
    off: Values = values - median_filter(values, _WINDOW, mode="nearest")
    return off


def _outliers(values: Values, n_mad: float, least: float) -> list[tuple[int, float]]:
    """Return index and strength (1 = at the limit) of values that are large for this stack."""
    limit = _limit(values, n_mad, least)
    return [(int(z), float(values[z] / limit)) for z in np.flatnonzero(values > limit)]


def _limit(values: npt.NDArray[np.floating], n_mad: float, least: float = _LEAST_SHIFT_PX) -> float:
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    return max(middle + n_mad * spread, least)


def _bin(section: npt.NDArray[np.generic]) -> tuple[FloatMap, int]:
    """Average blocks of pixels of a large section; return it and the width of a block."""
    factor = int(np.clip(min(section.shape) // _LARGEST_PX, 1, _LARGEST_BIN))
    y, x = (n - n % factor for n in section.shape)
    blocks = section[:y, :x].astype(np.float32).reshape(y // factor, factor, x // factor, factor)
    return np.nan_to_num(blocks.mean(axis=(1, 3))), factor


def _flat_share(section: FloatMap) -> float:
    low, high = float(section.min()), float(section.max())
    return max(float(np.mean(section == low)), float(np.mean(section == high)))


def _sharpness(section: FloatMap) -> float:
    """Logarithm of the finest structure's share, whatever the contrast."""
    smooth = gaussian_filter(section, 1.4)
    fine = float(np.var(gaussian_filter(section, 0.7) - smooth))
    coarse = float(np.var(smooth - gaussian_filter(section, 2.8)))
    return float(np.log((fine + 1e-12) / (coarse + 1e-12)))


def _fade(shape: tuple[int, ...]) -> FloatMap:
    y, x = (np.hanning(n + 2)[1:-1].astype(np.float32) for n in shape)
    return np.outer(y, x)
