"""How the dock is built: steps with a heading and a state in words, folds, rows."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QFontMetrics, QPainter, QPaintEvent
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStyleOption,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

LABEL_WIDTH = 76
_LOSES = (": ", " from ", " because ")
_INDENT = 5  # napari's labels stand so far in


class ElidedLabel(QLabel):
    """One line that ends in "…" where room is scarce, with all of it in its tooltip.

    A state ("waiting for labels: press Write labels") first loses what follows its colon, a
    reason ("out of date because smoothing changed from 1 to 2") first the values, then itself.
    """

    def __init__(self, text: str = "", *, is_state: bool = False) -> None:
        super().__init__()
        self._is_state = is_state
        self.setText(text)

    def setText(self, text: str | None) -> None:
        super().setText(text)
        self.setToolTip((text or "").strip())

    def minimumSizeHint(self) -> QSize:
        return QSize(20, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        option = QStyleOption()
        option.initFrom(self)
        metrics = QFontMetrics(self.font())
        rect = self.contentsRect().adjusted(_INDENT, 0, 0, 0)
        text = self._words_within(rect.width(), metrics)
        style = self.style()
        assert style is not None
        style.drawItemText(
            painter,
            rect,
            int(self.alignment()),
            option.palette,
            self.isEnabled(),
            text,
            self.foregroundRole(),
        )

    def _words_within(self, width_px: int, metrics: QFontMetrics) -> str:
        text = self.text()
        for part in _LOSES if self._is_state else ():
            if metrics.horizontalAdvance(text) <= width_px:
                break
            text = text.partition(part)[0]
        is_long = metrics.horizontalAdvance(text) > width_px
        elided = metrics.elidedText(text, Qt.TextElideMode.ElideRight, width_px)
        return elided if is_long else text


class Fold(QWidget):
    """A heading that shows or hides what lies under it."""

    toggled = Signal(bool)

    def __init__(self, title: str, content: QWidget, *, role: str = "fold") -> None:
        super().__init__()
        self.button = QToolButton()
        self.button.setText(title)
        self.button.setProperty("role", role)
        self.button.setCheckable(True)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setArrowType(Qt.ArrowType.RightArrow)
        self.button.toggled.connect(self._on_button_toggled)
        self.content = content
        content.setVisible(False)
        self.header = QHBoxLayout()
        self.header.addWidget(self.button)
        self.header.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(self.header)
        layout.addWidget(content)

    @property
    def is_open(self) -> bool:
        """Whether the content shows."""
        return self.button.isChecked()

    def set_open(self, is_open: bool) -> None:
        """Show or hide the content."""
        self.button.setChecked(is_open)

    def _on_button_toggled(self, is_open: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow
        self.button.setArrowType(arrow)
        self.content.setVisible(is_open)
        self.toggled.emit(is_open)


class StepFrame(Fold):
    """One step of the workspace: number, title, state in words, content."""

    def __init__(self, title: str, content: QWidget) -> None:
        super().__init__(title, content, role="heading")
        self.state = ElidedLabel(is_state=True)
        self.state.setProperty("role", "quiet")
        self.state.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.header.takeAt(1)
        self.header.addWidget(self.state, 1)
        content.setContentsMargins(6, 0, 2, 6)


def row(label: str, *widgets: QWidget, stretch: int = 0) -> QHBoxLayout:
    """Lay out a label of the common width and widgets; the one at `stretch` takes the room."""
    layout = QHBoxLayout()
    layout.setSpacing(6)
    if label:
        text = QLabel(label)
        text.setFixedWidth(LABEL_WIDTH)
        layout.addWidget(text)
        if widgets:
            text.setBuddy(widgets[0])
    for index, widget in enumerate(widgets):
        layout.addWidget(widget, 1 if index == stretch else 0)
    return layout


def column(parent: QWidget) -> QVBoxLayout:
    """Give `parent` a vertical layout with the dock's spacing."""
    layout = QVBoxLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(5)
    return layout


def button(text: str, action: Callable[[], object], tooltip: str, *, role: str = "") -> QPushButton:
    """Make a button that calls `action`; role "next" marks the usual next thing to do."""
    made = QPushButton(text)
    made.setToolTip(tooltip)
    made.setProperty("role", role)
    made.clicked.connect(lambda _checked=False: action())
    return made


def note(text: str = "", *, role: str = "quiet", lines: int = 1) -> QLabel:
    """Make a wrapped text that keeps the room of `lines` lines, so that nothing moves."""
    made = QLabel(text)
    made.setProperty("role", role)
    made.setWordWrap(True)
    made.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
    made.setMinimumHeight(QFontMetrics(made.font()).lineSpacing() * lines + 2)
    return made


def set_role(widget: QWidget, role: str) -> None:
    """Change how the style sheet sees a widget."""
    if widget.property("role") == role:
        return
    widget.setProperty("role", role)
    style = widget.style()
    if style is not None:
        style.unpolish(widget)
        style.polish(widget)


def line() -> QFrame:
    """Make a thin rule between steps."""
    made = QFrame()
    made.setProperty("role", "line")
    made.setFixedHeight(1)
    return made


class ProgressRow(QWidget):
    """A bar, and words under it with a Stop, that keep their room while nothing runs."""

    def __init__(self, on_stop: Callable[[], None] | None = None) -> None:
        super().__init__()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.bar.setSizePolicy(policy)
        self.words = ElidedLabel()
        self.words.setProperty("role", "quiet")
        layout = column(self)
        layout.setSpacing(2)
        layout.addWidget(self.bar)
        self._on_stop = on_stop
        self.stop_button = QToolButton()
        self.stop_button.setText("Stop")
        self.stop_button.setToolTip("Stop; what was there before stays")
        self.stop_button.setProperty("role", "stop")
        self.stop_button.setMaximumHeight(self.words.sizeHint().height())
        self.stop_button.clicked.connect(self._on_stop_clicked)
        words = QHBoxLayout()
        words.addWidget(self.words, 1)
        words.addWidget(self.stop_button)
        layout.addLayout(words)
        self.idle()

    def show_report(self, done: int, total: int, words: str) -> None:
        """Show how far a job is; a total of 0 means that it cannot be told."""
        self.bar.setVisible(True)
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        self.words.setText(words)
        self.stop_button.setVisible(self._on_stop is not None)

    def idle(self, words: str = " ") -> None:
        """Hide the bar."""
        self.bar.setVisible(False)
        self.stop_button.setVisible(False)
        self.words.setText(words)

    def _on_stop_clicked(self) -> None:
        self.words.setText("stopping…")
        self.stop_button.setVisible(False)
        if self._on_stop is not None:
            self._on_stop()
