"""A recipe gives to the bit what the steps gave, and its faults are named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg import InputError, Volume, open_volume, save_volume
from napari_emseg.networks import build_network
from napari_emseg.networks.checkpoint import save_model
from napari_emseg.networks.info import ModelInfo
from napari_emseg.recipe import Recipe, load_recipe, parse_recipe, run_recipe, save_recipe
from napari_emseg.session import Session
from napari_emseg.steps.evaluate import EvaluateParams
from napari_emseg.steps.predict import PredictParams
from napari_emseg.steps.segment import SegmentParams
from napari_emseg.steps.step import StepRecord, get_step, last_record


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw stack, its true labels and a tiny network with random weights."""
    folder = tmp_path_factory.mktemp("recipe")
    torch.manual_seed(5)
    network = build_network("unet2d", width=4, depth=2)
    save_model(folder / "tiny.safetensors", network, ModelInfo(network="unet2d"))
    grey = np.random.default_rng(1).integers(1, 255, (3, 37, 50), np.uint8)
    save_volume(Volume(grey, voxel_size_nm=(50, 4, 4)), folder / "raw.tif")
    truth = np.broadcast_to(np.arange(50, dtype=np.uint32) // 10 + 1, grey.shape)
    save_volume(Volume(truth.copy(), kind="labels", voxel_size_nm=(50, 4, 4)), folder / "truth.tif")
    return folder


def test_labels_are_to_the_bit_those_of_the_steps(folder: Path, tmp_path: Path) -> None:
    """As the viewer does it: run the steps, remember them, export, replay."""
    session = Session()
    session.change("predict", model=str(folder / "tiny.safetensors"), tta=False)
    session.change("segment", h=0.01, sigma_px=0.7, min_size_voxels=3)
    raw = open_volume(folder / "raw.tif")
    boundary = get_step("predict").run(raw, params=session.predict)
    labels = get_step("segment").run(boundary, params=session.segment)
    for volume in (boundary, labels):
        record = last_record(volume.provenance)
        assert record is not None
        session.remember(record)
    save_recipe(Recipe.from_records(session.history), tmp_path / "recipe.yaml")

    report = run_recipe(
        load_recipe(tmp_path / "recipe.yaml"), folder / "raw.tif", tmp_path / "new" / "out"
    )

    replayed = open_volume(report["files"]["labels"])
    assert len(np.unique(labels.read())) > 3
    np.testing.assert_array_equal(replayed.read(), labels.read())
    np.testing.assert_array_equal(open_volume(report["files"]["boundary"]).read(), boundary.read())
    assert replayed.voxel_size_nm == (50, 4, 4)
    assert report["scores"] is None
    again = load_recipe(report["files"]["recipe"])
    assert again == load_recipe(tmp_path / "recipe.yaml")


def test_a_labels_file_knows_its_own_recipe(folder: Path, tmp_path: Path) -> None:
    recipe = Recipe(
        (
            ("predict", PredictParams(model=str(folder / "tiny.safetensors"), tta=False, axes="z")),
            ("segment", SegmentParams(h=0.1)),
        )
    )
    report = run_recipe(recipe, folder / "raw.tif", tmp_path)
    steps = open_volume(report["files"]["labels"]).provenance["steps"]
    again = Recipe.from_records(StepRecord.from_dict(step) for step in steps)
    assert again == replace(recipe, voxel_size_nm=(50, 4, 4))
    assert again == load_recipe(report["files"]["recipe"])


@pytest.fixture(scope="module")
def unscaled(folder: Path) -> Path:
    """A raw stack without voxel size, and a model of another one than its user types."""
    torch.manual_seed(6)
    network = build_network("unet2d", width=4, depth=2)
    info = ModelInfo(network="unet2d", voxel_size_nm=(50, 4, 4))
    save_model(folder / "coarse.safetensors", network, info)
    grey = np.random.default_rng(2).integers(1, 255, (2, 41, 30), np.uint8)
    return save_volume(Volume(grey), folder / "unscaled.tif")


def _typed(path: Path, size: tuple[float, float, float]) -> tuple[Recipe, np.ndarray]:
    """Do the job on a stack whose voxel size somebody typed."""
    params = PredictParams(model=str(path.parent / "coarse.safetensors"), tta=False)
    boundary = get_step("predict").run(open_volume(path, voxel_size_nm=size), params=params)
    labels = get_step("segment").run(boundary, params=SegmentParams(h=0.02, min_size_voxels=0))
    steps = labels.provenance["steps"]
    recipe = Recipe.from_records(StepRecord.from_dict(json.loads(json.dumps(s))) for s in steps)
    return parse_recipe(recipe.to_yaml()), labels.read()


def test_a_typed_voxel_size_is_replayed(unscaled: Path, tmp_path: Path) -> None:
    recipe, labels = _typed(unscaled, (50, 2, 2))  # half of the model's: resampled
    other = replace(recipe, voxel_size_nm=None)
    assert recipe.voxel_size_nm == (50, 2, 2)
    report = run_recipe(recipe, unscaled, tmp_path)
    np.testing.assert_array_equal(open_volume(report["files"]["labels"]).read(), labels)
    told = "The voxel size is that of the recipe, 50 x 2 x 2 nm: the file has none."
    assert told in report["notes"]
    without = run_recipe(other, unscaled, tmp_path / "without")
    assert not np.array_equal(open_volume(without["files"]["labels"]).read(), labels)


def test_the_file_and_the_flag_overrule_the_recipe(unscaled: Path, tmp_path: Path) -> None:
    recipe, labels = _typed(unscaled, (50, 2, 2))
    scaled = save_volume(open_volume(unscaled, voxel_size_nm=(50, 4, 4)), tmp_path / "raw.tif")
    by_file = run_recipe(recipe, scaled, tmp_path / "file")
    assert open_volume(by_file["files"]["labels"]).voxel_size_nm == (50, 4, 4)
    assert any("the recipe was made at 50 x 2 x 2 nm" in note for note in by_file["notes"])
    assert load_recipe(by_file["files"]["recipe"]).voxel_size_nm == (50, 4, 4)
    by_flag = run_recipe(recipe, scaled, tmp_path / "flag", voxel_size_nm=(50, 2, 2))
    np.testing.assert_array_equal(open_volume(by_flag["files"]["labels"]).read(), labels)


def test_recipes_of_version_1_are_read() -> None:
    old = parse_recipe("version: 1\nsteps: [{step: segment, params: {h: 0.1}}]")
    assert old == Recipe((("segment", SegmentParams(h=0.1)),))


@pytest.mark.parametrize("blocked", ["boundary.tif", "labels.tif", "recipe.yaml"])
def test_places_are_checked_before_the_work(
    folder: Path, tmp_path: Path, blocked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe((("predict", PredictParams()), ("segment", SegmentParams())))
    _forbid_work(monkeypatch)
    (tmp_path / blocked).mkdir()
    with pytest.raises(InputError, match=f"{blocked}: a folder has that name"):
        run_recipe(recipe, folder / "raw.tif", tmp_path)


def test_a_place_that_cannot_be_a_folder_is_said(folder: Path, tmp_path: Path) -> None:
    recipe = Recipe((("segment", SegmentParams()),))
    save_volume(Volume(np.zeros((1, 9, 9), np.float32), kind="boundary"), tmp_path / "map.tif")
    for outdir, words in [
        ("", "No folder for the results is named"),
        (tmp_path / "map.tif", "a file has that name; choose another"),
        (tmp_path / "map.tif" / "x", "Not a directory; choose another"),
    ]:
        with pytest.raises(InputError, match=words):
            run_recipe(recipe, tmp_path / "map.tif", outdir)


def test_the_input_is_not_replaced(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe((("predict", PredictParams()), ("segment", SegmentParams())))
    _forbid_work(monkeypatch)
    path = save_volume(open_volume(folder / "raw.tif"), tmp_path / "boundary.tif")
    with pytest.raises(InputError, match="is an input and would be replaced"):
        run_recipe(recipe, path, tmp_path)


def test_ground_truth_of_another_shape_is_refused_before_the_work(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = (("predict", PredictParams()), ("segment", SegmentParams()))
    recipe = Recipe((*steps, ("evaluate", EvaluateParams())))
    _forbid_work(monkeypatch)
    truth = Volume(np.ones((2, 37, 50), np.uint32), kind="labels")
    path = save_volume(truth, tmp_path / "truth.tif")
    with pytest.raises(InputError, match="The input has 3 sections and the ground truth 2"):
        run_recipe(recipe, folder / "raw.tif", tmp_path, ground_truth=path)


def _forbid_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*_: object, **__: object) -> None:
        raise AssertionError("the work has begun")

    monkeypatch.setattr("napari_emseg.inference.predict", work, raising=False)


def test_scores_are_written_where_there_is_ground_truth(folder: Path, tmp_path: Path) -> None:
    recipe = Recipe(
        (("segment", SegmentParams()), ("evaluate", EvaluateParams(metrics=("v_rand",))))
    )
    boundary = Volume(np.zeros((3, 37, 50), np.float32), kind="boundary")
    save_volume(boundary, tmp_path / "map.tif")
    out = tmp_path / "out"
    report = run_recipe(recipe, tmp_path / "map.tif", out, ground_truth=folder / "truth.tif")
    assert json.loads((out / "scores.json").read_text()) == report["scores"]
    without = run_recipe(recipe, tmp_path / "map.tif", tmp_path / "other")
    assert without["scores"] is None
    assert "evaluate left out: no ground truth was given." in without["notes"]


@settings(deadline=None, max_examples=30)
@given(
    st.floats(0, 1),
    st.floats(0, 20),
    st.integers(0, 10**9),
    st.floats(0, 0.5),
    st.booleans(),
    st.none() | st.tuples(st.integers(0, 50), st.integers(51, 99)),
)
def test_yaml_keeps_every_number(
    h: float, sigma: float, size: int, floor: float, exact: bool, sections: Any
) -> None:
    segment = SegmentParams(
        mode="3d", sigma_px=sigma, h=h, min_size_voxels=size, floor=floor, exact_borders=exact
    )
    steps = (("segment", segment), ("evaluate", EvaluateParams(sections=sections)))
    recipe = Recipe(steps, (40.0, h + 1 / 3, sigma + 0.1))
    assert parse_recipe(recipe.to_yaml()) == recipe


def test_a_repeated_step_counts_once_with_its_last_parameters() -> None:
    records = [
        StepRecord("segment", {"h": 0.1}, {}),
        StepRecord("predict", {"tta": False}, {}),
        StepRecord("segment", {"h": 0.2}, {}),
    ]
    recipe = Recipe.from_records(records)
    assert [name for name, _ in recipe.steps] == ["predict", "segment"]
    assert recipe.steps[1][1] == SegmentParams(h=0.2)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it needs 'version: 2' and a list 'steps'"),
        ("a: [", "not valid YAML in line 1"),
        ("- 1", "needs 'version: 2' and a list 'steps'"),
        ("version: 1\nsteps: []", "no steps"),
        ("version: 3\nsteps: [{step: segment}]", "has version 3; this program reads versions 1 a"),
        ("version: 2\nvoxel_size_nm: [4, 4]\nsteps: [{step: segment}]", "three numbers in nm"),
        ("version: 2\nvoxel_size_nm: [0, 4, 4]\nsteps: [{step: segment}]", "must be positive"),
        ("version: 1\ncolour: 1\nsteps: [{step: segment}]", "unknown entry 'colour'"),
        ("version: 1\nsteps: [segment]", "Step 1 of the recipe needs the form"),
        ("version: 1\nsteps: [{step: segment, h: 1}]", "Step 1 .* unknown entry 'h'"),
        ("version: 1\nsteps: [{step: segment, params: [1]}]", "'params' needs the form"),
        ("version: 1\nsteps: [{step: dye}]", "Step 1 of the recipe: There is no step named 'dye'"),
        (
            "version: 1\nsteps: [{step: predict}, {step: segment, params: {h: 7}}]",
            "Step 2 of the recipe: h must be at most 1, not 7",
        ),
        (
            "version: 1\nsteps: [{step: evaluate, params: {sections: 20:24}}]",
            "FIRST, STOP",  # YAML 1.1 reads 20:24 as the number 1224
        ),
        (
            "version: 1\nsteps: [{step: predict}, {step: evaluate}]",
            "Step 2 .* needs labels, which no earlier step makes",
        ),
        (
            "version: 1\nsteps: [{step: !!python/object/apply:os.system ['true']}]",
            "not valid YAML",
        ),
    ],
)
def test_a_faulty_recipe_names_the_fault(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        parse_recipe(text)


def test_a_recipe_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match="it is not text"):
        load_recipe(tmp_path / "r.yaml")
