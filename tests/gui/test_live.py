"""The sliders and what they show: stable ids, the newest wins, nothing is painted by mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers._layer_actions import _duplicate_layer
from tests.gui.conftest import PATIENCE_MS

from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.live import live_preview_of
from napari_emseg.gui.opening import open_into
from napari_emseg.gui.preview_labels import is_preview
from napari_emseg.gui.workspace import Workspace
from napari_emseg.segmentation import build_hierarchy
from napari_emseg.volume import Volume


def preview_of(workspace: Workspace) -> Any:
    return live_preview_of(workspace.context).layer


def test_h_recuts_the_visible_section_at_once(with_map: Workspace) -> None:
    session, layer = with_map.context.session, preview_of(with_map)
    session.change("segment", h=0.0, min_size_voxels=0)
    many = len(np.unique(layer.data[0]))
    session.change("segment", h=0.5)
    assert len(np.unique(layer.data[0])) < many
    assert np.array_equal(layer.data[0], with_map.context.hierarchy.cut(0.5, 0).view()[0])  # type: ignore[union-attr]


def test_colours_do_not_jump(with_map: Workspace) -> None:
    session, layer = with_map.context.session, preview_of(with_map)
    session.change("segment", h=0.05)
    before = set(np.unique(layer.data[0]))
    session.change("segment", h=0.1)
    assert set(np.unique(layer.data[0])) <= before


def test_sigma_rebuilds_and_the_last_value_wins(with_map: Workspace, qtbot: Any) -> None:
    context = with_map.context
    for sigma in (0.5, 1.0, 2.0, 2.5):
        context.session.change("segment", sigma_px=sigma)
    assert context.hierarchy is None
    qtbot.waitUntil(lambda: context.hierarchy is not None, timeout=PATIENCE_MS)
    assert context.hierarchy is not None
    assert context.hierarchy.sigma_px == 2.5
    qtbot.waitUntil(lambda: not context.jobs.busy_titles(), timeout=PATIENCE_MS)
    assert context.hierarchy.sigma_px == 2.5


def test_3d_segments_run_through_sections(with_map: Workspace, qtbot: Any) -> None:
    context = with_map.context
    step: Any = with_map.step("segment")
    step.volume.click()
    qtbot.waitUntil(lambda: context.hierarchy is not None, timeout=PATIENCE_MS)
    context.session.change("segment", h=0.5)
    labels = np.asarray(preview_of(with_map).data)
    assert set(np.unique(labels[0])) & set(np.unique(labels[2]))


@pytest.mark.parametrize("mode", ["paint", "fill", "erase", "polygon"])
def test_the_brush_is_refused_in_words(with_map: Workspace, notices: list[str], mode: str) -> None:
    layer = preview_of(with_map)
    layer.mode = mode
    assert layer.mode == "pan_zoom"
    assert len(notices) == 1
    assert "Write labels" in notices[0]


def test_outlines(with_map: Workspace) -> None:
    step: Any = with_map.step("segment")
    step.outlines.click()
    assert preview_of(with_map).contour == 1
    step.outlines.click()
    assert preview_of(with_map).contour == 0


def test_a_deleted_preview_comes_back_with_the_next_move(with_map: Workspace) -> None:
    context = with_map.context
    context.viewer.layers.remove(preview_of(with_map))
    assert preview_of(with_map) is None
    context.session.change("segment", h=0.3)
    assert preview_of(with_map) is not None


def test_written_labels_are_never_overwritten(with_map: Workspace, qtbot: Any) -> None:
    context, names = with_map.context, []
    for h in (0.1, 0.2):
        context.session.change("segment", h=h)
        before = context.layer("segmentation")
        with_map.step("segment").write_labels()  # type: ignore[attr-defined]
        qtbot.waitUntil(
            lambda old=before: context.layer("segmentation") is not old, timeout=PATIENCE_MS
        )
        layer = context.layer("segmentation")
        assert layer is not None
        assert layer.visible
        assert not preview_of(with_map).visible
        names.append(layer.name)
    assert names == ["map labels", "map labels 2"]
    assert {"map labels", "map labels 2"} <= {layer.name for layer in context.viewer.layers}


def test_what_the_sliders_say_is_what_the_functions_give(with_map: Workspace, qtbot: Any) -> None:
    from napari_emseg.steps.segment import run

    context = with_map.context
    context.session.change("segment", h=0.12, min_size_voxels=9, exact_borders=True)
    expected = run(context.volume("boundary"), params=context.session.segment)
    with_map.step("segment").write_labels()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: context.layer("segmentation") is not None, timeout=PATIENCE_MS)
    assert np.array_equal(context.layer("segmentation").data, expected.read())  # type: ignore[union-attr]


def test_a_bad_map_is_said_once(workspace: Workspace, notices: list[str], qtbot: Any) -> None:
    data = np.zeros((2, 20, 20), np.float32)
    data[1, 3, 3] = np.nan
    add_volume(workspace.context.viewer, Volume(data, kind="boundary", name="broken"))
    qtbot.waitUntil(lambda: bool(notices), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: not workspace.context.jobs.busy_titles(), timeout=PATIENCE_MS)
    assert all("Traceback" not in notice for notice in notices)
    assert workspace.context.hierarchy is None


def test_a_duplicate_of_the_preview_is_an_ordinary_layer(with_map: Workspace) -> None:
    viewer, layer = with_map.context.viewer, preview_of(with_map)
    seen = np.array(layer.data)
    viewer.layers.selection = {layer}
    _duplicate_layer(viewer.layers)
    copy = viewer.layers[f"{layer.name} copy"]
    assert not is_preview(copy)
    np.testing.assert_array_equal(copy.data, seen)


def test_a_saved_preview_comes_back_as_labels_to_work_with(
    with_map: Workspace, tmp_path: Path
) -> None:
    viewer, layer = with_map.context.viewer, preview_of(with_map)
    path = tmp_path / "preview.tif"
    layer.save(str(path), plugin="napari-emseg")
    opened = open_into(viewer, path)
    np.testing.assert_array_equal(opened.data, np.array(layer.data))
    combo = with_map.step("evaluate").combos[0]
    assert opened.name in [combo.itemText(i) for i in range(combo.count())]


def test_in_3d_the_volume_is_cut_once_the_slider_rests(with_map: Workspace, qtbot: Any) -> None:
    context, layer = with_map.context, preview_of(with_map)
    context.viewer.dims.ndisplay = 3
    before = np.array(layer.data)
    for h in (0.3, 0.4, 0.5, 0.9):
        context.session.change("segment", h=h)
    assert np.array_equal(np.asarray(layer.data), before)
    qtbot.waitUntil(lambda: not np.array_equal(np.asarray(layer.data), before), timeout=PATIENCE_MS)


def test_another_grouping_joins_the_same_fragments(with_map: Workspace, qtbot: Any) -> None:
    context, segment = with_map.context, with_map.step("segment")
    assert context.hierarchy is not None
    fragments = context.hierarchy.fragments.data
    combo: Any = segment.grouping  # type: ignore[attr-defined]
    combo.setCurrentIndex(combo.findData("mean_boundary"))
    qtbot.waitUntil(
        lambda: context.hierarchy is not None and context.hierarchy.grouping == "mean_boundary",
        timeout=PATIENCE_MS,
    )
    assert context.hierarchy.fragments.data is fragments  # not flooded again
    numbers: Any = segment.numbers  # type: ignore[attr-defined]
    assert numbers["merge_threshold"].isVisible()
    assert not numbers["h"].isVisible()
    layer = preview_of(with_map)
    counts = []
    for threshold in (0.1, 0.9, 1.0):
        context.session.change("segment", merge_threshold=threshold, min_size_voxels=0)
        counts.append(len(np.unique(layer.data[0])))
    assert counts[0] > counts[1] >= counts[2] == 1, counts
    context.session.change("segment", merge_threshold=0.3)
    seen = np.array(layer.data)
    segment.write_labels()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: context.layer("segmentation") is not None, timeout=PATIENCE_MS)
    np.testing.assert_array_equal(context.layer("segmentation").data, seen)  # type: ignore[union-attr]


def test_sigma_in_3d_shows_the_visible_section_before_the_whole_is_built(
    with_map: Workspace, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, live = with_map.context, live_preview_of(with_map.context)
    context.session.change("segment", mode="3d")
    qtbot.waitUntil(
        lambda: context.hierarchy is not None and context.hierarchy.mode == "3d",
        timeout=PATIENCE_MS,
    )
    monkeypatch.setattr(live, "_build_whole", lambda: None)
    before = np.array(preview_of(with_map).data[context.section])
    context.session.change("segment", sigma_px=4.0)
    qtbot.waitUntil(
        lambda: not np.array_equal(preview_of(with_map).data[context.section], before),
        timeout=PATIENCE_MS,
    )
    assert context.hierarchy is None
    boundary = context.volume("boundary")  # of three sections, so the slab is the whole
    whole = build_hierarchy(boundary, sigma_px=4.0, mode="3d")
    params = context.session.segment
    expected = whole.cut(params.h, params.min_size_voxels).to_volume().data
    np.testing.assert_array_equal(
        preview_of(with_map).data[context.section], expected[context.section]
    )


def test_a_stopped_build_goes_on_with_the_next_move(with_map: Workspace, qtbot: Any) -> None:
    context, segment = with_map.context, with_map.step("segment")
    context.session.change("segment", sigma_px=3.0)
    qtbot.waitUntil(lambda: context.jobs.is_busy("hierarchy"), timeout=PATIENCE_MS)
    segment.stop()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: not context.jobs.is_busy("hierarchy"), timeout=PATIENCE_MS)
    context.session.change("segment", h=0.123)
    qtbot.waitUntil(lambda: context.hierarchy is not None, timeout=PATIENCE_MS)


def test_no_way_to_join_moves_what_is_below(with_map: Workspace, qtbot: Any) -> None:
    segment: Any = with_map.step("segment")
    places = set()
    for grouping in ("h_minima", "linking", "mean_boundary"):
        segment.grouping.setCurrentIndex(segment.grouping.findData(grouping))
        qtbot.wait(100)
        places.add((segment.write_button.y(), segment.height()))
        seen = [name for name in ("h", "merge_threshold") if segment.numbers[name].isVisible()]
        assert seen == ["h" if grouping == "h_minima" else "merge_threshold"]
    assert len(places) == 1
