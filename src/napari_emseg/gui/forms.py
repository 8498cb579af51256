"""Widgets bound to the parameters of a step, made from the parameter's description."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QSpinBox,
    QWidget,
)
from superqt import QDoubleSlider

from napari_emseg.gui.frame import LABEL_WIDTH
from napari_emseg.steps.fields import FieldDescription

EQUIVALENT_WIDTH = 80


class NumberRow(QWidget):
    """A number: label, slider, box with the unit, and the same in nm.

    The slider covers the useful range, the box every allowed value.
    """

    changed = Signal(object)
    released = Signal()

    def __init__(
        self,
        field: FieldDescription,
        *,
        slider_maximum: float,
        equivalent: Callable[[float], str] | None = None,
    ) -> None:
        super().__init__()
        self._is_whole = field.type == "int"
        self._equivalent = equivalent
        self.setToolTip(field.description)
        step = field.step or (1 if self._is_whole else 0.01)
        self.slider = QDoubleSlider(Qt.Orientation.Horizontal)  # type: ignore[no-untyped-call]
        self.slider.setAccessibleName(field.title)
        self.slider.setRange(field.minimum or 0, slider_maximum)
        self.slider.setSingleStep(step)
        self.slider.setPageStep(10 * step)
        self.slider.setMinimumWidth(60)
        self.box = self._make_box(field, step)
        self.side = QLabel()
        self.side.setProperty("role", "quiet")
        self.side.setFixedWidth(EQUIVALENT_WIDTH)
        self._step = step
        self.label = QLabel(field.title)
        self.label.setFixedWidth(LABEL_WIDTH)
        self.label.setBuddy(self.box)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.label)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.box)
        layout.addWidget(self.side)
        self.set_value(field.default)
        self.slider.valueChanged.connect(self._on_slider_moved)
        self.slider.sliderReleased.connect(self.released)
        self.box.valueChanged.connect(self._on_box_changed)

    @property
    def value(self) -> Any:
        """The number shown."""
        return self.box.value()

    def set_value(self, value: float) -> None:
        """Show `value` without announcing it."""
        with QSignalBlocker(self.box), QSignalBlocker(self.slider):
            self.box.setValue(int(value) if self._is_whole else value)
            self.slider.setValue(min(value, self.slider.maximum()))
        self.refresh_equivalent()

    def set_label(self, words: str) -> None:
        """Show `words` before the slider where the field's title is too long for it."""
        self.label.setText(words)

    def refresh_equivalent(self) -> None:
        """Write the equivalent anew, as after a change of the voxel size."""
        self.side.setText(self._equivalent(self.value) if self._equivalent else "")

    def _make_box(self, field: FieldDescription, step: float) -> Any:
        box: Any = QSpinBox() if self._is_whole else QDoubleSpinBox()
        if not self._is_whole:
            box.setDecimals(3 if step < 0.01 else 2 if step < 0.1 else 1)
        kind = int if self._is_whole else float
        box.setRange(kind(field.minimum or 0), kind(min(field.maximum or 1e9, 2**31 - 1)))
        box.setSingleStep(kind(step))
        box.setSuffix(f" {field.unit}" if field.unit in ("px",) else "")
        box.setKeyboardTracking(False)
        box.setButtonSymbols(box.ButtonSymbols.NoButtons)
        box.setProperty("role", "number")  # its width is in the style sheet
        box.setAccessibleName(field.title)
        box.setToolTip(field.description)
        return box

    def _on_slider_moved(self, value: float) -> None:
        stepped = round(value / self._step) * self._step
        with QSignalBlocker(self.box):
            before = self.box.value()
            self.box.setValue(int(stepped) if self._is_whole else stepped)
        if self.box.value() != before:
            self._announce()

    def _on_box_changed(self, value: float) -> None:
        with QSignalBlocker(self.slider):
            self.slider.setValue(min(value, self.slider.maximum()))
        self._announce()
        self.released.emit()

    def _announce(self) -> None:
        self.refresh_equivalent()
        self.changed.emit(self.value)


def make_choice(field: FieldDescription, words: dict[str, str] | None = None) -> QComboBox:
    """Make a combo box whose data are the field's choices and whose texts are `words`."""
    box = QComboBox()
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
    for choice in field.choices:
        box.addItem((words or {}).get(choice, choice), choice)
    box.setCurrentIndex(max(0, box.findData(field.default)))
    box.setToolTip(field.description)
    box.setAccessibleName(field.title)
    return box


def make_check(field: FieldDescription) -> QCheckBox:
    """Make a check box for a yes/no parameter."""
    box = QCheckBox(field.title)
    box.setChecked(bool(field.default))
    box.setToolTip(field.description)
    return box
