"""What somebody wants a model to learn, from which layers, and how: shared by the docks."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_emseg.errors import InputError
from napari_emseg.gui.context import Context
from napari_emseg.gui.models.known import known_models_of
from napari_emseg.gui.painting.layer import add_painting, dress, is_painting
from napari_emseg.gui.train.data import TrainData, guess_kind
from napari_emseg.gui.train.material import Material
from napari_emseg.steps.params import parse_params
from napari_emseg.steps.train import DEFAULT, TrainChoice
from napari_emseg.training.pairs import LabelsKind

if TYPE_CHECKING:
    from napari.layers import Labels, Layer
    from napari.viewer import Viewer

CHOSEN = "chosen"
"""To start from the model chosen in Boundaries."""


class TrainWishes(QObject):
    """The labels layer, what it is, further data, and how to train.

    Signals: `changed` after any change; `layer_changed` with "labels".
    """

    changed = Signal()
    layer_changed = Signal(str)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._context = context
        self._labels: weakref.ref[Layer] | None = None
        self.kind: LabelsKind = "painted"
        self.sections, self.held_out = "", ""
        self.others: tuple[TrainData, ...] = ()
        self.start_from = CHOSEN
        self.choice = TrainChoice()  # but for what it starts from
        events = context.viewer.layers.events
        events.inserted.connect(self._on_inserted)
        events.removed.connect(self._on_removed)
        context.layer_changed.connect(self._on_raw_changed)
        self._take_painting(reversed(context.viewer.layers))

    @property
    def viewer(self) -> Viewer:
        """Whose layers can be chosen."""
        return self._context.viewer

    def layer(self, role: str) -> Layer | None:
        """Return the layer of labels, if one is chosen."""
        return self._labels() if self._labels is not None else None

    def set_layer(self, role: str, layer: Layer | None) -> None:
        """Choose the layer of labels; what it is, is guessed."""
        if layer is self.layer(role):
            return
        self._labels = None if layer is None else weakref.ref(layer)
        self.sections = self.held_out = ""
        if layer is not None:
            self.kind = guess_kind(layer)
        self.layer_changed.emit("labels")
        self.changed.emit()

    def change(self, **changes: Any) -> None:
        """Change `kind`, `sections`, `held_out`, `others` or `start_from`."""
        before = {name: getattr(self, name) for name in changes}
        for name, value in changes.items():
            setattr(self, name, value)
        if before != changes:
            self.changed.emit()

    def choose(self, **changes: Any) -> None:
        """Change how to train.

        Raises
        ------
        InputError
            If a value is out of range.
        """
        made = parse_params(TrainChoice, {**self.choice.model_dump(), **changes})
        if made != self.choice:
            self.choice = made
            self.changed.emit()

    def new_painting(self) -> Labels:
        """Add an empty painting over the raw layer, and choose it.

        Raises
        ------
        InputError
            If there is no raw layer.
        """
        raw = self._context.layer("raw")
        if raw is None:
            raise InputError("There is nothing to paint on yet: open a stack first.")
        layer = add_painting(self.viewer, raw)
        self.set_layer("labels", layer)
        return layer

    def present(self) -> TrainData:
        """Return the raw and the labels layer that are chosen.

        Raises
        ------
        InputError
            If one of them is missing.
        """
        raw, labels = self._context.layer("raw"), self.layer("labels")
        if raw is None:
            raise InputError("There is no stack to learn from yet: open one.")
        if labels is None or labels is raw:
            raise InputError(
                "There is nothing to learn from yet: press New painting, or choose a layer of "
                "labels."
            )
        return TrainData(raw, labels, self.kind, self.sections, self.held_out)

    def all_data(self) -> tuple[TrainData, ...]:
        """Return all data to learn from, those in sight first.

        Raises
        ------
        InputError
            As `present`, unless there are others.
        """
        if self.others and self.layer("labels") is None:
            return self.others
        present = self.present()
        return present, *(one for one in self.others if not one.is_same(present))

    def materials(self) -> list[Material]:
        """Read all that is learned from, without copying voxels.

        Raises
        ------
        InputError
            If a layer is missing or no stack of the right kind.
        """
        return [data.material() for data in self.all_data()]

    def full_choice(self) -> TrainChoice:
        """Return how to train, with the name of the model that it starts from.

        Raises
        ------
        InputError
            If that model is gone.
        """
        start = self.start_from
        if start == CHOSEN:
            start = self._context.session.predict.model
        is_known = start in ("", DEFAULT) or known_models_of(self._context).find(start)
        if not is_known and not Path(start).is_file():
            raise InputError(
                f"There is no model '{start}' any more: choose another one under Start from."
            )
        return self.choice.model_copy(update={"start_from": start})

    def _on_inserted(self, event: Any) -> None:
        self._take_painting([event.value])

    def _take_painting(self, layers: Any) -> None:
        for layer in layers:
            if is_painting(layer):
                dress(layer)
                if self.layer("labels") is None:
                    self.set_layer("labels", layer)

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        if layer is self.layer("labels"):
            self.set_layer("labels", None)
            self._take_painting(reversed(self.viewer.layers))
        kept = tuple(one for one in self.others if layer not in (one.raw, one.labels))
        self.change(others=kept)

    def _on_raw_changed(self, role: str) -> None:
        if role == "raw":
            self.changed.emit()


def wishes_of(context: Context) -> TrainWishes:
    """Return the wishes of a context, made when first asked for."""
    found = context.findChild(TrainWishes)
    return found if found is not None else TrainWishes(context)
