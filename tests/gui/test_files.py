"""Drag and drop, Save as, Open Sample, sessions and recipes, through napari itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npe2 import PluginManager, PluginManifest
from tests.gui.conftest import PATIENCE_MS

from napari_emseg.gui.files import get_reader
from napari_emseg.gui.layers import add_volume, voxel_size_of
from napari_emseg.gui.workspace import Workspace
from napari_emseg.io import open_volume
from napari_emseg.volume import Volume

MANIFEST = Path(__file__).resolve().parents[2] / "napari.yaml"


@pytest.fixture
def plugin() -> PluginManifest:
    manager = PluginManager.instance()
    manifest = PluginManifest.from_file(MANIFEST)
    if manifest.name not in manager:
        manager.register(manifest)
    return manifest


@pytest.mark.parametrize("suffix", [".tif", ".h5", ".zarr"])
@pytest.mark.parametrize("kind", ["image", "labels"])
def test_save_and_open_keep_geometry(
    viewer: Any, plugin: PluginManifest, tmp_path: Path, suffix: str, kind: str
) -> None:
    data = np.random.default_rng(0).integers(0, 200, (3, 17, 23), np.uint8)
    volume = Volume(
        data,
        kind="labels" if kind == "labels" else "raw",
        voxel_size_nm=(50, 4, 3.5),
        offset_nm=(100, 8, 7),
        name="ugly",
    )
    layer = add_volume(viewer, volume)
    path = str(tmp_path / f"saved{suffix}")
    layer.save(path, plugin="napari-emseg")
    viewer.layers.clear()
    (again,) = viewer.open(path, plugin="napari-emseg")
    assert type(again).__name__ == kind.capitalize()
    assert np.array_equal(np.asarray(again.data), data)
    assert voxel_size_of(again) == pytest.approx((50, 4, 3.5))
    assert again.translate == pytest.approx((100, 8, 7))


def test_a_broken_file_is_one_sentence(
    viewer: Any, plugin: PluginManifest, tmp_path: Path, notices: list[str]
) -> None:
    path = tmp_path / "broken.tif"
    path.write_bytes(b"II*\0 no tiff")
    viewer.open(str(path), plugin="napari-emseg")
    assert len(viewer.layers) == 0
    assert len(notices) == 1


def test_foreign_files_are_left_to_others() -> None:
    assert get_reader("notes.txt") is None


def test_the_synthetic_sample_opens_in_the_window(
    viewer: Any, plugin: PluginManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    import napari_emseg.samples as samples

    small = Volume(np.zeros((2, 8, 8), np.uint8), voxel_size_nm=(50, 4, 4), name="raw")
    true = Volume(np.ones((2, 8, 8), np.uint32), kind="labels", voxel_size_nm=(50, 4, 4))
    monkeypatch.setattr(samples, "make_synthetic", lambda: (small, true))
    raw, labels = viewer.open_sample("napari-emseg", "synthetic")
    assert voxel_size_of(raw) == (50, 4, 4)
    assert not labels.visible


def test_every_command_has_a_function(plugin: PluginManifest) -> None:
    from npe2.manifest.utils import import_python_name

    for command in plugin.contributions.commands or ():
        assert callable(import_python_name(command.python_name))


def test_verbs_work_from_the_palette(viewer: Any, workspace: Workspace, notices: list[str]) -> None:
    from napari_emseg.gui import commands
    from napari_emseg.gui.workspace import open_workspace

    assert open_workspace(viewer) is workspace
    commands.predict_all(viewer)
    commands.write_labels(viewer)
    assert len(notices) == 2
    commands.toggle_outlines(viewer)
    assert workspace.context.session.view.contour_px == 1


def test_session_there_and_back(
    with_map: Workspace, make_napari_viewer: Any, tmp_path: Path, qtbot: Any
) -> None:
    context = with_map.context
    context.session.change("segment", h=0.21)
    with_map.step("segment").write_labels()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: context.layer("segmentation") is not None, timeout=PATIENCE_MS)
    labels = context.layer("segmentation")
    assert labels is not None
    labels.data_setitem((np.array([2]), np.array([5]), np.array([6])), 4)
    path = tmp_path / "tomorrow.emseg"
    with_map.session_bar.save_to(path)
    qtbot.waitUntil(path.exists, timeout=PATIENCE_MS)

    other = make_napari_viewer()
    workspace = Workspace(other)
    other.window.add_dock_widget(workspace, name="EM Segmentation")
    workspace.session_bar.restore_from(path)
    restored = workspace.context
    qtbot.waitUntil(lambda: restored.layer("segmentation") is not None, timeout=PATIENCE_MS)
    assert restored.session.segment.h == 0.21
    assert np.array_equal(restored.layer("segmentation").data, labels.data)  # type: ignore[union-attr]
    assert restored.hierarchy is not None
    step: Any = workspace.step("segment")
    assert step.numbers["h"].value == pytest.approx(0.21)
    restored.close()
    workspace.detach()


def test_recipe_repeats_to_the_bit(with_map: Workspace, tmp_path: Path, qtbot: Any) -> None:
    from napari_emseg.io import save_volume
    from napari_emseg.recipe import load_recipe, run_recipe

    context = with_map.context
    context.session.change("segment", h=0.15, min_size_voxels=12)
    with_map.step("segment").write_labels()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: context.layer("segmentation") is not None, timeout=PATIENCE_MS)
    with_map.session_bar.export_recipe_to(tmp_path / "recipe.yaml")
    save_volume(context.volume("boundary"), tmp_path / "map.tif")
    made = run_recipe(load_recipe(tmp_path / "recipe.yaml"), tmp_path / "map.tif", tmp_path / "out")
    labels = open_volume(made["files"]["labels"])
    assert np.array_equal(labels.read(), context.layer("segmentation").data)  # type: ignore[union-attr]
