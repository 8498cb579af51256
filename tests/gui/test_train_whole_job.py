"""From two painted sections to scored segments, with the real brush and a real training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication
from scipy.ndimage import distance_transform_edt
from skimage.morphology import skeletonize
from tests.gui.conftest import PATIENCE_MS
from tests.gui.test_whole_job import User

from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.workspace import Workspace
from napari_emseg.volume import Volume

Mask = npt.NDArray[np.bool_]
Path2D = Sequence[tuple[int, int]]  # of voxels (y, x)
PAINTED = (0, 2)
LOOKED_AT = 1
NM = (50.0, 4.6, 4.6)
STEPS = 25
STROKES = 7


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """A small network that learned a little of another animal, and nothing of this one."""
    from napari_emseg.networks.info import ModelInfo
    from napari_emseg.training import TrainingPair, TrainParams, train

    folder = tmp_path_factory.mktemp("bundled")
    raw = tifffile.imread(shared_data / "isbi2012" / "train_raw.tif", key=0)[None]
    cells = tifffile.imread(shared_data / "isbi2012" / "train_membranes_z00-23.tif", key=0)[None]
    pair = TrainingPair(Volume(raw), Volume(cells), "membranes", (0,))
    params = TrainParams(
        width=8, depth=3, steps=20, batch_size=2, patch_px=96, workers=0, device="cpu"
    )
    info = ModelInfo(
        network="unet2d", title="Larva", voxel_size_nm=(50, 4, 4), trained_on="isbi", default=True
    )
    train([pair], folder / "larva.safetensors", params=params, info=info)
    return folder


@pytest.fixture
def crop(shared_data: Path) -> tuple[npt.NDArray[np.uint8], Mask]:
    """Three real sections and where their membranes are."""
    folder = shared_data / "vnc2013"
    raw = tifffile.imread(folder / "stack1_raw.tif", key=range(3))
    truth = tifffile.imread(folder / "stack1_membranes_z00-13.tif", key=range(3))
    place = np.s_[:, 300:492, 300:492]
    return np.ascontiguousarray(raw[place]), np.ascontiguousarray(truth[place] > 127)


@pytest.fixture
def workspace(
    viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> Iterator[Workspace]:
    monkeypatch.setenv("EMSEG_MODELS", str(tmp_path / "mine"))
    made = Workspace(viewer)
    viewer.window.add_dock_widget(made, name="EM Segmentation", area="right")
    qtbot.waitExposed(made)
    yield made
    made.context.close()
    made.detach()


def test_two_painted_sections_become_scored_segments(
    workspace: Workspace,
    qtbot: Any,
    crop: tuple[npt.NDArray[np.uint8], Mask],
    tmp_path: Path,
    notices: list[str],
) -> None:
    raw, membranes = crop
    context, user = workspace.context, User(qtbot, workspace)
    step: Any = workspace.step("train")
    add_volume(context.viewer, Volume(raw, name="nerve cord", voxel_size_nm=NM))
    before = map_of(workspace, qtbot)

    # two sections are painted with the real brush
    for name in ("data", "boundaries", "segment"):
        workspace.frames[name].set_open(False)
    user.click(workspace.frames["train"].button)
    user.click(step.paint_button)
    painting = step.wishes.layer("labels")
    hand = Hand(context.viewer, painting)
    for z in PAINTED:
        context.viewer.dims.set_current_step(0, z)
        user.click(step.tools.buttons["Inside"])
        for path in lines_in_cells(membranes[z]):
            hand.draw(path)
        user.click(step.tools.buttons["Membrane"])
        for path in lines_along(membranes[z]):
            hand.draw(path)
    user.wait_until(lambda: step.tools.count.sections == PAINTED)
    user.wait_until(lambda: "learns from 2 sections, none held out" in step.expect.text())
    for z in PAINTED:
        near = distance_transform_edt(~membranes[z]) < 4
        assert near[painting.data[z] == 1].mean() > 0.95
        assert membranes[z][painting.data[z] == 2].mean() < 0.1
        assert 0.01 < (painting.data[z] > 0).mean() < 0.3

    # the curve fills while the map of the section in sight is renewed
    context.viewer.dims.set_current_step(0, LOOKED_AT)
    user.type_into(step.choices.minutes, "9")
    user.click(step.train_button)
    user.wait_until(lambda: step.training.watch.state().step >= STEPS)
    user.wait_until(lambda: step.training.map.layer is not None)
    assert len(step.watch.plot._losses) >= STEPS // 2
    assert step.training.map.layer.data[LOOKED_AT].any()
    user.click(step.finish_button)
    user.wait_until(lambda: step.training.state == "finished")
    assert [path.name for path in (tmp_path / "mine").glob("*.safetensors")] == [
        "nerve_cord_model.safetensors"
    ]

    # the new model predicts; where nothing was painted, its map is nearer to the truth
    user.click(step.predict_button)
    user.wait_until(lambda: context.done_sections is not None and context.done_sections.any())
    user.wait_until(lambda: not context.jobs.is_busy("predict"))
    after = context.layer("boundary").data[LOOKED_AT]
    assert error_of(after, membranes[LOOKED_AT]) < error_of(before, membranes[LOOKED_AT])
    score(workspace, user, membranes)
    assert 0.3 < context.session.scores["v_rand"] <= 1
    assert [one for one in notices if "in the library" not in one] == []


def map_of(workspace: Workspace, qtbot: Any) -> npt.NDArray[np.float32]:
    """Predict the section in sight with the model that is there."""
    context, boundaries = workspace.context, workspace.step("boundaries")
    context.viewer.dims.set_current_step(0, LOOKED_AT)
    boundaries.tta.setChecked(False)  # type: ignore[attr-defined]
    boundaries.preview_section()  # type: ignore[attr-defined]
    qtbot.waitUntil(
        lambda: context.done_sections is not None and bool(context.done_sections[LOOKED_AT]),
        timeout=PATIENCE_MS,
    )
    qtbot.waitUntil(lambda: not context.jobs.is_busy("predict"), timeout=PATIENCE_MS)
    layer: Any = context.layer("boundary")
    return np.array(layer.data[LOOKED_AT])


def score(workspace: Workspace, user: User, membranes: Mask) -> None:
    """Predict the rest, segment, and score against the membranes drawn by others."""
    context = workspace.context
    boundaries: Any = workspace.step("boundaries")
    segment: Any = workspace.step("segment")
    evaluate: Any = workspace.step("evaluate")
    boundaries.predict_all()
    user.wait_until(lambda: context.is_boundary_complete and context.hierarchy is not None)
    segment.write_labels()
    user.wait_until(lambda: context.layer("segmentation") is not None)
    truth = Volume(np.where(membranes, 255, 0).astype(np.uint8), name="truth", voxel_size_nm=NM)
    context.set_layer("ground_truth", add_volume(context.viewer, truth))
    evaluate.evaluate()
    user.wait_until(lambda: bool(context.session.scores))


def error_of(boundary: npt.NDArray[np.float32], membranes: Mask) -> float:
    """Mean cross entropy of a map."""
    share = np.clip(boundary.astype(float), 1e-3, 1 - 1e-3)
    return float(-np.log(np.where(membranes, share, 1 - share)).mean())


class Hand:
    """Draws on the canvas with the mouse."""

    def __init__(self, viewer: Any, layer: Any) -> None:
        self._viewer, self._layer = viewer, layer
        self._canvas = viewer.window._qt_viewer.canvas.native

    def draw(self, path: Path2D) -> None:
        """Press, move along voxels (y, x), release."""
        kinds = QEvent.Type
        self._send(kinds.MouseMove, path[0], held=False)
        self._send(kinds.MouseButtonPress, path[0])
        for place in path[1:]:
            self._send(kinds.MouseMove, place)
        self._send(kinds.MouseButtonRelease, path[-1])

    def _send(self, kind: Any, voxel: tuple[int, int], *, held: bool = True) -> None:
        viewer, canvas = self._viewer, self._canvas
        world = self._layer.data_to_world((0, *voxel))[1:]
        centre = np.array(viewer.scene.camera.center[-2:])
        middle = np.array([canvas.height(), canvas.width()]) / 2
        y, x = (np.array(world) - centre) * viewer.scene.camera.zoom + middle
        none, left = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton
        moved = kind == QEvent.Type.MouseMove
        released = kind == QEvent.Type.MouseButtonRelease
        place = QPointF(float(x), float(y))
        event = QMouseEvent(
            kind,
            place,
            QPointF(canvas.mapToGlobal(place.toPoint())),
            none if moved else left,
            left if held and not released else none,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(canvas, event)


def lines_along(membranes: Mask) -> list[Path2D]:
    """Walk along the middle of membranes, from places spread over the section."""
    middle = skeletonize(membranes)
    rng = np.random.default_rng(1)
    found: list[Path2D] = []
    while len(found) < STROKES and middle.any():
        starts = np.argwhere(middle)
        path = [tuple(starts[rng.integers(len(starts))])]
        while len(path) < 40:
            y, x = path[-1]
            middle[y, x] = False
            around = np.argwhere(middle[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2])
            if not len(around):
                break
            path.append((max(0, y - 1) + around[0][0], max(0, x - 1) + around[0][1]))
        if len(path) >= 15:
            found.append([(int(y), int(x)) for y, x in path[::4]])
    return found


def lines_in_cells(membranes: Mask) -> list[Path2D]:
    """Draw short lines far from any membrane, from places spread over the section."""
    room = distance_transform_edt(~membranes)
    rng = np.random.default_rng(2)
    found: list[Path2D] = []
    places = rng.permutation(np.argwhere(room > 14))
    for y, x in places:
        line = [(int(y), int(column)) for column in range(x - 8, min(x + 24, room.shape[1]), 4)]
        free = [(y, x) for y, x in line if 0 <= x < room.shape[1] and room[y, x] > 12]
        if len(free) == len(line):
            found.append(line)
            room[max(0, y - 25) : y + 25, max(0, x - 25) : x + 25] = 0
        if len(found) == STROKES:
            break
    return found
