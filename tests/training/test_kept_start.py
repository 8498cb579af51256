"""How much of a start stays in the model depends on how it does on the new labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.networks import build_network
from napari_emseg.training import TrainParams
from napari_emseg.training.kept_start import LOOKS, KeptStart, share_worth_keeping

PIXELS = st.integers(0, 10_000)


@settings(max_examples=200, deadline=None)
@given(known=st.tuples(PIXELS, PIXELS), right=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_better_start_keeps_as_much_or_more_and_never_too_much(known, right):
    seen = [LOOKS]
    better = [LOOKS]
    for n, share in zip(known, right, strict=True):
        seen += [int(n * share), n]
        better += [min(n, int(n * share) + 1), n]
    share = share_worth_keeping(0.5, seen)
    assert 0 <= share <= share_worth_keeping(0.5, better) <= 0.5


@pytest.fixture
def bright_is_membrane():
    """Return images and targets: 1 = membrane where bright, a rim not known."""
    rng = np.random.default_rng(0)
    targets = (rng.random((2, 1, 32, 32)) < 0.3).astype(np.uint8)
    images = torch.from_numpy(2.0 * targets - 1).float()
    targets[..., :3] = 255
    return images, torch.from_numpy(targets)


def start_that(multiplies: float) -> KeptStart:
    """Return a start whose answer is the image times a number."""
    network = build_network("unet2d", "tiny").eval()
    kept = KeptStart(network, TrainParams(preset="tiny", start_share=0.5))
    kept._outputs = lambda images: (multiplies * images,)
    return kept


@pytest.mark.parametrize(("multiplies", "share"), [(1.0, 0.5), (-1.0, 0.0), (0.0, 0.0)])
def test_a_start_that_suits_stays(bright_is_membrane, multiplies, share):
    kept = start_that(multiplies)
    assert kept.share == 0.5  # as long as nothing is known
    kept.look(*bright_is_membrane)
    assert kept.share == share
    n_known = int((bright_is_membrane[1] != 255).sum())
    assert kept.seen[2] + kept.seen[4] == n_known


def test_only_the_first_batches_count(bright_is_membrane):
    kept = start_that(1.0)
    for _ in range(LOOKS):
        kept.look(*bright_is_membrane)
    before = list(kept.seen)
    kept.look(-bright_is_membrane[0], bright_is_membrane[1])
    assert kept.seen == before
    assert kept.seen[0] == LOOKS


def test_single_windows_are_judged_too():
    kept = start_that(1.0)
    kept._outputs = lambda windows: (windows[:, 0, 0, 0],)
    windows = torch.tensor([1.0, -1.0, -1.0, 1.0])[:, None, None, None].expand(4, 1, 3, 3)
    kept.look(windows, torch.tensor([1, 0, 0, 1], dtype=torch.uint8))
    assert kept.share == 0.5
    assert kept.seen == [1, 2, 2, 2, 2]
