"""Boundary maps of small random networks."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_emseg.errors import InputError
from napari_emseg.inference import Predictor, predict, predict_section
from napari_emseg.networks import build_network
from napari_emseg.networks.base import Network
from napari_emseg.networks.checkpoint import save_model
from napari_emseg.networks.info import ModelInfo
from napari_emseg.progress import Cancelled
from napari_emseg.volume import Volume

RAW = np.random.default_rng(1).integers(0, 256, (3, 45, 38)).astype(np.uint8)


def make_network(**params: Any) -> Network:
    """A random network whose normalisation layers do something and whose map varies."""
    torch.manual_seed(3)
    network = build_network("unet2d", **{"width": 4, "depth": 3, **params})
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.normal_(module.bias, std=0.5)
    with torch.no_grad():
        network.get_parameter("head.weight").mul_(8)
    return network.eval()


@pytest.fixture
def network() -> Network:
    return make_network()


@pytest.fixture
def model_file(network: Network, tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    save_model(path, network, ModelInfo(network="unet2d", voxel_size_nm=(50, 4, 4)))
    return path


class Recorder:
    """Remembers reports; stops at the one with a given number."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.reports: list[tuple[int, int, str]] = []
        self.stop_at = stop_at

    def update(self, done: int, total: int, message: str = "") -> None:
        self.reports.append((done, total, message))
        if len(self.reports) == self.stop_at:
            raise Cancelled


def test_a_map_is_the_probability_of_the_standardised_section(network: Network) -> None:
    section = (RAW[1] - RAW[1].mean()) / RAW[1].std()
    rimmed = np.pad(section, ((16, 16 + 3), (16, 16 + 2)), mode="reflect")
    with torch.no_grad():
        logits = network(torch.from_numpy(rimmed[None, None].astype(np.float32)))
    expected = logits.sigmoid()[0, 0, 16 : 16 + 45, 16 : 16 + 38].numpy()
    boundary = predict(RAW, model=network, tta=False, device="cpu").read(1)
    assert expected.std() > 0.02
    np.testing.assert_allclose(boundary, expected, atol=1e-4)


@pytest.mark.parametrize("tta", [False, True])
@pytest.mark.parametrize("block_shape_px", [13, 16, (45, 7), (30, 100)])
def test_the_map_does_not_depend_on_the_blocks(
    network: Network, tta: bool, block_shape_px: Any
) -> None:
    options = {"model": network, "tta": tta, "device": "cpu", "sections": [0]}
    whole = predict(RAW, **options).read()
    cut = predict(RAW, block_shape_px=block_shape_px, **options).read()
    assert whole[0].std() > 0.02
    np.testing.assert_allclose(cut, whole, atol=1e-4)


def test_averaging_makes_turning_the_section_turn_the_map(network: Network) -> None:
    """Sizes that divide by the pooling leave nothing that tells the sides apart."""
    raw = RAW[:1, :32, :36]
    with Predictor(network, device="cpu") as predictor:
        upright = predictor.predict(raw).read(0)
        for turn in (np.rot90, np.fliplr, np.transpose):
            turned = predictor.predict(turn(raw[0])[None]).read(0)
            np.testing.assert_allclose(turned, turn(upright), atol=1e-4)
        assert not np.allclose(upright, predictor.predict(raw, tta=False).read(0), atol=1e-2)


def test_geometry_and_history_are_kept(model_file: Path) -> None:
    raw = Volume(
        RAW, voxel_size_nm=(50, 4, 4), offset_nm=(1, 2, 3), provenance={"notes": ["from disk"]}
    )
    boundary = predict(raw, model=model_file, tta=False, device="cpu")
    assert (boundary.kind, boundary.shape, boundary.dtype) == ("boundary", RAW.shape, np.float32)
    assert (boundary.voxel_size_nm, boundary.offset_nm) == (raw.voxel_size_nm, raw.offset_nm)
    record = json.loads(json.dumps(dict(boundary.provenance)))
    assert record["notes"] == ["from disk"]
    assert record["predict"].pop("seconds") > 0
    assert record["predict"] == {
        "model": "mine",
        "model_sha256": hashlib.sha256(model_file.read_bytes()).hexdigest(),
        "tta": False,
        "device": "cpu",
        "version": record["predict"]["version"],
        "sections": 3,
        "blank_sections": [],
    }


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 1), (2, 1, 33), (1, 3, 2)])
def test_stacks_of_any_size_are_predicted(network: Network, shape: tuple[int, ...]) -> None:
    raw = np.random.default_rng(0).random(shape)
    boundary = predict(raw, model=network, tta=True, device="cpu").read()
    assert boundary.shape == shape
    assert ((boundary >= 0) & (boundary <= 1)).all()


