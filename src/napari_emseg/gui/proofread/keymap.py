"""Which key does what: the usual keys, those a user chose instead, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write
from napari_emseg.networks.lab_folders import config_folder

_FILE_NAME = "proofread_keys.json"
_SHORT = {"Escape": "Esc", "Control": "Ctrl"}
_LONG = {short: long for long, short in _SHORT.items()} | {"Return": "Enter", "Ctrl": "Ctrl"}
_MODIFIERS = ("Ctrl", "Alt", "Shift", "Meta")


@dataclass(frozen=True)
class Named:
    """Something that has a key: its name for the program, on the screen, and the usual key."""

    id: str
    title: str
    key: str


class Keymap:
    """Keys of actions, the user's own before the usual ones; kept in one small file.

    Parameters
    ----------
    actions : sequence of Named
    path : Path, optional
        The file; by default one in the folder of the settings.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> actions = (Named("merge", "Merge", "A"), Named("split", "Split", "S"))
    >>> keymap = Keymap(actions, Path(mkdtemp()) / "keys.json")
    >>> keymap.set_key("merge", "shift+q")
    >>> keymap.key_of("merge"), keymap.key_of("split"), keymap.key_of("other")
    ('Shift+Q', 'S', '')
    """

    def __init__(self, actions: tuple[Named, ...], path: Path | None = None) -> None:
        self._actions = {action.id: action for action in actions}
        self._path = path
        self._own = self._read()

    @property
    def path(self) -> Path:
        """Where the user's own keys are kept."""
        return self._path if self._path is not None else config_folder() / _FILE_NAME

    @property
    def is_usual(self) -> bool:
        """Whether the user has chosen no key."""
        return not self._own

    def key_of(self, action: str) -> str:
        """Return the key of an action, "" for what has none."""
        if action not in self._actions:
            return ""
        return self._own.get(action, self._actions[action].key)

    def action_of(self, key: str) -> str:
        """Return the action of a key, "" for a key that has none."""
        wanted = normal(key)
        return next((a for a in self._actions if self.key_of(a) == wanted), "")

    def set_key(self, action: str, key: str, taken: Mapping[str, str] | None = None) -> None:
        """Give an action another key.

        Parameters
        ----------
        action : str
        key : str
            As in "Shift+S".
        taken : mapping, optional
            Keys that do something else already, and what.

        Raises
        ------
        InputError
            If the key is no key or does something else, or it cannot be remembered.
        """
        wanted = normal(key)
        if wanted == self.key_of(action):
            return
        other = self.action_of(wanted)
        if other:
            raise InputError(
                f"{shown(wanted)} is the key of “{self._actions[other].title}” already: "
                "choose another one, or change that first."
            )
        if wanted in (taken or {}):
            raise InputError(
                f"{shown(wanted)} belongs to napari ({(taken or {})[wanted]}): choose another one."
            )
        self._keep({**self._own, action: wanted})

    def reset(self) -> None:
        """Give all actions their usual keys again.

        Raises
        ------
        InputError
            If that cannot be remembered.
        """
        self._keep({})

    def _keep(self, own: Mapping[str, str]) -> None:
        kept = {a: k for a, k in own.items() if k != self._actions[a].key}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"The folder {self.path.parent} cannot be made: {error.strerror}."
            ) from None
        with atomic_write(self.path) as temporary:
            temporary.write_text(json.dumps({"keys": kept}, indent=2), encoding="utf-8")
        self._own = kept

    def _read(self) -> dict[str, str]:
        """Read the file, leaving out what it says of unknown actions and of no keys."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))["keys"]
            own = {a: normal(k) for a, k in found.items() if a in self._actions}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError):
            return {}
        keys = [own.get(a, self._actions[a].key) for a in self._actions]
        return own if len(set(keys)) == len(keys) else {}


def normal(key: str) -> str:
    """Write a key in one way, whoever wrote it.

    Parameters
    ----------
    key : str
        As in "Shift+S", in any case, with or without blanks.

    Raises
    ------
    InputError
        If there is only a modifier, or none that is known.

    Examples
    --------
    >>> normal("shift + s"), normal("Esc"), normal("return"), normal("control+Z")
    ('Shift+S', 'Escape', 'Enter', 'Ctrl+Z')
    """
    *modifiers, last = [part.strip() for part in str(key).split("+")]
    named = {word.casefold(): word for word in _MODIFIERS} | {"control": "Ctrl"}
    try:
        held = {named[word.casefold()] for word in modifiers}
    except KeyError as error:
        raise InputError(f"“{key}” is not a key: press one key, with Shift if need be.") from error
    last = last.capitalize() if len(last) > 1 else last.upper()
    last = _LONG.get(last, last)
    if not (len(last) == 1 or last.isalnum()) or last in named.values():
        raise InputError(f"“{key}” is not a key: press one key, with Shift if need be.")
    return "+".join([*(word for word in _MODIFIERS if word in held), last])


def shown(key: str) -> str:
    """Write a key as it stands on the keyboard.

    Examples
    --------
    >>> shown("Escape"), shown("Shift+S")
    ('Esc', 'Shift+S')
    """
    return "+".join(_SHORT.get(part, part) for part in key.split("+"))
