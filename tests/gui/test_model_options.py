"""Several models and all three axes, chosen in the dock and predicted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from tests.gui.conftest import PATIENCE_MS, save_untrained

from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.preview_labels import is_preview
from napari_emseg.gui.workspace import Workspace
from napari_emseg.progress import Cancelled
from napari_emseg.volume import Volume

GREY = np.random.default_rng(0).integers(0, 255, (4, 24, 28), np.uint8)


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models of sections, and one that gives affinities."""
    from napari_emseg.networks import build_network
    from napari_emseg.networks.checkpoint import save_model
    from napari_emseg.networks.info import ModelInfo

    folder = save_untrained(tmp_path_factory.mktemp("several"))
    info = ModelInfo(network="unet2d", title="Second", voxel_size_nm=(50, 4, 4))
    save_model(folder / "second.safetensors", build_network("unet2d", width=4, depth=2), info)
    affinities = info.model_copy(update={"title": "Affinities"})
    save_model(
        folder / "affinities.safetensors", build_network("rsunet", preset="tiny"), affinities
    )
    return folder


@pytest.fixture
def step(workspace: Workspace) -> Any:
    workspace.context.session.change("predict", tta=False)
    return workspace.step("boundaries")


def predict(workspace: Workspace, qtbot: Any) -> Any:
    context = workspace.context
    workspace.step("boundaries").predict_all()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: not context.jobs.is_busy("predict"), timeout=PATIENCE_MS)
    return context.layer("boundary")


def tick(step: Any, title: str) -> None:
    step.options._show_menu()
    next(a for a in step.options.menu.actions() if a.text() == title).setChecked(True)


def test_two_models_are_averaged(workspace: Workspace, step: Any, qtbot: Any) -> None:
    from napari_emseg.inference.ensemble import Ensemble

    raw = Volume(GREY, name="stack", voxel_size_nm=(50, 4, 4))
    add_volume(workspace.context.viewer, raw)
    assert not step.options.combine.isEnabled()
    tick(step, "Second")
    assert step.options.others.text() == "1 other model"
    assert step.options.combine.isEnabled()
    layer = predict(workspace, qtbot)
    with Ensemble(["untrained", "second"]) as both:
        expected = both.predict(raw, tta=False).read()
    np.testing.assert_array_equal(layer.data, expected)
    params = layer.metadata["emseg"]["steps"][-1]["params"]
    assert params["others"] == ["second"]
    step.model.setCurrentIndex(step.model.findData("second"))
    assert workspace.context.session.predict.others == ()


def test_models_that_do_not_fit_are_said(
    workspace: Workspace, step: Any, qtbot: Any, notices: list[str]
) -> None:
    add_volume(workspace.context.viewer, Volume(GREY, name="stack", voxel_size_nm=(50, 4, 4)))
    tick(step, "Affinities")
    predict(workspace, qtbot)
    assert "must predict the same" in notices[-1]


