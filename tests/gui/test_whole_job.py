"""The whole job on real sections with mouse and keys: open, predict, tune, write, score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.layers import Labels
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QWidget
from tests.gui.conftest import PATIENCE_MS, save_untrained

from napari_emseg.gui.workspace import Workspace
from napari_emseg.networks.library import bundled_folder


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled models where there are any."""
    if list(bundled_folder().glob("*.safetensors")):
        return bundled_folder()
    return save_untrained(tmp_path_factory.mktemp("models"))


@pytest.fixture
def real_crop(shared_data: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Files of three real sections: raw without voxel size, membranes of the first two."""
    raw = tifffile.imread(shared_data / "isbi2012" / "train_raw.tif", key=range(3))
    truth = tifffile.imread(shared_data / "isbi2012" / "train_membranes_z00-23.tif", key=range(2))
    paths = tmp_path / "sections.tif", tmp_path / "membranes.tif"
    for path, stack in zip(paths, (raw, truth), strict=True):
        crop = np.ascontiguousarray(stack[:, :256, :256])
        tifffile.imwrite(path, crop, photometric="minisblack")
    return paths


class User:
    """Moves the mouse and presses keys."""

    def __init__(self, qtbot: Any, workspace: Workspace) -> None:
        self.qtbot, self.workspace = qtbot, workspace

    def reveal(self, widget: QWidget) -> None:
        self.workspace.scroll_area.ensureWidgetVisible(widget)
        self.qtbot.wait(20)
        assert widget.isVisible()

    def click(self, widget: Any) -> None:
        self.reveal(widget)
        assert widget.isEnabled(), widget.text()
        self.qtbot.mouseClick(widget, Qt.MouseButton.LeftButton, pos=QPoint(12, 10))

    def type_into(self, box: Any, text: str) -> None:
        self.reveal(box)
        box.setFocus()
        box.selectAll()
        self.qtbot.keyClicks(box, text)
        self.qtbot.keyClick(box, Qt.Key.Key_Return)

    def drag(self, slider: Any, share: float) -> None:
        """Drag the handle of a slider to `share` of its length."""
        self.reveal(slider)
        span, y = slider.width() - 16, slider.height() // 2
        start = 8 + round(span * slider.value() / slider.maximum())
        left = Qt.MouseButton.LeftButton
        self.qtbot.mousePress(slider, left, pos=QPoint(start, y))
        for step in np.linspace(start, 8 + span * share, 8):
            self.qtbot.mouseMove(slider, QPoint(round(step), y))
            self.qtbot.wait(5)
        self.qtbot.mouseRelease(slider, left, pos=QPoint(round(8 + span * share), y))

    def wait_until(self, condition: Any) -> None:
        self.qtbot.waitUntil(condition, timeout=PATIENCE_MS)


def test_the_whole_job(
    workspace: Workspace, qtbot: Any, real_crop: tuple[Path, Path], notices: list[str]
) -> None:
    context, user = workspace.context, User(qtbot, workspace)
    data: Any = workspace.step("data")
    boundaries: Any = workspace.step("boundaries")
    segment: Any = workspace.step("segment")
    evaluate: Any = workspace.step("evaluate")

    # 1 Data: the file says no voxel size, so it is typed in
    data.open_paths([str(real_crop[0])])
    for box, value in zip(data.size_boxes, ("50", "4", "4"), strict=True):
        user.type_into(box, value)
    user.click(data.set_button)
    assert workspace.frames["data"].state.text() == "ready"

    # 2 Boundaries: a look at one section, then all
    user.click(boundaries.tta)
    user.click(boundaries.preview_button)
    user.wait_until(lambda: context.done_sections is not None and context.done_sections.sum() == 1)
    user.wait_until(lambda: boundaries.predict_button.isEnabled())
    assert "1 of 3 sections done" in workspace.frames["boundaries"].state.text()
    first_map = context.layer("boundary")
    user.click(boundaries.predict_button)
    user.wait_until(lambda: context.is_boundary_complete and context.session.boundary is not None)
    assert context.layer("boundary") is first_map
    assert workspace.frames["boundaries"].state.text() == "up to date"
    assert all(np.ptp(section) > 0 for section in first_map.data)

    # 3 Segment: the sliders answer, the labels can be painted in
    user.wait_until(lambda: context.hierarchy is not None)
    preview = segment.live.layer
    before = len(np.unique(preview.data[1]))
    user.drag(segment.numbers["h"].slider, 0.6)
    assert context.session.segment.h == pytest.approx(0.3, abs=0.03)
    assert len(np.unique(preview.data[1])) < before
    user.drag(segment.numbers["min_size_voxels"].slider, 0.2)
    user.drag(segment.numbers["sigma_px"].slider, 0.5)
    user.wait_until(lambda: context.hierarchy is not None)
    assert context.hierarchy.sigma_px == pytest.approx(context.session.segment.sigma_px)
    user.click(segment.write_button)
    user.wait_until(lambda: context.layer("segmentation") is not None)
    labels = context.layer("segmentation")
    assert isinstance(labels, Labels)
    assert np.array_equal(labels.data, np.asarray(preview.data))
    assert labels.metadata["emseg"]["steps"][-1]["step"] == "segment"
    labels.data_setitem((np.array([0]), np.array([3]), np.array([3])), 7)  # it can be painted in
    assert labels.data[0, 3, 3] == 7

    # 4 Evaluate: two of three sections have a truth, drawn as membranes
    data.open_paths([str(real_crop[1])])
    truth = context.viewer.layers[-1]
    user.click(workspace.frames["evaluate"].button)
    combo = next(c for c in evaluate.combos if c.accessibleName() == "ground truth")
    assert context.layer("ground_truth") is truth  # two grey values only: a drawing
    context.set_layer("ground_truth", None)
    user.reveal(combo)
    combo.setFocus()
    for _ in range(combo.count()):
        if combo.currentText() != truth.name:
            qtbot.keyClick(combo, Qt.Key.Key_Down)
    assert context.layer("ground_truth") is truth
    assert evaluate.kind.currentText() == "membranes"
    assert context.session.evaluate.sections == (0, 2)
    user.click(evaluate.evaluate_button)
    user.wait_until(lambda: bool(context.session.scores) and evaluate.curve is not None)
    assert 0 < context.session.scores["v_rand"] <= 1
    assert "V_rand" in context.viewer.canvas.overlays.text.text
    assert labels.metadata["emseg"]["scores"] == context.session.scores
    best_h, best = evaluate.curve.best("v_rand")
    user.click(evaluate.best_button)
    assert context.session.segment.h == pytest.approx(best_h)
    assert evaluate.curve.at(best_h)["v_rand"] == pytest.approx(best)
    qtbot.waitUntil(lambda: "out of date" in workspace.frames["segment"].state.text())
    assert [notice for notice in notices if "voxel size" not in notice] == []


def test_stop_keeps_what_is_done(workspace: Workspace, qtbot: Any) -> None:
    context, boundaries = workspace.context, workspace.step("boundaries")
    assert boundaries.main_button is not None
    context.viewer.add_image(np.random.default_rng(0).integers(0, 255, (16, 96, 96), np.uint8))
    user = User(qtbot, workspace)
    user.click(boundaries.main_button)
    user.wait_until(lambda: context.done_sections is not None and context.done_sections.any())
    user.click(boundaries.stop_button)  # type: ignore[attr-defined]
    user.wait_until(lambda: not context.jobs.is_busy("predict"))
    qtbot.wait(50)
    assert context.done_sections is not None
    done = context.done_sections.copy()
    layer = context.layer("boundary")
    assert layer is not None
    kept = layer.data.copy()
    assert all(np.ptp(section) > 0 for section in kept[done])
    if done.all():
        return  # a fast machine
    user.click(boundaries.main_button)
    user.wait_until(lambda: context.is_boundary_complete)
    assert context.layer("boundary") is layer
    assert np.array_equal(layer.data[done], kept[done])
