"""What is taken for what by itself, and what only when the user says so."""

from __future__ import annotations

import threading
import zlib
from typing import Any

import numpy as np
import pytest
from tests.gui.conftest import PATIENCE_MS

from napari_emseg.gui.layers import add_volume, voxel_size_of
from napari_emseg.gui.workspace import Workspace
from napari_emseg.steps.fingerprint import has_changed
from napari_emseg.volume import Volume


def test_none_chosen_by_hand_stays_none(workspace: Workspace, viewer: Any) -> None:
    truth = viewer.add_labels(np.ones((3, 8, 9), np.uint8), name="truth")
    context = workspace.context
    assert context.layer("ground_truth") is truth
    combo = next(
        c for c in workspace.step("evaluate").combos if c.accessibleName() == "ground truth"
    )
    combo.setCurrentIndex(0)
    combo.activated.emit(0)
    viewer.add_image(np.zeros((3, 8, 9)), name="stack")
    assert context.layer("ground_truth") is None
    assert context.layer("raw") is not None


def test_a_removed_layer_is_followed_by_the_next_that_fits(
    workspace: Workspace, viewer: Any
) -> None:
    first, second = (viewer.add_image(np.zeros((3, 8, 9)), name=name) for name in "ab")
    assert workspace.context.layer("raw") is first
    viewer.layers.remove(first)
    assert workspace.context.layer("raw") is second


def test_labels_without_a_stroke_are_no_truth(workspace: Workspace, viewer: Any) -> None:
    viewer.add_labels(np.zeros((3, 8, 9), np.uint8))
    assert workspace.context.layer("ground_truth") is None


def test_a_film_of_volumes_is_left_alone(
    workspace: Workspace, viewer: Any, notices: list[str]
) -> None:
    viewer.add_image(np.zeros((2, 3, 8, 9)))
    viewer.add_image(np.zeros((3, 8, 9)))
    assert notices == []
    assert workspace.context.layer("raw").ndim == 3  # type: ignore[union-attr]


def test_a_single_section_takes_a_voxel_size(workspace: Workspace, viewer: Any) -> None:
    layer = viewer.add_image(np.zeros((8, 9)))
    step: Any = workspace.step("data")
    assert "voxel size" in workspace.frames["data"].state.text()
    for box, value in zip(step.size_boxes, (50, 4, 5), strict=True):
        box.setValue(value)
    step.apply_voxel_size()
    assert voxel_size_of(layer) == (50, 4, 5)
    assert tuple(layer.scale) == (4, 5)
    assert workspace.context.session.raw.voxel_size_nm == (50, 4, 5)  # type: ignore[union-attr]


def test_a_voxel_size_given_late_keeps_the_hierarchy(
    workspace: Workspace, viewer: Any, boundary_map: Volume, qtbot: Any
) -> None:
    context = workspace.context
    add_volume(viewer, Volume(boundary_map.data, kind="boundary", name="map"))
    qtbot.waitUntil(lambda: context.hierarchy is not None, timeout=PATIENCE_MS)
    hierarchy, step = context.hierarchy, workspace.step("data")
    for box, value in zip(step.size_boxes, (40, 4, 4), strict=True):  # type: ignore[attr-defined]
        box.setValue(value)
    step.apply_voxel_size()  # type: ignore[attr-defined]
    assert context.hierarchy is hierarchy
    workspace.step("segment").write_labels()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: context.layer("segmentation") is not None, timeout=PATIENCE_MS)
    labels: Any = context.layer("segmentation")
    assert voxel_size_of(labels) == (40, 4, 4)
    assert voxel_size_of(context.layer("boundary")) == (40, 4, 4)  # type: ignore[arg-type]


def test_large_voxels_are_read_away_from_the_window(
    workspace: Workspace, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_emseg.steps import fingerprint as module

    threads: list[threading.Thread] = []
    read_all = module._checksum

    def watch(*args: Any) -> int:
        threads.append(threading.current_thread())
        return read_all(*args)

    for where in ("napari_emseg.steps.fingerprint", "napari_emseg.gui.context"):
        monkeypatch.setattr(f"{where}.GLANCE_BYTES", 100)
    monkeypatch.setattr(module, "_checksum", watch)
    context = workspace.context
    labels = np.arange(4 * 20 * 21, dtype=np.uint32).reshape(4, 20, 21)
    layer: Any = add_volume(context.viewer, Volume(labels, kind="labels", name="made"))
    context.set_layer("segmentation", layer)

    def known_by() -> str:
        assert context.session.segmentation is not None
        return context.session.segmentation.fingerprint

    def is_known() -> bool:
        return known_by().endswith(f"-{zlib.crc32(layer.data):08x}")

    qtbot.waitUntil(is_known, timeout=PATIENCE_MS)
    before = known_by()
    layer.data_setitem((np.array([2]), np.array([3]), np.array([4])), 7)
    qtbot.waitUntil(is_known, timeout=PATIENCE_MS)
    assert has_changed(before, known_by())
    assert len(threads) >= 2
    assert threading.main_thread() not in threads
