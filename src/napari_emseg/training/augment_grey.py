"""Changes of grey values of standardised patches, drawn in a fixed order.

1. contrast and brightness; 2. gamma; 3. uneven light; 4. a dark or bright stripe;
of inputs of several sections 5. one section blurred; 6. one black; 7. one missing;
8. blur of all; 9. noise.

Every draw but the noise, the last, is made whether its change is switched on or
not, so that switching one off leaves the others as they were.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from napari_emseg.jit import kernel
from napari_emseg.training.augment_lookup import Floats, spread
from napari_emseg.training.augment_params import AugmentParams

_LOW, _SPAN = -3.5, 7.0
"""What gamma works on: a fixed range, as a patch inside a nucleus must not be stretched."""
_TRUNCATE = 3.0


def change_grey(
    rng: np.random.Generator,
    patch: Floats,
    params: AugmentParams,
    *,
    middle: int | None = None,
    has_sections: bool = True,
) -> Floats:
    """Change contrast, lighting, sharpness and noise of a patch, and spoil single sections.

    Parameters
    ----------
    rng : numpy.random.Generator
    patch : float32 array, (Z, Y, X)
        Mean 0 and standard deviation 1 over the sections it is from; it is overwritten.
    params : AugmentParams
    middle : int, optional
        The section that is predicted, which is never black or missing; None: all are.
    has_sections : bool
        Whether Z counts sections that can be bad, each by itself; not in cubic voxels.

    Returns
    -------
    float32 array, (Z, Y, X)

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> change_grey(rng, np.zeros((1, 8, 8), np.float32), AugmentParams()).shape
    (1, 8, 8)
    """
    patch = _change_tone(rng, patch, params)
    patch += _draw_shading(rng, patch.shape[1:], params)
    _draw_stripe(rng, patch, params)
    _spoil_sections(rng, patch, params, middle, has_sections=has_sections)
    sigma = rng.uniform(0, params.blur_sigma_px) * (rng.random() < 0.5)
    patch = blur(patch, sigma)
    strength = rng.uniform(0, params.noise_sigma) * (rng.random() < 0.5)
    if strength:
        patch += rng.standard_normal(patch.shape, np.float32) * np.float32(strength)
    return patch


def _change_tone(rng: np.random.Generator, patch: Floats, params: AugmentParams) -> Floats:
    contrast = math.exp(rng.uniform(-params.contrast, params.contrast))
    brightness = rng.uniform(-params.brightness, params.brightness)
    gamma = math.exp(rng.uniform(-params.gamma, params.gamma))
    if params.contrast or params.brightness:
        patch = patch * np.float32(contrast) + np.float32(brightness)
    if params.gamma:
        _apply_gamma(patch.reshape(-1), np.float32(gamma))
    return patch


@kernel
def _apply_gamma(values: Floats, gamma: np.float32) -> None:
    low, span = np.float32(_LOW), np.float32(_SPAN)
    for i in range(values.size):
        unit = min(max((values[i] - low) / span, np.float32(0)), np.float32(1))
        values[i] = unit**gamma * span + low


def _draw_shading(
    rng: np.random.Generator, shape_px: tuple[int, ...], params: AugmentParams
) -> Floats | np.float32:
    strength = np.float32(rng.uniform(0, params.shading))
    nodes = rng.standard_normal((3, 3, 1), np.float32)
    return spread(nodes * strength, shape_px)[..., 0] if strength else np.float32(0)


def _draw_stripe(rng: np.random.Generator, patch: Floats, params: AugmentParams) -> None:
    height, width = patch.shape[1:]
    is_hit = rng.random() < params.defect_fraction
    angle = rng.uniform(0, math.pi)
    position = rng.uniform(-0.4, 0.4) * min(height, width)
    half_px = rng.uniform(2, 8)
    level, opacity = rng.uniform(-2.5, 2.5), rng.uniform(0.3, 1)
    z = int(rng.random() * len(patch))
    if not is_hit:
        return
    y, x = np.ogrid[:height, :width]
    across = (y - height / 2) * math.cos(angle) + (x - width / 2) * math.sin(angle)
    inside = np.abs(across - position) < half_px
    # a fold or a charge is of one section
    patch[z, inside] = patch[z, inside] * np.float32(1 - opacity) + np.float32(level * opacity)


def _spoil_sections(
    rng: np.random.Generator,
    patch: Floats,
    params: AugmentParams,
    middle: int | None,
    *,
    has_sections: bool,
) -> None:
    chances = (
        params.blurred_section_fraction,
        params.black_section_fraction,
        params.missing_section_fraction,
    )
    is_blurred, is_black, is_missing = rng.random(3) < chances
    where, sigma, level = rng.random(3), rng.uniform(1, 4), rng.uniform(-3.5, -1.5)
    if len(patch) < 2 or not has_sections:
        return
    if is_blurred:
        z = int(where[0] * len(patch))
        patch[z] = blur(patch[z : z + 1], sigma)[0]
    others = [z for z in range(len(patch)) if z != middle]
    if is_black:
        z = others[int(where[1] * len(others))]
        patch[z] = patch[z] * np.float32(0.1) + np.float32(level)
    if is_missing:
        # as prediction does with a blank section: even grey, or the middle one in its place
        z = others[int(where[2] * len(others))]
        patch[z] = 0 if middle is None else patch[middle]


def blur(patch: Floats, sigma_px: float) -> Floats:
    """Smooth each section by a Gaussian, mirrored at the edges.

    Examples
    --------
    >>> blur(np.ones((1, 5, 7), np.float32), 1.5).round(5).min()
    np.float32(1.0)
    """
    if sigma_px < 0.1:
        return patch
    from scipy.ndimage import gaussian_filter1d

    for axis in (1, 2):
        patch = gaussian_filter1d(patch, sigma_px, axis=axis, mode="mirror", truncate=_TRUNCATE)
    smooth: npt.NDArray[np.float32] = patch
    return smooth
