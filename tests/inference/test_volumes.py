"""Boundary maps and affinities of 3D networks."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch
from pydantic import BaseModel
from torch import Tensor

from napari_emseg.errors import InputError
from napari_emseg.inference import Predictor, predict, predict_section
from napari_emseg.inference.orientations import IN_SPACE
from napari_emseg.networks import build_network
from napari_emseg.networks.base import Network, Offset
from napari_emseg.segmentation.affinities import open_affinities
from napari_emseg.volume import Volume

RAW = np.random.default_rng(1).integers(0, 256, (7, 33, 26)).astype(np.uint8)
OFFSETS: tuple[Offset, ...] = ((-1, 0, 0), (0, -1, 0), (0, 0, -1), (-2, 0, 0), (0, 0, -3))


class NoParams(BaseModel):
    """The oracle knows all without."""


class Oracle(Network):
    """Knows the affinities of a picture of neurons of one grey value each."""

    name = "oracle"
    dimensions: Literal[2, 3] = 3

    def __init__(self, offsets: tuple[Offset, ...]) -> None:
        super().__init__()
        self.params = NoParams()
        self.in_sections = 1
        self.offsets = offsets
        self.receptive_field_px = (5, 7, 7)
        self.size_multiple_px = 1
        self.memory_bytes_per_px = 8

    def forward(self, volume: Tensor) -> Tensor:
        picture = volume[:, 0]
        channels = []
        for offset in self.offsets:
            moved = torch.roll(picture, [-d for d in offset], (-3, -2, -1))
            channels.append(torch.where((moved - picture).abs() < 1e-3, 50.0, -50.0))
        return torch.stack(channels, 1)


def true_affinities(labels: np.ndarray, offsets: tuple[Offset, ...]) -> np.ndarray:
    """1 = same neuron, NaN where the other voxel is outside."""
    truth = np.full((len(offsets), *labels.shape), np.nan)
    for channel, offset in enumerate(offsets):
        for at in np.ndindex(labels.shape):
            other = tuple(np.add(at, offset))
            if all(0 <= i < n for i, n in zip(other, labels.shape, strict=True)):
                truth[channel][at] = labels[at] == labels[other]
    return truth


def make_network(name: str = "unet3d", preset: str = "tiny", **params: Any) -> Network:
    torch.manual_seed(3)
    small = {"depth": 2, "flat_levels": 0} if name == "unet3d" else {}
    network = build_network(name, preset, **{**small, **params}).eval()
    with torch.no_grad():
        logits = network(torch.randn(1, 1, 8, 32, 32))
        network.get_parameter("head.weight").div_(logits.std())
        network.get_parameter("head.bias").sub_((logits / logits.std()).mean())
    return network


@pytest.mark.parametrize("tta", [False, True])
@pytest.mark.parametrize("block", [None, (3, 8, 9)])
def test_averaging_leaves_true_affinities_as_they_are(tta: bool, block: Any) -> None:
    """Sections hold the same grey values at other places, so that standardising keeps them."""
    base = np.random.default_rng(0).integers(1, 4, (11, 8)).repeat(2, axis=1)[:, :15]
    labels = np.stack([np.roll(base, (z // 2, -z), (0, 1)) for z in range(5)])
    raw = labels.astype(np.float32)
    found = predict(raw, model=Oracle(OFFSETS), tta=tta, device="cpu", block_shape_px=block)
    assert found.kind == "affinities"
    truth = true_affinities(labels, OFFSETS)
    known = np.isfinite(truth)
    np.testing.assert_allclose(found.read()[known], truth[known], atol=1e-5)


def test_sixteen_orientations_are_all_different() -> None:
    volume = torch.arange(2 * 3 * 4.0).view(2, 3, 4)
    turned = {
        tuple(o.apply(volume).flatten().tolist()) + tuple(o.apply(volume).shape) for o in IN_SPACE
    }
    assert len(turned) == len(IN_SPACE) == 16
    for orientation in IN_SPACE:
        assert torch.equal(orientation.undo(orientation.apply(volume)), volume)


@pytest.mark.parametrize("tta", [False, True])
def test_blocks_that_see_everything_give_what_one_block_gives(
    tta: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_emseg.inference.grid._SMALLEST_SHARE", 0)
    network = make_network(offsets=((-1, 0, 0), (0, -2, 0), (0, 0, -2)))
    options: dict[str, Any] = {"model": network, "tta": tta, "device": "cpu"}
    whole = predict(RAW[:5, :20], **options).read()
    cut = predict(RAW[:5, :20], block_shape_px=(4, 20, 16), **options).read()
    assert whole.std() > 0.02
    np.testing.assert_allclose(cut, whole, atol=1e-4)


def test_turning_the_volume_turns_the_map() -> None:
    network = make_network()
    raw = RAW[:6, :16, :16]
    upright = predict(raw, model=network, device="cpu").read()
    for turn in (lambda v: v[::-1], lambda v: np.rot90(v, axes=(1, 2))):
        turned = predict(turn(raw), model=network, device="cpu").read()
        np.testing.assert_allclose(turned, turn(upright), atol=1e-4)


def test_blended_blocks_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    """No step where blocks meet is larger than others, and the map is near that of one block."""
    monkeypatch.setattr("napari_emseg.inference.grid._SMALLEST_SHARE", 2)
    network = make_network(depth=3)
    raw = np.random.default_rng(1).integers(0, 256, (5, 20, 64)).astype(np.uint8)
    monkeypatch.setattr("napari_emseg.inference.grid._NEAR_PX", (16,))
    monkeypatch.setattr("napari_emseg.inference.grid._NEAR_SECTIONS", 99)
    options: dict[str, Any] = {"model": network, "tta": False, "device": "cpu"}
    whole = predict(raw, **options).read()
    cut = predict(raw, block_shape_px=(5, 20, 16), **options).read()
    assert whole.std() > 0.1
    difference = np.abs(cut - whole)
    assert 1e-5 < difference.max() < 0.03, "not the same, and near"
    steps = np.abs(np.diff(cut - whole, axis=2)).mean((0, 1))
    assert steps[[15, 31, 47]].max() < 3 * np.median(steps)


def test_a_section_alone_is_the_same_as_in_the_volume() -> None:
    with Predictor(make_network(), device="cpu", block_shape_px=(4, 16, 16)) as predictor:
        boundary = predictor.predict(RAW[:, :20], tta=False).read()
        np.testing.assert_array_equal(predictor.predict_section(RAW[:, :20], 5), boundary[5])
        out = np.full((7, 20, 26), 7, np.uint8)
        predictor.predict(RAW[:, :20], tta=False, out=out, sections=[6, 3, 4])
    np.testing.assert_allclose(out[[6, 3, 4]] / 255, boundary[[6, 3, 4]], atol=0.51 / 255)
    assert (out[[0, 1, 2, 5]] == 7).all()


def test_sections_are_filled_slab_by_slab_in_the_order_asked_for() -> None:
    reports: list[tuple[int, str]] = []
    out = np.full(RAW.shape, np.nan, np.float32)

    class Recorder:
        def update(self, done: int, total: int, message: str = "") -> None:
            assert np.isfinite(out[order[:done]]).all()
            reports.append((done, message))

    order = [4, 5, 6, 0, 1, 2, 3]
    options: dict[str, Any] = {"tta": False, "device": "cpu", "block_shape_px": (4, 40, 40)}
    predict(RAW, model=make_network(), out=out, sections=order, progress=Recorder(), **options)
    assert reports[0] == (0, "sections 4 to 6, block 1 of 1")
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)


def test_blank_sections_have_no_boundary_and_no_affinities() -> None:
    raw = RAW[:5, :16, :16].copy()
    raw[2] = 9
    boundary = predict(raw, model=make_network(), tta=False, device="cpu")
    assert not boundary.read(2).any()
    assert boundary.read(1).any()
    assert boundary.provenance["notes"] == ["Blank sections, whose boundary map was set to 0: 2."]
    affinities = predict(raw, model=make_network("rsunet"), tta=False, device="cpu")
    values = affinities.read()
    assert not values[:, 2].any()
    assert not values[0, 3].any(), "its partner is in the blank section"
    assert values[1:, 3].any(axis=(1, 2)).all()
    assert affinities.provenance["notes"] == ["Blank sections, whose affinities were set to 0: 2."]


def test_affinities_know_their_offsets_and_can_be_read() -> None:
    network = make_network("rsunet")
    raw = Volume(RAW[:2, :16], voxel_size_nm=(30, 4, 4))
    affinities = predict(raw, model=network, tta=False, device="cpu")
    assert affinities.shape == (4, 2, 16, 26)
    assert affinities.voxel_size_nm == (30, 4, 4)
    assert open_affinities(affinities).offsets == network.offsets
    one = predict_section(raw, 1, model=network, device="cpu")
    np.testing.assert_array_equal(one, affinities.read((slice(None), 1)))
    with pytest.raises(InputError, match=r"target has shape \(2, 16, 26\)"):
        predict(raw, model=network, device="cpu", out=np.zeros((2, 16, 26), np.float32))


def fail_above(monkeypatch: pytest.MonkeyPatch, voxels: int) -> None:
    from napari_emseg.networks.unet3d import UNet3d

    forward = UNet3d.forward

    def limited(self: UNet3d, volume: Tensor) -> Tensor:
        if volume.numel() > voxels:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(self, volume)

    monkeypatch.setattr(UNet3d, "forward", limited)


def test_out_of_memory_halves_the_block_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = RAW[:, :16, :16]
    expected = predict(raw, model=make_network(), tta=False, device="cpu").read()
    fail_above(monkeypatch, 30_000)
    with Predictor(make_network(), device="cpu") as predictor:
        boundary = predictor.predict(raw, tta=False).read()
        assert predictor.predict_section(raw, 0).shape == (16, 16), "the size is remembered"
    np.testing.assert_allclose(boundary, expected, atol=1e-4)


def test_when_nothing_fits_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_network()
    fail_above(monkeypatch, 0)
    with pytest.raises(InputError, match=r"memory of device cpu .* voxels: close other"):
        predict(RAW, model=network, device="cpu")


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 1), (2, 1, 33), (9, 3, 2)])
def test_volumes_of_any_size_are_predicted(shape: tuple[int, ...]) -> None:
    raw = np.random.default_rng(0).random(shape)
    boundary = predict(raw, model=make_network(), tta=True, device="cpu").read()
    assert boundary.shape == shape
    assert ((boundary >= 0) & (boundary <= 1)).all()