def test_three_sections_in() -> None:
    network = make_network(in_sections=3)
    boundary = predict(RAW, model=network, tta=False, device="cpu").read()
    changed = RAW.copy()
    changed[2] = 255 - changed[2]
    again = predict(changed, model=network, tta=False, device="cpu").read()
    np.testing.assert_array_equal(boundary[0], again[0])
    assert not np.array_equal(boundary[1], again[1])


def test_a_blank_section_has_no_boundary_and_is_noted(network: Network) -> None:
    raw = RAW.copy()
    raw[1] = 128
    boundary = predict(raw, model=network, tta=False, device="cpu")
    assert not boundary.read(1).any()
    assert boundary.read(0).any()
    assert boundary.provenance["notes"] == ["Blank sections, whose boundary map was set to 0: 1."]


def test_one_section_alone_is_the_same_as_in_the_stack(model_file: Path) -> None:
    boundary = predict(RAW, model=model_file, tta=False, device="cpu").read()
    np.testing.assert_array_equal(
        predict_section(RAW, 2, model=model_file, device="cpu"), boundary[2]
    )
    with Predictor(model_file, device="cpu") as predictor:
        np.testing.assert_array_equal(predict_section(RAW, 0, model=predictor), boundary[0])


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_only_the_sections_wanted_are_written(network: Network, dtype: type) -> None:
    out = np.full(RAW.shape, 7, dtype)
    boundary = predict(RAW, model=network, tta=False, device="cpu", out=out, sections=[2, 0])
    assert boundary.data is out
    assert (out[1] == 7).all()
    expected = predict(RAW, model=network, tta=False, device="cpu").read()[[0, 2]]
    scale = 255 if dtype == np.uint8 else 1
    np.testing.assert_allclose(out[[0, 2]] / scale, expected, atol=0.51 / 255 if scale > 1 else 0)


def test_progress_is_told_after_each_block_and_counts_sections(network: Network) -> None:
    seen = Recorder()
    predict(RAW, model=network, tta=False, device="cpu", block_shape_px=(45, 20), progress=seen)
    assert seen.reports[:3] == [
        (0, 3, "section 1 of 3, block 1 of 2"),
        (0, 3, "section 1 of 3, block 2 of 2"),
        (1, 3, "1 of 3 sections"),
    ]
    assert seen.reports[-1] == (3, 3, "3 of 3 sections")


def test_stopping_keeps_the_sections_that_are_finished(network: Network) -> None:
    out = np.full(RAW.shape, -1, np.float32)
    with pytest.raises(Cancelled):
        # 8 orientations and the section itself, then amid the second section
        predict(RAW, model=network, device="cpu", out=out, progress=Recorder(stop_at=12))
    np.testing.assert_array_equal(out[0], predict(RAW, model=network, device="cpu").read(0))
    assert (out[1:] == -1).all()


def test_far_voxel_sizes_are_resampled_and_noted(model_file: Path) -> None:
    raw = Volume(RAW, voxel_size_nm=(50, 2, 8))
    boundary = predict(raw, model=model_file, tta=False, device="cpu")
    (note,) = boundary.provenance["notes"]
    assert note.startswith("The data has pixels of 2 x 8 nm (y, x), the model was trained at 4 x 4")
    assert note.endswith("each section was resampled to the model's and the map back.")
    assert boundary.shape == RAW.shape
    assert ((boundary.read() >= 0) & (boundary.read() <= 1)).all()
    never = predict(raw, model=model_file, tta=False, device="cpu", resample="never")
    assert "without resampling" in never.provenance["notes"][0]
    assert not np.allclose(never.read(), boundary.read(), atol=1e-2)
    near = predict(Volume(RAW, voxel_size_nm=(10, 5, 5)), model=model_file, tta=False, device="cpu")
    assert near.provenance["notes"] == []
    np.testing.assert_array_equal(near.read(), never.read())


