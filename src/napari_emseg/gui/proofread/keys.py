"""The keys of proofreading: bound while it lasts, rebound as the user likes.

napari's own keys keep their meaning; only where no polygon is being drawn are Enter and
Esc taken from it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from app_model.types import KeyCode
from napari._app_model import get_app_model
from qtpy.QtCore import QEvent, QObject, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import QAbstractSpinBox, QApplication, QLineEdit, QPushButton, QWidget

from napari_emseg.errors import InputError
from napari_emseg.gui.frame import button
from napari_emseg.gui.proofread.actions import ACTIONS, BY_ID, HELP_KEY, Action
from napari_emseg.gui.proofread.keymap import Keymap, normal, shown

if TYPE_CHECKING:
    from napari_emseg.gui.proofread.proofreading import Proofreading

__all__ = [
    "ACTIONS",
    "HELP_KEY",
    "Action",
    "Keys",
    "bind",
    "key_button",
    "key_pressed",
    "keys_of",
    "napari_keys",
    "release",
    "tell_key",
]

_SHARED = ("Enter", "Escape")  # napari's while it draws a polygon
_MODIFIERS = (
    ("Ctrl", Qt.KeyboardModifier.ControlModifier),
    ("Alt", Qt.KeyboardModifier.AltModifier),
    ("Shift", Qt.KeyboardModifier.ShiftModifier),
    ("Meta", Qt.KeyboardModifier.MetaModifier),
)


class Keys(QObject):
    """The keys of one proofreading: bound while it lasts, and changed as the user likes.

    The signal `changed` tells that keys are others now.

    Parameters
    ----------
    proofreading : Proofreading
    """

    changed = Signal()

    def __init__(self, proofreading: Proofreading) -> None:
        super().__init__()
        self.setParent(proofreading)
        self._proofreading = proofreading
        self.map = Keymap(ACTIONS)
        self._bound: list[tuple[weakref.ref[Any], str, Callable[[Any], None]]] = []
        self._listener: OddKeys | None = None

    def key_of(self, action: str) -> str:
        """Return the key of an action, "" for what has none."""
        return self.map.key_of(action)

    def set_key(self, action: str, key: str) -> None:
        """Give an action another key.

        Raises
        ------
        InputError
            If it does something else already, here or in napari.
        """
        self.map.set_key(action, key, napari_keys(self._proofreading))
        self._renew()

    def reset(self) -> None:
        """Give all actions their usual keys again."""
        self.map.reset()
        self._renew()

    def bind(self) -> None:
        """Bind all keys to the layer, and to the viewer for when another layer is active."""
        self.release()
        layer, viewer = self._proofreading.layer, self._proofreading.viewer
        for action in ACTIONS:
            key = self.key_of(action.id)
            if _is_odd(key):
                continue
            if layer is not None:
                self._bind_to(layer, key, action.id)
            if key not in _SHARED and not any(str(held) == key for held in viewer.keymap):
                self._bind_to(viewer, key, action.id)
        self._listener = OddKeys(canvas_of(self._proofreading), self)

    def release(self) -> None:
        """Give the keys back."""
        for reference, key, function in self._bound:
            provider = reference()
            held = {str(k): f for k, f in provider.keymap.items()} if provider is not None else {}
            if held.get(key) is function and provider is not None:
                provider.bind_key(key, None)
        self._bound.clear()
        if self._listener is not None:
            self._listener.end()
            self._listener = None

    def run(self, action: str) -> None:
        """Do what an action does, while something is being proofread."""
        if self._proofreading.editor is not None:
            BY_ID[action].run(self._proofreading)

    def press(self, key: str) -> bool:
        """Do what a key does; return whether it does anything."""
        action = self.map.action_of(key)
        if action and self._proofreading.editor is not None:
            self.run(action)
            return True
        return False

    def _bind_to(self, provider: Any, key: str, action: str) -> None:
        def function(pressed_on: Any) -> None:  # napari asks functions for their names
            self._on_key(key, action, pressed_on)

        provider.bind_key(key, function, overwrite=True)
        self._bound.append((weakref.ref(provider), key, function))

    def _on_key(self, key: str, action: str, provider: Any) -> None:
        if key in _SHARED and str(getattr(provider, "mode", "")) == "polygon":
            naparis = {str(k): f for k, f in type(provider).class_keymap.items()}.get(key)
            if naparis is not None:
                naparis(provider)
            return
        self.run(action)

    def _renew(self) -> None:
        if self._bound:
            self.bind()
        self.changed.emit()


def keys_of(proofreading: Proofreading) -> Keys:
    """Return the keys of a proofreading, made when first asked for."""
    found = proofreading.findChild(Keys)
    return found if found is not None else Keys(proofreading)


def bind(proofreading: Proofreading) -> None:
    """Bind all keys while something is proofread."""
    keys_of(proofreading).bind()


def release(proofreading: Proofreading) -> None:
    """Give the keys back."""
    keys_of(proofreading).release()


def napari_keys(proofreading: Proofreading) -> dict[str, str]:
    """Return the keys that do something in napari on a labels layer, and what.

    Parameters
    ----------
    proofreading : Proofreading

    Returns
    -------
    dict
        As in ``{"P": "activate labels paint mode"}``.
    """
    from napari.layers import Labels

    found: dict[str, str] = {}
    layer, viewer = proofreading.layer, proofreading.viewer
    for kind in (type(viewer), Labels if layer is None else type(layer)):
        for part in kind.__mro__:
            for key, function in getattr(part, "class_keymap", {}).items():
                found[str(key)] = getattr(function, "__name__", "").replace("_", " ")
    app = get_app_model()
    for rule in app.keybindings:  # of the menus
        found[str(rule.keybinding)] = app.commands[rule.command_id].title
    return found


def canvas_of(proofreading: Proofreading) -> QWidget:
    """Return the widget that napari draws in, and whose keys it listens to."""
    canvas: QWidget = proofreading.viewer.window._qt_viewer.canvas.native
    return canvas


class OddKeys(QObject):
    """Listens on the canvas for signs that lie elsewhere on each keyboard, as "?" does.

    napari cannot tell them apart.

    Parameters
    ----------
    canvas : QWidget
    keys : Keys
    """

    def __init__(self, canvas: QWidget, keys: Keys) -> None:
        super().__init__()
        self._canvas, self._keys = canvas, keys
        canvas.installEventFilter(self)

    def end(self) -> None:
        """Listen no more."""
        with suppress(RuntimeError):  # the canvas may be gone
            self._canvas.removeEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is None or event.type() != QEvent.Type.KeyPress:
            return False
        key = key_pressed(event) if isinstance(event, QKeyEvent) else ""
        return bool(key) and _is_odd(key) and self._keys.press(key)


class KeyListener(QObject):
    """Lets the keys work while a panel, and not the canvas, has the focus.

    Parameters
    ----------
    widget : QWidget
        What it and its children do not use themselves is listened to.
    keys : Keys
    """

    def __init__(self, widget: QWidget, proofreading: Proofreading) -> None:
        super().__init__(widget)
        self._proofreading = proofreading
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.KeyPress:
            return False
        if isinstance(QApplication.focusWidget(), QLineEdit | QAbstractSpinBox):
            return False
        key = key_pressed(event)
        if not key or self._proofreading.editor is None:
            return False
        if key == "Ctrl+Z":
            self._proofreading.undo()
        elif key == "Ctrl+Shift+Z":
            self._proofreading.redo()
        elif not keys_of(self._proofreading).press(key):  # napari's, which listens on the canvas
            copy = QKeyEvent(event.type(), event.key(), event.modifiers(), event.text())
            QApplication.sendEvent(canvas_of(self._proofreading), copy)
        return True


def key_pressed(event: QKeyEvent) -> str:
    """Return the key of an event as in "Shift+S"; "" for a modifier alone."""
    if event.key() in (Qt.Key.Key_Shift, Qt.Key.Key_Control, Qt.Key.Key_Alt, Qt.Key.Key_Meta):
        return ""
    sign = event.text()
    if len(sign) == 1 and sign.isprintable() and not sign.isalnum() and sign != " ":
        return sign
    held = [word for word, flag in _MODIFIERS if event.modifiers() & flag]
    try:
        return normal("+".join([*held, QKeySequence(event.key()).toString()]))
    except InputError:
        return ""


def key_button(
    proofreading: Proofreading, action: str, text: str, tip: str, *, role: str = ""
) -> QPushButton:
    """Make a button that does what an action does and always says its key."""
    keys = keys_of(proofreading)
    made = button(text, partial(keys.run, action), tip, role=role)

    def label() -> None:
        made.setText(f"{text} ({shown(keys.key_of(action))})")

    keys.changed.connect(label)
    label()
    return made


def tell_key(proofreading: Proofreading, widget: QWidget, action: str, tip: str) -> None:
    """Let the tooltip of a widget say what it does, and by which key."""
    keys = keys_of(proofreading)

    def label() -> None:
        key = shown(keys.key_of(action))
        widget.setToolTip(f"{tip} (key {key})" if key else tip)

    keys.changed.connect(label)
    label()


def _is_odd(key: str) -> bool:
    """Whether napari cannot tell a key from others, as "?"."""
    return KeyCode.from_string(key.split("+")[-1]) == KeyCode.UNKNOWN
