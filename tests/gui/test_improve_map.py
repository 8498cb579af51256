"""A map is improved into a new layer; the old one stays, and the recipe knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.gui.conftest import PATIENCE_MS

from napari_emseg.gui.boundaries.improve import ImproveMap
from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.workspace import Workspace
from napari_emseg.volume import Volume


@pytest.fixture
def improve(with_map: Workspace) -> ImproveMap:
    step: Any = with_map.step("boundaries")
    return step.improve  # type: ignore[no-any-return]


def wait_for_new_map(workspace: Workspace, old: Any, qtbot: Any) -> Any:
    context = workspace.context
    qtbot.waitUntil(lambda: context.layer("boundary") is not old, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: context.hierarchy is not None, timeout=PATIENCE_MS)
    return context.layer("boundary")


def test_a_median_takes_a_speck_away(with_map: Workspace, improve: ImproveMap, qtbot: Any) -> None:
    old: Any = with_map.context.layer("boundary")
    old.data[2] = 0
    old.data[2, 30, 40] = 1
    improve.numbers["median_px"].set_value(1)
    improve.make()
    new = wait_for_new_map(with_map, old, qtbot)
    assert new.data[2].max() == 0
    assert old.data[2, 30, 40] == 1
    assert new.metadata["emseg"]["steps"][-1]["step"] == "postprocess"
    assert with_map.context.session.history[-1].params["median_px"] == 1


def test_two_maps_are_combined(
    with_map: Workspace, improve: ImproveMap, boundary_map: Volume, qtbot: Any
) -> None:
    old: Any = with_map.context.layer("boundary")
    second = boundary_map.derive(np.flip(boundary_map.read(), 2).copy(), kind="boundary")
    add_volume(with_map.context.viewer, second, name="second")
    small = boundary_map.derive(boundary_map.read((slice(None), slice(9))), kind="boundary")
    add_volume(with_map.context.viewer, small, name="another field")
    assert [improve.other.itemText(i) for i in range(improve.other.count())] == [
        "no other map",
        "second",
    ]
    improve.other.setCurrentIndex(1)
    improve.how.setCurrentIndex(improve.how.findData("max"))
    improve.make()
    new = wait_for_new_map(with_map, old, qtbot)
    np.testing.assert_array_equal(new.data, np.maximum(old.data, second.data))
    assert new.name == "map + second"


def test_fitting_needs_a_truth_and_sets_the_lines(
    with_map: Workspace, improve: ImproveMap, boundary_map: Volume, qtbot: Any
) -> None:
    assert not improve.fit_button.isEnabled()
    ids = 1 + (np.indices(boundary_map.shape)[2] // 20).astype(np.uint32)
    add_volume(with_map.context.viewer, Volume(ids, kind="labels", name="truth"))
    qtbot.waitUntil(improve.fit_button.isEnabled, timeout=PATIENCE_MS)
    improve.fit()
    qtbot.waitUntil(improve.calibrate.isChecked, timeout=PATIENCE_MS)
    old: Any = with_map.context.layer("boundary")
    improve.make()
    new = wait_for_new_map(with_map, old, qtbot)
    calibration = new.metadata["emseg"]["steps"][-1]["params"]["calibration"]
    assert len(calibration) == 4
    assert not np.array_equal(new.data, old.data)


def test_nothing_set_is_said(improve: ImproveMap, notices: list[str]) -> None:
    improve.make()
    assert notices[-1].startswith("Nothing is set")
