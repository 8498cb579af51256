"""The library of models: what there is, what it can do, and what may be done with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeySequence, QShortcut  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QInputDialog,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_emseg.errors import InputError
from napari_emseg.gui.colours import mix, stylesheet, theme_colour
from napari_emseg.gui.context import Context
from napari_emseg.gui.frame import ElidedLabel, button, column, line, row
from napari_emseg.gui.models.actions import ModelActions
from napari_emseg.gui.models.card import ModelCard
from napari_emseg.gui.models.known import known_models_of
from napari_emseg.gui.models.listing import ModelList

if TYPE_CHECKING:
    from napari_emseg.networks.info import ModelInfo

_MANY = 8
_LIST_WIDTH = 270
_KINDS = "Models (*.safetensors *.zip rdf.yaml bioimageio.yaml)"
_FETCH = "Name or address of the model at bioimage.io, such as impartial-shrimp:"

Use = Callable[["ModelInfo"], None]


class ModelLibrary(QDialog):
    """A window beside the viewer, which can be used meanwhile."""

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self.known = known_models_of(context)
        self.verbs = ModelActions(context, self)
        self._use: Use = partial(use_for_prediction, context)
        self.setWindowTitle("Models")
        self.setAcceptDrops(True)
        self.setMinimumSize(840, 440)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search")
        self.search.setAccessibleName("search models")
        self.search.setClearButtonEnabled(True)
        self.list = ModelList(self.known)
        self.card = ModelCard()
        self._make_buttons()
        self._lay_out()
        self._connect()
        self._on_theme_changed()

    def sizeHint(self) -> QSize:
        return QSize(880, 700)

    def open_for(self, use: Use | None, use_text: str, model: str) -> None:
        """Show the library, with a model chosen, and what is done with the one that is used."""
        self._use = use or partial(use_for_prediction, self.context)
        self.use_button.setText(use_text)
        self.known.refresh()
        self.list.choose(model)
        self.show()
        self.raise_()
        self.activateWindow()
        self.list.setFocus(Qt.FocusReason.OtherFocusReason)

    def use(self) -> None:
        """Use the current model."""
        info = self.list.info
        if info is not None and not info.problem:
            try:
                self._use(info)
            except InputError as error:
                self._say(str(error))
            else:
                self._say(f"'{info.title or info.name}' is used now.")

    def rename(self) -> None:
        """Let the user type another name."""
        if self.rename_button.isEnabled():
            self.card.start_renaming()

    def delete(self) -> None:
        """Delete the current model; Undo brings it back."""
        info = self.list.info
        if info is not None and self.delete_button.isEnabled():
            self.verbs.delete(info)

    def undo(self) -> None:
        """Bring back what was deleted last."""
        self.verbs.undo()

    def share(self) -> None:
        """Ask for a file and write the current model there."""
        info = self.list.info
        if info is None or info.path is None:
            return
        suffix = info.path.suffix if info.path.is_file() else ".zip"
        path = self._ask_target("Share the model as one file", info.name + suffix)
        if path is not None:
            self.verbs.share(info, path)

    def export_package(self) -> None:
        """Ask for a file and write the current model as a BioImage.IO package."""
        info = self.list.info
        if info is None:
            return
        path = self._ask_target("Export as BioImage.IO package", f"{info.name}.zip")
        if path is not None:
            self.verbs.export_package(info, path)

    def add(self) -> None:
        """Ask for model files and copy them into the user's folder."""
        paths, _ = QFileDialog.getOpenFileNames(self, "Add models", "", _KINDS)
        self.verbs.add([Path(path) for path in paths])

    def fetch(self) -> None:
        """Ask for a model of the BioImage.IO collection and download it."""
        address, _ = QInputDialog.getText(self, "Add from BioImage.IO", _FETCH)
        self.verbs.fetch(address.strip())

    def add_folder(self) -> None:
        """Ask for a folder of the lab and list its models from now on."""
        path = QFileDialog.getExistingDirectory(self, "Folder with models of your lab")
        if path:
            self.verbs.add_folder(Path(path))

    def forget_folder(self) -> None:
        """List the models of the current folder no more."""
        folder = self.list.folder
        if folder is not None:
            self.verbs.forget_folder(folder)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self.card.stop_renaming()
        super().closeEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        mime = event.mimeData() if event is not None else None
        if event is not None and mime is not None and mime.hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        mime = event.mimeData() if event is not None else None
        if mime is not None:
            paths = [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()]
            self.verbs.add(paths)

    def _ask_target(self, title: str, name: str) -> Path | None:
        kind = f"Model (*{Path(name).suffix})"
        path, _ = QFileDialog.getSaveFileName(self, title, name, kind)
        return Path(path) if path else None

    def _make_buttons(self) -> None:
        self.add_button = button("Add from file…", self.add, "Copy a model into your own folder")
        self.folder_button = button(
            "Add lab folder…",
            self.add_folder,
            "List the models in a folder that your lab shares, now and in future",
        )
        self.fetch_button = button(
            "Add from BioImage.IO…", self.fetch, "Download a model of that collection and try it"
        )
        self.use_button = button("Use", self.use, "Use this model (Enter)", role="next")
        self.rename_button = button("Rename", self.rename, "Give it another name (F2)")
        self.delete_button = button("Delete", self.delete, "Delete it (Del); Undo is offered")
        self.share_button = button("Share…", self.share, "Write it to one file for somebody else")
        self.export_button = button(
            "Export as BioImage.IO…",
            self.export_package,
            "Write a package for the other programs that know BioImage.IO",
        )
        self.forget_button = button(
            "Do not list this folder", self.forget_folder, "Its files stay where they are"
        )
        self.words = ElidedLabel(" ")
        self.undo_button = QToolButton()
        self.undo_button.setText("Undo")
        self.undo_button.setToolTip("Bring the model back (Ctrl+Z)")
        self.undo_button.setProperty("role", "stop")
        self.undo_button.clicked.connect(self.undo)
        policy = self.undo_button.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.undo_button.setSizePolicy(policy)
        self.undo_button.setVisible(False)

    def _lay_out(self) -> None:
        left = QWidget()
        left.setFixedWidth(_LIST_WIDTH)
        rows = column(left)
        rows.addWidget(self.search)
        rows.addWidget(self.list, 1)
        rows.addLayout(row("", self.add_button, self.folder_button))
        rows.addWidget(self.fetch_button)
        right = QWidget()
        rows = column(right)
        rows.addWidget(self.card, 1)
        actions = QHBoxLayout()
        actions.setSpacing(6)
        for widget in (self.use_button, self.rename_button, self.share_button, self.export_button):
            actions.addWidget(widget)
        actions.addWidget(self.forget_button)
        actions.addStretch()
        actions.addWidget(self.delete_button)
        rows.addLayout(actions)
        halves = QHBoxLayout()
        halves.setSpacing(14)
        halves.addWidget(left)
        halves.addWidget(right, 1)
        foot = QHBoxLayout()
        foot.addWidget(self.words, 1)
        foot.addWidget(self.undo_button)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(10, 10, 10, 6)
        outer.addLayout(halves, 1)
        outer.addWidget(line())
        outer.addLayout(foot)

    def _connect(self) -> None:
        self.search.textChanged.connect(self._fill)
        self.search.returnPressed.connect(self.list.setFocus)
        self.list.chosen.connect(self._show_current)
        self.list.itemActivated.connect(lambda _item: self.use())
        self.card.renamed.connect(self._on_card_renamed)
        self.known.changed.connect(self._fill)
        self.verbs.said.connect(self._say)
        self.verbs.found.connect(self._on_actions_found)
        self.verbs.ended.connect(self._on_actions_ended)
        self.context.viewer.events.theme.connect(self._on_theme_changed)
        for pushed in self.findChildren(QPushButton):
            pushed.setAutoDefault(False)  # Enter uses the model that is current in the list
        for keys, action in (
            ("F2", self.rename),
            ("Del", self.delete),
            ("Ctrl+Z", self.undo),
            ("Ctrl+F", self.search.setFocus),
        ):
            QShortcut(QKeySequence(keys), self).activated.connect(action)

    def _fill(self, *_: Any) -> None:
        from napari_emseg.networks.library import lab_folders

        models = self.known.all
        self.search.setVisible(len(models) > _MANY or bool(self.search.text()))
        words = self.search.text().casefold().split()
        found = [info for info in models if all(word in _all_words(info) for word in words)]
        self.list.fill(found, lab_folders(), is_all=not words)

    def _show_current(self) -> None:
        info, folder = self.list.info, self.list.folder
        if info is not None:
            self.card.show_model(info)
        elif folder is not None:
            self.card.show_words(folder.name, f"The models in {folder} are listed here.")
        else:
            self.card.show_words("No model", "No model has these words in what is said of it.")
        self._enable()

    def _enable(self) -> None:
        info, is_free = self.list.info, not self.verbs.is_busy
        is_good = info is not None and not info.problem
        is_own = info is not None and info.origin == "own"
        is_package = info is not None and info.network == "bioimageio"
        for widget in (self.add_button, self.fetch_button, self.folder_button, self.forget_button):
            widget.setEnabled(is_free)
        self.undo_button.setEnabled(is_free)
        self.use_button.setEnabled(is_good)
        self.share_button.setEnabled(is_good and is_free)
        self.export_button.setEnabled(is_good and is_free and not is_package)
        self.rename_button.setEnabled(is_own and is_free and not is_package)
        self.delete_button.setEnabled(is_own and is_free)
        self.forget_button.setVisible(self.list.folder is not None)

    def _say(self, words: str) -> None:
        self.words.setText(words or " ")
        self.undo_button.setVisible(self.verbs.can_undo)
        self._enable()

    def _on_card_renamed(self, new: str) -> None:
        info = self.list.info
        if info is not None:
            self.verbs.rename(info, new)
        self.list.setFocus()

    def _on_actions_found(self, name: str) -> None:
        self.search.clear()
        self.list.choose(name)

    def _on_actions_ended(self) -> None:
        if self.words.text().endswith("…"):  # it failed, which was said
            self._say("")
        self._enable()

    def _on_theme_changed(self, *_: object) -> None:
        viewer = self.context.viewer
        self.setStyleSheet(stylesheet(viewer))
        text = theme_colour(viewer, "text")
        self.list.set_colours(text, mix(theme_colour(viewer, "warning"), text, 0.45))
        self._fill()


def use_for_prediction(context: Context, info: ModelInfo) -> None:
    """Let Boundaries predict with a model."""
    params = context.session.predict
    if info.name == params.model:
        return
    others = tuple(name for name in params.others if name != info.name)
    combine = "mean" if params.combine == "learned" else params.combine
    context.session.change("predict", model=info.name, others=others, combine=combine, stacker="")


def open_model_library(
    context: Context, *, use: Use | None = None, use_text: str = "Use", model: str = ""
) -> ModelLibrary:
    """Show the library of a viewer, opened if it is not.

    Parameters
    ----------
    context : Context
    use : callable, optional
        What is done with the model that the user takes; by default Boundaries takes it.
    use_text : str
        What the button says that does so.
    model : str
        Name of the model shown first; by default the one that Boundaries uses.
    """
    window = context.viewer.window._qt_window
    dialog = window.findChild(ModelLibrary) or ModelLibrary(context, window)
    dialog.open_for(use, use_text, model or context.session.predict.model)
    return dialog


def _all_words(info: ModelInfo) -> str:
    parts = (info.name, info.title, info.trained_on, info.summary, info.network, info.licence)
    return " ".join(parts).casefold()
