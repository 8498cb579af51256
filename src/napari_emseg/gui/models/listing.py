"""The list of the library: models under the headings of where they come from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor, QFont
from qtpy.QtWidgets import QListWidget, QListWidgetItem

from napari_emseg.gui.models.known import KnownModels

if TYPE_CHECKING:
    from napari_emseg.networks.info import ModelInfo

_ROLE = Qt.ItemDataRole.UserRole
_NONE_OWN = "none yet: train one, or add one"


class ModelList(QListWidget):
    """Models to choose one of; `chosen` when another one, or a folder, is the current one."""

    chosen = Signal()

    def __init__(self, known: KnownModels) -> None:
        super().__init__()
        self._known = known
        self._text_colour = self._warning_colour = QColor("grey")
        self.setAccessibleName("models")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setUniformItemSizes(True)
        self.setStyleSheet("QListWidget::item { padding: 3px 2px; }")
        self.currentItemChanged.connect(lambda *_: self.chosen.emit())

    @property
    def info(self) -> ModelInfo | None:
        """The current model."""
        kind, value = self._current()
        return self._known.find(value) if kind == "model" else None

    @property
    def folder(self) -> Path | None:
        """The current folder of the lab, where its heading is current."""
        kind, value = self._current()
        return Path(value) if kind == "folder" else None

    def set_colours(self, text: QColor, warning: QColor) -> None:
        """Say how headings and what cannot be used are written, from the next filling on."""
        self._text_colour, self._warning_colour = text, warning

    def fill(self, models: Iterable[ModelInfo], folders: Iterable[Path], *, is_all: bool) -> None:
        """List models in groups; what was current stays so where it is still there.

        Parameters
        ----------
        models : iterable of ModelInfo
        folders : iterable of Path
            Those of the lab.
        is_all : bool
            Whether nothing was searched for, so that empty groups say that they are.
        """
        models, current, row = list(models), self._current(), self.currentRow()
        with QSignalBlocker(self):
            self.clear()
            for title, key, members in _groups(models, folders):
                if members or (is_all and key is not None):
                    self._add_group(title, key, members)
            self._choose(current, row)
        self.chosen.emit()

    def choose(self, name: str) -> None:
        """Make a model the current one."""
        for index in range(self.count()):
            item = self.item(index)
            if item is not None and item.data(_ROLE) == ("model", name):
                self.setCurrentRow(index)

    def _current(self) -> tuple[str, str]:
        item = self.currentItem()
        found = item.data(_ROLE) if item is not None else None
        return found if found is not None else ("", "")

    def _choose(self, wanted: tuple[str, str], row: int) -> None:
        """Make an entry current; else the one that has come to its place, or the first."""
        rows = [i for i in range(self.count()) if self._is_choosable(i)]
        same = [i for i in rows if self.item(i).data(_ROLE) == wanted]  # type: ignore[union-attr]
        below = [i for i in rows if i >= row >= 0]
        models = [i for i in rows if self.item(i).data(_ROLE)[0] == "model"]  # type: ignore[union-attr]
        for candidates in (same, below, models[-1:] if row >= 0 else models):
            if candidates:
                self.setCurrentRow(candidates[0])
                return

    def _is_choosable(self, row: int) -> bool:
        item = self.item(row)
        return item is not None and bool(item.flags() & Qt.ItemFlag.ItemIsSelectable)

    def _add_group(self, title: str, key: str | None, members: list[ModelInfo]) -> None:
        heading = QListWidgetItem(title)
        font = QFont(self.font())
        font.setBold(True)
        heading.setFont(font)
        heading.setToolTip(key or "")
        heading.setForeground(self._text_colour)  # also where it cannot be chosen
        if key:
            heading.setData(_ROLE, ("folder", key))
        else:
            heading.setFlags(Qt.ItemFlag.NoItemFlags)  # the arrow keys pass over it
        self.addItem(heading)
        for info in members:
            self.addItem(self._make_item(info))
        if not members:
            words = QListWidgetItem("    " + (self._state_of(Path(key)) if key else _NONE_OWN))
            words.setFlags(Qt.ItemFlag.NoItemFlags)
            self.addItem(words)

    def _state_of(self, folder: Path) -> str:
        is_there = self._known.is_reachable(folder)
        return "no models in it" if is_there else "cannot be reached at the moment"

    def _make_item(self, info: ModelInfo) -> QListWidgetItem:
        words = self._known.label(info)
        more = "  (default)" if info.default else "  (cannot be used)" if info.problem else ""
        item = QListWidgetItem(f"    {words}{more}")
        item.setData(_ROLE, ("model", info.name))
        item.setToolTip(info.problem or f"{words}\n{info.name}")
        if info.problem:
            item.setForeground(self._warning_colour)
        return item


def _groups(
    models: list[ModelInfo], folders: Iterable[Path]
) -> list[tuple[str, str | None, list[ModelInfo]]]:
    """Return heading, folder and models of each group.

    The folder is blank for a group that is shown though it is empty, None for one that is not.
    """
    own = [info for info in models if info.origin == "own"]
    packages = [info for info in own if info.network == "bioimageio"]
    groups: list[tuple[str, str | None, list[ModelInfo]]] = [
        ("With the program", None, [info for info in models if info.origin == "bundled"]),
        ("My models", "", [info for info in own if info not in packages]),
        ("BioImage.IO", None, packages),
    ]
    for folder in folders:
        inside = [info for info in models if info.origin == "lab" and _lies_in(info, folder)]
        groups.append((f"Lab: {folder.name or folder}", str(folder), inside))
    return groups


def _lies_in(info: ModelInfo, folder: Path) -> bool:
    return info.path is not None and info.path.parent == folder
