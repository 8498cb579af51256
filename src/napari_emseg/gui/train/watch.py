"""What one sees of a training: how far it is, its curves, and what they say."""

from __future__ import annotations

from functools import partial

from qtpy.QtWidgets import QWidget

from napari_emseg.gui.colours import theme_colour
from napari_emseg.gui.context import Context
from napari_emseg.gui.frame import ProgressRow, column, note, set_role
from napari_emseg.gui.jobs import Report, format_seconds
from napari_emseg.gui.train.job import Training
from napari_emseg.gui.train.plot import TrainPlot
from napari_emseg.training.result import STATE_SUFFIX
from napari_emseg.training.saved import saved_step
from napari_emseg.training.watch import WatchState

_BAR = 1000


class TrainWatch(QWidget):
    """Follows the training of a viewer."""

    def __init__(self, context: Context, training: Training) -> None:
        super().__init__()
        self._training = training
        self.progress = ProgressRow()
        self.plot = TrainPlot(partial(theme_colour, context.viewer))
        self.hint = note(lines=3)
        rows = column(self)
        rows.addWidget(self.progress)
        rows.addWidget(self.plot)
        rows.addWidget(self.hint)
        training.reported.connect(self._on_reported)
        training.changed.connect(self._on_changed)
        self._on_changed()

    def _on_reported(self, report: Report) -> None:
        training = self._training
        if training.watch is None or training.state != "running":
            return
        state = training.watch.state()
        done = round(_BAR * training.share)
        self.progress.show_report(done, _BAR, describe_progress(state, report))
        self._show_state(state)

    def _on_changed(self) -> None:
        training = self._training
        state = training.watch.state() if training.watch is not None else WatchState()
        self._show_state(state)
        match training.state:
            case "running":
                self.progress.show_report(0, 0, "starting: reading the sections…")
            case "pausing" | "finishing":
                self.progress.show_report(0, 0, "stopping, and saving what was learned…")
            case "paused":
                self.progress.idle(f"{_title(training)}: paused{_saved(training)}")
            case "finished":
                self.progress.idle(f"{_title(training)}: finished{_so_far(state)}")
            case _:
                self.progress.idle(" ")

    def _show_state(self, state: WatchState) -> None:
        losses, validations = self._training.losses, self._training.validations
        self.plot.set_curves(losses, validations, best_step=state.best_step)
        words = self._hints(state)
        self.hint.setText(words)
        set_role(self.hint, "warning" if words else "quiet")

    def _hints(self, state: WatchState) -> str:
        from napari_emseg.training.hints import hints

        params = self._training.params
        if params is None or not state.losses:
            return ""
        found = hints(
            self._training.losses,
            self._training.validations,
            params,
            share=self._training.share,
            membrane_px=self._training.known_px[0],
            inside_px=self._training.known_px[1],
        )
        self.hint.setToolTip("\n".join(found))
        return found[0] if found else ""


def describe_progress(state: WatchState, report: Report) -> str:
    """Say how far a training is in a line: "step 120, 480 patches seen, 2 min left"."""
    if state.step == 0:
        return "starting: reading the sections…"
    if "validating" in report.message:
        return f"step {state.step}: trying it on the held-out sections…"
    left = state.eta_s if state.eta_s is not None else report.eta_s
    words = f"step {state.step}, {state.samples} patches seen"
    return words if left is None else f"{words}, {format_seconds(left)} left"


def _title(training: Training) -> str:
    return training.record.title if training.record is not None else ""


def _saved(training: Training) -> str:
    """Say how far a paused training is, and from what it learns."""
    if training.model_path is None or training.record is None:
        return ""
    step = saved_step(training.model_path.with_suffix(STATE_SUFFIX))
    at = f" at step {step}" if step else ""
    return f"{at}, learns from {', '.join(training.record.data)}"


def _so_far(state: WatchState) -> str:
    if state.step == 0:
        return ""
    return f" after {state.step} steps, {format_seconds(state.seconds)}"
