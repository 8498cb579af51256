"""What to predict with: the parameters of step 2, and what they mean for a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from napari_emseg.inference.choice import DEFAULT, axes_for, recommended
from napari_emseg.steps.params import Params

if TYPE_CHECKING:
    from napari_emseg.inference.choice import HasVoxelSize

AUTOMATIC = "auto"
_ADVANCED: dict[str, Any] = {"advanced": True}


class PredictParams(Params):
    """How networks turn raw sections into a boundary map."""

    model: str = Field(
        default=DEFAULT,
        title="Model",
        description=(
            "A trained model's name or .safetensors file; default: the bundled one that suits "
            "the voxel size."
        ),
        min_length=1,
    )
    others: tuple[str, ...] = Field(
        default=(),
        title="Other models",
        description="Further models, whose maps are combined with the first one's.",
        json_schema_extra=_ADVANCED,
    )
    combine: Literal["mean", "max", "learned"] = Field(
        default="mean",
        title="Combine",
        description=(
            "mean: the average of several models; max: the surest membrane counts; "
            "learned: as a stacker weighs them."
        ),
        json_schema_extra=_ADVANCED,
    )
    stacker: str = Field(
        default="",
        title="Stacker",
        description="File that 'emseg stack' wrote; with it, models are combined as learned.",
        json_schema_extra=_ADVANCED,
    )
    tta: bool = Field(
        default=True,
        title="Averaging",
        description=(
            "Predict each section in 8 orientations and average: better, 8 times slower; "
            "16 orientations of volumes with 3D networks."
        ),
    )
    axes: Literal["auto", "z", "zyx"] = Field(
        default="auto",
        title="Axes",
        description=(
            "zyx: average what a 2D network sees along all three axes of isotropic voxels: "
            "better there, 3 times slower; auto: so where the network has learned from such."
        ),
        json_schema_extra=_ADVANCED,
    )
    bad_sections: tuple[str, ...] = Field(
        default=(),
        title="Bad sections",
        description=(
            "Sections to be substituted, as NUMBER:FAULT with faults blank, blurred, contrast, "
            "misaligned; auto finds them."
        ),
        json_schema_extra=_ADVANCED,
    )
    substitute: str = Field(
        default="",
        title="Substitute",
        description=(
            "Model of single sections and widened membranes that joins in where sections are "
            "misaligned; none: the model itself."
        ),
        json_schema_extra=_ADVANCED,
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto",
        title="Device",
        description="Where to compute; auto takes the fastest there is.",
        json_schema_extra=_ADVANCED,
    )
    resample: Literal["auto", "never"] = Field(
        default="auto",
        title="Resample",
        description=(
            "auto: when the voxel size is far from the model's, bring the sections "
            "to the model's and the map back; not for affinities, whose steps count voxels."
        ),
        json_schema_extra=_ADVANCED,
    )

    @model_validator(mode="before")
    @classmethod
    def _imply(cls, values: Any) -> Any:
        """Combine as learned where a stacker is named and nothing else is said."""
        if isinstance(values, dict) and values.get("stacker") and "combine" not in values:
            return {**values, "combine": "learned"}
        return values

    @field_validator("others", "bad_sections", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Read words written "A,B,C"."""
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("bad_sections", mode="after")
    @classmethod
    def _check_sections(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        from napari_emseg.postprocessing.section_table import format_entries, parse_entries

        return value if value == (AUTOMATIC,) else format_entries(parse_entries(value))

    @property
    def models(self) -> tuple[str, ...]:
        """All models, the first one first, none twice."""
        return tuple(dict.fromkeys((self.model, *self.others)))


def name_model(raw: HasVoxelSize, params: PredictParams) -> tuple[PredictParams, str]:
    """Say which model and which axes parameters mean that leave it to the voxels.

    Parameters
    ----------
    raw : Volume or Reference
        What is to be predicted; only its voxel size counts.
    params : PredictParams

    Returns
    -------
    PredictParams
        With a model's name for "default" and axes for "auto": what is written down, so
        that a recipe repeats it with whatever file.
    str
        One sentence if the voxels decided for another model than usual, else blank.

    Raises
    ------
    InputError
        If there is no such model.

    Examples
    --------
    >>> from napari_emseg.volume import Volume
    >>> import numpy as np
    >>> stack = Volume(np.zeros((1, 1, 1)), voxel_size_nm=(10, 10, 10))
    >>> name_model(stack, PredictParams())[0].axes
    'zyx'
    """
    from napari_emseg.networks.library import find_model, list_models

    found = recommended(raw, list_models()) if params.model == DEFAULT else None
    if found is not None:
        params = params.model_copy(update={"model": found.model})
    if params.axes == "auto":
        infos = [find_model(name) for name in params.models]
        axes = "z" if params.bad_sections else axes_for(raw.voxel_size_nm, infos)
        params = params.model_copy(update={"axes": axes})
    return params, found.reason if found is not None and found.axes == params.axes else ""
