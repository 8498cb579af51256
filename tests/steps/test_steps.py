"""Laws that hold for every step, and the words of a parameter that does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from napari_emseg import InputError, Volume, open_volume
from napari_emseg.steps import STEPS
from napari_emseg.steps.evaluate import (
    EvaluateParams,
    match_sections,
    notes_on_mode,
    parse_sections,
)
from napari_emseg.steps.evaluate import run as evaluate
from napari_emseg.steps.fingerprint import fingerprint
from napari_emseg.steps.params import parse_params
from napari_emseg.steps.plausibility import check_plausible
from napari_emseg.steps.segment import SegmentParams, build, write
from napari_emseg.steps.segment import run as segment
from napari_emseg.steps.step import StepRecord, get_step, last_record


@pytest.fixture
def boundary() -> Volume:
    """Two rooms per section with a weak wall at x = 4 and a strong one at x = 9."""
    data = np.zeros((3, 8, 14), np.float32)
    data[:, :, 4] = 0.3
    data[:, :, 9] = 0.9
    return Volume(data, kind="boundary", voxel_size_nm=(50, 4, 4), name="rooms boundary")


@pytest.mark.parametrize("name", STEPS)
class TestEveryStep:
    def test_has_frozen_params_with_defaults(self, name: str) -> None:
        params = get_step(name).params()
        with pytest.raises(ValidationError, match="frozen"):
            setattr(params, next(iter(type(params).model_fields)), 1)

    def test_params_survive_json(self, name: str) -> None:
        model = get_step(name).params
        assert model.model_validate_json(model().model_dump_json()) == model()

    def test_refuses_an_unknown_parameter_by_name(self, name: str) -> None:
        with pytest.raises(InputError, match="no parameter 'colour'; choose from"):
            parse_params(get_step(name).params, {"colour": 1})

    def test_knows_its_name(self, name: str) -> None:
        assert get_step(name).name == name


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"h": 7}, "h must be at most 1, not 7."),
        ({"h": -0.1}, "h must be at least 0, not -0.1."),
        ({"h": "deep"}, "h must be a number, not 'deep'."),
        ({"h": float("nan")}, "h must be a finite number, not nan."),
        ({"sigma_px": 99}, "sigma_px must be at most 20, not 99."),
        ({"mode": "4d"}, "mode must be '2d' or '3d', not '4d'."),
        ({"min_size_voxels": 2.5}, "min_size_voxels must be a whole number, not 2.5."),
        ({"exact_borders": "perhaps"}, "exact_borders must be true or false, not 'perhaps'."),
    ],
)
def test_a_bad_parameter_gets_one_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_params(SegmentParams, values)
    assert str(caught.value) == sentence


class TestSegment:
    def test_a_weak_wall_falls_before_a_strong_one(self, boundary: Volume) -> None:
        counts = []
        for h in (0.1, 0.5, 1.0):
            labels = segment(
                boundary, params=SegmentParams(sigma_px=0, h=h, min_size_voxels=0)
            ).read()
            counts.append(len(np.unique(labels[0])))
        assert counts == [3, 2, 1]

    def test_the_two_halves_are_the_whole(self, boundary: Volume) -> None:
        params = SegmentParams(sigma_px=0.5, h=0.2, min_size_voxels=3)
        halves = write(build(boundary, params=params), boundary, params=params)
        whole = segment(boundary, params=params)
        np.testing.assert_array_equal(halves.read(), whole.read())

    def test_labels_remember_how_they_were_made(self, boundary: Volume) -> None:
        labels = segment(boundary, params=SegmentParams(h=0.25))
        record = last_record(labels.provenance)
        assert record is not None
        assert (record.step, record.params["h"]) == ("segment", 0.25)
        assert record.inputs == {"boundary": fingerprint(boundary)}
        assert (labels.kind, labels.name) == ("labels", "rooms labels")
        assert labels.voxel_size_nm == boundary.voxel_size_nm


class TestSections:
    @pytest.mark.parametrize("text", ["3", "a:b", "5:5", "7:2", "-1:4", 1224, [1, 2, 3], ":"])
    def test_what_is_no_range_is_refused(self, text: object) -> None:
        with pytest.raises(InputError, match="sections"):
            parse_sections(text)

    @given(st.integers(0, 99), st.integers(1, 99))
    def test_text_and_pair_mean_the_same(self, start: int, length: int) -> None:
        pair = (start, start + length)
        assert parse_sections(f"{pair[0]}:{pair[1]}") == parse_sections(list(pair)) == pair

    def test_only_the_sections_asked_for_are_scored(self) -> None:
        """Section 0 is wrong, sections 1 and 2 are right."""
        truth = np.repeat([[[1, 1, 2, 2]]], 3, axis=0).astype(np.uint32)
        labels = truth.copy()
        labels[0] = [[5, 6, 7, 8]]
        volumes = [Volume(a, kind="labels") for a in (labels, truth)]
        right = evaluate(*volumes, params=EvaluateParams(sections=(1, 3)))
        wrong = evaluate(*volumes, params=EvaluateParams(sections=(0, 1)))
        assert right["v_rand"] == 1
        assert wrong["v_rand"] < 1

    def test_fewer_true_sections_need_a_range(self) -> None:
        labels = Volume(np.ones((30, 4, 5), np.uint32), kind="labels")
        truth = Volume(np.ones((24, 4, 5), np.uint32), kind="labels")
        with pytest.raises(InputError, match=r"30 sections .* 24: .* 0:24 .*--sections"):
            match_sections(labels, truth, None, "segmentation")
        pair = match_sections(labels, truth, (20, 24), "segmentation")
        assert [volume.shape for volume in pair] == [(4, 4, 5)] * 2

    def test_another_field_is_refused_with_both_sizes(self) -> None:
        labels = Volume(np.ones((3, 4, 5), np.uint32), kind="labels")
        truth = Volume(np.ones((3, 4, 6), np.uint32), kind="labels")
        with pytest.raises(InputError, match=r"4 x 5 .* 4 x 6"):
            match_sections(labels, truth, None, "segmentation")

    def test_a_range_beyond_the_end_is_refused(self) -> None:
        labels = Volume(np.ones((3, 4, 5), np.uint32), kind="labels")
        with pytest.raises(InputError, match=r"segmentation has 3 \(0:3\)"):
            match_sections(labels, labels, (2, 4), "segmentation")


@pytest.mark.parametrize(
    ("mode", "kind", "shift", "n_notes"),
    [
        ("2d", "labels", 0, 1),
        ("3d", "labels", 0, 0),
        ("2d", "membranes", 0, 0),
        ("", "labels", 0, 0),
        ("2d", "labels", 9, 0),
    ],
)
def test_sections_by_themselves_against_ids_in_3d_is_said(
    mode: str, kind: str, shift: int, n_notes: int
) -> None:
    """Where ids differ from section to section (shifted by 9) all is well."""
    ids = np.array([[0, 1, 2]]) + shift * np.arange(3)[:, None, None]
    truth = Volume(np.where([[0, 1, 1]], ids, 0), kind="labels")
    assert len(notes_on_mode(mode, truth, kind)) == n_notes


class TestRecords:
    def test_record_survives_json_like_values(self) -> None:
        record = StepRecord("segment", {"h": 0.1}, {"boundary": "ab"})
        assert StepRecord.from_dict(record.to_dict()) == record

    @pytest.mark.parametrize("steps", [None, [], "x", [3], [{"step": "segment"}], {"a": 1}])
    def test_a_foreign_provenance_is_no_record(self, steps: object) -> None:
        assert last_record({"steps": steps}) is None


def _grey(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(130, 30, (3, 64, 80))
    return noise.clip(0, 255).astype(np.uint8)


def _ids(dtype: type = np.uint16) -> np.ndarray:
    """Vertical stripes of 8 pixels, none of them black."""
    return np.broadcast_to(np.arange(96) // 8 + 1, (3, 64, 96)).astype(dtype)


def _map() -> np.ndarray:
    """Soft walls every 16 pixels, as a network draws them in bytes."""
    wall = 250 * np.exp(-(((np.arange(96) % 16 - 8) / 2.5) ** 2))
    noise = np.random.default_rng(0).uniform(0, 5, (3, 64, 96))
    return (wall + noise).astype(np.uint8)


class TestPlausibility:
    @pytest.mark.parametrize(
        ("volume", "looks"),
        [
            (Volume(_ids(), kind="raw"), "labels"),
            (Volume(_ids(np.uint8) % 2 * np.uint8(255), kind="raw"), "a drawing in two values"),
            (Volume(_ids() % 2 / np.float32(1), kind="raw"), "a boundary map"),
            (Volume(_map(), kind="raw"), "a boundary map"),
            (Volume(255 - _map(), kind="raw"), "a boundary map"),
            (Volume(_ids(np.uint8) % 4, kind="boundary"), "labels"),
            (Volume(_grey(), kind="boundary"), "grey values"),
            (Volume(_ids(np.uint8), kind="boundary"), "labels"),
            (Volume(_grey(), kind="labels"), "grey values"),
        ],
    )
    def test_a_clear_contradiction_is_said(self, volume: Volume, looks: str) -> None:
        with pytest.raises(InputError, match=f"looks like {looks}, but"):
            check_plausible(volume)

    @pytest.mark.parametrize(
        "volume",
        [
            Volume(_grey(), kind="raw"),
            Volume(_ids(), kind="labels"),
            Volume(_ids() % 2 == 0, kind="boundary"),
            Volume(_ids(np.uint8) % 2, kind="boundary"),
            Volume(_map(), kind="boundary"),
            Volume(np.full((3, 64, 80), 7, np.uint8), kind="raw"),
            Volume(np.full((3, 64, 80), 7, np.uint32), kind="labels"),
            Volume(_ids()[:1, :5, :9], kind="raw"),
        ],
    )
    def test_right_constant_or_tiny_volumes_pass(self, volume: Volume) -> None:
        check_plausible(volume)

    def test_every_real_stack_passes_and_a_real_map_does_not(self, shared_data: Path) -> None:
        for path in shared_data.glob("*/*raw.tif"):
            volume = open_volume(path, kind="raw")
            if path.name.startswith("boundary"):
                with pytest.raises(InputError, match="looks like a boundary map"):
                    check_plausible(volume)
            else:
                check_plausible(volume)

    def test_black_margins_do_not_make_raw_look_like_labels(self) -> None:
        grey = _grey()
        grey[:, :, :64] = 0
        check_plausible(Volume(grey, kind="raw"))
        grey[:, :, :80] = 0
        check_plausible(Volume(grey, kind="raw"))
