"""The session: what was asked for, evented and checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from napari_emseg import InputError, Volume
from napari_emseg.session import Reference, Session
from napari_emseg.steps import STEPS
from napari_emseg.steps.fingerprint import fingerprint
from napari_emseg.steps.step import StepRecord, get_step


@pytest.mark.parametrize("name", STEPS)
def test_every_step_has_its_params_in_the_session(name: str) -> None:
    assert getattr(Session(), name) == get_step(name).params()


def test_a_change_is_announced_once_with_new_and_old() -> None:
    session, heard = Session(), []
    session.events.segment.connect(lambda new, old: heard.append((new.h, old.h)))
    session.change("segment", h=0.3, sigma_px=2)
    assert heard == [(0.3, 0.2)]
    assert session.segment.sigma_px == 2


@pytest.mark.parametrize(
    ("step", "changes", "words"),
    [
        ("segment", {"h": 2}, "h must be at most 1"),
        ("segment", {"hue": 2}, "no parameter 'hue'"),
        ("colour", {}, "no step named 'colour'"),
    ],
)
def test_a_bad_change_is_refused_and_changes_nothing(
    step: str, changes: dict[str, Any], words: str
) -> None:
    session = Session()
    with pytest.raises(InputError, match=words):
        session.change(step, **changes)
    assert session == Session()


def test_a_typing_error_in_a_field_fails_at_once() -> None:
    with pytest.raises(ValidationError):
        Session(segmnet=None)  # type: ignore[call-arg]


def test_two_sessions_share_nothing() -> None:
    one, other = Session(), Session()
    one.scores["v_rand"] = 1.0
    one.change("segment", h=0.5)
    one.remember(StepRecord("segment", {}, {}))
    assert other == Session()


class TestReference:
    def test_tells_what_is_needed_to_find_and_know_a_volume(self) -> None:
        data = np.zeros((2, 5, 7), np.uint8)
        volume = Volume(data, voxel_size_nm=(50, 4, 4), provenance={"source": "/data/a.tif"})
        reference = Reference.of(volume, name="layer")
        assert (reference.name, reference.path, reference.shape) == (
            "layer",
            "/data/a.tif",
            (2, 5, 7),
        )
        assert reference.fingerprint == fingerprint(volume)

    def test_what_a_step_made_lies_in_no_file(self) -> None:
        """Its provenance names the raw file, which is not where it can be read from."""
        record = StepRecord("predict", {}, {})
        volume = Volume(
            np.zeros((2, 5, 7), np.float32),
            kind="boundary",
            provenance={"source": "/data/a.tif", "steps": [record.to_dict()]},
        )
        assert Reference.of(volume).path is None
        assert Reference.of(volume).made_by == record
