"""The workspace dock: all steps in order, each with its state in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QShowEvent
from qtpy.QtWidgets import QFrame, QPushButton, QScrollArea, QVBoxLayout, QWidget

from napari_emseg.gui.boundaries.step import BoundariesStep
from napari_emseg.gui.colours import stylesheet
from napari_emseg.gui.context import Context, context_of
from napari_emseg.gui.data_step import DataStep
from napari_emseg.gui.evaluate.step import EvaluateStep
from napari_emseg.gui.frame import ElidedLabel, StepFrame, line, set_role
from napari_emseg.gui.proofread.step import ProofreadStep
from napari_emseg.gui.segment_step import SegmentStep
from napari_emseg.gui.session_bar import SessionBar
from napari_emseg.gui.step_widget import StepWidget
from napari_emseg.gui.train.step import TrainStep

if TYPE_CHECKING:
    from napari.viewer import Viewer

MINIMUM_WIDTH = 360
PREFERRED_WIDTH = 420
STEPS: tuple[type[StepWidget], ...] = (
    DataStep,
    BoundariesStep,
    TrainStep,
    SegmentStep,
    EvaluateStep,
    ProofreadStep,
)
_ORDER = tuple(step.name for step in STEPS if step not in (TrainStep, ProofreadStep))
_DUE = ("ready", "out of date", "running", "waiting")
_OPEN_AT_FIRST = ("data", "boundaries", "segment")


class Dock(QWidget):
    """A scrolling column of steps over the context of a viewer."""

    def __init__(self, viewer: Viewer, steps: tuple[type[StepWidget], ...]) -> None:
        super().__init__()
        self.context: Context = context_of(viewer)
        self.context.attach(self)
        self.setMinimumWidth(MINIMUM_WIDTH)
        self.setAcceptDrops(True)
        self.frames: dict[str, StepFrame] = {}
        self._to_reveal: StepFrame | None = None
        self._reveal = QTimer(self)
        self._reveal.setSingleShot(True)
        self._reveal.setInterval(20)
        self._reveal.timeout.connect(self._on_reveal_timeout)
        content = QWidget()
        self.column = QVBoxLayout(content)
        self.column.setContentsMargins(6, 2, 6, 6)
        self.column.setSpacing(2)
        for step in steps:
            self._add_step(step(self.context))
        self.column.addStretch()
        self.scroll_area = QScrollArea()
        self.scroll_area.setWidgetResizable(True)
        self.scroll_area.setFrameShape(QFrame.Shape.NoFrame)
        self.scroll_area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.scroll_area.setWidget(content)
        self.outer = QVBoxLayout(self)
        self.outer.setContentsMargins(0, 0, 0, 0)
        self.outer.setSpacing(2)
        self.outer.addWidget(self.scroll_area, 1)
        self._next_button: QPushButton | None = None
        self.context.plan_changed.connect(self._show_plan)
        self.context.viewer.events.theme.connect(self._on_theme_changed)
        self._on_theme_changed()
        self._show_plan()

    def sizeHint(self) -> QSize:
        return QSize(PREFERRED_WIDTH, 640)

    def step(self, name: str) -> StepWidget:
        """Return the widget of a step: "data", "boundaries", "train", "segment" and so on."""
        widget = self.frames[name].content
        assert isinstance(widget, StepWidget)
        return widget

    def detach(self) -> None:
        """Stop listening to the viewer; the dock is closing."""
        for name in self.frames:
            self.step(name).detach()
        self.context.viewer.events.theme.disconnect(self._on_theme_changed)

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self.context.follow(self.window())

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self.detach()
        super().closeEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        mime = event.mimeData() if event is not None else None
        if event is not None and mime is not None and mime.hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        mime = event.mimeData() if event is not None else None
        if mime is not None and "data" in self.frames:
            paths = [url.toLocalFile() for url in mime.urls()]
            step = self.step("data")
            assert isinstance(step, DataStep)
            step.open_paths(paths)

    def _add_step(self, widget: StepWidget) -> None:
        frame = StepFrame(widget.title, widget)
        self.frames[widget.name] = frame
        if self.column.count() and not isinstance(widget, TrainStep):  # a side way of step 2
            self.column.addWidget(line())
        self.column.addWidget(frame)
        frame.toggled.connect(lambda is_open: self._on_frame_toggled(frame, is_open))

    def _on_frame_toggled(self, frame: StepFrame, is_open: bool) -> None:
        self.context.plan_changed.emit()
        if is_open and self.isVisible():
            self._to_reveal = frame
            self._reveal.start()

    def _on_reveal_timeout(self) -> None:
        """Scroll a step just opened into view, once it has its size."""
        if self._to_reveal is not None:
            bar = self.scroll_area.verticalScrollBar()
            assert bar is not None
            room = self.scroll_area.height()
            top, bottom = self._to_reveal.y(), self._to_reveal.geometry().bottom()
            bar.setValue(max(bar.value(), min(top, bottom - room + 8)))

    def _show_plan(self) -> None:
        plan = self.context.plan()
        due = next((name for name in _ORDER if plan[name].state in _DUE), "")
        train = self.frames.get("train")
        if train is not None and train.is_open:  # opened by somebody who is about to train
            due = "train"
        elif due in ("", "evaluate") and plan.evaluate.state != "ready" and self._may_proofread():
            due = "proofread"
        next_button: QPushButton | None = None
        for name, frame in self.frames.items():
            step = self.step(name)
            is_by_itself = isinstance(step, TrainStep | ProofreadStep)
            words = step.words if is_by_itself else plan[name].reason  # type: ignore[attr-defined]
            frame.state.setText(words)
            if name == due:
                next_button = step.main_button
        if self._next_button is not None and self._next_button is not next_button:
            set_role(self._next_button, "")
        if next_button is not None:
            set_role(next_button, "next")
        self._next_button = next_button

    def _may_proofread(self) -> bool:
        step = self.step("proofread") if "proofread" in self.frames else None
        return isinstance(step, ProofreadStep) and step.is_due

    def _on_theme_changed(self, *_: object) -> None:
        self.setStyleSheet(stylesheet(self.context.viewer))


class Workspace(Dock):
    """The whole job in one dock."""

    # napari fills in the viewer by the parameter's name, whatever the annotation is
    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, STEPS)
        self.header = ElidedLabel("")
        self.header.setProperty("role", "quiet")
        self.header.setContentsMargins(8, 2, 8, 0)
        self.outer.insertWidget(0, self.header)
        self.outer.addWidget(line())
        self.session_bar = SessionBar(self.context)
        self.outer.addWidget(self.session_bar)
        for name in _OPEN_AT_FIRST:
            self.frames[name].set_open(True)
        self._show_plan()

    def _show_plan(self) -> None:
        super()._show_plan()
        if hasattr(self, "header"):
            self.header.setText(describe_stack(self.context))


class _SingleStep(Dock):
    step_type: type[StepWidget]

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, (self.step_type,))
        self.frames[self.step_type.name].set_open(True)


class DataDock(_SingleStep):
    """Step 1 alone."""

    step_type = DataStep


class BoundariesDock(_SingleStep):
    """Step 2 alone."""

    step_type = BoundariesStep


class TrainDock(_SingleStep):
    """Train a model, alone."""

    step_type = TrainStep


class SegmentDock(_SingleStep):
    """Step 3 alone."""

    step_type = SegmentStep


class EvaluateDock(_SingleStep):
    """Step 4 alone."""

    step_type = EvaluateStep


class ProofreadDock(_SingleStep):
    """Step 5 alone."""

    step_type = ProofreadStep


def open_workspace(viewer: Viewer) -> Workspace:
    """Return the workspace of `viewer`, opened if it is not."""
    for dock in context_of(viewer).docks:
        if isinstance(dock, Workspace):
            return dock
    try:  # the same dock that the Plugins menu opens
        _, workspace = viewer.window.add_plugin_dock_widget("napari-emseg", "Workspace")
    except KeyError:  # the plugin is switched off, or napari has not found it yet
        workspace = Workspace(viewer)
        viewer.window.add_dock_widget(workspace, name="EM Segmentation", area="right")
    assert isinstance(workspace, Workspace)
    return workspace


def describe_stack(context: Context) -> str:
    """Name, size and voxel size of what is being worked on."""
    volume = context.session.raw or context.session.boundary or context.session.segmentation
    if volume is None:
        return "No stack open"
    size = " × ".join(map(str, volume.shape))
    nm = volume.voxel_size_nm
    voxels = " × ".join(f"{v:g}" for v in nm) + " nm" if nm else "voxel size unknown"
    return f"{volume.name}   {size}   {voxels}"
