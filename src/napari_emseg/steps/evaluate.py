"""Step 4, Evaluate: labels and ground truth in, scores out."""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.steps.params import Params
from napari_emseg.steps.step import Step
from napari_emseg.volume import Volume


class ProtocolParams(Params):
    """How a public challenge scores."""

    name: Literal["isbi", "snemi3d", "cremi"] = Field(
        title="Protocol",
        description=(
            "Score as a challenge did. isbi: a boundary map against membranes, V_rand and V_info "
            "after thinning; snemi3d: adapted Rand error; cremi: VOI, adapted Rand error and "
            "CREMI score away from borders."
        ),
    )
    border_nm: float = Field(
        default=25.0,
        ge=0.0,
        le=1000.0,
        title="Border left out",
        description="For cremi: voxels this near to a true border are not counted.",
        json_schema_extra={"advanced": True},
    )
    as_published: bool = Field(
        default=False,
        title="With the slip of the script",
        description=(
            "For snemi3d and cremi: count voxels without a segment as the published script does "
            "by mistake, for comparison with published numbers."
        ),
        json_schema_extra={"advanced": True},
    )


class EvaluateParams(Params):
    """What to compare a segmentation with, and by which scores."""

    ground_truth_kind: Literal["labels", "labels_2d", "membranes"] = Field(
        default="labels",
        title="Ground truth is",
        description=(
            "labels: ids that run through the sections; labels_2d: ids, each section by itself; "
            "membranes: an image of membranes, what is not membrane is cell."
        ),
    )
    invert_ground_truth: bool | None = Field(
        default=None,
        title="Cells are bright",
        description="For membranes: whether cells are bright in the image; empty: recognised.",
        json_schema_extra={"advanced": True},
    )
    metrics: tuple[str, ...] | None = Field(
        default=None,
        title="Scores",
        description=(
            "Names of the scores; by default all but the slow ones: warping_error and its parts "
            "warping_split_error, warping_merge_error, warping_hole_error, warping_object_error; "
            "expected_run_length_nm, expected_run_length_share."
        ),
        json_schema_extra={"advanced": True},
    )
    sections: tuple[int, int] | None = Field(
        default=None,
        title="Sections",
        description="Only these sections, as first:stop, counted from 0; stop itself is left out.",
        json_schema_extra={"advanced": True},
    )

    protocol: ProtocolParams | None = Field(
        default=None,
        title="Protocol",
        description="Score as a public challenge did, instead of by `metrics`.",
        json_schema_extra={"advanced": True},
    )

    @field_validator("protocol", mode="before")
    @classmethod
    def _parse_protocol(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("sections", mode="before")
    @classmethod
    def _parse_sections(cls, value: Any) -> Any:
        return parse_sections(value)

    @field_validator("metrics", mode="before")
    @classmethod
    def _parse_metrics(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip()) or None
        return value


def parse_sections(value: Any) -> tuple[int, int] | None:
    """Read a range of sections.

    Parameters
    ----------
    value : str, pair of int or None
        ``"A:B"``: from section A (counted from 0) up to but not including B.

    Raises
    ------
    InputError
        If it is no such range.

    Examples
    --------
    >>> parse_sections("20:24")
    (20, 24)
    """
    if value is None or value == "":
        return None
    if isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+)\s*:\s*(\d+)\s*", value)):
        value = match.groups()
    try:
        start, stop = (int(v) for v in value)
    except (TypeError, ValueError):
        raise InputError(
            f"A range of sections is written FIRST:STOP (in YAML: [FIRST, STOP]), not {value!r}."
        ) from None
    if not 0 <= start < stop:
        raise InputError(f"The range of sections {start}:{stop} is empty; write it FIRST:STOP.")
    return start, stop


def take_sections(volume: Volume, sections: tuple[int, int] | None, noun: str) -> Volume:
    """Return the given sections of `volume`, all of them for None.

    Raises
    ------
    InputError
        If the volume has not that many.
    """
    if sections is None:
        return volume
    start, stop = sections
    if stop > volume.shape[0]:
        raise InputError(
            f"Sections {start}:{stop} were asked for, but the {noun} has {volume.shape[0]} "
            f"(0:{volume.shape[0]})."
        )
    if volume.kind != "boundary":
        return volume.derive(volume.read((slice(start, stop),)), kind=volume.kind)
    from napari_emseg.segmentation.affinity_view import sections_of

    return sections_of(volume, slice(start, stop))


