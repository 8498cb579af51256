"""Every network learns two cells with a membrane between them."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from tests.training.still import STILL

from napari_emseg.errors import InputError
from napari_emseg.inference import predict
from napari_emseg.networks import NETWORKS
from napari_emseg.networks.checkpoint import load_model
from napari_emseg.training import TrainingPair, TrainParams, train
from napari_emseg.training.hooks import Hook, Moment
from napari_emseg.volume import Volume

UNBENT = STILL.model_copy(update={"orientations": True})


class Losses(Hook):
    def __init__(self) -> None:
        self.values: list[float] = []

    def on_step(self, moment: Moment) -> None:
        self.values.append(moment.loss)


@pytest.fixture
def two_cells() -> TrainingPair:
    """A membrane 3 px wide that moves a pixel to the right in each section."""
    z, _, x = np.indices((8, 41, 53))
    right = x > 24 + z
    membrane = np.abs(x - 24.5 - z) < 1.6
    noise = np.random.default_rng(0).normal(0, 8, right.shape)
    raw = np.clip(170 - 110 * membrane + noise, 0, 255).astype(np.uint8)
    ids = np.where(right, 700_000, 3).astype(np.uint32)
    size = (30.0, 6.0, 6.0)
    return TrainingPair(
        Volume(raw, voxel_size_nm=size),
        Volume(ids, kind="labels", voxel_size_nm=size),
        "labels",
        train_sections=(0, 1, 2, 3, 4, 5),
        validation_sections=(6, 7),
        name="two cells",
    )


def tiny_presets() -> list[tuple[str, str]]:
    modules = {name: place.partition(":")[0] for name, place in NETWORKS.items()}
    return [
        (name, preset)
        for name, module in modules.items()
        for preset in importlib.import_module(module).PRESETS
        if preset.startswith("tiny")
    ]


def quick(name: str, preset: str, **changes: object) -> TrainParams:
    return TrainParams.model_validate(
        {
            "network": name,
            "preset": preset,
            "steps": 18,
            "batch_size": 2,
            "patch_px": 24,
            "patch_sections": 4,
            "learning_rate": 0.02,
            "schedule": "constant",
            "ema_decay": 0,
            "boundary_px": 2,
            "validation_interval_steps": 18,
            "precision": "float32",
            "device": "cpu",
            "workers": 0,
            "augment": STILL,
            **changes,
        }
    )


def losses_of(pair: TrainingPair, path: Path, params: TrainParams) -> list[float]:
    losses = Losses()
    result = train([pair], path, params=params, hooks=[losses])
    assert load_model(path)[0].name == params.network
    assert 0 < result.scores["two cells"]["v_rand"] <= 1
    return losses.values


def assert_falls(losses: list[float]) -> None:
    assert np.mean(losses[-6:]) < 0.8 * np.mean(losses[:6])


@pytest.mark.parametrize(("name", "preset"), tiny_presets())
def test_every_network_learns(name, preset, two_cells, tmp_path) -> None:
    changes = {}
    if preset == "tiny_recursive":
        earlier = tmp_path / "earlier.safetensors"
        train([two_cells], earlier, params=quick("vd2d", "tiny", steps=1))
        changes["maps_from"] = str(earlier)
    params = quick(name, preset, **changes)
    path = tmp_path / "m.safetensors"
    assert_falls(losses_of(two_cells, path, params))
    # the file alone is all that is needed
    (tmp_path / "earlier.safetensors").unlink(missing_ok=True)
    assert predict(two_cells.raw, model=path, tta=False, sections=[0]).shape[-3:] == (8, 41, 53)


def test_a_recursive_network_asks_for_the_model_that_makes_its_maps(two_cells, tmp_path) -> None:
    with pytest.raises(InputError, match="name it"):
        train([two_cells], tmp_path / "m", params=quick("vd2d3d", "tiny_recursive"))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("n4", {"foveated": True, "nonuniform": True}),
        ("n4", {}),
        ("vd2d3d", {}),
    ],
)
def test_windows_are_learned_one_by_one(name, options, two_cells, tmp_path) -> None:
    steps = 16 if name == "vd2d3d" else 40
    changes = {"sampling": "windows", "class_balance": True, "batch_size": 16, "steps": steps}
    params = quick(name, "tiny", network_options=options, **changes)
    unscored = TrainingPair(two_cells.raw, two_cells.labels, "labels", (0, 1, 2), name="two cells")
    losses = Losses()
    train([unscored], tmp_path / "m.safetensors", params=params, hooks=[losses])
    assert_falls(losses.values)


def test_a_foveated_network_asks_for_windows(two_cells, tmp_path) -> None:
    params = quick("n4", "tiny", network_options={"foveated": True})
    with pytest.raises(InputError, match="choose sampling 'windows'"):
        train([two_cells], tmp_path / "m", params=params)
    with pytest.raises(InputError, match="choose sampling 'patches'"):
        train([two_cells], tmp_path / "m", params=quick("unet2d", "tiny", sampling="windows"))


@pytest.mark.parametrize("optimiser", ["adam", "nadam", "sgd"])
@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_other_optimisers_and_losses_learn(optimiser, loss, two_cells, tmp_path) -> None:
    rate = 0.5 if optimiser == "sgd" else 0.02
    params = quick("unet2d", "tiny", optimiser=optimiser, loss=loss, learning_rate=rate)
    assert_falls(losses_of(two_cells, tmp_path / "m.safetensors", params))


def test_3d_boundaries_are_learned_with_classes_balanced(two_cells, tmp_path) -> None:
    params = quick("unet3d", "tiny", class_balance=True, boundary_kernel="c3")
    assert_falls(losses_of(two_cells, tmp_path / "m.safetensors", params))
