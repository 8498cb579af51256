"""The map of the watched section is the one a prediction makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from napari_emseg.inference import Predictor
from napari_emseg.networks import build_network
from napari_emseg.training.hooks import Moment
from napari_emseg.training.live_map import LiveMap
from napari_emseg.training.watch import Watch
from napari_emseg.volume import Volume

RAW = np.random.default_rng(1).integers(0, 255, (6, 61, 47), np.uint8)
RAW[4] = 7  # a blank section

NETWORKS: list[tuple[str, dict[str, Any]]] = [
    ("unet2d", {"width": 4, "depth": 2, "in_sections": 3}),
    ("vd2d", {"preset": "tiny"}),
    ("n4", {"preset": "tiny"}),
    ("unet3d", {"preset": "tiny"}),
]


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr("napari_emseg.training.budget.FIRST_AFTER_S", 0.0)
    monkeypatch.setattr("napari_emseg.training.budget.PAUSE_S", 0.0)
    monkeypatch.setattr("napari_emseg.training.budget.SHARE", 1e6)


def moment_of(network, step: int = 1) -> Moment:
    nothing = torch.zeros(0)
    return Moment(step, 1.0, 0.5, 1e-3, network, network.eval(), nothing, nothing)


def see(network, watch: Watch, voxel_size_nm=None, *, earlier=None) -> np.ndarray:
    """Go on until the map is there."""
    live = LiveMap(watch, "cpu", voxel_size_nm)
    live.begin(earlier)
    for step in range(1, 100):
        live.go_on(moment_of(network, step))
        if watch.state().map is not None:
            return watch.state().map
    raise AssertionError("no map")


@pytest.mark.parametrize(("name", "options"), NETWORKS)
def test_it_is_the_map_of_a_prediction(name, options, monkeypatch):
    monkeypatch.setattr("napari_emseg.training.live_map._BLOCK_PX", 32)
    network = build_network(name, **options)
    watch = Watch()
    watch.look_at(Volume(RAW), 2)
    found = see(network, watch)
    with Predictor(network, device="cpu") as predictor:
        expected = predictor.predict_section(Volume(RAW), 2)
    assert found.dtype == np.float32
    assert found.shape == RAW.shape[1:]
    assert np.allclose(found, expected, atol=1e-5)
    assert watch.state().section == 2


def test_affinities_are_shown_as_a_boundary():
    watch = Watch()
    watch.look_at(Volume(RAW), 1)
    found = see(build_network("rsunet", "tiny"), watch)
    assert found.shape == RAW.shape[1:]
    assert 0 <= found.min() <= found.max() <= 1


def test_a_recursive_network_gets_the_maps_of_the_earlier_one():
    network, earlier = build_network("vd2d3d", "tiny_recursive"), build_network("vd2d", "tiny")
    assert network.in_maps
    watch = Watch()
    watch.look_at(Volume(RAW), 2)
    found = see(network, watch, earlier=earlier)
    with Predictor(network, device="cpu", maps_from=earlier) as predictor:
        assert np.allclose(found, predictor.predict_section(Volume(RAW), 2), atol=1e-5)


def test_sections_of_another_voxel_size_are_resampled_as_in_a_prediction():
    watch = Watch()
    watch.look_at(Volume(RAW, voxel_size_nm=(50, 8, 8)), 2)
    found = see(build_network("unet2d", width=4, depth=2), watch, (50.0, 4.0, 4.0))
    assert found.shape == RAW.shape[1:]
    plain = Watch()
    plain.look_at(Volume(RAW), 2)
    assert not np.allclose(found, see(build_network("unet2d", width=4, depth=2), plain))


def test_a_blank_section_has_a_blank_map_and_a_broken_one_none():
    class Broken:
        shape, dtype = RAW.shape, RAW.dtype

        def __getitem__(self, key):
            raise OSError("the drive is gone")

    network = build_network("unet2d", width=4, depth=2)
    watch = Watch()
    watch.look_at(Volume(RAW), 4)
    assert not see(network, watch).any()
    broken = Watch()
    broken.look_at(Volume(Broken()), 2)
    live = LiveMap(broken, "cpu", None)
    live.begin(None)
    for step in range(5):
        live.go_on(moment_of(network, step))
    assert broken.state().map is None


def test_it_follows_who_looks_and_comes_again_while_the_network_learns():
    network = build_network("unet2d", width=4, depth=2)
    watch = Watch()
    live = LiveMap(watch, "cpu", None)
    live.begin(None)
    live.go_on(moment_of(network))
    assert watch.state().map is None  # nobody looks
    seen = []
    for step in range(1, 40):
        if step == 1:
            watch.look_at(Volume(RAW), 0)
        elif step == 20:
            watch.look_at(Volume(RAW), 3)
        live.go_on(moment_of(network, step))
        seen.append((watch.state().section, watch.state().map_step))
    first, last = seen[18], seen[-1]
    assert first[0] == 0
    assert last[0] == 3
    assert all(len({at for at in seen if at[0] == section}) > 2 for section in (0, 3))


def test_all_parts_of_a_map_come_from_the_same_weights(monkeypatch):
    monkeypatch.setattr("napari_emseg.training.live_map._BLOCK_PX", 16)
    network = build_network("unet2d", width=4, depth=2)
    with Predictor(network, device="cpu") as predictor:
        expected = predictor.predict_section(Volume(RAW), 2)
    watch = Watch()
    watch.look_at(Volume(RAW), 2)
    live = LiveMap(watch, "cpu", None)
    live.begin(None)
    while watch.state().map is None:
        live.go_on(moment_of(network))
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(0.1)  # it learns meanwhile
    assert np.allclose(watch.state().map, expected, atol=1e-5)
