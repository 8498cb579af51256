"""Windows that are blurred and sampled coarsely towards their rim."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_emseg.errors import InputError
from napari_emseg.networks import build_network
from napari_emseg.networks.checkpoint import load_model, save_model
from napari_emseg.networks.foveation import WindowSampling, blur
from napari_emseg.networks.info import ModelInfo
from napari_emseg.networks.padding import mirror
from napari_emseg.networks.window import WindowNetwork

SIDE = 33
PLAIN = WindowSampling(SIDE, foveated=False, nonuniform=False)
FOVEATED = WindowSampling(SIDE, foveated=True, nonuniform=False)
UNEVEN = WindowSampling(SIDE, foveated=False, nonuniform=True)
BOTH = WindowSampling(SIDE, foveated=True, nonuniform=True)


def read(sampling: WindowSampling, section: torch.Tensor, y: int, x: int) -> torch.Tensor:
    blurred = sampling.blur(section[None, None])[0]
    return sampling.read(blurred, torch.tensor([[y, x]]))[0, 0]


def test_a_plain_window_is_the_crop() -> None:
    section = torch.randn(60, 70)
    window = read(PLAIN, section, 20, 40)
    torch.testing.assert_close(window, section[4:37, 24:57], rtol=0, atol=1e-4)


def test_foveation_leaves_the_middle_and_flattens_the_rim() -> None:
    checkers = torch.from_numpy(np.indices((80, 80)).sum(axis=0) % 2).float()
    window = read(FOVEATED, checkers, 40, 40)
    torch.testing.assert_close(window[14:19, 14:19], checkers[38:43, 38:43], rtol=0, atol=1e-4)
    assert (window[0] - 0.5).abs().max() < 0.05
    assert (window[:, -1] - 0.5).abs().max() < 0.05


def test_uneven_sampling_reads_a_ramp_at_its_offsets() -> None:
    offsets = UNEVEN.offsets_px()
    np.testing.assert_allclose(offsets, -offsets[::-1])
    assert (np.diff(offsets) >= 1 - 1e-9).all()
    assert (offsets[8:25] == np.arange(-8, 9)).all()
    assert offsets[-1] == pytest.approx(1.5 * 16)
    ramp = torch.arange(100.0).expand(90, 100)
    window = read(UNEVEN, ramp, 45, 50)
    torch.testing.assert_close(
        window[3].double(), torch.from_numpy(50 + offsets), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("sampling", [FOVEATED, UNEVEN, BOTH])
def test_what_is_read_stays_within_reach(sampling: WindowSampling) -> None:
    reach = sampling.reach_px
    size = 2 * reach + 5
    section = torch.rand(size, size, dtype=torch.float64, requires_grad=True)
    middle = reach + 2
    read(sampling, section, middle, middle).square().sum().backward()
    assert section.grad is not None
    # positions are rounded: a pixel beyond may be read with a weight of nothing
    touched = ((section.grad.abs() > 1e-9).nonzero() - middle).abs().max()
    assert int(touched) == reach


def test_blur_keeps_the_mean_and_spreads_a_point() -> None:
    point = torch.zeros(1, 1, 41, 41)
    point[0, 0, 20, 20] = 1
    smooth = blur(point, 2.0)[0, 0]
    assert float(smooth.sum()) == pytest.approx(1, abs=1e-5)
    assert float(smooth[20, 20]) == pytest.approx(1 / (2 * np.pi * 4), rel=0.02)
    assert blur(torch.ones(2, 3, 1, 1), 5.0).shape == (2, 3, 1, 1)


@pytest.fixture
def network() -> WindowNetwork:
    torch.manual_seed(0)
    network = build_network("n3", preset="tiny", foveated=True, nonuniform=True).eval()
    assert isinstance(network, WindowNetwork)
    return network


def test_sliding_classifies_the_window_of_each_pixel(network: WindowNetwork) -> None:
    assert network.receptive_field_px == (1, 123, 123)
    sections = torch.randn(2, 1, 9, 7)
    with torch.inference_mode():
        dense = network(sections)
        positions = torch.tensor([[0, 0], [8, 6], [4, 2]])
        windows = network.read_windows(sections[1], positions)
        torch.testing.assert_close(network.classify(windows), dense[1, 0, [0, 8, 4], [0, 6, 2]])
        margins = (network.margin_px,) * 2
        valid = network.forward_valid(mirror(sections, margins, margins))
        torch.testing.assert_close(valid, dense)


def test_it_comes_back_from_a_file(network: WindowNetwork, tmp_path: Path) -> None:
    save_model(tmp_path / "mine.safetensors", network, ModelInfo(network="n3"))
    loaded = load_model(tmp_path / "mine.safetensors")[0]
    sections = torch.randn(1, 1, 3, 3)
    assert torch.equal(loaded(sections), network(sections))


def test_training_on_whole_patches_is_refused_in_one_sentence(network: WindowNetwork) -> None:
    with pytest.raises(InputError, match=r"learns from single windows.*preset 'modern'"):
        network(torch.randn(1, 1, 40, 40))
