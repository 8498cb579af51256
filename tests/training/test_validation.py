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
    truth = _read_truth(pair)
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


def test_validation_can_be_stopped(cells):
    class Stop:
        def update(self, done, total, message=""):
            raise Cancelled

    with pytest.raises(Cancelled):
        validate(build_network("unet2d", width=4, depth=2), [cells], progress=Stop())
