"""Which model suits the voxels, and that every way to predict takes the same one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import napari_emseg as emseg
from napari_emseg.inference import AxesPredictor, Predictor
from napari_emseg.inference.choice import DEFAULT, axes_for, recommended
from napari_emseg.networks import build_network
from napari_emseg.networks.checkpoint import save_model
from napari_emseg.networks.info import ModelInfo
from napari_emseg.recipe import Recipe, load_recipe, run_recipe
from napari_emseg.steps import predict
from napari_emseg.steps.predict import PredictParams, name_model
from napari_emseg.steps.step import last_record
from napari_emseg.volume import ZYX, Volume

GREY = np.random.default_rng(0).integers(0, 255, (5, 20, 26), np.uint8)
SECTIONS = Volume(GREY, voxel_size_nm=(50, 4, 4))
CUBES = Volume(GREY, voxel_size_nm=(8, 8, 8))
SSTEM = ModelInfo(name="sstem", network="unet2d", voxel_size_nm=(50, 4, 4), default=True)
FIBSEM = ModelInfo(name="drosophila_fibsem", network="unet2d", voxel_size_nm=(10, 10, 10))


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The two as files with random weights, and no others."""
    for seed, info in enumerate((SSTEM, FIBSEM)):
        torch.manual_seed(seed)
        network = build_network("unet2d", width=4, depth=2)
        save_model(tmp_path / f"{info.name}.safetensors", network, info)
    monkeypatch.setenv("EMSEG_MODELS", str(tmp_path))
    monkeypatch.setattr("napari_emseg.networks.library.bundled_folder", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("voxel_size_nm", "model", "axes", "words"),
    [
        ((50, 4, 4), "sstem", "z", ""),
        (None, "sstem", "z", ""),
        ((10, 10, 10), "drosophila_fibsem", "zyx", "Voxels are 10 nm cubes: the FIB-SEM model"),
        ((10, 8, 8), "drosophila_fibsem", "zyx", "about cubes (10 x 8 x 8 nm): the FIB-SEM model"),
        ((5, 5, 5), "drosophila_fibsem", "zyx", "5 nm cubes"),
        ((16, 16, 16), "drosophila_fibsem", "zyx", "16 nm cubes"),
        ((4, 4, 4), "sstem", "z", ""),
        ((30, 30, 30), "sstem", "z", ""),
        ((16, 8, 8), "sstem", "z", ""),
    ],
)
def test_cubes_are_for_the_model_of_cubes(
    voxel_size_nm: ZYX | None, model: str, axes: str, words: str
) -> None:
    found = recommended(Volume(GREY, voxel_size_nm=voxel_size_nm), [SSTEM, FIBSEM])
    assert (found.model, found.axes) == (model, axes)
    assert words in found.reason
    assert bool(words) == bool(found.reason)


def test_only_what_is_installed_and_whole_is_recommended() -> None:
    broken = FIBSEM.model_copy(update={"problem": "It is damaged."})
    assert recommended(CUBES, [broken, SSTEM]).model == "sstem"
    assert recommended(CUBES, []).model == DEFAULT
    solid = FIBSEM.model_copy(update={"dimensions": 3})
    assert recommended(CUBES, [solid]) == (
        "drosophila_fibsem",
        "z",
        "Voxels are 8 nm cubes: the FIB-SEM model is used.",
    )


def test_all_three_axes_only_for_sections_learned_from_cubes() -> None:
    assert axes_for((8, 8, 8), [FIBSEM]) == "zyx"
    for other in (
        SSTEM,
        FIBSEM.model_copy(update={"dimensions": 3}),
        FIBSEM.model_copy(update={"target": "affinities"}),
        FIBSEM.model_copy(update={"voxel_size_nm": None}),
    ):
        assert axes_for((8, 8, 8), [FIBSEM, other]) == "z"
    assert axes_for((50, 4, 4), [FIBSEM]) == axes_for(None, [FIBSEM]) == "z"


def test_what_somebody_chose_stays(models: Path) -> None:
    chosen = PredictParams(model="sstem", axes="zyx")
    assert name_model(CUBES, chosen) == (chosen, "")
    named, reason = name_model(CUBES, PredictParams(axes="z"))
    assert (named.model, named.axes, reason) == ("drosophila_fibsem", "z", "")
    # of several models, one that has learned from sections leaves all along z
    both, _ = name_model(CUBES, PredictParams(others=("sstem",)))
    assert (both.models, both.axes) == (("drosophila_fibsem", "sstem"), "z")
    bad, reason = name_model(CUBES, PredictParams(bad_sections=("1:blank",)))
    assert (bad.axes, reason) == ("z", "")


@pytest.mark.parametrize("raw", [SECTIONS, CUBES], ids=["sections", "cubes"])
def test_every_way_to_predict_takes_the_same_model(
    models: Path, tmp_path: Path, raw: Volume
) -> None:
    is_cubes = raw is CUBES
    name = "drosophila_fibsem" if is_cubes else "sstem"
    with Predictor(name, device="cpu") as one:
        seen = AxesPredictor(one) if is_cubes else one
        expected = seen.predict(raw, tta=False).read()
    in_a_step = predict.run(raw, params=PredictParams(tta=False, device="cpu"))
    in_a_store = predict.stream(
        raw, tmp_path / "map.zarr", params=PredictParams(tta=False, device="cpu")
    )
    in_one_call = emseg.predict(raw, tta=False, device="cpu")
    for made in (in_a_step, in_a_store, in_one_call):
        np.testing.assert_array_equal(made.read(), expected)
        assert made.provenance["predict"]["model"] == name
        said = [note for note in made.provenance["notes"] if "is used" in note]
        assert len(said) == int(is_cubes), made.provenance["notes"]
    record = last_record(in_a_step.provenance)
    assert record is not None
    assert (record.params["model"], record.params["axes"]) == (name, "zyx" if is_cubes else "z")


def test_a_recipe_goes_on_with_the_model_it_was_made_with(models: Path, tmp_path: Path) -> None:
    """Made on cubes and left to the voxels, it is the same on sections, and to the bit."""
    emseg.save_volume(CUBES, tmp_path / "cubes.tif")
    recipe = Recipe((("predict", PredictParams(tta=False, device="cpu")),))
    first = run_recipe(recipe, tmp_path / "cubes.tif", tmp_path / "first")
    written = load_recipe(first["files"]["recipe"])
    assert written.steps[0][1].model == "drosophila_fibsem"  # type: ignore[attr-defined]
    (models / "drosophila_fibsem.safetensors").rename(models / "elsewhere.safetensors")
    with pytest.raises(emseg.InputError, match="no model 'drosophila_fibsem'"):
        run_recipe(written, tmp_path / "cubes.tif", tmp_path / "second")
    (models / "elsewhere.safetensors").rename(models / "drosophila_fibsem.safetensors")
    second = run_recipe(written, tmp_path / "cubes.tif", tmp_path / "second")
    maps = [emseg.open_volume(made["files"]["boundary"]).read() for made in (first, second)]
    np.testing.assert_array_equal(*maps)
