"""The card of one model: its picture and all that its file says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QKeyEvent, QPixmap
from qtpy.QtWidgets import (
    QFrame,
    QGridLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QWidget,
)

from napari_emseg.errors import InputError
from napari_emseg.gui.frame import column, note
from napari_emseg.gui.models.words import describe_facts, describe_file

if TYPE_CHECKING:
    from napari_emseg.networks.info import ModelInfo

_HEADING_WIDTH = 84
_TITLE_STYLE = "font-size: 15pt; font-weight: bold;"


class ModelCard(QScrollArea):
    """Shows one model; `renamed` tells the new name that was typed over its title."""

    renamed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        content = QWidget()
        rows = column(content)
        rows.setContentsMargins(2, 2, 8, 2)
        self.title = QLabel()
        self.title.setWordWrap(True)
        # napari's style sheet decides on fonts, so that only a style sheet changes them
        self.title.setStyleSheet(_TITLE_STYLE)
        self.title_edit = _TitleEdit()
        self.title_edit.setAccessibleName("new name")
        self.title_edit.accepted.connect(self._on_title_accepted)
        self.title_edit.left.connect(self.stop_renaming)
        self.title_edit.setStyleSheet(_TITLE_STYLE)
        self.title_edit.setVisible(False)
        rows.addWidget(self.title)
        rows.addWidget(self.title_edit)
        self.problem = note(role="warning")
        rows.addWidget(self.problem)
        self.summary = note(role="")
        rows.addWidget(self.summary)
        self.picture = QLabel()
        self.picture.setAccessibleName("picture of the model")
        rows.addWidget(self.picture)
        self.caption = note()
        rows.addWidget(self.caption)
        self._rows: list[tuple[QLabel, QLabel]] = []
        self._facts = QGridLayout()
        self._facts.setHorizontalSpacing(10)
        self._facts.setVerticalSpacing(0)
        self._facts.setColumnMinimumWidth(0, _HEADING_WIDTH)
        self._facts.setColumnStretch(1, 1)
        rows.addLayout(self._facts)
        rows.addStretch()
        self.setWidget(content)

    def show_words(self, title: str, words: str) -> None:
        """Show no model, but a heading and words of it."""
        self._show_texts(title, words, "")
        self._show_picture(None)
        self._fill_facts([])

    def show_model(self, info: ModelInfo) -> None:
        """Show a model; of one that cannot be used, what is wrong with it."""
        self._show_texts(info.title or info.name, info.summary, info.problem)
        self._show_picture(info)
        named = [("Name", info.name)]
        facts = describe_file(info) if info.problem else describe_facts(info)
        self._fill_facts([*named, *facts])

    def start_renaming(self) -> None:
        """Let the user type another name over the title."""
        self.title_edit.setText(self.title.text())
        self.title_edit.setFixedHeight(self.title.height())  # so that nothing moves
        self.title.setVisible(False)
        self.title_edit.setVisible(True)
        self.title_edit.selectAll()
        self.title_edit.setFocus()

    def stop_renaming(self) -> None:
        """Show the title again."""
        self.title_edit.setVisible(False)
        self.title.setVisible(True)

    def _on_title_accepted(self) -> None:
        text = self.title_edit.text().strip()
        is_changed = text != self.title.text()
        self.stop_renaming()
        if is_changed:
            self.renamed.emit(text)

    def _show_texts(self, title: str, summary: str, problem: str) -> None:
        self.stop_renaming()
        self.title.setText(title)
        self.summary.setText(summary)
        self.summary.setVisible(bool(summary))
        self.problem.setText(f"It cannot be used: {problem}" if problem else "")
        self.problem.setVisible(bool(problem))

    def _show_picture(self, info: ModelInfo | None) -> None:
        pixmap = _pixmap(info) if info is not None else None
        self.picture.setVisible(pixmap is not None)
        self.caption.setVisible(pixmap is not None)
        if pixmap is not None and info is not None:
            self.picture.setPixmap(pixmap)
            self.caption.setText(_caption(info))

    def _fill_facts(self, facts: list[tuple[str, str]]) -> None:
        while len(self._rows) < len(facts):
            self._add_row()
        for index, (heading, text) in enumerate(self._rows):
            is_used = index < len(facts)
            heading.setText(facts[index][0] if is_used else "")
            text.setText(facts[index][1] if is_used else "")
            heading.setVisible(is_used)
            text.setVisible(is_used)

    def _add_row(self) -> None:
        heading, text = QLabel(), QLabel()
        heading.setProperty("role", "quiet")
        text.setTextFormat(Qt.TextFormat.PlainText)
        text.setWordWrap(True)
        text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        for place, label in enumerate((heading, text)):
            self._facts.addWidget(label, len(self._rows), place, Qt.AlignmentFlag.AlignTop)
        self._rows.append((heading, text))


class _TitleEdit(QLineEdit):
    """A line that is accepted by Enter and left by Escape or a click elsewhere."""

    accepted = Signal()
    left = Signal()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.accepted.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)


def _caption(info: ModelInfo) -> str:
    if info.network == "bioimageio":
        return "Picture of the package."
    section = "A made-up section" if info.origin == "bundled" else "A section"
    return f"{section}, and what the model makes of it: membranes dark."


def _pixmap(info: ModelInfo) -> QPixmap | None:
    from napari_emseg.networks.cover import read_cover
    from napari_emseg.networks.picture import read_picture

    if info.path is None or info.problem:
        return None
    try:
        read = read_cover if info.network == "bioimageio" else read_picture
        picture = read(info.path)
    except InputError:
        return None
    pixmap = QPixmap()
    return pixmap if picture is not None and pixmap.loadFromData(picture, "PNG") else None
