"""The step that trains: each state says what comes next, and nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton
from tests.gui.conftest import PATIENCE_MS, save_untrained
from tests.gui.train_fakes import FakeTraining, open_stack, paint_some, raw_stack

from napari_emseg.gui.boundaries.predicting import predicting_of
from napari_emseg.gui.context import Context
from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.models.library import ModelLibrary
from napari_emseg.gui.painting.journal import About, PaintingJournal
from napari_emseg.gui.painting.layer import is_painting
from napari_emseg.gui.train.paint_offers import painting_offers_of
from napari_emseg.gui.train.record import record_path
from napari_emseg.gui.train.step import TrainStep
from napari_emseg.gui.workspace import TrainDock, Workspace
from napari_emseg.networks.library import find_model
from napari_emseg.volume import Volume


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled models: one untrained network. Models of the user lie elsewhere."""
    return save_untrained(tmp_path_factory.mktemp("bundled"))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Where models of the user go."""
    return tmp_path / "models"


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTraining:
    return FakeTraining(tmp_path).install(monkeypatch)


@pytest.fixture
def dock(
    models: Path,
    small_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    fake: FakeTraining,
    qtbot: Any,
) -> Iterator[TrainDock]:
    """The dock of the step alone, over a viewer without a window of its own."""
    monkeypatch.setattr("napari_emseg.networks.library.bundled_folder", lambda: small_model)
    monkeypatch.setenv("EMSEG_MODELS", str(models))
    made = TrainDock(ViewerModel())
    qtbot.addWidget(made)
    made.resize(420, 640)
    made.show()
    qtbot.waitExposed(made)
    yield made
    close_dock(made)


@pytest.fixture
def step(dock: TrainDock) -> TrainStep:
    """The step in that dock."""
    return train_step(dock)


def close_dock(dock: TrainDock) -> None:
    dock.context.close()
    dock.detach()


def train_step(dock: Any) -> TrainStep:
    found = dock.step("train")
    assert isinstance(found, TrainStep)
    return found


def click(qtbot: Any, button: Any) -> None:
    assert button.isEnabled(), button.text()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def next_button(step: TrainStep) -> str:
    marked = [b.text() for b in step.findChildren(QPushButton) if b.property("role") == "next"]
    assert len(marked) <= 1
    return marked[0] if marked else ""


def ready(step: TrainStep, qtbot: Any, *, sections: tuple[int, ...] = (1, 3)) -> Any:
    """Open a stack, paint in it, and wait until the step has seen it."""
    open_stack(step)
    click(qtbot, step.paint_button)
    layer = step.wishes.layer("labels")
    paint_some(layer, *sections)
    qtbot.waitUntil(lambda: step.outlook.now.is_ready, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: next_button(step) == "Train")
    return layer


def wait_for_state(step: TrainStep, qtbot: Any, state: str) -> None:
    qtbot.waitUntil(lambda: step.training.state == state, timeout=PATIENCE_MS)


def test_an_empty_window_says_what_to_do(step: TrainStep, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: "open one" in step.expect.text())
    assert not any(button.isEnabled() for button in step.tools.buttons.values())
    open_stack(step)
    qtbot.waitUntil(lambda: "New painting" in step.expect.text())
    qtbot.waitUntil(lambda: next_button(step) == "New painting")
    click(qtbot, step.paint_button)
    assert step.tools.taken == "Membrane"  # the brush is in hand
    qtbot.waitUntil(lambda: "is empty: draw along a few membranes" in step.expect.text())
    qtbot.waitUntil(lambda: next_button(step) == "")  # to paint is next


def test_what_is_painted_decides_what_is_expected(step: TrainStep, qtbot: Any) -> None:
    layer = ready(step, qtbot)
    assert step.expect.text() == "About 3 min; learns from 2 sections, none held out."
    qtbot.waitUntil(lambda: "2 sections" in step.tools.words.text())
    paint_some(layer, 0, 4)
    expected = "About 3 min; learns from 3 sections, 1 held out."
    qtbot.waitUntil(lambda: step.expect.text() == expected)
    step.wishes.change(held_out="0-1")
    expected = "About 3 min; learns from 2 sections, 2 held out."
    qtbot.waitUntil(lambda: step.expect.text() == expected)
    step.wishes.change(held_out="9")
    qtbot.waitUntil(lambda: step.expect.text() == "There is no section 9: there are 0 to 4.")


def test_the_job_from_paint_to_prediction(
    step: TrainStep, qtbot: Any, models: Path, fake: FakeTraining, notices: list[str]
) -> None:
    layer = ready(step, qtbot)
    assert step.model_name.text() == "stack model"
    click(qtbot, step.train_button)
    assert step.training.state == "running"
    layer.data[:] = 0  # painting on does not change what is being learned
    qtbot.waitUntil(lambda: len(step.watch.plot._scores) >= 2, timeout=PATIENCE_MS)
    assert "patches seen" in step.watch.progress.words.text()
    assert step.words.startswith("running: ")
    shown = step.training.map.layer
    assert shown is not None
    assert shown.name == "stack model (training)"
    wait_for_state(step, qtbot, "finished")
    assert all(fake.pairs[0][0].labels.read(z).any() for z in (1, 3))
    assert [path.suffix for path in models.iterdir()] == [".safetensors"]
    assert step.context.session.predict.model == "stack_model"
    assert find_model("stack_model").path == models / "stack_model.safetensors"
    assert step.train_button.text() == "Train on"
    assert step.model_name.text() == "stack model 2"
    qtbot.waitUntil(lambda: next_button(step) == "Predict this section with it")
    click(qtbot, step.predict_button)
    qtbot.waitUntil(
        lambda: step.context.done_sections is not None and step.context.done_sections.any(),
        timeout=PATIENCE_MS,
    )
    assert step.training.map.layer is None  # the real map has come
    paint_some(layer, 2)
    qtbot.waitUntil(lambda: next_button(step) == "Train on")
    click(qtbot, step.train_button)
    wait_for_state(step, qtbot, "running")
    assert fake.asked[-1]["choice"].start_from == "stack_model"
    click(qtbot, step.finish_button)
    wait_for_state(step, qtbot, "finished")
    assert sorted(path.stem for path in models.iterdir()) == ["stack_model", "stack_model_2"]
    assert [notice for notice in notices if "is in the library" not in notice] == []


def test_pause_and_resume(step: TrainStep, qtbot: Any, models: Path, fake: FakeTraining) -> None:
    ready(step, qtbot)
    step.wishes.choose(minutes=2)
    click(qtbot, step.train_button)
    qtbot.waitUntil(lambda: fake.done > 20, timeout=PATIENCE_MS)
    click(qtbot, step.pause_button)
    wait_for_state(step, qtbot, "paused")
    done = fake.done
    assert step.watch.progress.words.text().startswith("stack model: paused")
    assert (step.train_button.text(), step.finish_button.text()) == ("Resume", "Keep as it is")
    qtbot.waitUntil(lambda: next_button(step) == "Resume")
    step.context.session.change("predict", model="stack_model")  # it can be tried meanwhile
    predicting_of(step.context).start("section")
    qtbot.waitUntil(lambda: not step.context.jobs.is_busy("predict"), timeout=PATIENCE_MS)
    early = step.context.layer("boundary")
    assert step.context.maps.raw(early) is not None
    step.wishes.choose(minutes=9)  # for the next training
    fake.steps = done + 50
    click(qtbot, step.train_button)
    wait_for_state(step, qtbot, "finished")
    assert fake.asked[-1]["resume"]
    assert fake.asked[-1]["choice"].minutes == 2
    assert fake.done == done + 50
    assert step.context.maps.raw(early) is None  # nothing goes on with that map
    assert step.context.done_sections is not None
    assert step.context.done_sections.sum() == 1


def test_a_paused_training_can_be_kept_as_it_is(
    step: TrainStep, qtbot: Any, models: Path, fake: FakeTraining
) -> None:
    ready(step, qtbot)
    click(qtbot, step.train_button)
    qtbot.waitUntil(lambda: fake.done > 5, timeout=PATIENCE_MS)
    click(qtbot, step.pause_button)
    wait_for_state(step, qtbot, "paused")
    click(qtbot, step.finish_button)
    assert step.training.state == "finished"
    assert [path.name for path in models.iterdir()] == ["stack_model.safetensors"]


def test_another_day_offers_to_resume(
    dock: TrainDock, step: TrainStep, qtbot: Any, models: Path, fake: FakeTraining
) -> None:
    layer = ready(step, qtbot)
    click(qtbot, step.train_button)
    qtbot.waitUntil(lambda: fake.done > 5, timeout=PATIENCE_MS)
    dock.context.close()  # the window is closed while it runs
    model = models / "stack_model.safetensors"
    assert record_path(model).exists()
    again = Context(step.viewer)
    from napari_emseg.gui.train.job import Training

    training = Training(again)
    assert training.state == "paused"
    assert training.record is not None
    assert (training.record.title, training.model_path) == ("stack model", model)
    assert training.record.data == ("stack",)
    assert layer.data.any()
    again.close()


def test_paint_that_was_not_saved_is_the_next_thing_to_look_at(
    step: TrainStep, qtbot: Any, paintings_folder: Path
) -> None:
    open_stack(step)
    raw = step.context.session.raw
    assert raw is not None
    about = About(
        layer="mine", shape=raw.shape, dtype="|u1", stack=raw.name, fingerprint=raw.fingerprint
    )
    left = PaintingJournal.create(about)
    left.keep(np.ones(raw.shape, np.uint8), (1, 3), about)
    left.release()
    painting_offers_of(step.context)._look()
    qtbot.waitUntil(lambda: step.words.startswith("paint that was not saved"))
    assert next_button(step) == "Take it back"
    click(qtbot, step.take_back.take_button)
    qtbot.waitUntil(lambda: step.wishes.layer("labels") is not None)
    assert not step.take_back.isVisible()
    assert next_button(step) != "Take it back"


def test_refusals_are_said_in_one_sentence(
    step: TrainStep, qtbot: Any, models: Path, notices: list[str]
) -> None:
    step.train()
    assert notices.pop() == "There is no stack to learn from yet: open one."
    ready(step, qtbot)
    models.mkdir()
    (models / "mine.safetensors").write_bytes(b"")
    step.model_name.selectAll()
    qtbot.keyClicks(step.model_name, "mine")
    click(qtbot, step.train_button)
    assert notices.pop() == "There is a model 'mine' already: type another name."
    other = step.viewer.add_labels(np.zeros((5, 9, 9), int), name="of another stack")
    step.wishes.set_layer("labels", other)
    click(qtbot, step.train_button)
    assert "'of another stack' is 5 × 9 × 9 voxels but the stack 5 × 60 × 76" in notices.pop()
    assert step.training.state == "none"


def test_a_model_of_the_library_is_started_from(workspace: Workspace, qtbot: Any) -> None:
    step = train_step(workspace)
    workspace.frames["train"].set_open(True)
    click(qtbot, step.choices.library_button)
    library = workspace.window().findChild(ModelLibrary)
    assert library.use_button.text() == "Start from it"
    click(qtbot, library.use_button)
    assert step.wishes.start_from == "untrained"
    assert step.choices.start.currentData() == "untrained"
    step.wishes.choose(preset="paper")
    library.use()
    assert "No paper says how to train 'unet2d'" in library.words.text()
    library.close()


def test_a_training_that_fails_leaves_the_step_usable(
    step: TrainStep, qtbot: Any, monkeypatch: pytest.MonkeyPatch, models: Path, notices: list[str]
) -> None:
    from napari_emseg.errors import InputError
    from napari_emseg.steps import train

    def fail(*_: Any, **__: Any) -> None:
        raise InputError("The memory of the computer does not suffice; nothing is saved.")

    monkeypatch.setattr(train, "run", fail)
    ready(step, qtbot)
    click(qtbot, step.train_button)
    qtbot.waitUntil(lambda: not step.training.is_busy, timeout=PATIENCE_MS)
    assert step.training.state == "none"
    assert "memory" in notices[-1]
    assert list(models.iterdir()) == []
    assert step.train_button.isEnabled()


def test_what_labels_are_is_guessed(step: TrainStep) -> None:
    open_stack(step)
    ids = np.zeros((5, 60, 76), np.int32)
    ids[:, :30], ids[:, 30:] = 7, 900
    neurons = step.viewer.add_labels(ids, name="neurons")
    drawing = step.viewer.add_image((ids > 8).astype(np.uint8), name="drawing")
    for layer, kind in ((neurons, "labels"), (drawing, "membranes")):
        step.wishes.set_layer("labels", layer)
        assert step.kind.currentData() == kind
        assert not step.tools.buttons["Membrane"].isEnabled()
    step.wishes.set_layer("labels", neurons)
    step.kind.setCurrentIndex(step.kind.findData("painted"))
    step.kind.activated.emit(step.kind.currentIndex())
    assert step.wishes.materials()[0].kind == "painted"
    assert step.tools.layer is neurons
    assert not is_painting(neurons)
    step.tools.take("Membrane")  # from now on it looks like one
    assert is_painting(neurons)
    step.viewer.layers.remove(neurons)
    assert step.wishes.layer("labels") is None
    assert step.tools.layer is None


def test_further_stacks_are_learned_from_too(
    step: TrainStep, qtbot: Any, fake: FakeTraining, notices: list[str]
) -> None:
    ready(step, qtbot)
    pairs = step.pairs
    pairs.sections.setText("1")
    pairs.sections.editingFinished.emit()
    pairs.add()
    second = add_volume(step.viewer, raw_stack("second", depth=2))
    step.context.set_layer("raw", second)
    pairs.add()
    assert "5 × 60 × 76" in notices.pop()  # the painting is of the first stack
    click(qtbot, step.paint_button)
    pairs.add()
    assert "is empty" in notices.pop()
    paint_some(step.wishes.layer("labels"), 0)
    assert [one.raw.name for one in step.wishes.others] == ["stack"]
    made = [material.pair() for material in step.wishes.materials()]
    assert [pair.name for pair in made] == ["second", "stack"]
    assert made[1].train_sections == (1,)
    qtbot.waitUntil(lambda: "2 sections of 2 stacks" in step.expect.text())
    assert pairs.table.rowCount() == 1
    pairs.table.setCurrentCell(0, 0)
    pairs.remove()
    assert pairs.table.rowCount() == 0


def test_a_session_keeps_a_painting(
    viewer: Any, workspace: Workspace, qtbot: Any, tmp_path: Path
) -> None:
    context = workspace.context
    add_volume(viewer, raw_stack())
    step = train_step(workspace)
    painting: Any = step.wishes.new_painting()
    paint_some(painting, 2)
    before = painting.data.copy()
    file = tmp_path / "work.emseg"
    workspace.session_bar.save_to(file)
    qtbot.waitUntil(lambda: not context.jobs.is_busy("save"), timeout=PATIENCE_MS)
    viewer.layers.clear()
    assert step.wishes.layer("labels") is None
    workspace.session_bar.restore_from(file, is_sure=True)
    qtbot.waitUntil(lambda: step.wishes.layer("labels") is not None, timeout=PATIENCE_MS)
    found: Any = step.wishes.layer("labels")
    assert found is not painting
    assert np.array_equal(found.data, before)
    assert step.kind.currentData() == "painted"
    assert np.allclose(found.get_color(1), painting.get_color(1))
    assert context.layer("ground_truth") is None
    step.tools.take("Inside")
    assert found.visible


def test_closed_it_is_a_heading_and_open_it_is_the_next_thing(
    workspace: Workspace, qtbot: Any
) -> None:
    add_volume(workspace.context.viewer, Volume(raw_stack().data, voxel_size_nm=(50, 4, 4)))
    boundaries: Any = workspace.step("boundaries")
    frame = workspace.frames["train"]
    assert not frame.is_open
    assert frame.state.text() == "when no model suits your tissue"
    qtbot.waitUntil(lambda: boundaries.main_button.property("role") == "next")
    frame.set_open(True)
    qtbot.waitUntil(lambda: next_button(train_step(workspace)) == "New painting")
    assert boundaries.main_button.property("role") == ""
    frame.set_open(False)
    qtbot.waitUntil(lambda: boundaries.main_button.property("role") == "next")


def test_nothing_is_cut_off_and_nothing_moves(step: TrainStep, qtbot: Any) -> None:
    ready(step, qtbot)
    places = {b.accessibleName() or b.text(): b.y() for b in step.findChildren(QPushButton)}
    train_y, predict_y = step.train_button.y(), step.predict_button.y()
    click(qtbot, step.train_button)
    qtbot.waitUntil(lambda: len(step.watch.plot._scores) > 0, timeout=PATIENCE_MS)
    assert (step.train_button.y(), step.predict_button.y()) == (train_y, predict_y)
    click(qtbot, step.pause_button)
    wait_for_state(step, qtbot, "paused")
    assert (step.train_button.y(), step.predict_button.y()) == (train_y, predict_y)
    for button in (step.train_button, step.pause_button, step.finish_button):
        assert button.width() >= button.minimumSizeHint().width(), button.text()
    assert places
