"""What all step widgets share."""

from __future__ import annotations

from qtpy.QtWidgets import QPushButton, QWidget

from napari_emseg.errors import InputError
from napari_emseg.gui.context import Context
from napari_emseg.gui.frame import column
from napari_emseg.gui.layer_combo import LayerCombo


class StepWidget(QWidget):
    """The content of one step: a column of rows over a shared context."""

    title = ""
    name = ""
    main_button: QPushButton | None = None

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        self.viewer = context.viewer
        self.combos: list[LayerCombo] = []
        self.rows = column(self)

    def combo(self, role: str, tooltip: str) -> LayerCombo:
        """Make a combo box for the layer of `role`."""
        made = LayerCombo(self.context, role)
        made.setStatusTip(tooltip)
        self.combos.append(made)
        return made

    def detach(self) -> None:
        """Stop listening to the viewer."""
        for combo in self.combos:
            combo.detach()

    def try_to(self, action: object, *args: object) -> None:
        """Call `action`; what the user did wrong is said in one sentence."""
        try:
            action(*args)  # type: ignore[operator]
        except InputError as error:
            self.context.refuse(error)
