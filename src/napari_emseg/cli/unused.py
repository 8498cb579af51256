"""Flags that were given but make no difference: said in one sentence, or refused."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from napari_emseg.errors import InputError
from napari_emseg.steps.evaluate import EvaluateParams
from napari_emseg.steps.segment import AFFINITY_GROUPINGS, SegmentParams
from napari_emseg.volume import Volume


def flag_of(name: str) -> str:
    """Return the flag of a parameter.

    Examples
    --------
    >>> flag_of("sigma_px")
    '--sigma-px'
    """
    return f"--{name.replace('_', '-')}"


def tell_unused(args: argparse.Namespace, params: SegmentParams, boundary: Volume) -> list[str]:
    """Name the flags of a segmentation that were given but make no difference.

    Parameters
    ----------
    args : Namespace
        Has only those that were given.
    params : SegmentParams
        What was made of them.
    boundary : Volume
        What is segmented, which may carry affinities.
    """
    if params.grouping == "linking" and params.mode == "2d":
        return ["With --mode 2d no sections are linked; --mode 3d links them."]
    idle = set(params.idle_fields)
    if _floods_affinities(params, boundary):
        idle |= {"sigma_px", "floor"}
    return [_tell(name, params) for name in sorted(idle & vars(args).keys())]


def _floods_affinities(params: SegmentParams, boundary: Volume) -> bool:
    from napari_emseg.segmentation.affinity_view import affinities_of

    return params.grouping in AFFINITY_GROUPINGS and affinities_of(boundary) is not None


def _tell(name: str, params: SegmentParams) -> str:
    flag = flag_of(name)
    if name in ("h", "merge_threshold"):
        used = flag_of(params.threshold_name)
        return (
            f"{flag} does nothing with --grouping {params.grouping}; "
            f"{used} {params.threshold:g} was used."
        )
    if name == "certain_map":
        return f"{flag} does nothing without --certain-boundary, such as 0.8."
    if name == "short_segments" and params.mode == "3d":
        return f"{flag} does nothing without --min-sections, such as 2."
    if name in ("sigma_px", "floor"):
        return f"{flag} does nothing with affinities and --grouping {params.grouping}."
    return f"{flag} does nothing with --mode {params.mode} --grouping {params.grouping}."


def refuse_flags(args: argparse.Namespace, names: Iterable[str], why: str) -> None:
    """Refuse flags that would make no difference.

    Parameters
    ----------
    args : Namespace
        Has None for those that were not given, or lacks them.
    names : iterable of str
        The flags, as attributes of `args`.
    why : str
        What they are for; follows the flag.

    Raises
    ------
    InputError
        Naming the first that was given.
    """
    for name in names:
        if getattr(args, name, None) is not None:
            raise InputError(f"{flag_of(name)} {why}.")


def refuse_inverting_ids(
    args: argparse.Namespace, params: EvaluateParams, is_drawing: bool
) -> None:
    """Refuse ``--invert-ground-truth`` where the ground truth is ids."""
    if not is_drawing and params.invert_ground_truth is not None:
        why = "is for an image of membranes (--ground-truth-kind membranes); ids have no polarity"
        refuse_flags(args, ["invert_ground_truth"], why)
