"""The model that suits the voxels is proposed, said, and never put over what somebody chose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.gui.conftest import PATIENCE_MS, save_untrained

from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.session_bar import SessionBar
from napari_emseg.gui.workspace import Workspace
from napari_emseg.volume import Volume

GREY = np.random.default_rng(0).integers(0, 255, (4, 24, 28), np.uint8)
CUBES = Volume(GREY, name="cubes", voxel_size_nm=(10, 10, 10))
SECTIONS = Volume(GREY, name="sections", voxel_size_nm=(50, 4, 4))
REASON = "Voxels are 10 nm cubes: the FIB-SEM model is used, averaged over all three axes."


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default model, one of cubes, and one that gives affinities of volumes."""
    from napari_emseg.networks import build_network
    from napari_emseg.networks.checkpoint import save_model
    from napari_emseg.networks.info import ModelInfo

    folder = save_untrained(tmp_path_factory.mktemp("proposed"))
    info = ModelInfo(network="unet2d", title="Isotropic FIB-SEM", voxel_size_nm=(10, 10, 10))
    network = build_network("unet2d", width=4, depth=2)
    save_model(folder / "drosophila_fibsem.safetensors", network, info)
    affinities = info.model_copy(update={"title": "Affinities", "voxel_size_nm": None})
    save_model(
        folder / "affinities.safetensors", build_network("rsunet", preset="tiny"), affinities
    )
    return folder


@pytest.fixture
def step(workspace: Workspace) -> Any:
    return workspace.step("boundaries")


def wanted(workspace: Workspace) -> tuple[str, str]:
    params = workspace.context.session.predict
    return params.model, params.axes


def test_cubes_bring_their_model_and_sections_theirs(workspace: Workspace, step: Any) -> None:
    viewer = workspace.context.viewer
    assert wanted(workspace) == ("untrained", "z")
    cubes = add_volume(viewer, CUBES)
    assert wanted(workspace) == ("drosophila_fibsem", "zyx")
    assert step.model.currentData() == "drosophila_fibsem"
    assert step.options.axes.isChecked()
    assert step.about.text() == REASON
    sections = add_volume(viewer, SECTIONS)
    workspace.context.set_layer("raw", sections)
    assert wanted(workspace) == ("untrained", "z")
    assert not step.options.axes.isChecked()
    assert step.about.text() == "Trained on nothing at 50 × 4 × 4 nm."
    workspace.context.set_layer("raw", cubes)
    assert wanted(workspace) == ("drosophila_fibsem", "zyx")


def test_a_voxel_size_typed_later_counts(workspace: Workspace, step: Any) -> None:
    add_volume(workspace.context.viewer, Volume(GREY, name="unknown"))
    assert wanted(workspace) == ("untrained", "z")
    data = workspace.step("data")
    for box, length in zip(data.size_boxes, (10, 10, 10), strict=True):  # type: ignore[attr-defined]
        box.setValue(length)
    data.apply_voxel_size()  # type: ignore[attr-defined]
    assert wanted(workspace) == ("drosophila_fibsem", "zyx")
    assert step.about.text() == REASON


def test_a_chosen_model_stays(workspace: Workspace, step: Any) -> None:
    viewer = workspace.context.viewer
    add_volume(viewer, CUBES)
    step.model.setCurrentIndex(step.model.findData("untrained"))
    assert wanted(workspace) == ("untrained", "z")
    workspace.context.set_layer("raw", add_volume(viewer, SECTIONS))
    workspace.context.set_layer("raw", add_volume(viewer, CUBES))
    assert wanted(workspace) == ("untrained", "z")
    assert REASON not in step.about.text()
    step.model.setCurrentIndex(step.model.findData("drosophila_fibsem"))
    assert wanted(workspace) == ("drosophila_fibsem", "zyx")  # nobody said along which axes


def test_chosen_axes_stay(workspace: Workspace, step: Any) -> None:
    add_volume(workspace.context.viewer, CUBES)
    step.options.axes.setChecked(False)
    assert wanted(workspace) == ("drosophila_fibsem", "z")
    assert REASON not in step.about.text()
    step.model.setCurrentIndex(step.model.findData("untrained"))
    step.model.setCurrentIndex(step.model.findData("drosophila_fibsem"))
    assert wanted(workspace) == ("drosophila_fibsem", "z")


def test_a_restored_session_keeps_its_model(
    workspace: Workspace, step: Any, qtbot: Any, tmp_path: Path
) -> None:
    from napari_emseg.session import Session, save_session

    context = workspace.context
    saved = Session()
    saved.change("predict", model="untrained", axes="z")
    save_session(tmp_path / "a.emseg", saved, raw=CUBES)
    workspace.findChild(SessionBar).restore_from(tmp_path / "a.emseg", is_sure=True)
    qtbot.waitUntil(lambda: context.layer("raw") is not None, timeout=PATIENCE_MS)
    assert wanted(workspace) == ("untrained", "z")


def test_a_map_from_a_file_brings_the_settings_it_was_made_with(
    workspace: Workspace, step: Any, tmp_path: Path
) -> None:
    from napari_emseg import open_volume, save_volume
    from napari_emseg.session import Session
    from napari_emseg.steps import predict

    viewer, context = workspace.context.viewer, workspace.context
    elsewhere = Session()
    elsewhere.change("predict", model="untrained", axes="z", tta=False)
    save_volume(predict.run(CUBES, params=elsewhere.predict), tmp_path / "map.tif")
    add_volume(viewer, CUBES)
    assert wanted(workspace) == ("drosophila_fibsem", "zyx")
    layer = add_volume(viewer, open_volume(tmp_path / "map.tif", kind="boundary"))
    assert context.layer("boundary") is layer
    assert wanted(workspace) == ("untrained", "z")
    assert not context.session.predict.tta
    assert context.plan().boundaries.state == "up to date"
    step.tta.setChecked(True)  # from now on it is somebody's wish
    assert context.plan().boundaries.state == "out of date"
    viewer.layers.remove(layer)
    add_volume(viewer, open_volume(tmp_path / "map.tif", kind="boundary"))
    assert context.session.predict.tta


def test_words_say_what_a_model_of_volumes_does(workspace: Workspace, step: Any) -> None:
    assert step.tta.text() == "Average 8 orientations"
    assert step.resample.isEnabled()
    step.model.setCurrentIndex(step.model.findData("affinities"))
    assert step.tta.text() == "Average 16 orientations"
    assert not step.resample.isEnabled()
