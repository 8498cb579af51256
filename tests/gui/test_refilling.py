"""Certain boundary is filled from around when labels are written, as the shell does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog
from tests.gui.conftest import PATIENCE_MS

from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.segment_step import SegmentStep
from napari_emseg.gui.workspace import Workspace
from napari_emseg.io import save_volume
from napari_emseg.steps.segment import run
from napari_emseg.volume import Volume


def test_the_slider_refills_as_the_shell_does(
    workspace: Workspace,
    boundary_map: Volume,
    tmp_path: Path,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = workspace.context
    step: Any = workspace.step("segment")
    assert isinstance(step, SegmentStep)
    other = np.clip(boundary_map.read().astype(np.float32) * 0.5, 0, 1)
    path = save_volume(boundary_map.derive(other, kind="boundary"), tmp_path / "thick.tif")
    add_volume(context.viewer, boundary_map)
    qtbot.waitUntil(lambda: context.hierarchy is not None, timeout=PATIENCE_MS)
    step.numbers["certain_boundary"].box.setValue(0.3)
    assert not step.choice_rows["certain_map"].isHidden()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    step.choose_certain_map()
    assert step.certain_map.text() == "thick.tif"
    step.write_labels()
    qtbot.waitUntil(lambda: context.layer("segmentation") is not None, timeout=PATIENCE_MS)
    labels: Any = context.layer("segmentation")
    expected = run(boundary_map, params=context.session.segment).read()
    np.testing.assert_array_equal(labels.data, expected)
    plain = context.session.segment.model_copy(update={"certain_boundary": 0.0})
    assert (run(boundary_map, params=plain).read() != expected).any()
    step.numbers["certain_boundary"].box.setValue(0)
    assert step.choice_rows["certain_map"].isHidden()
