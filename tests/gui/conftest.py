"""A real window with the workspace, a small model, and small stacks."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if os.environ.get("EMSEG_BLOCK_QT"):
    pytest.skip("these tests need a window", allow_module_level=True)
if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    pytest.skip("these tests need a screen, for instance xvfb-run", allow_module_level=True)

from napari.settings import get_settings
from napari.utils.notifications import notification_manager

from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.workspace import Workspace
from napari_emseg.volume import Volume

PATIENCE_MS = 480_000  # compiling on a busy machine takes long


@pytest.fixture(autouse=True)
def paintings_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where paint is kept that is not saved: not among that of whoever runs the tests."""
    monkeypatch.setenv("EMSEG_PAINTINGS", str(tmp_path / "paintings"))
    return tmp_path / "paintings"


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with one untrained model of a few hundred weights."""
    return save_untrained(tmp_path_factory.mktemp("models"))


def save_untrained(folder: Path) -> Path:
    """Save a network of a few hundred random weights as the default model."""
    from napari_emseg.networks import build_network
    from napari_emseg.networks.checkpoint import save_model
    from napari_emseg.networks.info import ModelInfo

    info = ModelInfo(
        network="unet2d",
        title="Untrained",
        trained_on="nothing",
        voxel_size_nm=(50, 4, 4),
        default=True,
    )
    save_model(folder / "untrained.safetensors", build_network("unet2d", width=4, depth=2), info)
    return folder


@pytest.fixture
def viewer(
    make_napari_viewer: Callable[..., Any], small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """A window of 1280x800."""
    monkeypatch.setenv("EMSEG_MODELS", str(small_model))
    monkeypatch.setattr("napari_emseg.networks.library.bundled_folder", lambda: small_model)
    get_settings().appearance.theme = "dark"
    made = make_napari_viewer(show=True)
    made.window.resize(1280, 800)
    return made


@pytest.fixture
def workspace(viewer: Any, qtbot: Any) -> Iterator[Workspace]:
    """The workspace dock in that window."""
    made = Workspace(viewer)
    viewer.window.add_dock_widget(made, name="EM Segmentation", area="right")
    qtbot.waitExposed(made)
    yield made
    made.context.close()
    made.detach()


@pytest.fixture
def notices() -> Iterator[list[str]]:
    """What the user was told."""
    told: list[str] = []

    def keep(notification: Any) -> None:
        told.append(str(notification.message))

    notification_manager.notification_ready.connect(keep)
    yield told
    notification_manager.notification_ready.disconnect(keep)


@pytest.fixture
def boundary_map() -> Volume:
    """Three sections of wavy membranes, anisotropic, of odd size, one of them blank."""
    z, y, x = np.indices((3, 61, 75))
    wave = np.abs(np.sin(y / 5 + np.sin(x / 9 + z))) * np.abs(np.sin(x / 6 + z / 3))
    data = (1 - np.sqrt(wave)).astype(np.float32)
    data[1] = 0.5
    return Volume(data, kind="boundary", name="map", voxel_size_nm=(50, 4, 4))


@pytest.fixture
def with_map(workspace: Workspace, boundary_map: Volume, qtbot: Any) -> Workspace:
    """The workspace with a boundary map whose hierarchy is built."""
    add_volume(workspace.context.viewer, boundary_map)
    qtbot.waitUntil(lambda: workspace.context.hierarchy is not None, timeout=PATIENCE_MS)
    return workspace
