"""Further models, how they are combined, and along which axes: what few people change."""

from __future__ import annotations

import os
from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QCheckBox, QFileDialog, QMenu, QPushButton, QSizePolicy, QWidget

from napari_emseg.errors import InputError
from napari_emseg.gui.context import Context
from napari_emseg.gui.forms import make_choice
from napari_emseg.gui.frame import column, row
from napari_emseg.gui.models.known import known_models_of
from napari_emseg.steps.fields import describe_fields
from napari_emseg.steps.predict import PredictParams

_COMBINE = {"mean": "by their mean", "max": "by the surer", "learned": "as learned…"}
_AXES_TIP = "Average what a 2D model sees along z, y and x: better, 3 times slower"


class ModelOptions(QWidget):
    """Edits `others`, `combine`, `stacker` and `axes` of the session's prediction."""

    changed = Signal()

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._known = known_models_of(context)
        fields = {field.name: field for field in describe_fields(PredictParams)}
        self.others = QPushButton()
        self.others.setAccessibleName(fields["others"].title)
        self.others.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.menu = _CheckMenu(self.others)
        self.others.setMenu(self.menu)
        self.menu.aboutToShow.connect(self._show_menu)
        self.combine = make_choice(fields["combine"], _COMBINE)
        self.axes = QCheckBox("All three axes")
        rows = column(self)
        rows.addLayout(row("Also", self.others, self.combine))
        rows.addLayout(row("", self.axes))
        self.combine.activated.connect(self._on_combine_activated)
        self.axes.toggled.connect(self._on_axes_toggled)
        self.show_params()

    def show_params(self) -> None:
        """Show what the session says."""
        params = self._context.session.predict
        n_others = len(params.models) - 1
        words = {0: "no other model", 1: "1 other model"}.get(n_others, f"{n_others} other models")
        self.others.setText(words)
        titles = [self._title(name) for name in params.models[1:]]
        self.others.setToolTip(
            "\n".join(titles) or "Models whose maps are combined with this one's"
        )
        with QSignalBlocker(self.combine), QSignalBlocker(self.axes):
            self.combine.setCurrentIndex(max(0, self.combine.findData(params.combine)))
            self.axes.setChecked(params.axes == "zyx")
        self.combine.setEnabled(n_others > 0)
        self.refresh_axes()

    def without(self, model: str) -> dict[str, Any]:
        """Return `others`, `combine` and `stacker` for `model` as the first one."""
        params = self._context.session.predict
        others = tuple(name for name in params.others if name != model)
        if model == params.model:  # a stacker belongs to the models it was fitted to
            return {"others": others, "combine": params.combine, "stacker": params.stacker}
        return {"others": others, "combine": self._plain_combine(), "stacker": ""}

    def refresh_axes(self) -> None:
        """Offer all three axes only where that makes sense; say why not otherwise."""
        because = self._why_no_axes()
        self.axes.setEnabled(not because or self.axes.isChecked())
        self.axes.setToolTip(because or _AXES_TIP)

    def _why_no_axes(self) -> str:
        from napari_emseg.inference.isotropy import check_flat, check_isotropic

        raw = self._context.session.raw
        if raw is None:
            return "For isotropic voxels: open a stack first"
        try:
            check_isotropic(raw.voxel_size_nm)
            for info in self._known.usable:
                if info.name in self._context.session.predict.models:
                    check_flat(info)
        except InputError as error:
            return str(error)
        return ""

    def _show_menu(self) -> None:
        params = self._context.session.predict
        self.menu.clear()
        for info in self._known.usable:
            if info.name == params.model:
                continue
            action: Any = self.menu.addAction(self._known.label(info))
            action.setCheckable(True)
            action.setChecked(info.name in params.others)
            action.setData(info.name)
            action.toggled.connect(self._on_model_toggled)
        if self.menu.isEmpty():
            action = self.menu.addAction("no other model is installed")
            action.setEnabled(False)

    def _on_model_toggled(self, _on: bool) -> None:
        chosen = tuple(a.data() for a in self.menu.actions() if a.isChecked())
        # A stacker belongs to the models it was fitted to.
        self._change(others=chosen, combine=self._plain_combine(), stacker="")

    def _plain_combine(self) -> str:
        combine = self._context.session.predict.combine
        return "mean" if combine == "learned" else combine

    def _on_combine_activated(self, _index: int) -> None:
        chosen = self.combine.currentData()
        if chosen != "learned":
            self._change(combine=chosen, stacker="")
            return
        path, _ = QFileDialog.getOpenFileName(
            self, "Stacker that 'emseg stack' wrote", "", "Stackers (*.safetensors)"
        )
        if not path:
            self.show_params()
            return
        try:
            self.use_stacker(path)
        except InputError as error:
            self._context.refuse(error)
            self.show_params()

    def use_stacker(self, path: str) -> None:
        """Combine the models as a stacker weighs them.

        Raises
        ------
        InputError
            If it is none.
        """
        from napari_emseg.inference.stacker import load_stacker

        load_stacker(path)
        self._change(combine="learned", stacker=os.fspath(path))

    def _on_axes_toggled(self, is_on: bool) -> None:
        self._change(axes="zyx" if is_on else "z")

    def _change(self, **changes: Any) -> None:
        self._context.session.change("predict", **changes)
        self.show_params()
        self.changed.emit()

    def _title(self, name: str) -> str:
        info = self._known.find(name)
        return name if info is None else self._known.label(info)


class _CheckMenu(QMenu):
    """A menu that stays open while boxes are ticked."""

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        action = self.activeAction()
        if action is not None and action.isEnabled() and action.isCheckable():
            action.toggle()
        else:
            super().mouseReleaseEvent(event)
