"""Where each step stands: a pure function of the session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from napari_emseg.session.model import Reference, Session
from napari_emseg.steps.fields import describe_fields
from napari_emseg.steps.fingerprint import has_changed
from napari_emseg.steps.params import Params
from napari_emseg.steps.segment import SegmentParams
from napari_emseg.steps.step import StepRecord

State = Literal["ready", "running", "up to date", "out of date", "waiting"]

_WITHOUT_EFFECT = {"device"}  # where something is computed does not change it


@dataclass(frozen=True)
class StepState:
    """Where one step stands, and why in one sentence fit to be shown."""

    state: State
    reason: str


@dataclass(frozen=True)
class Plan:
    """Where every step stands."""

    data: StepState
    boundaries: StepState
    segment: StepState
    evaluate: StepState

    def __getitem__(self, step: str) -> StepState:
        """Return the state of "data", "boundaries", "segment" or "evaluate"."""
        state: StepState = getattr(self, step)
        return state


@dataclass(frozen=True)
class Facts:
    """What is true now and no matter of wishes.

    Attributes
    ----------
    running : frozenset of str
        Names of the steps whose jobs run now ("boundaries", "segment", ...).
    """

    running: frozenset[str] = field(default_factory=frozenset)


NOTHING_RUNS = Facts()


def plan(session: Session, facts: Facts = NOTHING_RUNS) -> Plan:
    """Say where each step stands; pure, so the same input gives the same answer.

    Parameters
    ----------
    session : Session
        What was asked for and what is there.
    facts : Facts, optional
        What runs.

    Returns
    -------
    Plan
    """
    states = {
        "data": _plan_data(session),
        "boundaries": _plan_boundaries(session),
        "segment": _plan_segment(session),
        "evaluate": _plan_evaluate(session),
    }
    for step in facts.running & states.keys():
        states[step] = StepState("running", "running")
    return Plan(**states)


def _plan_data(session: Session) -> StepState:
    volume = session.raw or session.boundary or session.segmentation
    if volume is None:
        return StepState("waiting", "waiting for a stack: open or drop a file")
    if volume.voxel_size_nm is None:
        return StepState("waiting", "waiting for the voxel size: type it in nm")
    return StepState("up to date", "ready")


def _plan_boundaries(session: Session) -> StepState:
    raw, boundary = session.raw, session.boundary
    if boundary is None:
        if raw is None:
            return StepState("waiting", "waiting for a stack: choose one in step 1")
        return StepState("ready", "ready: press Predict all")
    if boundary.made_by is not None and boundary.made_by.step in ("fuse", "postprocess"):
        return StepState("up to date", "up to date: a map made from others")
    if boundary.made_by is None or boundary.made_by.step != "predict":
        return StepState("up to date", "up to date: a map from elsewhere")
    because = _why_stale(boundary.made_by, session.predict, {"raw": raw})
    return _fresh_or_stale(because)


def _plan_segment(session: Session) -> StepState:
    boundary, labels = session.boundary, session.segmentation
    if boundary is None:
        if labels is not None:
            return StepState("up to date", "up to date: labels from elsewhere")
        return StepState("waiting", "waiting for a boundary map: press Predict all")
    if labels is None:
        return StepState("ready", "ready: tune, then press Write labels")
    if labels.made_by is None or labels.made_by.step != "segment":
        return StepState("up to date", "up to date: labels from elsewhere")
    because = _why_stale(labels.made_by, session.segment, {"boundary": boundary})
    # In 3D the smoothing is as wide in nm along z as along x.
    before, now = labels.made_by.voxel_size_nm, boundary.voxel_size_nm
    if not because and session.segment.mode == "3d" and before and now and before != now:
        because = "the voxel size changed"
    if not because and _plan_boundaries(session).state == "out of date":
        because = "the boundary map is out of date"
    return _fresh_or_stale(because)


def _plan_evaluate(session: Session) -> StepState:
    labels, truth = session.segmentation, session.ground_truth
    if labels is None and (session.boundary is None or truth is None):
        return StepState("waiting", "waiting for labels: press Write labels")
    if labels is None:
        return StepState("ready", "ready: Evaluate scores what the sliders show")
    if truth is None:
        return StepState("waiting", "waiting for ground truth: choose a layer")
    if labels.shape[1:] != truth.shape[1:]:
        return StepState(
            "waiting",
            f"waiting for ground truth of the same field: it has {_size(truth)} voxels, "
            f"the labels {_size(labels)}",
        )
    if session.scored is None:
        return StepState("ready", "ready: press Evaluate")
    inputs = {"labels": labels, "ground_truth": truth}
    because = _why_stale(session.scored, session.evaluate, inputs)
    if not because and _plan_segment(session).state == "out of date":
        because = "the labels are out of date"
    return _fresh_or_stale(because)


def _in_a_sentence(title: str) -> str:
    is_word = title[1:2].islower()
    return title[0].lower() + title[1:] if is_word else title


def _size(volume: Reference) -> str:
    return " x ".join(map(str, volume.shape))


def _fresh_or_stale(because: str) -> StepState:
    if because:
        return StepState("out of date", f"out of date because {because}")
    return StepState("up to date", "up to date")


def _why_stale(made_by: StepRecord, params: Params, inputs: Mapping[str, Reference | None]) -> str:
    """Say why something made earlier is not what would be made now, "" if it is."""
    now = params.model_dump(mode="json")
    idle = params.idle_fields if isinstance(params, SegmentParams) else frozenset()
    for parameter in describe_fields(type(params)):
        if parameter.name in _WITHOUT_EFFECT | idle:
            continue
        before = made_by.params.get(parameter.name, now[parameter.name])
        after = now[parameter.name]
        if before != after:
            was, unit = parameter.format(before), f" {parameter.unit}"
            was = was.removesuffix(unit) if parameter.unit else was
            name = _in_a_sentence(parameter.title)
            return f"{name} changed from {was} to {parameter.format(after)}"
    for role, volume in inputs.items():
        used = made_by.inputs.get(role)
        if volume is not None and used and has_changed(used, volume.fingerprint):
            return f"the {role.replace('_', ' ')} changed"
    return ""
