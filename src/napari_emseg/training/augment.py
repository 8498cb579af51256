"""Patches cut from sections with one interpolation, then changed in brightness.

Everything random comes from one seeded generator, drawn in the order of the
code: geometry of the whole batch first, then contrast, brightness, gamma,
shading, defects, blur, noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from napari_emseg.training.params import AugmentParams


def uniform(generator: torch.Generator, count: int, low: float, high: float) -> Tensor:
    """Draw `count` numbers between `low` and `high`."""
    return low + (high - low) * torch.rand(count, generator=generator)


def draw_fields(
    generator: torch.Generator, count: int, size_px: int, params: AugmentParams
) -> Tensor:
    """Draw where each pixel of a patch comes from, relative to the patch centre.

    Returns
    -------
    Tensor, float32, shape (count, size_px, size_px, 2)
        (y, x) in pixels of the section. Full context is there by construction:
        the patch is looked up in the whole section, not cut and then turned.

    Examples
    --------
    >>> fields = draw_fields(torch.Generator().manual_seed(0), 2, 32, AugmentParams())
    >>> fields.shape
    torch.Size([2, 32, 32, 2])
    """
    axis = torch.arange(size_px, dtype=torch.float32) - (size_px - 1) / 2
    base = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1)
    matrices = _draw_matrices(generator, count, params)
    shifted = base + _draw_elastic(generator, count, size_px, params)
    return torch.einsum("nij,nyxj->nyxi", matrices, shifted)


def _draw_matrices(generator: torch.Generator, count: int, params: AugmentParams) -> Tensor:
    transpose = torch.rand(count, generator=generator) < 0.5
    signs = torch.randint(0, 2, (count, 2), generator=generator) * 2.0 - 1.0
    angle = uniform(generator, count, -math.pi, math.pi)
    scale = uniform(generator, count, math.log(params.scale_min), math.log(params.scale_max)).exp()
    shear = torch.randn(count, generator=generator) * params.shear
    free = torch.rand(count, generator=generator) < params.affine_fraction

    orientation = torch.diag_embed(signs)
    orientation = torch.where(transpose[:, None, None], orientation.flip(1), orientation)
    cos, sin = torch.cos(angle), torch.sin(angle)
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], 1)
    slant = torch.eye(2).repeat(count, 1, 1)
    slant[:, 0, 1] = shear
    affine = turn @ slant / scale[:, None, None]
    return torch.where(free[:, None, None], affine, torch.eye(2)) @ orientation


def _draw_elastic(
    generator: torch.Generator, count: int, size_px: int, params: AugmentParams
) -> Tensor:
    nodes = max(2, math.ceil(size_px / params.elastic_spacing_px))
    shifts = torch.randn(count, 2, nodes, nodes, generator=generator) * params.elastic_sigma_px
    smooth = functional.interpolate(
        shifts, size=(size_px, size_px), mode="bicubic", align_corners=True
    )
    return smooth.permute(0, 2, 3, 1)


def look_up(image: Tensor, field: Tensor, centre: Tensor, mode: str) -> Tensor:
    """Read `image` at `centre + field`, reflecting beyond its edges.

    Parameters
    ----------
    image : Tensor, shape (C, Y, X)
    field : Tensor, shape (H, W, 2)
        (y, x) offsets in pixels.
    centre : Tensor, shape (2,)
        (y, x) in pixels.
    mode : {"bilinear", "nearest"}
        Nearest for anything that must not be mixed.

    Returns
    -------
    Tensor, shape (C, H, W)
    """
    height, width = image.shape[-2:]
    extent = torch.tensor([max(height - 1, 1), max(width - 1, 1)], dtype=torch.float32)
    grid = (centre + field) / extent * 2 - 1
    return functional.grid_sample(
        image[None],
        grid.flip(-1)[None],
        mode=mode,
        padding_mode="reflection",
        align_corners=True,
    )[0]


def change_brightness(generator: torch.Generator, batch: Tensor, params: AugmentParams) -> Tensor:
    """Change contrast, lighting, sharpness and noise of standardised patches.

    Parameters
    ----------
    generator : torch.Generator
        Seeded, so that a training can be repeated.
    batch : Tensor, float32, shape (N, C, H, W)
        Mean 0 and standard deviation 1 over the section the patch is from.
    params : AugmentParams
        How strong each change may be.

    Returns
    -------
    Tensor, float32, shape (N, C, H, W)
    """
    count = len(batch)
    contrast = uniform(generator, count, -params.contrast, params.contrast).exp()
    brightness = uniform(generator, count, -params.brightness, params.brightness)
    gamma = uniform(generator, count, -params.gamma, params.gamma).exp()
    batch = batch * _each(contrast) + _each(brightness)
    batch = _apply_gamma(batch, gamma)
    batch = batch + _draw_shading(generator, batch, params)
    batch = _draw_defects(generator, batch, params)
    batch = _draw_blur(generator, batch, params)
    strength = uniform(generator, count, 0, params.noise_sigma)
    strength = strength * (torch.rand(count, generator=generator) < 0.5)
    return batch + torch.randn(batch.shape, generator=generator) * _each(strength)


def _each(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _apply_gamma(batch: Tensor, gamma: Tensor) -> Tensor:
    # A fixed range, not the patch's own: a patch inside a nucleus must not be stretched.
    low, span = -3.5, 7.0
    unit = ((batch - low) / span).clamp(0, 1)
    return unit.pow(_each(gamma)) * span + low


def _draw_shading(generator: torch.Generator, batch: Tensor, params: AugmentParams) -> Tensor:
    strength = uniform(generator, len(batch), 0, params.shading)
    nodes = torch.randn(len(batch), 1, 3, 3, generator=generator) * _each(strength)
    return functional.interpolate(nodes, size=batch.shape[-2:], mode="bicubic", align_corners=True)


def _draw_defects(generator: torch.Generator, batch: Tensor, params: AugmentParams) -> Tensor:
    count, _, height, width = batch.shape
    hit = torch.rand(count, generator=generator) < params.defect_fraction
    angle = uniform(generator, count, 0, math.pi)
    position = uniform(generator, count, -0.4, 0.4) * min(height, width)
    half_px = uniform(generator, count, 2, 8)
    level = uniform(generator, count, -2.5, 2.5)
    opacity = uniform(generator, count, 0.3, 1) * hit
    y = torch.arange(height)[None, :, None] - height / 2
    x = torch.arange(width)[None, None, :] - width / 2
    across = y * torch.cos(angle)[:, None, None] + x * torch.sin(angle)[:, None, None]
    inside = ((across - position[:, None, None]).abs() < half_px[:, None, None])[:, None]
    cover = inside * _each(opacity)
    return batch * (1 - cover) + _each(level) * cover


def _draw_blur(generator: torch.Generator, batch: Tensor, params: AugmentParams) -> Tensor:
    count, channels = batch.shape[:2]
    sigma = uniform(generator, count, 0, params.blur_sigma_px)
    sigma = sigma * (torch.rand(count, generator=generator) < 0.5)
    radius = math.ceil(3 * params.blur_sigma_px)
    if radius == 0 or radius >= min(batch.shape[-2:]):
        return batch
    distance = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (distance / sigma.clamp(min=1e-3)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    # Every patch has its own width: patches become groups of one convolution.
    planes = batch.reshape(1, count * channels, *batch.shape[-2:])
    padded = functional.pad(planes, (radius,) * 4, mode="reflect")
    groups = count * channels
    rows = functional.conv2d(padded, kernel[:, None, :, None], groups=groups)
    return functional.conv2d(rows, kernel[:, None, None, :], groups=groups).reshape(batch.shape)


def choose_index(generator: torch.Generator, weights: Sequence[float]) -> int:
    """Draw an index with probability proportional to its weight."""
    table = torch.tensor(weights, dtype=torch.float64)
    return int(torch.multinomial(table, 1, generator=generator))
