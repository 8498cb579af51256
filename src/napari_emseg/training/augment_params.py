"""How strongly training patches are changed; written once, used by forms, shell and YAML."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from napari_emseg.training.fields import advanced, number


class WarpParams(BaseModel):
    """Changes of geometry: picture, labels and maps go through them together."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    orientations: bool = Field(
        default=True,
        title="All orientations",
        description="Patches take any of the 8 orientations of a section, of 16 of a volume, of "
        "48 where its voxels are cubes.",
    )
    affine_fraction: float = number(
        0.7,
        0,
        1,
        "Turned and scaled",
        "Share of patches turned by any angle, scaled and sheared; "
        "the others only take an orientation and the elastic field.",
    )
    rotation_degrees: float = number(
        180, 0, 180, "Largest turn, degrees", "Of the patches turned by any angle."
    )
    scale_min: float = Field(
        default=0.7,
        gt=0,
        le=1,
        title="Smallest scale",
        description="0.7 shows a structure 0.7x as large.",
    )
    scale_max: float = number(1.4, 1, 4, "Largest scale", "1.4 shows a structure 1.4x larger.")
    shear: float = number(0.1, 0, 0.5, "Shear", "Standard deviation of the shear.")
    elastic_sigma_px: float = number(
        5.0,
        0,
        32,
        "Elastic field, px",
        "Standard deviation of the shift at each node of the elastic field.",
    )
    elastic_spacing_px: int = number(
        24, 4, 256, "Elastic node spacing, px", "Distance of the nodes."
    )
    elastic_nodes: int | None = number(
        None,
        2,
        64,
        "Elastic nodes",
        "Nodes along each side of a patch, whatever their distance, 12 in the FusionNet paper; "
        "empty: by the spacing.",
        advanced=True,
    )
    elastic_zero_border: bool = advanced(
        False,
        "Elastic field ends at the edge",
        "The outermost nodes stay where they are, as in the FusionNet paper.",
    )
    misaligned_fraction: float = number(
        0.1,
        0,
        1,
        "Misaligned sections",
        "Share of inputs of several sections in which one section, or all beyond one, are shifted "
        "and turned.",
    )
    misaligned_px: float = number(
        6.0, 0, 64, "Largest misalignment, px", "Shift of misaligned sections."
    )
    misaligned_degrees: float = number(
        2.0, 0, 45, "Largest misalignment, degrees", "Turn of misaligned sections.", advanced=True
    )


class AugmentParams(WarpParams):
    """How strongly training patches are changed; 0 switches a change off.

    Examples
    --------
    >>> AugmentParams(elastic_nodes=12, elastic_zero_border=True).affine_fraction
    0.7
    """

    contrast: float = number(0.3, 0, 1, "Contrast", "Largest change of the log contrast.")
    brightness: float = number(
        0.3, 0, 2, "Brightness", "Largest shift, in standard deviations of the section."
    )
    gamma: float = number(0.4, 0, 1, "Gamma", "Largest change of the log gamma.")
    shading: float = number(
        0.2, 0, 2, "Uneven lighting", "Strength of a slow brightness field, in standard deviations."
    )
    defect_fraction: float = number(
        0.1,
        0,
        1,
        "Defects",
        "Share of patches with a dark or bright stripe, as a fold or a charge leaves.",
    )
    blurred_section_fraction: float = number(
        0.1,
        0,
        1,
        "Blurred sections",
        "Share of inputs of several sections in which one is out of focus.",
    )
    black_section_fraction: float = number(
        0.05, 0, 1, "Black sections", "Share of inputs of several sections in which one is black."
    )
    missing_section_fraction: float = number(
        0.05,
        0,
        1,
        "Missing sections",
        "Share of inputs of several sections in which one is lost and even grey.",
    )
    blur_sigma_px: float = number(
        1.5,
        0,
        4,
        "Largest blur, px",
        "Half of the patches are blurred by a Gaussian up to this width.",
    )
    noise_sigma: float = number(
        0.3,
        0,
        2,
        "Largest noise",
        "Half of the patches get Gaussian noise up to this many standard deviations.",
    )
