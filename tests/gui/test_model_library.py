"""The library of models, used as people do: with the keys and the mouse, in a real window."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel, QPushButton
from tests.gui.conftest import PATIENCE_MS, save_untrained

from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.models import library as model_library
from napari_emseg.gui.models.library import ModelLibrary, open_model_library
from napari_emseg.gui.workspace import Workspace
from napari_emseg.networks.library import add_lab_folder, find_model
from napari_emseg.networks.picture import make_picture
from napari_emseg.volume import Volume

GREY = np.random.default_rng(0).integers(0, 255, (3, 24, 28), np.uint8)


@pytest.fixture
def folders(tmp_path: Path, small_model: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The bundled model "untrained", "mine" of one's own, and one of the lab called "theirs"."""
    made = {name: tmp_path / name for name in ("own", "lab", "mail")}
    for folder in made.values():
        folder.mkdir()
    monkeypatch.setenv("EMSEG_CONFIG", str(tmp_path / "config"))
    save_model_at(made["own"] / "mine.safetensors", "Mouse cortex")
    save_model_at(made["lab"] / "theirs.safetensors", "Of the lab")
    add_lab_folder(made["lab"])
    return made


def save_model_at(path: Path, title: str) -> Path:
    from napari_emseg.networks import build_network
    from napari_emseg.networks.checkpoint import save_model
    from napari_emseg.networks.info import ModelInfo

    info = ModelInfo(
        network="unet2d",
        title=title,
        trained_on="two sections of the cortex",
        voxel_size_nm=(30, 6, 5),
        scores={"accuracy": 0.98765},
        licence="CC BY 4.0",
    )
    picture = make_picture(GREY[0], GREY[1] / 255)
    network = build_network("unet2d", width=4, depth=2)
    save_model(path, network, info, picture=picture)
    return path


