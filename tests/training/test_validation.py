from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_emseg.networks import build_network
from napari_emseg.progress import Cancelled
from napari_emseg.training.pairs import make_target
from napari_emseg.training.validation import _read_truth, mean_score, validate
from napari_emseg.volume import Volume


def test_a_neuron_counts_anew_in_every_section_and_every_part(cells):
    ids = np.array([[[9, 9, 0, 9], [5, 5, 5, 5]]] * 5)
    pair = replace(
        cells,
        raw=Volume(np.zeros(ids.shape)),
        labels=Volume(ids, kind="labels"),
    )
    truth, _ = _read_truth(pair, [3, 4], is_volume=False)
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
    truth, _ = _read_truth(cells, [3, 4], is_volume=True)
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


def drawn(cells):
    """The cells as an image of bright membranes."""
    targets = np.stack([make_target(cells, z) for z in range(5)])
    labels = Volume((targets * 200).astype(np.uint8))
    return replace(cells, labels=labels, labels_kind="membranes")


def perfect(monkeypatch, pair, change=lambda boundary: boundary):
    """Let the network give the truth, changed."""

    def predict_section(self, raw, z, **_):
        return change((make_target(replace(pair, ignore=None), z) == 1).astype(np.float32))

    monkeypatch.setattr(
        "napari_emseg.training.validation.Predictor.predict_section", predict_section
    )


@pytest.mark.parametrize("kind", ["labels", "membranes"])
def test_what_is_to_be_ignored_does_not_count(cells, kind, monkeypatch):
    pair = cells if kind == "labels" else drawn(cells)

    def blind_in_the_corner(boundary):
        boundary[:20, :20] = 0  # cells 12 px wide are joined, none beyond 32 px
        return boundary

    perfect(monkeypatch, pair, blind_in_the_corner)
    network = build_network("unet2d", width=4, depth=2)
    before = validate(network, [pair], sigma_px=0)["cells"]["v_rand"]
    classes = np.zeros(pair.labels.shape, np.uint8)
    classes[:, :33, :33] = 7
    masked = replace(pair, ignore=Volume(classes, kind="labels"), ignore_values=(7,))
    after = validate(network, [masked], sigma_px=0)["cells"]["v_rand"]
    assert before < 0.97
    assert after > 0.99


def test_ignoring_nothing_changes_no_score(cells, monkeypatch):
    pair = drawn(cells)
    perfect(monkeypatch, pair, lambda boundary: boundary * 0.7)
    nothing = replace(pair, ignore=Volume(np.zeros(pair.labels.shape, np.uint8)))
    network = build_network("unet2d", width=4, depth=2)
    scores = [validate(network, [p], sigma_px=1)["cells"] for p in (pair, nothing)]
    assert scores[0] == pytest.approx(scores[1])


def painted(cells):
    paint = np.zeros(cells.labels.shape, np.uint8)
    target = np.stack([make_target(cells, z) for z in range(5)])
    paint[2:4] = np.where(target[2:4] == 1, 1, 2)
    paint[:, ::2] = 0
    labels = Volume(paint, kind="labels")
    return replace(
        cells, labels=labels, labels_kind="painted", train_sections=(2,), validation_sections=(3,)
    )


@pytest.mark.parametrize("name", ["unet2d", "unet3d", "rsunet"])
def test_paint_is_scored_by_its_pixels(cells, name):
    torch.manual_seed(0)
    scores = validate(build_network(name, "tiny"), [painted(cells)], device="cpu")["cells"]
    assert set(scores) == {"accuracy", "membrane_recall", "inside_recall"}
    assert scores["accuracy"] == pytest.approx(
        (scores["membrane_recall"] + scores["inside_recall"]) / 2
    )


def test_a_perfect_map_shows_all_that_is_painted(cells, monkeypatch):
    pair = painted(cells)
    perfect(monkeypatch, cells)
    network = build_network("unet2d", width=4, depth=2)
    assert set(validate(network, [pair])["cells"].values()) == {1.0}
    perfect(monkeypatch, cells, np.zeros_like)
    scores = validate(network, [pair])["cells"]
    assert scores == {"accuracy": 0.5, "membrane_recall": 0.0, "inside_recall": 1.0}


def test_held_out_sections_without_paint_are_not_scored(cells):
    pair = replace(painted(cells), validation_sections=(4,))
    network = build_network("unet2d", width=4, depth=2)
    assert validate(network, [pair], device="cpu") == {}
    assert mean_score({}) is None
