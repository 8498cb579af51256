from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from napari_emseg.training import AugmentParams, TrainParams


@pytest.mark.parametrize(
    "wrong",
    [
        {"in_sections": 2},
        {"in_sections": 7},
        {"steps": 0},
        {"learning_rate": 0},
        {"minutes": -1},
        {"unknown": 1},
    ],
)
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        TrainParams(**wrong)


def test_every_parameter_has_words_for_people():
    for model in (TrainParams, AugmentParams):
        for name, field in model.model_fields.items():
            assert field.title, name
            assert field.description, name


def test_params_survive_json():
    params = TrainParams(width=8, minutes=3, augment=AugmentParams(shear=0))
    assert TrainParams.model_validate_json(params.model_dump_json()) == params


def test_only_what_was_chosen_reaches_the_network():
    assert TrainParams(width=8).network_params() == {"width": 8}
    assert TrainParams(in_sections=3).network_params() == {"in_sections": 3}


def test_importing_the_params_does_not_import_torch():
    code = "import sys, napari_emseg.training; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
