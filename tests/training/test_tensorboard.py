from __future__ import annotations

import sys

import pytest
import torch

from napari_emseg.errors import InputError
from napari_emseg.networks import build_network
from napari_emseg.networks.checkpoint import load_model
from napari_emseg.training import train
from napari_emseg.training.hooks import Hook, Moment
from napari_emseg.training.tensorboard import TensorBoard, pictures_of


class Listed(Hook):
    def __init__(self) -> None:
        self.steps: list[int] = []
        self.validated: list[tuple[int, bool]] = []
        self.losses: list[float] = []
        self.ended = 0

    def on_step(self, moment: Moment) -> None:
        self.steps.append(moment.step)
        self.losses.append(moment.loss)

    def on_validation(self, moment: Moment) -> None:
        self.validated.append((moment.step, moment.is_best))

    def on_end(self) -> None:
        self.ended += 1


def read_events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"images": 0, "histograms": 0})
    events.Reload()
    return events


def test_hooks_see_every_step_and_change_nothing(cells, tiny, tmp_path):
    listed, plain, watched = Listed(), tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    train([cells], plain, params=tiny)
    board = TensorBoard(tmp_path / "board", every_steps=4)
    result = train([cells], watched, params=tiny, hooks=[listed, board])
    a, b = (load_model(path)[0].state_dict() for path in (plain, watched))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert listed.steps == list(range(1, 9))
    assert [step for step, _ in listed.validated] == [4, 8]
    assert result.best_step == [step for step, is_best in listed.validated if is_best][-1]
    assert listed.ended == 1


def test_tensorboard_gets_curves_histograms_and_pictures(cells, tiny, tmp_path):
    listed, board = Listed(), TensorBoard(tmp_path, every_steps=2)
    result = train([cells], tmp_path / "m.safetensors", params=tiny, hooks=[listed, board])
    events = read_events(tmp_path)
    losses = events.Scalars("loss")
    assert [event.step for event in losses] == [2, 4, 6, 8]
    assert [event.value for event in losses] == pytest.approx(listed.losses[1::2])
    last = max(events.Scalars("v_rand/cells"), key=lambda event: event.value)
    assert last.value == pytest.approx(result.scores["cells"]["v_rand"])
    assert "head.weight" in events.Tags()["histograms"]
    assert {"batch/image", "batch/map", "features/encoders.0"} <= set(events.Tags()["images"])
    shown = events.Images("batch/truth")[0]
    assert (shown.height, shown.width) == (tiny.patch_px, tiny.patch_px)


@pytest.mark.parametrize(
    ("name", "shape", "targets_shape"),
    [
        ("unet3d", (1, 1, 5, 16, 24), (1, 1, 5, 16, 24)),
        ("n4", (3, 1, 95, 95), (3,)),
        ("n4", (1, 1, 110, 106), (1, 1, 16, 12)),
        ("deepem3d", (1, 5, 16, 32), (1, 1, 16, 32)),
    ],
)
def test_every_kind_of_batch_gives_pictures(name, shape, targets_shape):
    network = build_network(name, "tiny").eval()
    targets = torch.full(targets_shape, 255, dtype=torch.uint8)
    moment = Moment(1, 0.0, 0.0, 0.0, network, network, torch.randn(shape), targets)
    pictures = pictures_of(moment)
    assert all(float(p.min()) >= 0 and float(p.max()) <= 1 for p in pictures.values())
    assert all(picture.ndim == 2 for picture in pictures.values())
    if len(targets_shape) > 1:
        assert pictures["batch/map"].shape == targets_shape[-2:]
        assert torch.all(pictures["batch/truth"] == 0.5)


def test_the_picture_of_a_recursive_network_is_its_middle_section():
    network = build_network("vd2d3d", "paper", width=4).eval()
    images = torch.randn(1, network.in_sections + network.in_maps, 92, 90)
    targets = torch.zeros((1, 1, 8, 6), dtype=torch.uint8)
    shown = pictures_of(Moment(1, 0.0, 0.0, 0.0, network, network, images, targets))["batch/image"]
    assert shown.argmax() == images[0, 2].argmax()


def test_a_missing_package_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"pip install 'napari-emseg\[tensorboard\]'"):
        TensorBoard(tmp_path)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Cannot make the folder"):
        TensorBoard(tmp_path / "file" / "board")
