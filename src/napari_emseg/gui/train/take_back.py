"""Offers paint that a crash has left, or that was deleted: a sentence and two buttons."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

from napari_emseg.gui.context import Context
from napari_emseg.gui.frame import button, column, note, row
from napari_emseg.gui.train.paint_offers import painting_offers_of


class TakeBack(QWidget):
    """Shows the first offer; there is nothing to see while there is none."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._offers = painting_offers_of(context)
        self.words = note(role="warning", lines=2)
        self.take_button = button(
            "Take it back", self.take_back, "Put this paint into a layer, and go on with it"
        )
        self.throw_button = button(
            "Throw away", self.throw_away, "It can be taken back for ten minutes"
        )
        rows = column(self)
        rows.addWidget(self.words)
        buttons = row("", self.take_button, self.throw_button)
        buttons.setStretch(1, 1)
        rows.addLayout(buttons)
        self._offers.changed.connect(self._show)
        self._show()

    @property
    def is_due(self) -> bool:
        """Whether there is paint that was not saved, and nobody has said what becomes of it."""
        return any(offer.deleted is None for offer in self._offers.present)

    def take_back(self) -> None:
        """Put the paint that is offered into a layer."""
        if self._offers.present:
            self._offers.take_back(self._offers.present[0])

    def throw_away(self) -> None:
        """Remove the paint that is offered."""
        if self._offers.present:
            self._offers.throw_away(self._offers.present[0])

    def _show(self) -> None:
        offers = self._offers.present
        self.setVisible(bool(offers))
        if not offers:
            return
        self.words.setText(offers[0].describe())
        is_deleted = offers[0].deleted is not None
        self.throw_button.setText("Forget it" if is_deleted else "Throw away")
        self.throw_button.setToolTip(
            "Remove it for good" if is_deleted else "It can be taken back for ten minutes"
        )
