"""How to train: what to start from, for how long, and the model's name; the rest is folded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QWidget

from napari_emseg.gui.context import Context
from napari_emseg.gui.forms import make_choice
from napari_emseg.gui.frame import button, column, row
from napari_emseg.gui.models.combo import ModelCombo
from napari_emseg.gui.train.wishes import CHOSEN, wishes_of
from napari_emseg.steps.fields import describe_fields
from napari_emseg.steps.train import TrainChoice, params_of, why_not_start_from
from napari_emseg.training.presets import QUICK_MINUTES

if TYPE_CHECKING:
    from napari_emseg.networks.info import ModelInfo

_PRESETS = {"quick": "Quick", "thorough": "Thorough", "paper": "As in the paper"}
_DEVICES = {
    "auto": "fastest there is",
    "cpu": "processor (CPU)",
    "cuda": "NVIDIA GPU",
    "mps": "Apple GPU",
}
_LONGEST_MIN = 10_000.0


class StartCombo(ModelCombo):
    """The models a training can start from, and nothing."""

    def _fill(self) -> None:
        super()._fill()
        if self.findData("") < 0:
            self.addItem("nothing: a new network", "")


class TrainChoices(QWidget):
    """Edits what a model starts from, the preset and its minutes."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context, self._wishes = context, wishes_of(context)
        fields = {field.name: field for field in describe_fields(TrainChoice)}
        self.start = StartCombo(
            context,
            name="start from",
            first=("the model in Boundaries", CHOSEN),
            accepts=can_start_from,
        )
        self.start.setToolTip(
            "A model that is roughly right learns a new tissue in minutes; from nothing it takes "
            "longer and more labels"
        )
        self.preset = make_choice(fields["preset"], _PRESETS)
        self.minutes = _make_minutes()
        rows = column(self)
        self.library_button = button(
            "Models…",
            self.show_library,
            "All models: what they were trained on, their scores and terms",
        )
        rows.addLayout(row("Start from", self.start, self.library_button))
        rows.addLayout(row("How long", self.preset, self.minutes))
        self.advanced = QWidget()
        self.network = _make_network_combo()
        self.device = make_choice(fields["device"], _DEVICES)
        folded = column(self.advanced)
        folded.addLayout(row("Network", self.network))
        folded.addLayout(row("Device", self.device))
        self.start.activated.connect(self._on_start_chosen)
        self.preset.activated.connect(self._on_preset_chosen)
        self.minutes.valueChanged.connect(self._on_edited)
        self.network.activated.connect(self._on_edited)
        self.device.activated.connect(self._on_edited)
        self._wishes.changed.connect(self.show_wishes)
        self.show_wishes()

    def show_wishes(self) -> None:
        """Show what is wished for."""
        choice = self._wishes.choice
        self.start.show_model(self._wishes.start_from)
        edited = (self.preset, self.minutes, self.network, self.device)
        for widget in edited:
            widget.blockSignals(True)
        self.preset.setCurrentIndex(self.preset.findData(choice.preset))
        usual = f"{QUICK_MINUTES:g} min" if choice.preset == "quick" else "as it needs"
        self.minutes.setSpecialValueText(usual)
        self.minutes.setValue(choice.minutes or 0)
        self.network.setCurrentIndex(max(0, self.network.findData(choice.network)))
        self.device.setCurrentIndex(self.device.findData(choice.device))
        for widget in edited:
            widget.blockSignals(False)
        is_new = self._wishes.start_from == ""
        self.network.setEnabled(is_new)
        tip = "Which kind of network" if is_new else "Only where a model starts from nothing"
        self.network.setToolTip(tip)

    def show_library(self) -> None:
        """Open the library of models, to start from one of them."""
        from napari_emseg.gui.models.library import open_model_library

        chosen = self.start.currentData()
        chosen = "" if chosen == CHOSEN else chosen
        open_model_library(
            self._context, use=self._start_from, use_text="Start from it", model=chosen
        )

    def _start_from(self, info: ModelInfo) -> None:
        """Start from a model of the library.

        Raises
        ------
        InputError
            If it cannot be trained on.
        """
        params_of(self._wishes.choice.model_copy(update={"start_from": info.name}))
        self._wishes.change(start_from=info.name)

    def _on_start_chosen(self, _index: int) -> None:
        self._wishes.change(start_from=self.start.currentData())

    def _on_preset_chosen(self, _index: int) -> None:
        self._wishes.choose(preset=self.preset.currentData(), minutes=None)

    def _on_edited(self, *_: Any) -> None:
        self._wishes.choose(
            preset=self.preset.currentData(),
            minutes=self.minutes.value() or None,
            network=self.network.currentData(),
            device=self.device.currentData(),
        )


def can_start_from(info: ModelInfo) -> bool:
    """Whether a training can go on with the weights of a model."""
    return not why_not_start_from(info)


def _make_minutes() -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(0, _LONGEST_MIN)
    box.setDecimals(1)
    box.setSuffix(" min")
    box.setKeyboardTracking(False)
    box.setButtonSymbols(box.ButtonSymbols.NoButtons)
    box.setAccessibleName("minutes")
    box.setToolTip("How many minutes to train; 0: as long as the choice beside it takes")
    return box


def _make_network_combo() -> QComboBox:
    from napari_emseg.networks import NETWORKS

    combo = QComboBox()
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    combo.setAccessibleName("network")
    with QSignalBlocker(combo):
        for name in NETWORKS:
            combo.addItem(name, name)
    return combo
