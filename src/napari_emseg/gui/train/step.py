"""Train a model: paint or choose labels, start, watch, and go on with what came of it."""

from __future__ import annotations

from qtpy.QtWidgets import QComboBox, QLineEdit

from napari_emseg.errors import InputError
from napari_emseg.gui.boundaries.predicting import predicting_of
from napari_emseg.gui.context import Context
from napari_emseg.gui.frame import Fold, button, note, row, set_role
from napari_emseg.gui.layer_combo import LayerCombo
from napari_emseg.gui.models.known import known_models_of
from napari_emseg.gui.painting.tools import PaintTools
from napari_emseg.gui.step_widget import StepWidget
from napari_emseg.gui.train.choices import TrainChoices
from napari_emseg.gui.train.data import KINDS
from napari_emseg.gui.train.job import training_of
from napari_emseg.gui.train.material import make_pairs
from napari_emseg.gui.train.outlook import Outlook, outlook_of
from napari_emseg.gui.train.paint_offers import painting_offers_of
from napari_emseg.gui.train.pairs import TrainPairs
from napari_emseg.gui.train.record import free_title
from napari_emseg.gui.train.take_back import TakeBack
from napari_emseg.gui.train.watch import TrainWatch
from napari_emseg.gui.train.wishes import wishes_of

TEASER = "when no model suits your tissue"