def test_an_unknown_voxel_size_is_noted(model_file: Path) -> None:
    boundary = predict(RAW, model=model_file, tta=False, device="cpu")
    assert "not known" in boundary.provenance["notes"][0]


def fail_above(monkeypatch: pytest.MonkeyPatch, pixels: int) -> None:
    """Let the network run out of memory on inputs larger than `pixels`."""
    from napari_emseg.networks.unet2d import UNet2d

    forward = UNet2d.forward

    def limited(self: UNet2d, sections: Tensor) -> Tensor:
        if sections[0, 0].numel() > pixels:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(self, sections)

    monkeypatch.setattr(UNet2d, "forward", limited)


def test_out_of_memory_halves_the_block_and_goes_on(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = predict(RAW, model=network, tta=False, device="cpu").read()
    fail_above(monkeypatch, 75 * 70)
    with Predictor(network, device="cpu") as predictor:
        boundary = predictor.predict(RAW, tta=False).read()
        np.testing.assert_allclose(boundary, expected, atol=1e-4)
        seen = Recorder()
        predictor.predict_section(RAW, 0, progress=seen)
        assert "block 1 of 2" in seen.reports[0][2], "the smaller block is remembered"


def test_when_nothing_fits_one_sentence_says_so(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_above(monkeypatch, 0)
    with pytest.raises(InputError, match=r"memory of device cpu .* 23x19 pixels: close other"):
        predict(RAW, model=network, device="cpu")


def test_other_errors_are_not_taken_for_lack_of_memory(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(type(network), "forward", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        predict(RAW, model=network, device="cpu")


def test_a_network_that_overflows_is_refused(network: Network) -> None:
    with torch.no_grad():
        network.get_parameter("head.weight").fill_(3e38)
    with pytest.raises(InputError, match="values that are not numbers"):
        predict(RAW, model=network, device="cpu")


def test_the_network_handed_over_stays_as_it_is(network: Network) -> None:
    before = {k: v.clone() for k, v in network.state_dict().items()}
    network.train()
    predict(RAW, model=network, tta=False, device="cpu")
    assert network.training
    assert all(p.requires_grad for p in network.parameters())
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[k], v) for k, v in before.items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sections": [3]}, "no section 3; the stack has sections 0 to 2"),
        ({"sections": [-1]}, "no section -1"),
        ({"device": "gpu"}, "no device 'gpu'"),
        ({"resample": "yes"}, "'auto' or 'never'"),
        ({"block_shape_px": 0}, "at least 1x1"),
        ({"out": np.zeros((3, 4, 5))}, r"shape \(3, 4, 5\), the input \(3, 45, 38\)"),
        ({"out": np.zeros(RAW.shape, np.int32)}, "target has type int32"),
        ({"model": "no-such-model"}, "no model 'no-such-model'"),
        ({"model": ModelInfo(network="unet2d")}, "not been saved"),
    ],
)
def test_bad_options_are_one_sentence(
    network: Network, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        predict(RAW, **{"model": network, "device": "cpu", **options})


def test_labels_are_refused_before_a_model_is_looked_for() -> None:
    with pytest.raises(InputError, match="looks like labels"):
        predict(RAW.astype(np.uint32), model="no-such-model")


def test_a_closed_predictor_says_so(network: Network) -> None:
    with Predictor(network, device="cpu") as predictor:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        predictor.predict_section(RAW, 0)


def test_another_precision_is_asked_for_and_recorded(network: Network) -> None:
    exact = predict(RAW, model=network, tta=False, device="cpu")
    with Predictor(network, device="cpu", precision="bfloat16") as predictor:
        rough = predictor.predict(RAW, tta=False)
    assert rough.provenance["predict"]["precision"] == "bfloat16"
    assert "precision" not in exact.provenance["predict"]
    difference = np.abs(rough.read() - exact.read())
    assert 0 < difference.max() < 0.1
    with pytest.raises(InputError, match="no precision 'int4'; choose one of: auto, float32"):
        Predictor(network, device="cpu", precision="int4")  # type: ignore[arg-type]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA card")
def test_a_graphics_card_gives_the_same_map(network: Network) -> None:
    on_cpu = predict(RAW, model=network, device="cpu").read()
    on_card = predict(RAW, model=network, device="cuda").read()
    np.testing.assert_allclose(on_card, on_cpu, atol=0.02)
