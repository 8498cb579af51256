"""Surfaces in a real window: they follow edits, keep their colours, and lead to their place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_emseg.gui.context import context_of
from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.proofread.keys import keys_of
from napari_emseg.gui.proofread.proofreading import proofreading_of
from napari_emseg.gui.proofread.shapes import Moment, Whereabouts
from napari_emseg.gui.proofread.surfaces import SurfacesPanel
from napari_emseg.morphometry.measures import volume_nm3
from napari_emseg.proofreading import Proofreader
from napari_emseg.volume import Volume

SIZE_NM = (40.0, 8.0, 4.0)
OFFSET_NM = (0.0, 80.0, 0.0)
PATIENCE_MS = 60_000


def rooms() -> Volume:
    """Two bars side by side, 3 and 5, and one apart, 9."""
    labels = np.zeros((12, 40, 60), np.uint32)
    labels[2:10, 5:35, 10:20] = 3
    labels[2:10, 5:35, 20:30] = 5
    labels[2:10, 5:35, 45:55] = 9
    return Volume(labels, kind="labels", name="rooms", voxel_size_nm=SIZE_NM, offset_nm=OFFSET_NM)


@pytest.fixture
def panel(viewer: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("EMSEG_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("EMSEG_PROOFREADING", str(tmp_path / "proofreading"))
    context = context_of(viewer)
    grey = np.random.default_rng(0).integers(0, 255, (12, 40, 60)).astype(np.uint8)
    add_volume(viewer, rooms().derive(grey, kind="raw", name="raw"))
    layer = add_volume(viewer, rooms())
    proofreading = proofreading_of(context)
    proofreading.start(layer)
    qtbot.waitUntil(lambda: proofreading.editor is not None, timeout=PATIENCE_MS)
    made = SurfacesPanel(proofreading)
    viewer.window.add_dock_widget(made, name="surfaces", area="right")
    yield made
    made.detach()
    proofreading.finish()
    context.close()


def test_a_walk_through_three_dimensions(panel: SurfacesPanel, qtbot: Any, tmp_path: Path) -> None:
    proofreading, viewer = panel.proofreading, panel.proofreading.viewer

    def shown(*segments: int) -> None:
        jobs = proofreading.context.jobs
        qtbot.waitUntil(
            lambda: set(panel._fine) >= set(segments) and not jobs.is_busy("proofread surfaces"),
            timeout=PATIENCE_MS,
        )

    proofreading.select((3, 9))
    keys_of(proofreading).press("Shift+T")
    assert panel.is_3d
    assert [la.name for la in viewer.layers if la.visible][-1] == "section in 3D"
    shown(3, 9)
    layer = panel.scene._layer
    colours = {s: layer.colormap.map(np.array([k + 0.5]) / 64)[0] for k, s in enumerate((3, 9))}
    np.testing.assert_allclose(
        colours[3][:3], proofreading.layer.colormap.map(np.array([3]))[0][:3], atol=1e-3
    )
    vertices = layer.data[0]
    np.testing.assert_allclose(vertices.min(axis=0), [60, 80 + 4.5 * 8, 9.5 * 4], atol=8)
    nine = panel._fine[9]

    proofreading.edit("merge", (3, 5))
    merged = proofreading.selection[0]
    shown(merged, 9)
    assert panel._fine[9] is nine  # what an edit leaves alone is not made again
    assert volume_nm3(panel._fine[merged]) == pytest.approx(8 * 30 * 20 * 40 * 8 * 4, rel=0.1)
    proofreading.undo()
    proofreading.propose("merge", (5, 9))
    qtbot.waitUntil(lambda: "preview" in panel.state.text(), timeout=PATIENCE_MS)
    proofreading.drop()
    shown(3)

    panel.files.write_surfaces(tmp_path / "cells.glb")
    qtbot.waitUntil((tmp_path / "cells.glb").exists, timeout=PATIENCE_MS)
    assert "segment 3" in trimesh.load_scene(tmp_path / "cells.glb").geometry

    _click_a_surface(panel, qtbot)
    assert viewer.dims.ndisplay == 2
    assert not panel.is_3d
    assert proofreading.layer.visible
    assert "section in 3D" not in viewer.layers
    voxel = proofreading.layer.world_to_data(viewer.dims.point)
    assert proofreading.selection[0] in (3, 5, 9)
    assert 1 <= round(float(voxel[0])) <= 10


def _click_a_surface(panel: SurfacesPanel, qtbot: Any) -> None:
    canvas = panel.proofreading.viewer.window._qt_viewer.canvas.native
    qtbot.wait(50)
    for dx in (0, -40, 40, -90, 90, -150, 150):
        for dy in (0, -40, 40, -90, 90):
            if panel.is_3d:
                place = QPoint(canvas.width() // 2 + dx, canvas.height() // 2 + dy)
                QTest.mouseClick(
                    canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place
                )


def test_a_preview_shows_what_the_edit_then_gives() -> None:
    """Merges, splits of voxels and their undo: surfaces are those of the labels."""
    editor = Proofreader(rooms())
    where = Whereabouts(editor)
    index = where.finder()(type("Silent", (), {"update": lambda *_: None})())
    where.take(index)
    for operation, arguments in (
        ("merge", ([3, 5],)),
        ("split", ([[(3, 6, 12)], [(8, 33, 27)]],)),
        ("delete", ([9],)),
    ):
        preview = editor.preview(operation, *arguments)
        wanted = tuple(s for s in preview.edit.after if s)
        early = Moment.of(editor, wanted, preview).shapes(index, SIZE_NM, OFFSET_NM)
        before = {s: volume_nm3(early.surface(s)) for s in wanted}
        editor.commit(preview)
        where.follow()
        late = Moment.of(editor, wanted).shapes(index, SIZE_NM, OFFSET_NM)
        for segment in wanted:
            assert before[segment] == pytest.approx(volume_nm3(late.surface(segment)))
            n_voxels = int((editor.view[:] == segment).sum())
            assert before[segment] == pytest.approx(n_voxels * np.prod(SIZE_NM), rel=0.2)
        editor.undo()
        editor.redo()
    for _ in range(3):
        editor.undo()
    now = Moment.of(editor, (3,)).shapes(index, SIZE_NM, OFFSET_NM)
    assert volume_nm3(now.surface(3)) == pytest.approx(8 * 30 * 10 * np.prod(SIZE_NM), rel=0.1)
