"""Patches as they are in the data, for tests of everything but the changes."""

from __future__ import annotations

from napari_emseg.training import AugmentParams

STILL = AugmentParams(
    orientations=False,
    affine_fraction=0,
    elastic_sigma_px=0,
    misaligned_fraction=0,
    contrast=0,
    brightness=0,
    gamma=0,
    shading=0,
    defect_fraction=0,
    blurred_section_fraction=0,
    black_section_fraction=0,
    missing_section_fraction=0,
    blur_sigma_px=0,
    noise_sigma=0,
)
