"""Axes in any order, sizes of any kind: the map is that of the whole volume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.inference.bioimageio import packages
from torch import Tensor, nn

from napari_emseg.errors import InputError
from napari_emseg.inference import predict_to_zarr
from napari_emseg.inference.bioimageio import PackagePredictor, check_package
from napari_emseg.networks.bioimageio import read_package_info
from napari_emseg.volume import Volume

RAW = np.random.default_rng(5).integers(0, 256, (7, 37, 45)).astype(np.uint8)
LINEAR = {"id": "scale_linear", "kwargs": {"gain": 1 / 255}}
SIGMOID = {"id": "sigmoid"}


class Pooling(nn.Module):
    """Sees 2 + 2 voxels around, and pools by two within the section."""

    def __init__(self, axes: str, channels: int = 1) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.axes, self.is_solid = axes, "z" in axes
        conv: Any = nn.Conv3d if self.is_solid else nn.Conv2d
        self.first = conv(1, 3, 3, padding=1)
        self.last = conv(3, channels, 3, padding=1)

    def forward(self, given: Tensor) -> Tensor:
        order = [self.axes.index(a) for a in "bczyx" if a in self.axes]
        x = given.permute(order)
        x = x if "c" in self.axes else x[None]
        x = x if "b" in self.axes else x[None]
        x = self.first(x)
        factor = (1, 2, 2) if self.is_solid else (2, 2)
        pool = nn.functional.max_pool3d if self.is_solid else nn.functional.max_pool2d
        x = nn.functional.interpolate(pool(x, factor), scale_factor=[float(f) for f in factor])
        x = self.last(x)
        x = x if "b" in self.axes else x[0]
        x = x if "c" in self.axes else x[0]
        present = [a for a in "bczyx" if a in self.axes]
        return x.permute([present.index(a) for a in self.axes])


def _options(axes: str, **more: Any) -> dict[str, Any]:
    return {
        "axes": axes,
        "least": (6, 16, 16),
        "step": (1, 4, 4),
        "halo": (2, 4, 4),
        "preprocessing": [LINEAR],
        "postprocessing": [SIGMOID],
        **more,
    }


def _whole(module: nn.Module, axes: str, raw: np.ndarray) -> np.ndarray:
    """Return the map of the whole volume, with the padding of the network at its border."""
    padded = np.pad(raw, [(0, 0), (0, 3), (0, 3)], mode="reflect").astype(np.float32) / 255
    sections = [padded] if "z" in axes else list(padded)
    made = []
    for section in sections:
        x = torch.from_numpy(section)
        x = x[(None,) * (len(axes) - x.ndim)]
        present = ("bc" if {"b", "c"} <= set(axes) else "b" if "b" in axes else "c")[: len(axes)]
        present = "".join(a for a in "bc" if a in axes) + ("zyx" if "z" in axes else "yx")
        with torch.no_grad():
            found = module(x.permute([present.index(a) for a in axes]))
        back = found.permute([axes.index(a) for a in present]).reshape(section.shape)
        made.append(torch.sigmoid(back).numpy())
    whole = made[0] if "z" in axes else np.stack(made)
    return whole[:, : raw.shape[1], : raw.shape[2]]


@pytest.mark.parametrize("axes", ["bczyx", "zyx", "bzyxc", "cxyz", "bcyx", "yx", "byxc"])
def test_tiles_give_the_map_of_the_whole_away_from_the_border(axes: str, tmp_path: Path) -> None:
    module = Pooling(axes).eval()
    files = packages.package_5(module, **_options(axes))
    path = packages.write_zip(tmp_path / "model.zip", files)
    whole = _whole(module, axes, RAW)
    inner = (slice(2, -2) if "z" in axes else slice(None), slice(4, -4), slice(4, -4))
    maps = []
    for block in (None, (2, 8, 12), (1, 4, 4)):
        with PackagePredictor(path, device="cpu", block_shape_px=block) as predictor:
            maps.append(predictor.predict(RAW, tta=False).read())
    np.testing.assert_allclose(maps[0][inner], whole[inner], atol=1e-6)
    for other in maps[1:]:
        np.testing.assert_allclose(other, maps[0], atol=1e-6)


def test_a_network_without_padding_gives_the_middle(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv3d(1, 1, (3, 5, 5)), nn.Sigmoid())
    options = _options("bczyx", shrink=(2, 4, 4), halo=(0, 0, 0), postprocessing=[])
    path = packages.write_zip(tmp_path / "valid.zip", packages.package_5(module, **options))
    with PackagePredictor(path, device="cpu", block_shape_px=(3, 9, 9)) as predictor:
        made = predictor.predict(RAW, tta=False).read()
    padded = np.pad(RAW, [(1, 1), (2, 2), (2, 2)], mode="reflect").astype(np.float32) / 255
    with torch.no_grad():
        expected = module(torch.from_numpy(padded)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(made, expected, atol=1e-6)


def test_a_network_of_one_size_only(tmp_path: Path) -> None:
    module = Pooling("bczyx").eval()
    options = _options("bczyx", least=(8, 24, 24), step=(0, 0, 0))
    path = packages.write_zip(tmp_path / "fixed.zip", packages.package_5(module, **options))
    with PackagePredictor(path, device="cpu") as predictor:
        made = predictor.predict(RAW, tta=False).read()
    inner = (slice(2, -2), slice(4, -4), slice(4, -4))
    np.testing.assert_allclose(made[inner], _whole(module, "bczyx", RAW)[inner], atol=1e-6)


def test_one_section_is_that_of_the_stack_and_streams(tmp_path: Path) -> None:
    files = packages.package_5(Pooling("bczyx"), **_options("bczyx"))
    path = packages.write_folder(tmp_path / "model", files)
    with PackagePredictor(path, device="cpu", block_shape_px=(3, 20, 20)) as predictor:
        whole = predictor.predict(RAW, tta=False).read()
        np.testing.assert_allclose(predictor.predict_section(RAW, 5), whole[5], atol=1e-6)
        stored = predict_to_zarr(predictor, RAW, tmp_path / "map.zarr", tta=False)
    np.testing.assert_array_equal(stored.read(), np.rint(whole * 255).astype(np.uint8))


@pytest.mark.parametrize("axes", ["bczyx", "bcyx"])
def test_turned_and_mirrored_maps_are_averaged(axes: str, tmp_path: Path) -> None:
    """The mean over orientations does not know up from down."""
    files = packages.package_5(Pooling(axes), **_options(axes))
    path = packages.write_zip(tmp_path / "model.zip", files)
    with PackagePredictor(path, device="cpu") as predictor:
        made = predictor.predict(RAW[:, :36, :36], tta=True).read()
        turned = predictor.predict(np.rot90(RAW[:, :36, :36], axes=(1, 2)), tta=True).read()
    np.testing.assert_allclose(turned, np.rot90(made, axes=(1, 2)), atol=1e-5)


def test_a_fixed_network_longer_than_wide_is_only_mirrored(tmp_path: Path) -> None:
    options = _options("bcyx", least=(1, 24, 32), step=(0, 0, 0))
    path = packages.write_zip(tmp_path / "m.zip", packages.package_5(Pooling("bcyx"), **options))
    with PackagePredictor(path, device="cpu") as predictor:
        made = predictor.predict(RAW[:1], tta=True).read()
        mirrored = predictor.predict(RAW[:1, :, ::-1].copy(), tta=True).read()
    np.testing.assert_allclose(mirrored[:, :, ::-1], made, atol=0.05)


def test_sections_are_brought_to_the_pixels_it_learned_on(tmp_path: Path) -> None:
    nm = {"unit": "nanometer", "scale": 8.0}
    options = _options("bcyx", more={"y": nm, "x": nm})
    path = packages.write_zip(tmp_path / "m.zip", packages.package_5(Pooling("bcyx"), **options))
    fine = np.kron(RAW[:1], np.ones((1, 2, 2), np.uint8))
    with PackagePredictor(path, device="cpu") as predictor:
        assert predictor.info.voxel_size_nm == (8.0, 8.0, 8.0)
        coarse = predictor.predict(Volume(RAW[:1], voxel_size_nm=(40, 8, 8)), tta=False).read()
        made = predictor.predict(Volume(fine, voxel_size_nm=(40, 4, 4)), tta=False)
    assert made.shape == (1, 74, 90)
    assert np.abs(made.read()[:, ::2, ::2] - coarse).mean() < 0.02
    assert any("resampled" in note for note in made.provenance["notes"])


def _channels(names: list[str], **more: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        module = Pooling("bczyx", len(names))
        files = packages.package_5(module, **_options("bczyx", channels=names, **more))
        return packages.write_zip(folder / "m.zip", files)

    return write


def test_of_several_channels_the_one_of_membranes_is_taken(tmp_path: Path) -> None:
    path = _channels(["foreground", "Boundaries"])(tmp_path)
    with PackagePredictor(path, device="cpu") as predictor:
        made = predictor.predict(RAW, tta=False)
    with PackagePredictor(path, device="cpu", channel=0) as predictor:
        first = predictor.predict(RAW, tta=False)
    assert made.kind == first.kind == "boundary"
    assert "channel 1 ('Boundaries')" in " ".join(made.provenance["notes"])
    assert np.abs(made.read() - first.read()).max() > 0.01
    with pytest.raises(InputError, match="no channel 2"):
        PackagePredictor(path, device="cpu", channel=2)


def test_affinities_with_offsets_are_turned_to_same_neuron(tmp_path: Path) -> None:
    """torch-em, which writes them for the mutex watershed, means 1 = different."""

    def tag(description: dict[str, Any]) -> None:
        description["config"] = {"mws": {"offsets": [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]}}

    path = _channels(["a", "b", "c"], change=tag)(tmp_path)
    assert read_package_info(path).target == "affinities"
    with PackagePredictor(path, device="cpu") as predictor:
        made = predictor.predict(RAW, tta=False)
        section = predictor.predict_section(RAW, 2)
    with PackagePredictor(path, device="cpu", channel=1) as predictor:
        plain = predictor.predict(RAW, tta=False).read()
    assert made.kind == "affinities"
    assert made.provenance["offsets"] == [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]
    np.testing.assert_allclose(made.read()[1], 1 - plain, atol=1e-6)
    np.testing.assert_allclose(section, made.read()[:, 2], atol=1e-6)


def test_logits_are_brought_to_0_to_1(tmp_path: Path) -> None:
    module = Pooling("bczyx").eval()
    files = packages.package_5(module, **_options("bczyx", postprocessing=[]))
    given = np.random.default_rng(0).integers(0, 255, (1, 1, 6, 16, 16)).astype(np.float32)
    with torch.no_grad():
        promised = 20 * module(torch.from_numpy(given) / 255).numpy()
    more = {"test_in.npy": packages.npy(given), "test_out.npy": packages.npy(promised)}

    def add_example(description: dict[str, Any]) -> None:
        description["inputs"][0]["test_tensor"] = {"source": "test_in.npy"}
        description["outputs"][0]["test_tensor"] = {"source": "test_out.npy"}

    options = _options("bczyx", postprocessing=[], change=add_example)
    files = packages.package_5(module, **options) | more
    path = packages.write_zip(tmp_path / "logits.zip", files)
    with PackagePredictor(path, device="cpu") as predictor:
        made = predictor.predict(RAW, tta=False)
    assert any("sigmoid" in note for note in made.provenance["notes"])
    inner = (slice(2, -2), slice(4, -4), slice(4, -4))
    np.testing.assert_allclose(made.read()[inner], _whole(module, "bczyx", RAW)[inner], atol=1e-6)
    with pytest.raises(InputError, match="does not give what it promises"):
        check_package(path)


def test_blank_sections_stay_blank(tmp_path: Path) -> None:
    raw = RAW.copy()
    raw[3] = 80
    for axes in ("bczyx", "bcyx"):
        options = _options(axes)
        path = packages.write_zip(tmp_path / "m.zip", packages.package_5(Pooling(axes), **options))
        with PackagePredictor(path, device="cpu") as predictor:
            made = predictor.predict(raw, tta=False)
        assert (made.read()[3] == 0).all()
        assert any("Blank sections" in note for note in made.provenance["notes"])


def test_looking_around_measures_the_stack_once_and_computes_a_thin_slab(tmp_path: Path) -> None:
    class Counting:
        shape, dtype, ndim = RAW.shape, RAW.dtype, 3

        def __init__(self) -> None:
            self.read: list[int] = []

        def __getitem__(self, z: int) -> np.ndarray:
            self.read.append(z)
            return RAW[z]

    steps = [{"id": "scale_range", "kwargs": {"axes": ["z", "y", "x"]}}]
    options = _options("bczyx", preprocessing=steps)
    path = packages.write_zip(tmp_path / "m.zip", packages.package_5(Pooling("bczyx"), **options))
    data = Counting()
    raw = Volume(data)
    with PackagePredictor(path, device="cpu") as predictor:
        first = predictor.predict_section(raw, 3)
        data.read.clear()
        np.testing.assert_array_equal(predictor.predict_section(raw, 3), first)
        # the network takes 6 sections at least, and gives the inner two of them
        assert set(data.read) == {0, 1, 2, 3, 4, 5}
        whole = predictor.predict(raw, tta=False).read()
    np.testing.assert_allclose(first, whole[3], atol=1e-6)


def test_grey_values_of_another_range_are_told(tmp_path: Path) -> None:
    def bytes_only(description: dict[str, Any]) -> None:
        description["inputs"][0]["data"] = {"type": "uint8"}

    options = _options("bczyx", change=bytes_only)
    path = packages.write_zip(tmp_path / "m.zip", packages.package_5(Pooling("bczyx"), **options))
    with PackagePredictor(path, device="cpu") as predictor:
        notes = predictor.predict(RAW, tta=False).provenance["notes"]
        assert not any("0 to 255" in note for note in notes)
        notes = predictor.predict(RAW.astype(np.uint16) * 200, tta=False).provenance["notes"]
        assert any("0 to 255" in note for note in notes)
