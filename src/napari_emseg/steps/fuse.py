"""Fusing: boundary maps of several networks in, one map out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, field_validator

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.steps.params import Params
from napari_emseg.steps.plausibility import check_plausible
from napari_emseg.steps.step import Step, record_step, with_record
from napari_emseg.volume import Volume


class FuseParams(Params):
    """How boundary maps of several networks become one."""

    others: tuple[str, ...] = Field(
        default=(),
        title="Other maps",
        description="Files of the other maps of the same stack.",
    )
    how: Literal["max", "mean", "weighted"] = Field(
        default="mean",
        title="How",
        description="max: the surest map counts; mean: the average; weighted: with weights.",
    )
    weights: tuple[float, ...] | None = Field(
        default=None,
        title="Weights",
        description="One for each map, this one first; only their ratios matter.",
    )

    @field_validator("others", mode="before")
    @classmethod
    def _parse_others(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("weights", mode="before")
    @classmethod
    def _parse_weights(cls, value: Any) -> Any:
        return split_numbers(value, "weights")


def split_numbers(value: Any, name: str) -> Any:
    """Read numbers written "A,B,C"; anything else is returned as it is.

    Raises
    ------
    InputError
        If the text is no such list.

    Examples
    --------
    >>> split_numbers("1, 0.5", "weights")
    (1.0, 0.5)
    """
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError:
        raise InputError(f"{name} must be numbers with commas between, not '{value}'.") from None


def run(boundary: Volume, *, params: FuseParams, progress: Progress = NO_PROGRESS) -> Volume:
    """Fuse a boundary map with those in the files named.

    Parameters
    ----------
    boundary : Volume
        The first map, ZYX.
    params : FuseParams
        The files of the others, and how to fuse.
    progress : Progress, optional
        Told the sections done.

    Returns
    -------
    Volume
        Kind ``boundary``, float32.

    Raises
    ------
    InputError
        If no other map is named, or one cannot be read or does not fit.
    """
    from napari_emseg.io import open_volume

    if not params.others:
        raise InputError("Fusing needs the file of at least one other map ('others').")
    others = [open_volume(path, kind="boundary") for path in params.others]
    for other in others:
        check_plausible(other)
    return fuse([boundary, *others], params=params, progress=progress)


def fuse(maps: Sequence[Volume], *, params: FuseParams, progress: Progress = NO_PROGRESS) -> Volume:
    """Fuse open maps and remember how; see :func:`run`."""
    from napari_emseg.postprocessing import fuse_maps

    fused = fuse_maps(maps, how=params.how, weights=params.weights, progress=progress)
    return with_record(fused, record_step("fuse", params, boundary=maps[0]), maps[0])


STEP = Step(
    name="fuse",
    title="Fuse maps",
    inputs=("boundary",),
    output="boundary",
    params=FuseParams,
    run=run,
)
