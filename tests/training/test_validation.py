from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_emseg.networks import build_network
from napari_emseg.progress import Cancelled
from napari_emseg.training.validation import _read_truth, validate
from napari_emseg.volume import Volume


def test_a_neuron_counts_anew_in_every_section_and_every_part(cells):
    ids = np.array([[[9, 9, 0, 9], [5, 5, 5, 5]]] * 5)
    pair = replace(
        cells,
        raw=Volume(np.zeros(ids.shape)),
        labels=Volume(ids, kind="labels"),
    )
    truth = _read_truth(pair, [3, 4], is_volume=False)
    assert truth.shape == (2, 2, 4)
    assert len(np.unique(truth[truth > 0])) == 6
    assert np.array_equal(truth == 0, ids[:2] == 0)


def test_scores_come_for_pairs_with_held_out_sections_only(cells):
    torch.manual_seed(0)
    network = build_network("unet2d", width=4, depth=2)
    others = replace(cells, validation_sections=(), name="others")
    scores = validate(network, [cells, others], device="cpu")
    assert list(scores) == ["cells"]
    assert set(scores["cells"]) == {"v_rand", "v_rand_split", "v_rand_merge", "v_info", "h"}
    assert all(0 <= value <= 1 for value in scores["cells"].values())


def test_the_volume_of_a_3d_network_keeps_its_ids_through_the_sections(cells):
    truth = _read_truth(cells, [3, 4], is_volume=True)
    assert np.array_equal(truth, cells.labels.read(slice(3, 5)))


@pytest.mark.parametrize("name", ["unet3d", "rsunet"])
def test_3d_networks_are_scored_on_a_volume(name, cells):
    torch.manual_seed(0)
    pair = replace(cells, train_sections=(0,), validation_sections=(1, 3, 4))
    scores = validate(build_network(name, "tiny"), [pair], device="cpu")
    assert 0 <= scores["cells"]["v_rand"] <= 1


def test_a_perfect_3d_map_has_a_perfect_score(cells, monkeypatch):
    ids = cells.labels.read()
    edge = np.zeros(ids.shape, np.float32)
    for axis in range(3):
        edge += np.diff(ids, axis=axis, prepend=ids.take([0], axis=axis)) != 0
    boundary = Volume(edge.clip(0, 1), kind="boundary")
    network = build_network("unet3d", "tiny")
    asked = []

    def predict(self, raw, *, sections, **_):
        asked.append((raw.shape, sections))
        return boundary

    monkeypatch.setattr("napari_emseg.training.validation.Predictor.predict", predict)
    inside = Volume(np.where(edge, 0, ids), kind="labels")
    changes = {"train_sections": (4,), "validation_sections": (0, 1, 2)}
    scores = validate(network, [replace(cells, labels=inside, **changes)], sigma_px=0)
    assert asked == [(cells.raw.shape, [0, 1, 2])]
    assert scores["cells"]["v_rand"] == 1


def test_validation_can_be_stopped(cells):
    class Stop:
        def update(self, done, total, message=""):
            raise Cancelled

    with pytest.raises(Cancelled):
        validate(build_network("unet2d", width=4, depth=2), [cells], progress=Stop())