class TrainStep(StepWidget):
    """Teaches a network from a few labelled or painted sections, in the background."""

    title, name = "Train a model", "train"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.wishes, self.training = wishes_of(context), training_of(context)
        self.outlook = outlook_of(context)
        self.take_back = TakeBack(context)
        self.rows.addWidget(self.take_back)
        self._add_data_rows()
        self.choices = TrainChoices(context)
        self.rows.addWidget(self.choices)
        self.model_name = QLineEdit()
        self.model_name.setAccessibleName("name of the model")
        self.model_name.setToolTip("What the new model is called in the list of models")
        self.rows.addLayout(row("Name", self.model_name))
        self.expect = note(lines=3)  # of the smaller font there is now: two later
        self.rows.addWidget(self.expect)
        self._add_buttons()
        self.watch = TrainWatch(context, self.training)
        self.rows.addWidget(self.watch)
        self.predict_button = button(
            "Predict this section with it",
            self.predict_section,
            "See what the new model makes of the section you look at; then paint where it is "
            "wrong, and train on",
        )
        self.rows.addWidget(self.predict_button)
        self.pairs = TrainPairs(context)
        self.rows.addWidget(Fold("Sections, further stacks", self.pairs))
        self.rows.addWidget(Fold("Advanced", self.choices.advanced))
        self._is_named = False  # by hand
        self._is_tried = False  # the new model
        self._said = ""
        self._connect()
        self._show_wishes()
        self._show_training()

    @property
    def words(self) -> str:
        """Where the step stands, for its heading."""
        match self.training.state:
            case "running":
                return f"running: {round(100 * self.training.share)} % done"
            case "pausing" | "finishing":
                return "stopping"
        if self.take_back.is_due:
            return "paint that was not saved: take it back"
        match self.training.state:
            case "paused":
                return "paused: press Resume, or keep it as it is"
            case "finished":
                return f"finished: '{self.training.name}' is in the library"
        return "ready: press Train" if self.outlook.now.is_ready else TEASER

    def new_painting(self) -> None:
        """Add a layer to paint in, and take up the brush."""
        self.try_to(self._new_painting)

    def train(self) -> None:
        """Train, or go on where the training was paused."""
        self.try_to(self._train)

    def pause(self) -> None:
        """Stop for now."""
        self.training.pause()

    def finish(self) -> None:
        """Stop and keep the best model so far."""
        self.training.finish()

    def predict_section(self) -> None:
        """Predict the visible section with the model just trained."""
        self.try_to(self._predict_section)

    def detach(self) -> None:
        super().detach()
        self.tools.detach()

    def _add_data_rows(self) -> None:
        raw = self.combo("raw", "The sections to learn from")
        self.rows.addLayout(row("Sections", raw))
        self.labels = LayerCombo(self.wishes, "labels")
        self.combos.append(self.labels)
        self.paint_button = button(
            "New painting",
            self.new_painting,
            "Add a layer to paint a few membranes and insides of cells in",
        )
        self.rows.addLayout(row("Labels", self.labels, self.paint_button))
        self.kind = QComboBox()
        for kind, words in KINDS.items():
            self.kind.addItem(words, kind)
        self.kind.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.kind.setMinimumContentsLength(8)
        self.kind.setAccessibleName("what the labels are")
        self.kind.setToolTip("What the labels are; guessed from the layer")
        self.rows.addLayout(row("They are", self.kind))
        self.tools = PaintTools(self.context)
        self.rows.addWidget(self.tools)

    def _add_buttons(self) -> None:
        self.train_button = button("Train", self.train, "Teach the model, in the background")
        self.pause_button = button("Pause", self.pause, "Stop for now; Resume goes on from there")
        self.finish_button = button(
            "Stop and keep best", self.finish, "End here; the best model so far is kept"
        )
        self.main_button = self.train_button
        buttons = row("", self.train_button, self.pause_button, self.finish_button)
        for place in range(3):
            buttons.setStretch(place, 1)
        self.rows.addLayout(buttons)

    def _connect(self) -> None:
        self.kind.activated.connect(self._on_kind_chosen)
        self.model_name.textEdited.connect(self._on_name_edited)
        self.wishes.changed.connect(self._show_wishes)
        self.training.changed.connect(self._show_training)
        self.training.reported.connect(self._on_reported)
        self.tools.counted.connect(self.outlook.refresh_soon)
        painting_offers_of(self.context).changed.connect(self._show_next)
        self.outlook.changed.connect(self._show_outlook)
        self.context.session.events.predict.connect(self.outlook.refresh_soon)
        self.context.geometry_changed.connect(self.outlook.refresh_soon)
        known_models_of(self.context).changed.connect(self._propose_name)

    def _new_painting(self) -> None:
        self.wishes.new_painting()
        self.tools.take("Membrane")

    def _train(self) -> None:
        pairs = make_pairs(self.wishes.materials())
        if self.training.state == "paused":
            self.training.resume(pairs)
            return
        self.training.start(pairs, self.wishes.full_choice(), self.model_name.text())

    def _predict_section(self) -> None:
        training = self.training
        if training.state != "finished":
            raise InputError("There is no new model yet: train one first.")
        self.context.session.change("predict", model=training.name)
        predicting_of(self.context).start("section")
        training.map.clear()
        self._is_tried = True
        self._show_next()

    def _on_kind_chosen(self, _index: int) -> None:
        self.wishes.change(kind=self.kind.currentData())

    def _on_name_edited(self, text: str) -> None:
        self._is_named = bool(text.strip())

    def _on_reported(self, _report: object) -> None:
        if self.words != self._said:  # not four times a second
            self._said = self.words
            self.context.plan_changed.emit()

    def _show_wishes(self) -> None:
        layer = self.wishes.layer("labels")
        self.kind.setCurrentIndex(self.kind.findData(self.wishes.kind))
        self.kind.setEnabled(layer is not None)
        is_painted = self.wishes.kind == "painted" and type(layer).__name__ == "Labels"
        self.tools.set_layer(layer if is_painted else None)
        self._propose_name()
        self._show_next()
        self.outlook.refresh_soon()

    def _propose_name(self) -> None:
        """Propose a name that is free, as long as nobody has typed one."""
        raw = self.context.session.raw
        if self._is_named or raw is None:
            return
        taken = [info.name for info in known_models_of(self.context).all]
        title = f"{raw.name} model"
        if self.training.state == "finished" and self.training.record is not None:
            title = self.training.record.title
        self.model_name.setText(free_title(title, taken))

    def _show_outlook(self, outlook: Outlook) -> None:
        self.expect.setText(outlook.words)
        set_role(self.expect, "quiet" if outlook.is_ready else "")
        self._show_next()

    def _show_training(self) -> None:
        state, is_busy = self.training.state, self.training.is_busy
        words = {"paused": "Resume", "finished": "Train on"}.get(state, "Train")
        self.train_button.setText(words)
        self.train_button.setEnabled(not is_busy)
        self.pause_button.setEnabled(state == "running")
        self.finish_button.setEnabled(state in ("running", "paused"))
        self.finish_button.setText("Keep as it is" if state == "paused" else "Stop and keep best")
        self.predict_button.setEnabled(state == "finished")
        self._is_tried = False
        if state == "finished":
            self._is_named = False
            known_models_of(self.context).refresh()
        self._propose_name()
        self._show_next()

    def _show_next(self) -> None:
        """Mark the usual next thing to do."""
        if self.take_back.is_due:
            self.main_button = self.take_back.take_button
        elif self.training.state == "finished" and not self._is_tried:
            self.main_button = self.predict_button
        elif self.wishes.layer("labels") is None:
            self.main_button = self.paint_button
        else:
            can_train = self.outlook.now.is_ready or self.training.state == "paused"
            self.main_button = self.train_button if can_train else None
        self.context.plan_changed.emit()