def test_a_section_counts_as_done_only_when_it_is_written(
    workspace: Workspace, step: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop between the last model and the mean of all leaves no section of zeros behind."""
    from napari_emseg.inference.ensemble import Ensemble

    context = workspace.context
    add_volume(context.viewer, Volume(GREY, name="stack", voxel_size_nm=(50, 4, 4)))
    tick(step, "Second")

    def stop_instead(*_: Any) -> None:
        raise Cancelled

    with monkeypatch.context() as patched:
        patched.setattr(Ensemble, "_join", stop_instead)
        assert predict(workspace, qtbot) is None
    layer = predict(workspace, qtbot)
    assert context.is_boundary_complete
    assert all(np.ptp(section) > 0 for section in layer.data)


def test_a_stopped_prediction_leaves_no_empty_layer(
    workspace: Workspace, step: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All three axes are done at the end only; the map before is chosen and seen again."""
    from napari_emseg.inference.axes import AxesPredictor

    context = workspace.context
    add_volume(context.viewer, Volume(GREY, name="cube", voxel_size_nm=(8, 8, 8)))
    before = predict(workspace, qtbot)
    step.options.axes.setChecked(True)

    def stop_instead(*_: Any, **__: Any) -> None:
        raise Cancelled

    with monkeypatch.context() as patched:
        patched.setattr(AxesPredictor, "_fill", stop_instead)
        assert predict(workspace, qtbot) is before
    maps = [layer.name for layer in context.viewer.layers if "boundaries" in layer.name]
    assert maps == ["cube boundaries"]
    # soon the live preview of that map lies over it
    assert before.visible or any(is_preview(each) for each in context.viewer.layers)


def test_models_are_combined_as_learned(
    workspace: Workspace,
    step: Any,
    qtbot: Any,
    notices: list[str],
    small_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    from napari_emseg.gui.models import options as model_options
    from napari_emseg.inference.ensemble import Ensemble
    from napari_emseg.inference.stacker import Stacker, save_stacker

    context, combine = workspace.context, step.options.combine
    raw = Volume(GREY, name="stack", voxel_size_nm=(50, 4, 4))
    add_volume(context.viewer, raw)
    tick(step, "Second")
    with Ensemble(["untrained", "second"]) as both:
        members = both.models
    path = save_stacker(Stacker((0.5, 2.0), 0.1, members), tmp_path / "stacker.safetensors")
    chosen = ["", str(small_model / "second.safetensors"), str(path)]
    monkeypatch.setattr(
        model_options.QFileDialog, "getOpenFileName", lambda *_: (chosen.pop(0), "")
    )
    qtbot.keyClick(combine, Qt.Key.Key_End)  # and the dialog is cancelled
    assert combine.currentData() == context.session.predict.combine == "mean"
    qtbot.keyClick(combine, Qt.Key.Key_End)  # a model is no stacker
    assert "is no stacker" in notices[-1]
    assert combine.currentData() == context.session.predict.combine == "mean"
    qtbot.keyClick(combine, Qt.Key.Key_End)
    assert combine.currentData() == context.session.predict.combine == "learned"
    layer = predict(workspace, qtbot)
    with Ensemble(["untrained", "second"], "learned", path) as both:
        expected = both.predict(raw, tta=False).read()
    np.testing.assert_array_equal(layer.data, expected)
    step.model.setCurrentIndex(step.model.findData("second"))  # one model is left
    assert context.session.predict.combine == "mean"
    assert context.session.predict.stacker == ""


def test_all_three_axes_are_for_isotropic_voxels(
    workspace: Workspace, step: Any, qtbot: Any, notices: list[str]
) -> None:
    axes = step.options.axes
    layer = add_volume(
        workspace.context.viewer, Volume(GREY, name="stack", voxel_size_nm=(50, 4, 4))
    )
    qtbot.waitUntil(lambda: "12.5 times" in axes.toolTip(), timeout=PATIENCE_MS)
    assert not axes.isEnabled()
    workspace.context.viewer.layers.remove(layer)
    add_volume(workspace.context.viewer, Volume(GREY, name="cube", voxel_size_nm=(8, 8, 8)))
    qtbot.waitUntil(axes.isEnabled, timeout=PATIENCE_MS)
    axes.click()
    step.preview_section()
    assert "sees along z" in notices[-1]
    qtbot.waitUntil(lambda: not workspace.context.jobs.is_busy("predict"), timeout=PATIENCE_MS)
    look = workspace.context.viewer.layers["cube preview"]
    assert np.ptp(look.data[workspace.context.section]) > 0
    assert workspace.context.layer("boundary") is None  # a look is no map
    made = predict(workspace, qtbot)
    assert look not in workspace.context.viewer.layers
    assert made.metadata["emseg"]["predict"]["axes"] == "zyx"
    assert workspace.context.is_boundary_complete
    assert np.ptp(made.data) > 0


def test_affinities_become_a_boundary_layer_that_carries_them(
    workspace: Workspace, step: Any, qtbot: Any, notices: list[str]
) -> None:
    from napari_emseg.segmentation.affinity_view import affinities_of

    context = workspace.context
    add_volume(context.viewer, Volume(GREY, name="stack", voxel_size_nm=(50, 4, 4)))
    step.model.setCurrentIndex(step.model.findData("affinities"))
    context.viewer.dims.set_point(0, 100)
    step.preview_section()
    qtbot.waitUntil(lambda: not context.jobs.is_busy("predict"), timeout=PATIENCE_MS)
    look = context.viewer.layers["stack preview"]
    assert context.layer("boundary") is None  # a look is no map
    looked_at = np.array(look.data)
    assert not looked_at[[0, 1, 3]].any()
    layer = predict(workspace, qtbot)
    assert layer.name == "stack boundaries"
    assert look not in context.viewer.layers
    np.testing.assert_allclose(looked_at[2], layer.data[2], atol=1e-6)
    carried = affinities_of(context.volume("boundary"))
    assert carried is not None
    assert carried.provenance["predict"]["model"] == "affinities"
    assert context.plan()["boundaries"].state == "up to date"


def test_a_map_too_large_for_memory_goes_to_the_disk(
    workspace: Workspace,
    step: Any,
    qtbot: Any,
    notices: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    from napari_emseg.gui.boundaries import large_maps

    monkeypatch.setattr(large_maps, "SHARE", 0.0)
    source = str(tmp_path / "stack.tif")
    raw = Volume(GREY, name="stack", voxel_size_nm=(50, 4, 4), provenance={"source": source})
    add_volume(workspace.context.viewer, raw)
    layer = predict(workspace, qtbot)
    (store,) = tmp_path.glob("stack boundaries *.zarr")
    assert any(str(store) in told for told in notices)
    assert layer.data.shape == GREY.shape
    assert np.ptp(np.asarray(layer.data)) > 0
    assert workspace.context.plan()["boundaries"].state == "up to date"
