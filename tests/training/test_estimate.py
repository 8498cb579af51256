from __future__ import annotations

from dataclasses import replace

import pytest

from napari_emseg.progress import Cancelled
from napari_emseg.training import TrainParams
from napari_emseg.training import estimate as module
from napari_emseg.training.estimate import expected_seconds, seconds_per_step


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(module, "_known", {})


@pytest.mark.parametrize(
    "changes",
    [
        {"in_sections": 3},
        {"network": "unet3d", "preset": "tiny", "width": None, "depth": None, "patch_sections": 4},
        {"network": "vd2d3d", "preset": "tiny_recursive", "width": None, "depth": None},
        {"network": "n4", "preset": "tiny", "width": None, "depth": None, "sampling": "windows"},
        {"network": "rsunet", "preset": "tiny", "width": None, "depth": None, "patch_sections": 4},
    ],
)
def test_a_step_of_any_network_is_measured_once(tiny, changes):
    params = TrainParams.model_validate({**tiny.model_dump(), **changes})
    steps = []

    class Count:
        def update(self, done, total, message=""):
            steps.append(done)

    assert seconds_per_step(params, progress=Count()) > 0
    longer = params.model_copy(update={"steps": 99, "seed": 5})
    assert seconds_per_step(longer, progress=Count()) == seconds_per_step(params)
    assert steps == [1, 2, 3]


def test_measuring_can_be_stopped(tiny):
    class Stop:
        def update(self, done, total, message=""):
            raise Cancelled

    with pytest.raises(Cancelled):
        seconds_per_step(tiny, progress=Stop())


def test_validations_cost_by_their_pixels_and_minutes_are_minutes(cells, tiny):
    params = tiny.model_copy(update={"steps": 100, "validation_interval_steps": 20})
    alone = expected_seconds(params, [replace(cells, validation_sections=())], 0.1)
    assert alone == pytest.approx(10)
    one = expected_seconds(params, [replace(cells, validation_sections=(4,))], 0.1) - alone
    two = expected_seconds(params, [cells], 0.1) - alone
    assert 0 < one < alone
    assert two == pytest.approx(2 * one)
    seldom = params.model_copy(update={"validation_interval_steps": 50})
    assert expected_seconds(seldom, [cells], 0.1) - alone == pytest.approx(two * 2 / 5)
    assert expected_seconds(params.model_copy(update={"minutes": 2.5}), [cells], 9.0) == 150
