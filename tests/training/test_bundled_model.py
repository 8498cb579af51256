"""The weights in the package: what they may weigh, what they say, and what they reach."""

from __future__ import annotations

from pathlib import Path

import pytest

import napari_emseg
from napari_emseg.networks.checkpoint import load_model
from napari_emseg.networks.info import read_info
from napari_emseg.training import load_training_set
from napari_emseg.training.validation import validate

MODELS = sorted((Path(napari_emseg.__file__).parent / "models").glob("*.safetensors"))
TRAINING_SET = Path(__file__).resolve().parents[2] / "scripts" / "training_set.yaml"


def test_all_models_together_are_small_and_one_is_the_default():
    assert sum(path.stat().st_size for path in MODELS) < 40e6
    assert sum(read_info(path).default for path in MODELS) == 1


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_every_model_states_its_terms_and_has_a_card(path):
    info = read_info(path)
    terms = info.licence.partition(" (")[0]
    assert terms.startswith("CC BY")
    assert info.trained_on
    assert info.voxel_size_nm
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert terms in card
    for score in info.scores.values():
        assert f"{score:.4f}" in card


def test_the_default_model_reaches_its_floors_without_averaging(shared_data):
    (default,) = (path for path in MODELS if read_info(path).default)
    network, _ = load_model(default)
    pairs = load_training_set(TRAINING_SET, data_folder=shared_data)
    scores = validate(network, pairs, sigma_px=2, device="cpu")
    assert scores["isbi2012"]["v_rand"] >= 0.983
    assert scores["vnc2013"]["v_rand"] >= 0.995