def match_sections(
    volume: Volume, ground_truth: Volume, sections: tuple[int, int] | None, noun: str
) -> tuple[Volume, Volume]:
    """Cut both volumes to `sections` and check that they cover the same voxels.

    Raises
    ------
    InputError
        If they do not; when only the number of sections differs, the message
        names the flag that helps.
    """
    volume = take_sections(volume, sections, noun)
    ground_truth = take_sections(ground_truth, sections, "ground truth")
    (depth, *plane), (true_depth, *true_plane) = volume.shape, ground_truth.shape
    if plane != true_plane:
        raise InputError(
            f"The {noun} has sections of {_size(plane)} and the ground truth of "
            f"{_size(true_plane)} pixels: they must show the same field."
        )
    if depth != true_depth:
        raise InputError(
            f"The {noun} has {depth} sections and the ground truth {true_depth}: compare a range "
            f"that both have, such as 0:{min(depth, true_depth)} (in the shell: --sections)."
        )
    return volume, ground_truth


def notes_on_mode(mode: str, ground_truth: Volume, ground_truth_kind: str) -> list[str]:
    """Say so where sections segmented one by one meet ids that run through sections.

    Parameters
    ----------
    mode : str
        "2d" or "3d"; anything else is not known and gives no note.
    ground_truth : Volume
        Ids, ZYX.
    ground_truth_kind : str
        As in `EvaluateParams`.

    Returns
    -------
    list of str
        Empty, or one sentence.
    """
    if mode != "2d" or ground_truth_kind != "labels" or ground_truth.shape[0] < 2:
        return []
    first, second = (np.unique(ground_truth.read(z)) for z in (0, 1))
    if not np.intersect1d(first[first != 0], second).size:
        return []
    return [
        "The ids of the ground truth run through the sections, the segments do not (mode 2d), "
        "so scores are low: segment in 3d, or compare each section by itself (labels_2d)."
    ]


def _size(plane: list[int]) -> str:
    return f"{plane[0]} x {plane[1]}"


def run(
    labels: Volume,
    ground_truth: Volume,
    *,
    params: EvaluateParams,
    progress: Progress = NO_PROGRESS,
) -> dict[str, float]:
    """Score a segmentation.

    Parameters
    ----------
    labels, ground_truth : Volume
        Ids (or membranes, see `params`), ZYX, the same field; for the protocol `isbi`
        a boundary map and membranes.
    params : EvaluateParams
        Kind of ground truth, scores, sections.
    progress : Progress, optional
        Told the sections done.

    Returns
    -------
    dict of str to float
        Score name to value.

    Raises
    ------
    InputError
        If the shapes differ, a score does not exist or the protocol scores other data.
    """
    from napari_emseg.evaluation import evaluate

    if params.protocol is not None:
        return _run_protocol(labels, ground_truth, params, params.protocol, progress)
    labels, ground_truth = match_sections(labels, ground_truth, params.sections, "segmentation")
    return evaluate(
        labels,
        ground_truth,
        ground_truth_kind=params.ground_truth_kind,
        metrics=params.metrics,
        invert=params.invert_ground_truth,
        progress=progress,
    )


def _run_protocol(
    volume: Volume,
    ground_truth: Volume,
    params: EvaluateParams,
    protocol: ProtocolParams,
    progress: Progress,
) -> dict[str, float]:
    from napari_emseg.evaluation import cremi_protocol, isbi_protocol, snemi3d_protocol

    if params.metrics is not None:
        raise InputError("A protocol has its own scores: choose either metrics or a protocol.")
    is_map = protocol.name == "isbi"
    if is_map != (volume.kind == "boundary"):
        wanted = "a boundary map and membranes" if is_map else "a segmentation and true ids"
        raise InputError(
            f"The protocol {protocol.name} compares {wanted}; this is a {volume.kind} volume."
        )
    noun = "boundary map" if is_map else "segmentation"
    volume, ground_truth = match_sections(volume, ground_truth, params.sections, noun)
    if is_map:
        invert = params.invert_ground_truth
        return isbi_protocol(volume, ground_truth, invert=invert, progress=progress)
    as_published = protocol.as_published
    if protocol.name == "snemi3d":
        return snemi3d_protocol(volume, ground_truth, as_published=as_published, progress=progress)
    return cremi_protocol(
        volume,
        ground_truth,
        border_nm=protocol.border_nm,
        as_published=as_published,
        progress=progress,
    )


STEP = Step(
    name="evaluate",
    title="Evaluate",
    inputs=("labels", "ground_truth"),
    output="scores",
    params=EvaluateParams,
    run=run,
)
