"""Save and restore in the window: nothing that was made or painted is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QMessageBox
from tests.gui.conftest import PATIENCE_MS

from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.opening import open_into
from napari_emseg.gui.preview_labels import is_preview
from napari_emseg.gui.workspace import Workspace
from napari_emseg.io import open_volume, save_volume
from napari_emseg.recipe import load_recipe
from napari_emseg.session import load_session
from napari_emseg.steps.step import record_step
from napari_emseg.volume import Volume


@pytest.fixture
def restore(make_napari_viewer: Callable[..., Any], qtbot: Any) -> Iterator[Callable[..., Any]]:
    """Restore a session file in a fresh window."""
    opened: list[Workspace] = []

    def open_in_fresh_window(path: Path) -> Workspace:
        viewer = make_napari_viewer()
        workspace = Workspace(viewer)
        opened.append(workspace)
        viewer.window.add_dock_widget(workspace, name="EM Segmentation")
        workspace.session_bar.restore_from(path)
        wait_until_idle(workspace, qtbot)
        return workspace

    yield open_in_fresh_window
    for workspace in opened:
        workspace.context.close()
        workspace.detach()


def wait_until_idle(workspace: Workspace, qtbot: Any) -> None:
    jobs = workspace.context.jobs
    qtbot.waitUntil(lambda: not jobs.busy_titles(), timeout=PATIENCE_MS)


def save(workspace: Workspace, path: Path, qtbot: Any) -> Path:
    workspace.session_bar.save_to(path)
    qtbot.waitUntil(path.exists, timeout=PATIENCE_MS)
    wait_until_idle(workspace, qtbot)
    return path


def labels_of(workspace: Workspace) -> dict[str, Any]:
    layers = workspace.context.viewer.layers
    found = {layer.name: layer for layer in layers if type(layer).__name__ == "Labels"}
    return {n: la for n, la in found.items() if not is_preview(la)}


def test_painted_truth_and_all_labels_come_back(
    with_map: Workspace, restore: Any, tmp_path: Path, qtbot: Any
) -> None:
    context = with_map.context
    ids = np.arange(3 * 61 * 75, dtype=np.uint32).reshape(3, 61, 75) // 900
    truth_path = save_volume(
        Volume(ids, kind="labels", name="truth", voxel_size_nm=(50, 4, 4)), tmp_path / "truth.tif"
    )
    truth = add_volume(context.viewer, open_volume(truth_path))
    assert context.layer("ground_truth") is truth
    for _ in range(2):
        before = context.layer("segmentation")
        with_map.step("segment").write_labels()  # type: ignore[attr-defined]
        qtbot.waitUntil(
            lambda before=before: context.layer("segmentation") not in (None, before),
            timeout=PATIENCE_MS,
        )
    for layer in labels_of(with_map).values():
        layer.data_setitem((np.array([1]), np.array([3]), np.array([4])), 77)
    path = tmp_path / "work.emseg"
    with_map.session_bar.save_to(path)
    painted = {name: np.array(layer.data) for name, layer in labels_of(with_map).items()}
    assert len(painted) == 3
    truth.data_setitem((np.array([0]), np.array([0]), np.array([0])), 99)  # while it is saved
    qtbot.waitUntil(path.exists, timeout=PATIENCE_MS)

    restored = restore(path)
    back = labels_of(restored)
    assert back.keys() == painted.keys()
    for name, layer in back.items():
        np.testing.assert_array_equal(layer.data, painted[name])
    for role in ("ground_truth", "segmentation"):
        assert restored.context.layer(role).name == context.layer(role).name  # type: ignore[union-attr]


def test_drawn_membranes_are_the_same_another_day(
    with_map: Workspace, restore: Any, tmp_path: Path, qtbot: Any, notices: list[str]
) -> None:
    """A drawing is read as a boundary map, where membranes are bright, and is so again."""
    context = with_map.context
    drawing = np.full((3, 61, 75), 255, np.uint8)
    drawing[:, ::9] = drawing[:, :, ::11] = 0
    tifffile.imwrite(tmp_path / "membranes.tif", drawing, photometric="minisblack")
    truth: Any = open_into(context.viewer, tmp_path / "membranes.tif")
    assert context.layer("ground_truth") is truth
    with_map.step("segment").write_labels()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: context.layer("segmentation") is not None, timeout=PATIENCE_MS)
    with_map.step("evaluate").evaluate()  # type: ignore[attr-defined]
    wait_until_idle(with_map, qtbot)
    assert context.plan()["evaluate"].state == "up to date"
    path = save(with_map, tmp_path / "work.emseg", qtbot)
    notices.clear()
    back = restore(path).context
    assert [told for told in notices if "has changed" in told] == []
    np.testing.assert_array_equal(
        np.asarray(back.layer("ground_truth").data), np.asarray(truth.data)
    )
    assert back.plan()["evaluate"].state == "up to date"


@pytest.fixture
def half_predicted(workspace: Workspace, qtbot: Any) -> Workspace:
    """A stack of three sections of which the second is predicted."""
    context = workspace.context
    grey = np.random.default_rng(0).integers(0, 255, (3, 64, 70), np.uint8)
    add_volume(context.viewer, Volume(grey, name="stack", voxel_size_nm=(50, 4, 4)))
    context.viewer.dims.set_point(0, 50)
    workspace.step("boundaries").preview_section()  # type: ignore[attr-defined]
    wait_until_idle(workspace, qtbot)
    assert context.done_sections is not None
    assert context.done_sections.tolist() == [False, True, False]
    return workspace


def test_predict_all_goes_on_another_day(
    half_predicted: Workspace, restore: Any, tmp_path: Path, qtbot: Any
) -> None:
    path = save(half_predicted, tmp_path / "work.emseg", qtbot)
    before = half_predicted.context.layer("boundary").data.copy()  # type: ignore[union-attr]
    workspace = restore(path)
    context = workspace.context
    layer = context.layer("boundary")
    np.testing.assert_array_equal(layer.data, before)
    assert context.done_sections.tolist() == [False, True, False]
    assert context.session.boundary is None
    state = workspace.frames["boundaries"].state
    qtbot.waitUntil(lambda: "1 of 3 sections done" in state.text(), timeout=PATIENCE_MS)
    layer.data[1] = 0.25  # a mark: done sections are not made again
    workspace.step("boundaries").predict_all()
    qtbot.waitUntil(lambda: context.session.boundary is not None, timeout=PATIENCE_MS)
    assert context.layer("boundary") is layer
    assert (layer.data[1] == 0.25).all()
    assert np.ptp(layer.data[0]) > 0
    wait_until_idle(workspace, qtbot)


def test_other_parameters_begin_a_map_of_their_own(
    half_predicted: Workspace, restore: Any, tmp_path: Path, qtbot: Any
) -> None:
    session = half_predicted.context.session
    session.change("predict", tta=not session.predict.tta)
    workspace = restore(save(half_predicted, tmp_path / "work.emseg", qtbot))
    unfinished = workspace.context.layer("boundary")
    workspace.step("boundaries").predict_all()
    assert workspace.context.layer("boundary") is not unfinished
    wait_until_idle(workspace, qtbot)


def test_restoring_waits_for_a_prediction_to_be_stopped(
    half_predicted: Workspace, tmp_path: Path, qtbot: Any, notices: list[str]
) -> None:
    context = half_predicted.context
    path = save(half_predicted, tmp_path / "work.emseg", qtbot)
    assert load_session(path).done_sections is not None
    notices.clear()
    half_predicted.step("boundaries").predict_all()  # type: ignore[attr-defined]
    layers = list(context.viewer.layers)
    half_predicted.session_bar.restore_from(path)
    assert notices == ["A prediction is running: press Stop first, then restore the session."]
    assert not context.jobs.is_busy("restore")
    assert list(context.viewer.layers) == layers
    wait_until_idle(half_predicted, qtbot)


def test_the_recipe_is_that_of_the_labels_chosen(
    with_map: Workspace, qtbot: Any, tmp_path: Path
) -> None:
    """A prediction of another stack earlier in the session is none of its steps."""
    context = with_map.context
    context.session.remember(record_step("predict", context.session.predict))
    with_map.step("segment").write_labels()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: context.layer("segmentation") is not None, timeout=PATIENCE_MS)
    with_map.session_bar.export_recipe_to(tmp_path / "recipe.yaml")
    assert [name for name, _ in load_recipe(tmp_path / "recipe.yaml").steps] == ["segment"]


def test_restoring_over_another_stack_takes_nothing_of_it(
    with_map: Workspace, viewer: Any, tmp_path: Path, qtbot: Any, boundary_map: Volume
) -> None:
    """A role without a layer in the file has none afterwards, whatever is open."""
    context = with_map.context
    path = save(with_map, tmp_path / "map only.emseg", qtbot)
    grey = np.random.default_rng(0).integers(0, 255, (3, 64, 70), np.uint8)
    add_volume(viewer, Volume(grey, name="another stack"))
    add_volume(viewer, Volume(grey // 50, kind="labels", name="another truth"))
    assert context.layer("raw") is not None
    assert context.layer("ground_truth") is not None
    with_map.session_bar.restore_from(path)
    wait_until_idle(with_map, qtbot)
    assert context.layer("boundary").name == "map [1]"  # type: ignore[union-attr]
    for role in ("raw", "ground_truth", "segmentation"):
        assert context.layer(role) is None
    viewer.add_points(np.zeros((1, 3)))
    assert context.layer("raw") is None


def test_restoring_asks_before_it_replaces_work(
    with_map: Workspace, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = with_map.context
    path = save(with_map, tmp_path / "before.emseg", qtbot)
    context.session.change("segment", h=0.31)
    with_map.step("segment").write_labels()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: context.layer("segmentation") is not None, timeout=PATIENCE_MS)
    asked: list[str] = []

    def answer(kind: QMessageBox.StandardButton) -> None:
        monkeypatch.setattr(QMessageBox, "question", lambda *args: asked.append(args[2]) or kind)

    answer(QMessageBox.StandardButton.No)
    with_map.session_bar.restore_from(path)
    wait_until_idle(with_map, qtbot)
    assert "settings and scores" in asked[0]
    assert context.session.segment.h == 0.31
    answer(QMessageBox.StandardButton.Yes)
    with_map.session_bar.restore_from(path)
    wait_until_idle(with_map, qtbot)
    assert context.session.segment.h != 0.31
