"""Ensembles, three axes and bad sections, with small random networks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_emseg.errors import InputError
from napari_emseg.inference import Predictor
from napari_emseg.inference.axes import AxesPredictor
from napari_emseg.inference.ensemble import Ensemble
from napari_emseg.inference.protocol import BoundaryPredictor
from napari_emseg.inference.stacker import Stacker, fit_stacker, load_stacker, save_stacker
from napari_emseg.inference.substitution import SubstitutingPredictor
from napari_emseg.networks import build_network
from napari_emseg.networks.base import Network
from napari_emseg.networks.checkpoint import save_model
from napari_emseg.networks.info import ModelInfo
from napari_emseg.postprocessing.section_table import BadSection
from napari_emseg.progress import Cancelled
from napari_emseg.volume import Volume

RAW = np.random.default_rng(1).integers(0, 256, (6, 21, 26)).astype(np.uint8)
STACK = Volume(RAW, voxel_size_nm=(50, 4, 4))
CUBE = Volume(RAW, voxel_size_nm=(9, 8, 8))


def make_network(seed: int, name: str = "unet2d", **params: Any) -> Network:
    """A random network whose map varies."""
    torch.manual_seed(seed)
    network = build_network(name, **{"width": 4, "depth": 2, **params})
    with torch.no_grad():
        network.get_parameter("head.weight").mul_(8)
    return network.eval()


def save(path: Path, network: Network, nm: float = 4) -> Path:
    save_model(path, network, ModelInfo(network=network.name, voxel_size_nm=(50, nm, nm)))
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A 2D model, a 2.5D one, and one that learned on pixels twice as wide."""
    return [
        save(tmp_path / "flat.safetensors", make_network(0)),
        save(tmp_path / "three.safetensors", make_network(1, in_sections=3)),
        save(tmp_path / "coarse.safetensors", make_network(2), nm=8),
    ]


def maps_of(files: list[Path], raw: Any = STACK) -> list[np.ndarray]:
    maps = []
    for path in files:
        with Predictor(path, device="cpu") as one:
            maps.append(one.predict(raw, tta=False).read())
    return maps


