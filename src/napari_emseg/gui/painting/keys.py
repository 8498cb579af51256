"""The keys of the tools to paint with: of one viewer, however many docks show the tools."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from qtpy.QtCore import QObject

from napari_emseg.gui.context import Context

Take = Callable[[str], None]


class PaintKeys(QObject):
    """Binds keys while tools can be seen; those shown last are meant.

    What the keys did before is given back when the last tools are hidden.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._viewer = context.viewer
        self._before: dict[str, Any] = {}
        self._holders: list[tuple[object, Take]] = []

    def hold(self, holder: object, keys: Iterable[tuple[str, str]], take: Take) -> None:
        """Let keys call `take` with the name of a tool.

        Parameters
        ----------
        holder : object
            Whose tools are seen now.
        keys : iterable of (key, name)
        take : callable
        """
        if not self._holders:
            self._before = {
                key: self._viewer.bind_key(key, self._taker(name), overwrite=True)
                for key, name in keys
            }
        self._holders = [*self._without(holder), (holder, take)]

    def release(self, holder: object) -> None:
        """Tell that the tools of a holder are hidden."""
        was_held, self._holders = bool(self._holders), self._without(holder)
        if was_held and not self._holders:
            for key, before in self._before.items():
                self._viewer.bind_key(key, before, overwrite=True)

    def _without(self, holder: object) -> list[tuple[object, Take]]:
        return [one for one in self._holders if one[0] is not holder]

    def _taker(self, name: str) -> Callable[[Any], None]:
        def take(_viewer: Any) -> None:
            self._holders[-1][1](name)

        return take


def paint_keys_of(context: Context) -> PaintKeys:
    """Return the one owner of the keys of a context, made when first asked for."""
    found = context.findChild(PaintKeys)
    return found if found is not None else PaintKeys(context)
