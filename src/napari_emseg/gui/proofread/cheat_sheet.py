"""All keys of proofreading at a glance; a click on one, then another key, changes it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import (
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_emseg.errors import InputError
from napari_emseg.gui.colours import stylesheet
from napari_emseg.gui.frame import button, note, set_role
from napari_emseg.gui.proofread.actions import BY_ID, EDIT, GROUPS, OWN_KEYS, PLACES, Action
from napari_emseg.gui.proofread.keymap import shown
from napari_emseg.gui.proofread.keys import ACTIONS, HELP_KEY, key_pressed, keys_of

if TYPE_CHECKING:
    from napari_emseg.gui.proofread.proofreading import Proofreading

KEY_WIDTH = 92
_HINT = "Click a key to change it. The right hand stays on the mouse."
_WAITING = "…"
_OWN = "napari's own keys, on this layer too"
_LEFT = (GROUPS[0], EDIT, PLACES)


class CheatSheet(QDialog):
    """A window that stays open beside the work; "?" or Esc closes it.

    Parameters
    ----------
    proofreading : Proofreading
    parent : QWidget
    """

    def __init__(self, proofreading: Proofreading, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys of proofreading")
        self._keys = keys_of(proofreading)
        self._waiting = ""
        self.buttons: dict[str, QPushButton] = {}
        self.setStyleSheet(stylesheet(proofreading.viewer))
        self.words = note(_HINT, lines=2, role="")
        self.reset_button = button(
            "Usual keys", self.reset, "Give every action its usual key again"
        )
        self.close_button = button("Close", self.close, f"Close ({HELP_KEY} or Esc)")
        self._lay_out()
        self._keys.changed.connect(self._label)
        self._label()

    def choose(self, action: str) -> None:
        """Wait for the new key of an action."""
        self._waiting = action
        self._label()
        title = BY_ID[action].title.partition(":")[0]
        self._say(f"Press the new key of “{title}”; Esc leaves it as it is.")
        self.setFocus()

    def reset(self) -> None:
        """Give all actions their usual keys again."""
        self._waiting = ""
        try:
            self._keys.reset()
        except InputError as error:
            self._say(str(error), is_refusal=True)
        else:
            self._say("All keys are the usual ones.")
        self._label()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        key = key_pressed(event) if event is not None else ""
        if not key:
            return
        if not self._waiting:
            if key in (HELP_KEY, "Escape", self._keys.key_of("cheat_sheet")):
                self.close()
            return
        if key == "Escape" and self._waiting != "drop":
            self._say(_HINT)
        else:
            self._change(self._waiting, key)
        self._waiting = ""
        self._label()

    def _change(self, action: str, key: str) -> None:
        try:
            self._keys.set_key(action, key)
        except InputError as error:
            self._say(str(error), is_refusal=True)
        else:
            title = BY_ID[action].title.partition(":")[0]
            self._say(f"{shown(key)} is now “{title}”, also the next time.")

    def _say(self, words: str, *, is_refusal: bool = False) -> None:
        self.words.setText(words)
        set_role(self.words, "warning" if is_refusal else "")

    def _label(self) -> None:
        for action, made in self.buttons.items():
            key = shown(self._keys.key_of(action))
            made.setText(_WAITING if action == self._waiting else key)
        self.reset_button.setEnabled(not self._keys.map.is_usual)

    def _lay_out(self) -> None:
        sides = QHBoxLayout()
        sides.setSpacing(28)
        left, right = QVBoxLayout(), QVBoxLayout()
        for side in (left, right):
            side.setSpacing(2)
        for group in GROUPS:
            side = left if group in _LEFT else right
            side.addWidget(_heading(group))
            side.addLayout(self._grid([a for a in ACTIONS if a.group == group]))
        right.addWidget(_heading(_OWN))
        right.addLayout(_own_grid())
        for side in (left, right):
            side.addStretch()
            sides.addLayout(side)
        foot = QHBoxLayout()
        foot.addWidget(self.words, 1)
        foot.addWidget(self.reset_button)
        foot.addWidget(self.close_button)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(16, 10, 16, 12)
        rows.addLayout(sides)
        rows.addSpacing(6)
        rows.addLayout(foot)

    def _grid(self, actions: list[Action]) -> QGridLayout:
        grid = _empty_grid()
        for place, action in enumerate(actions):
            made = button(
                "", partial(self.choose, action.id), "Click, then press the key that it shall have"
            )
            made.setFixedWidth(KEY_WIDTH)
            made.setAutoDefault(False)
            made.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
            made.setAccessibleName(f"Key of: {action.title}")
            self.buttons[action.id] = made
            grid.addWidget(made, place, 0)
            grid.addWidget(QLabel(action.title), place, 1)
        return grid


def _own_grid() -> QGridLayout:
    grid = _empty_grid()
    for place, (key, title) in enumerate(OWN_KEYS):
        label = QLabel(key)
        label.setFixedWidth(KEY_WIDTH)
        label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        label.setProperty("role", "quiet")
        grid.addWidget(label, place, 0)
        grid.addWidget(QLabel(title), place, 1)
    return grid


def _empty_grid() -> QGridLayout:
    grid = QGridLayout()
    grid.setVerticalSpacing(3)
    grid.setHorizontalSpacing(10)
    grid.setColumnStretch(1, 1)
    return grid


def _heading(words: str) -> QLabel:
    made = QLabel(words)
    made.setProperty("role", "heading")
    made.setContentsMargins(0, 8, 0, 0)
    made.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
    return made


def open_cheat_sheet(proofreading: Proofreading) -> CheatSheet:
    """Show the keys; if they are shown already, close them."""
    window = proofreading.viewer.window._qt_window
    sheet = window.findChild(CheatSheet) or CheatSheet(proofreading, window)
    if sheet.isVisible():
        sheet.close()
    else:
        sheet.show()
        sheet.raise_()
    return sheet