class Recorder:
    """Remembers reports; stops at the one with a given number."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.reports: list[tuple[int, int, str]] = []
        self.stop_at = stop_at

    def update(self, done: int, total: int, message: str = "") -> None:
        self.reports.append((done, total, message))
        if len(self.reports) == self.stop_at:
            raise Cancelled


@pytest.mark.parametrize(("combine", "function"), [("mean", np.mean), ("max", np.max)])
def test_an_ensemble_is_the_mean_or_the_maximum_of_its_models(
    files: list[Path], combine: Any, function: Any
) -> None:
    expected = function(maps_of(files), axis=0)
    with Ensemble(files, combine, device="cpu") as several:
        assert isinstance(several, BoundaryPredictor)
        made = several.predict(STACK, tta=False)
        np.testing.assert_allclose(made.read(), expected, atol=1e-6)
        single = several.predict_section(STACK, 2)
    np.testing.assert_array_equal(single, made.read(2))
    record = made.provenance["predict"]
    assert record["model"] == "flat + three + coarse"
    assert [len(model["sha256"]) for model in record["models"]] == [64] * 3
    assert record["combine"] == combine


def test_the_order_of_the_models_does_not_matter(files: list[Path]) -> None:
    with Ensemble(files, device="cpu") as one, Ensemble(files[::-1], device="cpu") as other:
        np.testing.assert_array_equal(
            one.predict(STACK, tta=False).read(), other.predict(STACK, tta=False).read()
        )


def test_only_the_sections_wanted_are_written_and_progress_runs_over_all_models(
    files: list[Path],
) -> None:
    out, seen = np.full(RAW.shape, 7, np.uint8), Recorder()
    with Ensemble(files, device="cpu") as several:
        several.predict(STACK, tta=False, out=out, sections=[4, 0], progress=seen)
    assert (out[[1, 2, 3, 5]] == 7).all()
    expected = np.mean(maps_of(files), axis=0)[[4, 0]]
    np.testing.assert_allclose(out[[4, 0]] / 255, expected, atol=0.51 / 255)
    done = [report[0] for report in seen.reports]
    assert done == sorted(done)
    assert seen.reports[-1][:2] == (2, 2)
    assert {report[1] for report in seen.reports} == {2}
    assert any(message.startswith("model 2 of 3") for _, _, message in seen.reports)


def test_stopping_keeps_the_finished_sections(files: list[Path]) -> None:
    out = np.full(RAW.shape, -1, np.float32)
    with Ensemble(files, device="cpu") as several, pytest.raises(Cancelled):
        several.predict(STACK, tta=False, out=out, progress=Recorder(stop_at=8))
    np.testing.assert_allclose(out[0], np.mean(maps_of(files), axis=0)[0], atol=1e-6)
    assert (out[2:] == -1).all()


def test_a_section_counts_as_done_when_it_is_stored(files: list[Path]) -> None:
    out = np.full(STACK.shape, -1, np.float32)
    stored: list[tuple[int, int]] = []

    class Look:
        def update(self, done: int, total: int, message: str = "") -> None:
            stored.append((done, int((out >= 0).all(axis=(1, 2)).sum())))

    with Ensemble(files, device="cpu") as ensemble:
        ensemble.predict(STACK, tta=False, out=out, progress=Look())
    assert stored[-1] == (6, 6)
    assert all(done <= written for done, written in stored)


def test_a_volume_network_joins_an_ensemble(files: list[Path]) -> None:
    solid = make_network(3, "unet3d", width=2)
    with Predictor(solid, device="cpu") as one:
        of_volume = one.predict(STACK, tta=False).read()
    with Ensemble([files[0], solid], device="cpu") as both:
        made = both.predict(STACK, tta=False).read()
    np.testing.assert_allclose(made, (maps_of(files[:1])[0] + of_volume) / 2, atol=1e-5)


def test_models_that_predict_other_things_are_refused(files: list[Path]) -> None:
    affinities = build_network("rsunet", preset="tiny")
    with pytest.raises(InputError, match="must predict the same"):
        Ensemble([files[0], affinities], device="cpu")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"combine": "median"}, "not 'median'"),
        ({"combine": "learned"}, "needs the file of a stacker"),
        ({"stacker": Stacker((1.0,), 0.0, (("a", ""),))}, "for combine = learned only"),
    ],
)
def test_what_cannot_be_combined_is_said(files: list[Path], options: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Ensemble(files, device="cpu", **options)


def test_blank_sections_are_named_once(files: list[Path]) -> None:
    raw = RAW.copy()
    raw[[1, 4]] = 9
    with Ensemble(files[:2], device="cpu") as both:
        made = both.predict(Volume(raw, voxel_size_nm=(50, 4, 4)), tta=False)
    assert made.provenance["notes"] == ["Blank sections, whose boundary map was set to 0: 1, 4."]


def test_the_file_of_a_model_is_read_once_for_its_checksum(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_emseg.inference import loading

    read: list[Path] = []
    monkeypatch.setattr(loading, "sha256_of", lambda path: read.append(path) or "1")
    with Ensemble(files[:2], device="cpu") as both:
        both.predict(STACK, tta=False)
    assert sorted(read) == sorted(files[:2])


# Learned


def test_a_stacker_trusts_the_map_that_is_right(files: list[Path], tmp_path: Path) -> None:
    truth = np.zeros(RAW.shape, np.uint8)
    truth[:, ::5] = 255  # membranes dark by default: 0 is membrane
    right = np.where(truth == 0, 0.8, 0.2).astype(np.float32)
    noise = np.random.default_rng(0).random(RAW.shape, np.float32)
    maps = [Volume(m, kind="boundary") for m in (noise, right)]
    stacker = fit_stacker(
        maps, Volume(truth), [("noise", "1"), ("right", "2")],
        ground_truth_kind="membranes", invert=True,
    )  # fmt: skip
    assert stacker.weights[1] > 5 * abs(stacker.weights[0])
    mistakes = (stacker.apply([noise[0], right[0]]) > 0.5) != (truth[0] == 0)
    assert not mistakes.any()
    again = load_stacker(save_stacker(stacker, tmp_path / "s.safetensors"))
    assert again == stacker


def test_a_learned_ensemble_weighs_as_its_file_says(files: list[Path], tmp_path: Path) -> None:
    with Ensemble(files[:2], device="cpu") as both:
        models = both.models
    path = save_stacker(Stacker((0.3, 1.2), -0.5, models), tmp_path / "s.safetensors")
    with Ensemble(files[:2], "learned", path, device="cpu") as both:
        made = both.predict(STACK, tta=False).read()
    with Ensemble([files[1], files[0]], "learned", path, device="cpu") as both:
        np.testing.assert_allclose(both.predict(STACK, tta=False).read(), made, atol=1e-6)
    p = np.clip(maps_of(files[:2]), 1e-4, 1 - 1e-4)
    logits = np.log(p / (1 - p))
    expected = 1 / (1 + np.exp(-(0.3 * logits[0] + 1.2 * logits[1] - 0.5)))
    np.testing.assert_allclose(made, expected, atol=1e-5)
    with pytest.raises(InputError, match="fitted to other models"):
        Ensemble([files[0], files[2]], "learned", path, device="cpu")


def test_a_file_that_is_no_stacker_is_refused(files: list[Path], tmp_path: Path) -> None:
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    for path in (files[0], torn):
        with pytest.raises(InputError, match="is no stacker"):
            load_stacker(path)
    with pytest.raises(InputError, match="Cannot read"):
        load_stacker(tmp_path / "missing.safetensors")


# Axes


def test_three_axes_are_the_mean_of_the_turned_stacks(files: list[Path]) -> None:
    with Predictor(files[1], device="cpu") as one:
        expected = np.zeros(RAW.shape)
        for order in ((0, 1, 2), (1, 0, 2), (2, 0, 1)):
            turned = Volume(np.ascontiguousarray(RAW.transpose(order)), voxel_size_nm=(8, 8, 8))
            made = one.predict(turned, tta=False, resample="never").read()
            expected += made.transpose(np.argsort(order)) / 3
    with AxesPredictor(Predictor(files[1], device="cpu")) as predictor:
        seen = Recorder()
        made = predictor.predict(CUBE, tta=False, resample="never", progress=seen)
        np.testing.assert_allclose(made.read(), expected, atol=1e-5)
        some = predictor.predict(CUBE, tta=False, resample="never", sections=[3]).read()
    np.testing.assert_array_equal(some[3], made.read(3))
    assert made.provenance["predict"]["axes"] == "zyx"
    done = [report[0] for report in seen.reports]
    assert done == sorted(done)
    assert seen.reports[-1][:2] == (6, 6)
    assert any("along x" in message for _, _, message in seen.reports)


def test_blank_planes_across_the_sections_are_not_told_as_sections(files: list[Path]) -> None:
    raw = RAW.copy()
    raw[:, :2], raw[:, :, -3:] = 9, 9
    with AxesPredictor(Predictor(files[0], device="cpu")) as predictor:
        options: Any = {"tta": False, "resample": "never"}
        made = predictor.predict(Volume(raw, voxel_size_nm=(8, 8, 8)), **options)
    assert not any("Blank" in note for note in made.provenance["notes"])


def test_a_blank_plane_has_no_say_and_a_blank_section_no_map(files: list[Path]) -> None:
    """A rim without image, as around an aligned stack, gets the mean of what is seen there."""
    raw = RAW.copy()
    raw[4], raw[:, :2], raw[:, :, -3:] = 9, 9, 9
    volume = Volume(raw, voxel_size_nm=(8, 8, 8))
    with Predictor(files[0], device="cpu") as one:
        options: Any = {"tta": False, "resample": "never"}
        along = [
            np.moveaxis(one.predict(np.moveaxis(raw, axis, 0), **options).read(), 0, axis)
            for axis in range(3)
        ]
        whole = AxesPredictor(one).predict(volume, **options)
    assert not whole.read(4).any()
    assert whole.provenance["predict"]["blank_sections"] == [4]
    assert "Blank sections, whose boundary map was set to 0: 4." in whole.provenance["notes"]
    where = np.s_[0, 10, 10], np.s_[0, 0, 10], np.s_[0, 10, -1], np.s_[0, 0, -1]
    expected = [
        np.mean([m[where[0]] for m in along]),
        np.mean([along[0][where[1]], along[2][where[1]]]),
        np.mean([along[0][where[2]], along[1][where[2]]]),
        along[0][where[3]],
    ]
    found = np.array([float(whole.read(at)) for at in where])
    np.testing.assert_allclose(found, np.array(expected), atol=1e-6)


def test_slabs_do_not_depend_on_the_sections_asked_for(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_emseg.inference import axes

    monkeypatch.setattr(axes, "_SLAB_BYTES", 4 * 21 * 26 * 4)
    monkeypatch.setattr(axes, "_HALO", 1)
    with AxesPredictor(Predictor(files[0], device="cpu")) as predictor:
        whole = predictor.predict(CUBE, tta=False).read()
        some = predictor.predict(CUBE, tta=False, sections=[5, 0]).read()
    np.testing.assert_array_equal(some[[0, 5]], whole[[0, 5]])
    assert not some[1:5].any()


def test_anisotropic_voxels_and_volume_networks_are_refused(files: list[Path]) -> None:
    with AxesPredictor(Predictor(files[0], device="cpu")) as predictor:
        with pytest.raises(InputError, match=r"12\.5 times as long as wide"):
            predictor.predict(STACK)
        with pytest.raises(InputError, match="voxel size is not known"):
            predictor.predict(Volume(RAW))
    with pytest.raises(InputError, match="sees all three axes at once"):
        AxesPredictor(Predictor(make_network(0, "unet3d", width=2), device="cpu"))


# Bad sections


@pytest.fixture
def three(files: list[Path]) -> Iterator[Predictor]:
    with Predictor(files[1], device="cpu") as predictor:
        yield predictor


def test_no_other_section_sees_a_bad_one(three: Predictor) -> None:
    bad = [BadSection(2, "blank")]
    changed = RAW.copy()
    changed[2] = 255 - changed[2]
    mended = SubstitutingPredictor(three, bad)
    one = mended.predict(STACK, tta=False).read()
    np.testing.assert_array_equal(
        one, mended.predict(STACK.derive(changed, kind="raw"), tta=False).read()
    )
    plain = three.predict(STACK, tta=False).read()
    np.testing.assert_array_equal(one[[0, 4, 5]], plain[[0, 4, 5]])
    assert not np.array_equal(one[1], plain[1])
    np.testing.assert_array_equal(one[2], np.maximum(one[1], one[3]))


def test_a_misaligned_section_stands_alone_and_another_model_joins_in(
    three: Predictor, files: list[Path]
) -> None:
    bad = [BadSection(3, "misaligned"), BadSection(5, "misaligned", use=False)]
    alone = three.predict(STACK.derive(RAW[3:4], kind="raw"), tta=False).read(0)
    mended = SubstitutingPredictor(three, bad)
    made = mended.predict(STACK, tta=False)
    np.testing.assert_allclose(made.read(3), alone, atol=1e-6)
    assert made.provenance["predict"]["substituted"] == ["3:misaligned"]
    with Predictor(files[0], device="cpu") as thick:
        wide = thick.predict(STACK, tta=False).read(3)
        both = SubstitutingPredictor(three, bad, thick).predict(STACK, tta=False)
    np.testing.assert_allclose(both.read(3), np.maximum(alone, wide), atol=1e-6)
    assert both.provenance["predict"]["substitute"]["name"] == "flat"


def test_a_run_of_lost_sections_takes_the_nearest_sound_ones(three: Predictor) -> None:
    bad = [BadSection(z, "blank") for z in (0, 1, 3, 4)]
    made = SubstitutingPredictor(three, bad).predict(STACK, tta=False).read()
    np.testing.assert_array_equal(made[0], made[2])
    np.testing.assert_array_equal(made[4], np.maximum(made[2], made[5]))


def test_sections_come_in_the_order_wanted_and_one_alone_is_the_same(three: Predictor) -> None:
    bad = [BadSection(2, "blank"), BadSection(4, "misaligned")]
    mended, seen = SubstitutingPredictor(three, bad), Recorder()
    whole = mended.predict(STACK, tta=False, progress=seen).read()
    some = mended.predict(STACK, tta=False, sections=[4, 2, 3]).read()
    np.testing.assert_array_equal(some[2:5], whole[2:5])
    for z in (2, 3, 4):
        np.testing.assert_array_equal(mended.predict_section(STACK, z), whole[z])
    done = [report[0] for report in seen.reports]
    assert done == sorted(done)
    assert seen.reports[-1][:2] == (6, 6)


def test_a_table_of_another_stack_is_refused(three: Predictor) -> None:
    with pytest.raises(InputError, match="is it the table of another stack"):
        SubstitutingPredictor(three, [BadSection(6, "blank")]).predict(STACK)
    every = [BadSection(z, "blank") for z in range(6)]
    with pytest.raises(InputError, match="All sections"):
        SubstitutingPredictor(three, every).predict(STACK)


def test_all_of_it_streams_to_a_store_and_goes_on(files: list[Path], tmp_path: Path) -> None:
    from napari_emseg.inference.streaming import predict_to_zarr

    def several() -> SubstitutingPredictor:
        bad = [BadSection(2, "blank"), BadSection(4, "misaligned")]
        return SubstitutingPredictor(Ensemble(files[:2], device="cpu"), bad)

    with several() as predictor:
        expected = predictor.predict(STACK, tta=False).read()
        path = tmp_path / "map.zarr"
        with pytest.raises(Cancelled):
            predict_to_zarr(
                predictor, STACK, path, tta=False, dtype="float32", progress=Recorder(stop_at=9)
            )
        made = predict_to_zarr(predictor, STACK, path, tta=False, dtype="float32")
        np.testing.assert_allclose(made.read(), expected, atol=1e-6)
