"""Where each step stands: one table, no window."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from napari_emseg.session import Facts, Reference, Session, plan
from napari_emseg.steps.evaluate import EvaluateParams
from napari_emseg.steps.predict import PredictParams
from napari_emseg.steps.segment import SegmentParams
from napari_emseg.steps.step import StepRecord

SHAPE = (3, 8, 9)


def ref(fingerprint: str, kind: Any = "raw", **changes: Any) -> Reference:
    values = {"shape": SHAPE, "voxel_size_nm": (50, 4, 4), **changes}
    return Reference(fingerprint=f"2-{fingerprint}-", kind=kind, **values)


def made(step: str, params: Any, **inputs: str) -> StepRecord:
    used = {role: f"2-{name}-" for role, name in inputs.items()}
    return StepRecord(step, params.model_dump(mode="json"), used)


RAW = ref("raw")
MAP = ref("map", "boundary", made_by=made("predict", PredictParams(), raw="raw"))
OLD_MAP = ref("map", "boundary", made_by=made("predict", PredictParams(tta=False), raw="raw"))
LABELS = ref("labels", "labels", made_by=made("segment", SegmentParams(), boundary="map"))
SMOOTHER = ref(
    "labels", "labels", made_by=made("segment", SegmentParams(sigma_px=2), boundary="map")
)
TRUTH = ref("truth", "labels")
SCORED = made("evaluate", EvaluateParams(), labels="labels", ground_truth="truth")
FULL = {"raw": RAW, "boundary": MAP, "segmentation": LABELS, "ground_truth": TRUTH}

TABLE: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("nothing open", {}, "data", "waiting", "waiting for a stack: open or drop a file"),
    ("nothing open", {}, "boundaries", "waiting", "waiting for a stack"),
    ("nothing open", {}, "segment", "waiting", "waiting for a boundary map: press Predict all"),
    ("nothing open", {}, "evaluate", "waiting", "waiting for labels"),
    ("raw open", {"raw": RAW}, "data", "up to date", "ready"),
    ("raw open", {"raw": RAW}, "boundaries", "ready", "ready: press Predict all"),
    ("no voxel size", {"raw": ref("raw", voxel_size_nm=None)}, "data", "waiting", "voxel size"),
    ("map made", {"raw": RAW, "boundary": MAP}, "boundaries", "up to date", "up to date"),
    ("map made", {"raw": RAW, "boundary": MAP}, "segment", "ready", "press Write labels"),
    ("map opened", {"boundary": ref("m", "boundary")}, "boundaries", "up to date", "elsewhere"),
    ("map, raw closed", {"boundary": MAP}, "boundaries", "up to date", "up to date"),
    (
        "other raw",
        {"raw": ref("other"), "boundary": MAP},
        "boundaries",
        "out of date",
        "out of date because the raw changed",
    ),
    (
        "averaging switched on",
        {"raw": RAW, "boundary": OLD_MAP},
        "boundaries",
        "out of date",
        "out of date because averaging changed from off to on",
    ),
    ("all done", FULL, "segment", "up to date", "up to date"),
    (
        "smoothing moved",
        {**FULL, "segmentation": SMOOTHER},
        "segment",
        "out of date",
        "out of date because smoothing changed from 2 to 1.5 px",
    ),
    (
        "other map",
        {**FULL, "boundary": ref("new", "boundary")},
        "segment",
        "out of date",
        "out of date because the boundary changed",
    ),
    (
        "map out of date",
        {**FULL, "boundary": OLD_MAP},
        "segment",
        "out of date",
        "out of date because the boundary map is out of date",
    ),
    ("labels only", {"segmentation": LABELS}, "segment", "up to date", "elsewhere"),
    ("no truth", {**FULL, "ground_truth": None}, "evaluate", "waiting", "choose a layer"),
    ("not scored", FULL, "evaluate", "ready", "press Evaluate"),
    ("scored", {**FULL, "scored": SCORED}, "evaluate", "up to date", "up to date"),
    (
        "other truth",
        {**FULL, "scored": SCORED, "ground_truth": ref("t", "labels")},
        "evaluate",
        "out of date",
        "out of date because the ground truth changed",
    ),
    (
        "labels out of date",
        {**FULL, "scored": SCORED, "segmentation": SMOOTHER},
        "evaluate",
        "out of date",
        "out of date because the labels are out of date",
    ),
    (
        "another field",
        {**FULL, "ground_truth": ref("t", "labels", shape=(3, 8, 10))},
        "evaluate",
        "waiting",
        "3 x 8 x 10 voxels, the labels 3 x 8 x 9",
    ),
    (
        "fewer true sections",
        {**FULL, "ground_truth": ref("t", "labels", shape=(2, 8, 9))},
        "evaluate",
        "ready",
        "ready",
    ),
]


@pytest.mark.parametrize(
    ("case", "fields", "step", "state", "words"), TABLE, ids=[f"{r[0]}-{r[2]}" for r in TABLE]
)
def test_the_state_of_a_step(
    case: str, fields: dict[str, Any], step: str, state: str, words: str
) -> None:
    found = plan(Session(**fields))[step]
    assert found.state == state, case
    assert words in found.reason
    assert "\n" not in found.reason


def test_a_running_step_says_so() -> None:
    states = plan(Session(raw=RAW), Facts(running=frozenset({"boundaries"})))
    assert states.boundaries.state == "running"
    assert states.segment.state == "waiting"


def test_moving_a_slider_there_and_back_changes_nothing() -> None:
    session = Session(**FULL)
    before = plan(session)
    session.change("segment", h=0.3)
    assert plan(session).segment.reason == ("out of date because H-minima changed from 0.2 to 0.3")
    session.change("segment", h=0.2)
    assert plan(session) == before


def test_the_device_does_not_make_a_map_out_of_date() -> None:
    session = Session(raw=RAW, boundary=MAP)
    session.change("predict", device="cpu")
    assert plan(session).boundaries.state == "up to date"


@pytest.mark.parametrize(
    ("mode", "typed", "state"),
    [
        ("3d", (50, 4, 4), "up to date"),
        ("3d", (40, 4, 4), "out of date"),
        ("3d", None, "up to date"),  # not known of labels written by an older version
        ("2d", (40, 4, 4), "up to date"),
    ],
)
def test_smoothing_in_3d_depends_on_the_voxel_size(mode: Any, typed: Any, state: str) -> None:
    params = SegmentParams(mode=mode)
    record = replace(made("segment", params, boundary="map"), voxel_size_nm=typed)
    labels = ref("labels", "labels", made_by=record)
    session = Session(boundary=ref("map", "boundary"), segmentation=labels, segment=params)
    assert plan(session).segment.state == state


@pytest.mark.parametrize(
    ("grouping", "change", "state"),
    [
        ("h_minima", {"merge_threshold": 0.9}, "up to date"),
        ("h_minima", {"h": 0.9}, "out of date"),
        ("mean_boundary", {"h": 0.9}, "up to date"),
        ("mean_boundary", {"merge_threshold": 0.9}, "out of date"),
        ("mean_boundary", {"exact_borders": True}, "up to date"),
        ("linking", {"h": 0.9}, "out of date"),
        ("multicut", {"affinity_thresholds": "deepseg"}, "up to date"),
        ("mean_affinity", {"affinity_thresholds": "deepseg"}, "out of date"),
        ("h_minima", {"min_sections": 3}, "up to date"),
    ],
)
def test_what_makes_no_difference_does_not_outdate_labels(
    grouping: Any, change: dict[str, Any], state: str
) -> None:
    params = SegmentParams(grouping=grouping, merge_threshold=0.3)
    labels = ref("labels", "labels", made_by=made("segment", params, boundary="map"))
    session = Session(**{**FULL, "segmentation": labels}, segment=params.model_copy(update=change))
    assert plan(session).segment.state == state


@pytest.mark.parametrize("step", ["fuse", "postprocess"])
def test_a_map_made_from_others_is_told_as_such(step: str) -> None:
    improved = ref("map", "boundary", made_by=StepRecord(step, {}, {}))
    assert "from others" in plan(Session(**{**FULL, "boundary": improved})).boundaries.reason
