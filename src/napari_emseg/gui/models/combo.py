"""A combo box of models that follows the library."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QComboBox

from napari_emseg.gui.context import Context
from napari_emseg.gui.models.known import known_models_of

if TYPE_CHECKING:
    from napari_emseg.networks.info import ModelInfo


def _any(_info: ModelInfo) -> bool:
    return True


class ModelCombo(QComboBox):
    """Lists the usable models by title; the data of an entry is the name of the model.

    What was chosen stays chosen when models come and go. If it is no longer there, its
    entry says so: another model is never taken silently.

    Parameters
    ----------
    context : Context
    name : str
        What screen readers call it.
    first : (words, data), optional
        An entry before the models, such as "none".
    accepts : callable, optional
        Which models are offered.
    """

    def __init__(
        self,
        context: Context,
        *,
        name: str = "model",
        first: tuple[str, str] | None = None,
        accepts: Callable[[ModelInfo], bool] = _any,
    ) -> None:
        super().__init__()
        self._known = known_models_of(context)
        self._first, self._accepts = first, accepts
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setAccessibleName(name)
        self._fill()
        self._known.changed.connect(self._on_known_changed)

    @property
    def info(self) -> ModelInfo | None:
        """What is known of the chosen model; None where none is chosen, or it cannot be used."""
        name = self.currentData() or ""
        info = self._known.find(name) or _read(name)
        return None if info is None or info.problem or not self._accepts(info) else info

    def show_model(self, name: str) -> None:
        """Choose a model, without a signal; one that is not there is shown as missing."""
        usable = self._known.usable
        if name == "default" and usable:
            name = usable[0].name
        with QSignalBlocker(self):
            if self.findData(name) < 0:
                self._fill()
                self._add_other(name)
            self.setCurrentIndex(self.findData(name))

    def _on_known_changed(self) -> None:
        chosen = self.currentData()
        with QSignalBlocker(self):
            self._fill()
        if chosen is not None:
            self.show_model(chosen)

    def _fill(self) -> None:
        self.clear()
        if self._first is not None:
            self.addItem(*self._first)
        for info in filter(self._accepts, self._known.usable):
            self.addItem(self._known.label(info), info.name)
        if not self.count():
            self.addItem("no model found", "default")

    def _add_other(self, name: str) -> None:
        """Add a model that is not offered: a file, one that does not fit, or one that is gone."""
        info = self._known.find(name) or _read(name)
        if info is None:
            words = f"{name} (not found)"
        else:
            fits = not info.problem and self._accepts(info)
            words = self._known.label(info) + ("" if fits else " (cannot be used)")
        if name:
            self.addItem(words, name)


def _read(path: str) -> ModelInfo | None:
    """Read a model that was given as a file."""
    from napari_emseg.errors import InputError
    from napari_emseg.networks.library import read_model

    try:
        return read_model(path) if os.path.isfile(path) else None
    except InputError:
        return None