@pytest.fixture
def viewer(folders: dict[str, Path], viewer: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("EMSEG_MODELS", str(folders["own"]))
    return viewer


@pytest.fixture
def step(workspace: Workspace) -> Any:
    return workspace.step("boundaries")


@pytest.fixture
def library(workspace: Workspace, step: Any, qtbot: Any) -> ModelLibrary:
    """The dialog, opened by its button, with the model of the lab found."""
    step.library_button.click()
    found: ModelLibrary = workspace.context.viewer.window._qt_window.findChild(ModelLibrary)
    qtbot.waitExposed(found)
    qtbot.waitUntil(lambda: "Of the lab" in titles(found), timeout=PATIENCE_MS)
    return found


def titles(library: ModelLibrary) -> list[str]:
    return [library.list.item(row).text().strip() for row in range(library.list.count())]


def facts(library: ModelLibrary) -> str:
    shown = [la.text() for la in library.card.findChildren(QLabel) if not la.isHidden()]
    return "\n".join(shown)


def entries(combo: Any) -> list[str]:
    return [combo.itemText(row) for row in range(combo.count())]


def wait(library: ModelLibrary, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not library.verbs.is_busy, timeout=PATIENCE_MS)


def press(library: ModelLibrary, key: Any, *modifiers: Any) -> None:
    """Press a key where the focus is; shortcuts hear of it too."""
    target = library.focusWidget() or library
    QTest.keyClick(target, key, *modifiers)


def test_models_stand_under_where_they_come_from_and_their_cards_say_all(
    library: ModelLibrary, folders: dict[str, Path]
) -> None:
    assert titles(library) == [
        "With the program",
        "Untrained  (default)",
        "My models",
        "Mouse cortex",
        "Lab: lab",
        "Of the lab",
    ]
    assert library.card.title.text() == "Untrained"  # the one that Boundaries uses
    assert not library.search.isVisible()  # there is nothing to search
    assert library.card.picture.isHidden()
    assert not library.delete_button.isEnabled()
    library.list.choose("mine")
    assert library.card.title.text() == "Mouse cortex"
    assert not library.card.picture.isHidden()
    assert library.card.picture.pixmap().width() == 2 * GREY.shape[2] + 4
    said = facts(library)
    for words in (
        "two sections of the cortex",
        "30 × 6 × 5 nm",
        "0.9877  accuracy",
        "CC BY 4.0",
        "your own",
        str(folders["own"] / "mine.safetensors"),
        " kB",
        "unet2d",
    ):
        assert words in said


def test_a_model_is_used_by_the_keyboard_alone(
    library: ModelLibrary, step: Any, workspace: Workspace
) -> None:
    """And the library opens again at the model in use."""
    assert library.list.hasFocus()
    press(library, Qt.Key.Key_Down)  # over the heading
    assert library.card.title.text() == "Mouse cortex"
    press(library, Qt.Key.Key_Return)
    assert workspace.context.session.predict.model == "mine"
    assert step.model.currentText() == "Mouse cortex"
    assert "two sections of the cortex" in step.about.text()
    assert "'Mouse cortex' is used" in library.words.text()
    assert library.isVisible()  # the window stays
    library.list.choose("theirs")
    press(library, Qt.Key.Key_Escape)
    assert not library.isVisible()
    QTest.keyClick(step.library_button, Qt.Key.Key_Space)
    window = workspace.context.viewer.window._qt_window
    assert window.findChildren(ModelLibrary) == [library]
    assert library.isVisible()
    assert library.card.title.text() == "Mouse cortex"


def test_renaming_over_the_title_reaches_all_lists_and_the_session(
    library: ModelLibrary, step: Any, workspace: Workspace, qtbot: Any, folders: dict[str, Path]
) -> None:
    library.list.choose("mine")
    library.use_button.click()
    workspace.context.session.change("predict", substitute="mine")
    library.list.setFocus()
    press(library, Qt.Key.Key_F2)
    assert library.card.title_edit.hasFocus()
    press(library, Qt.Key.Key_Escape)
    assert library.isVisible()  # Escape leaves the line, not the window
    assert library.card.title.isVisible()
    library.rename_button.click()
    QTest.keyClicks(library.card.title_edit, "Barrel cortex")
    press(library, Qt.Key.Key_Return)
    wait(library, qtbot)
    assert "Barrel cortex" in titles(library)
    assert library.card.title.text() == "Barrel cortex"
    assert (folders["own"] / "Barrel cortex.safetensors").exists()
    params = workspace.context.session.predict
    assert (params.model, params.substitute) == ("Barrel cortex", "Barrel cortex")
    assert step.model.currentText() == "Barrel cortex"
    assert step.sections.substitute.currentText() == "Barrel cortex"
    assert "is now called" in library.words.text()


def test_a_name_that_cannot_be_had_is_said_and_nothing_changes(
    library: ModelLibrary, qtbot: Any, notices: list[str]
) -> None:
    library.list.choose("mine")
    library.rename_button.click()
    QTest.keyClicks(library.card.title_edit, "untrained")
    press(library, Qt.Key.Key_Return)
    wait(library, qtbot)
    assert "There is a model 'untrained' already" in notices[-1]
    assert library.card.title.text() == "Mouse cortex"
    assert library.words.text().strip() == ""


def test_a_deleted_model_is_missed_where_it_was_used_and_comes_back(
    library: ModelLibrary, step: Any, workspace: Workspace, qtbot: Any, folders: dict[str, Path]
) -> None:
    for name in ("untrained", "theirs"):  # not one's own: the keys do nothing
        library.list.choose(name)
        press(library, Qt.Key.Key_Delete)
        press(library, Qt.Key.Key_F2)
        wait(library, qtbot)
        assert library.card.title.isVisible()
        assert find_model(name)
    add_volume(workspace.context.viewer, Volume(GREY, name="stack", voxel_size_nm=(30, 6, 5)))
    library.list.choose("mine")
    library.use_button.click()
    assert step.predict_button.isEnabled()
    library.list.setFocus()
    press(library, Qt.Key.Key_Delete)
    wait(library, qtbot)
    assert "Mouse cortex" not in titles(library)
    assert "none yet: train one, or add one" in titles(library)
    assert library.words.text() == "Deleted 'Mouse cortex'."
    assert library.undo_button.isVisible()
    assert step.model.currentText() == "mine (not found)"  # no other model steps in silently
    assert "There is no model 'mine'" in step.about.text()
    assert not step.predict_button.isEnabled()
    press(library, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    wait(library, qtbot)
    assert library.card.title.text() == "Mouse cortex"
    assert not library.undo_button.isVisible()
    assert step.model.currentText() == "Mouse cortex"
    assert step.predict_button.isEnabled()
    assert (folders["own"] / "mine.safetensors").exists()


def test_a_model_is_shared_as_one_file_and_added_from_one(
    library: ModelLibrary,
    qtbot: Any,
    folders: dict[str, Path],
    step: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = folders["mail"] / "for anna.safetensors"
    dialogs = model_library.QFileDialog
    monkeypatch.setattr(dialogs, "getSaveFileName", lambda *_: (str(target), ""))
    library.list.choose("theirs")
    library.share_button.click()
    wait(library, qtbot)
    assert library.words.text() == f"Written to {target}."
    assert target.read_bytes() == (folders["lab"] / "theirs.safetensors").read_bytes()
    monkeypatch.setattr(dialogs, "getOpenFileNames", lambda *_: ([str(target)], ""))
    library.add_button.click()
    wait(library, qtbot)
    assert "Added 'Of the lab'" in library.words.text()
    assert library.list.info is not None
    assert library.list.info.origin == "own"
    # two of the same title are told apart by their names
    assert "Of the lab (for anna)" in entries(step.model)


def test_a_file_dropped_on_the_window_is_added_or_refused_in_words(
    library: ModelLibrary, qtbot: Any, folders: dict[str, Path], notices: list[str]
) -> None:
    good = save_model_at(folders["mail"] / "new.safetensors", "By mail")
    bad = folders["mail"] / "bad.safetensors"
    bad.write_bytes(b"\x80\x02torch")
    drop(library, good)
    wait(library, qtbot)
    assert library.card.title.text() == "By mail"
    drop(library, bad)
    wait(library, qtbot)
    assert "pickled" in notices[-1]
    assert not (folders["own"] / "bad.safetensors").exists()


def drop(library: ModelLibrary, path: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    library.dropEvent(QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, mime, left, none))


def test_a_broken_file_says_what_is_wrong_and_can_only_be_deleted(
    library: ModelLibrary, qtbot: Any, folders: dict[str, Path], step: Any
) -> None:
    content = (folders["own"] / "mine.safetensors").read_bytes()
    (folders["own"] / "half.safetensors").write_bytes(content[: len(content) // 2])
    qtbot.waitUntil(lambda: "half  (cannot be used)" in titles(library), timeout=PATIENCE_MS)
    library.list.choose("half")
    assert "It cannot be used: half.safetensors is incomplete" in facts(library)
    assert not library.use_button.isEnabled()
    assert not library.share_button.isEnabled()
    assert not any("half" in text for text in entries(step.model))
    library.delete_button.click()
    wait(library, qtbot)
    assert not (folders["own"] / "half.safetensors").exists()


def test_a_folder_of_the_lab_is_added_and_forgotten(
    library: ModelLibrary, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "server"
    other.mkdir()
    monkeypatch.setattr(model_library.QFileDialog, "getExistingDirectory", lambda *_: str(other))
    library.folder_button.click()
    qtbot.waitUntil(lambda: titles(library)[-2:] == ["Lab: server", "no models in it"])
    save_model_at(other / "far.safetensors", "From afar")
    library.known.refresh()
    qtbot.waitUntil(lambda: "From afar" in titles(library), timeout=PATIENCE_MS)
    row = titles(library).index("Lab: server")
    library.list.setCurrentRow(row)
    assert str(other) in facts(library)
    library.forget_button.click()
    qtbot.waitUntil(lambda: "From afar" not in titles(library), timeout=PATIENCE_MS)
    assert "Lab: server" not in titles(library)
    assert (other / "far.safetensors").exists()


def test_a_model_just_written_is_in_every_list_at_once(
    workspace: Workspace, step: Any, qtbot: Any, folders: dict[str, Path]
) -> None:
    """As a training does it, or the command line; the library was never opened."""
    save_model_at(folders["own"] / "fresh.safetensors", "Just trained")
    for combo in (step.model, step.sections.substitute):
        qtbot.waitUntil(lambda c=combo: "Just trained" in entries(c), timeout=PATIENCE_MS)
    assert step.model.currentText() == "Untrained"  # what was chosen stays chosen
    step.options._show_menu()
    assert "Just trained" in [action.text() for action in step.options.menu.actions()]


def test_many_models_are_searched(
    library: ModelLibrary, qtbot: Any, folders: dict[str, Path]
) -> None:
    for number in range(8):
        save_model_at(folders["own"] / f"number{number}.safetensors", f"Take {number}")
    qtbot.waitUntil(library.search.isVisible, timeout=PATIENCE_MS)
    press(library, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert library.search.hasFocus()
    QTest.keyClicks(library.search, "CORTEX take 7")
    assert titles(library) == ["My models", "Take 7"]
    press(library, Qt.Key.Key_Return)
    press(library, Qt.Key.Key_Return)
    assert library.context.session.predict.model == "number7"
    library.search.setText("octopus")
    assert titles(library) == []
    assert library.card.title.text() == "No model"
    library.search.clear()
    assert len(titles(library)) == 14


def test_another_dock_says_what_is_done_with_a_model(library: ModelLibrary) -> None:
    taken: list[Any] = []
    before = library.context.session.predict.model
    opened = open_model_library(
        library.context, use=taken.append, use_text="Start from it", model="mine"
    )
    assert opened is library
    assert library.use_button.text() == "Start from it"
    library.use_button.click()
    assert [info.name for info in taken] == ["mine"]
    assert library.context.session.predict.model == before


def test_a_package_is_exported_by_the_button(
    library: ModelLibrary,
    qtbot: Any,
    folders: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    notices: list[str],
) -> None:
    from napari_emseg.errors import InputError
    from napari_emseg.inference.bioimageio import export

    said = create_autospec(export.export_package, return_value=folders["mail"] / "for v1.5.zip")
    monkeypatch.setattr(export, "export_package", said)
    target = folders["mail"] / "for v1.5"
    dialogs = model_library.QFileDialog
    monkeypatch.setattr(dialogs, "getSaveFileName", lambda *_: (str(target), ""))
    library.list.choose("mine")
    library.export_button.click()
    wait(library, qtbot)
    assert library.words.text() == f"Written to {target}.zip."
    (call,) = said.call_args_list
    assert call.args == ("mine", target.with_name("for v1.5.zip"))
    said.side_effect = InputError("For that, install it: pip install something.")
    library.export_button.click()
    wait(library, qtbot)
    assert "pip install" in notices[-1]
    assert library.words.text().strip() == ""


def test_a_model_of_the_collection_is_got_by_its_name(
    library: ModelLibrary,
    qtbot: Any,
    folders: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    notices: list[str],
) -> None:
    from napari_emseg.errors import InputError
    from napari_emseg.inference.bioimageio import fetch

    def bring(_address: str, folder: Any, _progress: Any) -> Path:
        return save_model_at(Path(folder) / "shrimp.safetensors", "Impartial shrimp")

    fetched = create_autospec(fetch.fetch_package, side_effect=bring)
    monkeypatch.setattr(fetch, "fetch_package", fetched)
    answers = [(" impartial-shrimp ", True), ("", False), ("lonely-crab", True)]
    monkeypatch.setattr(model_library.QInputDialog, "getText", lambda *_: answers.pop(0))
    library.fetch_button.click()
    wait(library, qtbot)
    assert fetched.call_args.args[0] == "impartial-shrimp"
    assert library.card.title.text() == "Impartial shrimp"
    assert library.words.text() == "Added 'Impartial shrimp'."
    library.fetch_button.click()  # and nothing is typed
    assert not library.verbs.is_busy
    fetched.side_effect = InputError("The network cannot be reached.")
    library.fetch_button.click()
    wait(library, qtbot)
    assert notices[-1] == "The network cannot be reached."


def test_nothing_is_cut_off_in_either_theme(
    library: ModelLibrary, viewer: Any, tmp_path: Path
) -> None:
    library.list.choose("mine")
    pictures = []
    for theme in ("dark", "light"):
        viewer.theme = theme
        QTest.qWait(50)
        library.grab().save(str(tmp_path / f"{theme}.png"))
        pictures.append((tmp_path / f"{theme}.png").read_bytes())
        for pushed in library.findChildren(QPushButton):
            if pushed.isVisible():
                assert pushed.width() >= pushed.sizeHint().width()
                assert library.rect().contains(pushed.mapTo(library, pushed.rect().center()))
    assert pictures[0] != pictures[1]


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One bundled model, the default."""
    return save_untrained(tmp_path_factory.mktemp("bundled"))
