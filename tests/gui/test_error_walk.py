"""Evaluate lists the errors; a click or N and P go there, mark both sides, and leave no trace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from tests.gui.conftest import PATIENCE_MS

from napari_emseg.evaluation.error_view import IS_OTHER, IS_PART, ErrorView
from napari_emseg.gui.evaluate.error_list import percent
from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.workspace import Workspace
from napari_emseg.volume import Volume


@pytest.fixture
def walked(with_map: Workspace, qtbot: Any) -> Workspace:
    """The workspace after Evaluate of the segments at the sliders, with several errors."""
    context = with_map.context
    truth = context.hierarchy.cut(0.35, 60).to_volume().read()  # type: ignore[union-attr]
    truth[2, 30:] += 1000  # neurons cut in two: merge errors
    volume = Volume(truth, kind="labels", voxel_size_nm=(50, 4, 4), name="truth")
    context.set_layer("ground_truth", add_volume(context.viewer, volume))
    context.session.change("segment", h=0.05, min_size_voxels=0)
    step: Any = with_map.step("evaluate")
    with_map.frames["evaluate"].set_open(True)
    step.evaluate()
    qtbot.waitUntil(lambda: step.error_list.errors is not None, timeout=PATIENCE_MS)
    return with_map


def canvas_of(workspace: Workspace) -> Any:
    return workspace.context.viewer.window._qt_viewer.canvas.native


def test_errors_of_the_segments_at_the_sliders_are_listed(walked: Workspace) -> None:
    step: Any = walked.step("evaluate")
    errors = step.error_list.errors
    assert errors.n_split > 0
    assert errors.n_merge > 0
    table = step.error_list.table
    assert table.rowCount() == len(errors.sites)
    assert table.item(0, 0).text() == errors.sites[0].kind
    assert table.item(0, 1).text() == percent(errors.share_of_loss(errors.sites[0]))
    assert step.strip._sections.tolist() == [0, 1, 2]
    assert errors.v_rand == pytest.approx(step.curve.at(0.05)["v_rand"])


def test_the_list_says_when_the_sliders_moved(walked: Workspace) -> None:
    step: Any = walked.step("evaluate")
    assert step.error_list.summary.text().startswith("6 split and 1 merge errors")
    step.use_best()
    assert step.error_list.summary.text().startswith("The sliders moved: press Evaluate")


def test_keys_walk_and_show_both_sides(walked: Workspace, qtbot: Any) -> None:
    step: Any = walked.step("evaluate")
    viewer, sites = walked.context.viewer, step.error_list.errors.sites
    assert step.error_layer.layer is None  # nothing covers the canvas unasked
    canvas = canvas_of(walked)
    for key, index in (("N", 0), ("N", 1), ("N", 2), ("P", 1), ("P", 0), ("P", len(sites) - 1)):
        qtbot.keyClick(canvas, key)
        assert step.error_list.table.currentRow() == index
        site, layer = sites[index], step.error_layer.layer
        assert viewer.dims.current_step[0] == site.section
        assert layer.data[site.position] == IS_PART
        assert layer.data[site.other_position] == IS_OTHER
        assert np.any(layer._slice.image.raw == IS_PART)
        middle = np.mean([site.position, site.other_position], axis=0) * (50, 4, 4)
        assert viewer.scene.camera.center[-2:] == pytest.approx(middle[1:])
        assert site.kind in step.error_list.words.text().lower()
    assert viewer.layers.selection.active is step.error_layer.layer
    assert str(step.error_layer.layer.mode) == "pan_zoom"  # P was ours, not the brush's


def test_a_click_in_the_table_goes_there(walked: Workspace, qtbot: Any) -> None:
    step: Any = walked.step("evaluate")
    table = step.error_list.table
    place = table.visualItemRect(table.item(3, 2)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    site = step.error_list.errors.sites[3]
    assert step.error_layer.layer.data[site.position] == IS_PART
    assert step.error_list.colours.isChecked()
    qtbot.keyClick(table, "N")  # the keys walk from the list, too
    assert table.currentRow() == 4
    qtbot.keyClick(step.error_list.next_button, "P")
    assert table.currentRow() == 3
    assert not walked.context.layer("ground_truth").visible  # type: ignore[union-attr]
    step.error_list.colours.click()
    assert not step.error_layer.layer.visible
    step.error_layer.layer.visible = True  # by the eye in the layer list
    assert step.error_list.colours.isChecked()


def test_a_click_on_a_bar_goes_to_its_section(walked: Workspace, qtbot: Any) -> None:
    step: Any = walked.step("evaluate")
    for section in (2, 0):
        x = next(x for x in range(step.strip.width()) if step.strip.section_at(x) == section)
        qtbot.mouseClick(step.strip, Qt.MouseButton.LeftButton, pos=QPoint(x + 3, 20))
        assert walked.context.section == section


def test_the_layer_is_no_labels_of_anybody(walked: Workspace, notices: list[str]) -> None:
    step: Any = walked.step("evaluate")
    context = walked.context
    step.error_list.step(1)
    layer = step.error_layer.layer
    assert isinstance(layer.data, ErrorView)
    assert layer not in [context.layer(role) for role in ("segmentation", "ground_truth")]
    for combo in step.combos:
        assert layer.name not in [combo.itemText(i) for i in range(combo.count())]
    layer.mode = "paint"
    assert str(layer.mode) == "pan_zoom"
    assert "shows errors only" in notices[-1]
    context.viewer.layers.remove(layer)
    step.error_list.step(1)  # thrown away by hand, it comes again
    assert step.error_layer.layer is not layer


def test_another_truth_takes_list_layer_and_keys_away(walked: Workspace, qtbot: Any) -> None:
    step: Any = walked.step("evaluate")
    viewer = walked.context.viewer
    step.error_list.step(1)
    walked.context.set_layer("ground_truth", None)
    assert step.error_list.table.rowCount() == 0
    assert step.error_layer.layer is None
    assert not {"N", "P"} & {str(key) for key in viewer.keymap}
    before = viewer.dims.current_step
    qtbot.keyClick(canvas_of(walked), "N")
    assert viewer.dims.current_step == before


def test_keys_of_others_come_back(walked: Workspace) -> None:
    step: Any = walked.step("evaluate")
    viewer = walked.context.viewer
    step.keys.release()
    theirs = viewer.bind_key("N", lambda _: None)
    step.keys.hold()
    step.keys.release()
    assert theirs in viewer.keymap.values() or "N" in {str(k) for k in viewer.keymap}


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.213, "21 %"), (0.0613, "6.1 %"), (0.0001, "< 0.1 %"), (-0.02, "-2.0 %")],
)
def test_shares_are_short(share: float, words: str) -> None:
    assert percent(share) == words
