"""Affinities are looked at as boundaries and joined as what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tests.gui.conftest import PATIENCE_MS

from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.opening import open_into
from napari_emseg.gui.workspace import Workspace
from napari_emseg.io import save_volume
from napari_emseg.segmentation.affinities import affinities_from_boundary
from napari_emseg.segmentation.affinity_view import affinities_of
from napari_emseg.volume import Volume


def test_an_affinity_file_is_joined_by_its_affinities(
    workspace: Workspace, boundary_map: Volume, tmp_path: Path, qtbot: Any
) -> None:
    context = workspace.context
    path = save_volume(affinities_from_boundary(boundary_map), tmp_path / "affinities.h5")
    layer: Any = open_into(context.viewer, path)
    assert layer.ndim == 3
    assert context.layer("boundary") is layer
    assert np.ptp(layer.data[0]) > 0.3
    context.session.change("segment", mode="3d", grouping="mean_affinity", min_size_voxels=0)
    qtbot.waitUntil(
        lambda: context.hierarchy is not None and context.hierarchy.grouping == "mean_affinity",
        timeout=PATIENCE_MS,
    )
    few, many = (
        context.hierarchy.cut(threshold).n_segments  # type: ignore[union-attr]
        for threshold in (0.9, 0.2)
    )
    assert 1 <= few < many
    context.session.change("segment", merge_threshold=0.4)
    workspace.step("segment").write_labels()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: context.layer("segmentation") is not None, timeout=PATIENCE_MS)
    preview = context.viewer.layers["segments (preview)"]
    labels: Any = context.layer("segmentation")
    np.testing.assert_array_equal(labels.data, np.asarray(preview.data))


def test_a_session_keeps_the_affinities(
    workspace: Workspace, boundary_map: Volume, tmp_path: Path, qtbot: Any
) -> None:
    context = workspace.context
    affinities = affinities_from_boundary(boundary_map)
    layer = add_volume(context.viewer, affinities)
    qtbot.waitUntil(lambda: context.hierarchy is not None, timeout=PATIENCE_MS)
    path = tmp_path / "work.emseg"
    workspace.session_bar.save_to(path)
    qtbot.waitUntil(path.exists, timeout=PATIENCE_MS)
    context.viewer.layers.clear()
    workspace.session_bar.restore_from(path)
    qtbot.waitUntil(lambda: context.layer("boundary") is not None, timeout=PATIENCE_MS)
    back: Any = context.layer("boundary")
    assert back is not layer
    carried = affinities_of(context.volume("boundary"))
    assert carried is not None
    np.testing.assert_array_equal(carried.read(), affinities.read())
    np.testing.assert_array_equal(np.asarray(back.data), np.asarray(layer.data))
