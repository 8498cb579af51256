"""The colours of napari's current theme, for what is painted or styled by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.theme import get_theme
from qtpy.QtGui import QColor

if TYPE_CHECKING:
    from napari.viewer import Viewer


def theme_colour(viewer: Viewer, role: str) -> QColor:
    """Return a colour of the theme: text, background, foreground, primary, current, warning ..."""
    return QColor(getattr(get_theme(viewer.theme), role).as_hex("long"))


def mix(one: QColor, other: QColor, share: float) -> QColor:
    """Blend `share` of `one` with the rest of `other`."""
    parts = zip(one.getRgb()[:3], other.getRgb()[:3], strict=True)
    return QColor(*(round(a * share + b * (1 - share)) for a, b in parts))


def readable_on(colour: QColor) -> str:
    """Black or white, whichever is easier to read on `colour`."""
    return "black" if colour.lightnessF() > 0.6 else "white"


def stylesheet(viewer: Viewer) -> str:
    """Style the few things napari's own style sheet has no word for."""
    text, background = (theme_colour(viewer, role) for role in ("text", "background"))
    accent, warning = (theme_colour(viewer, role) for role in ("current", "warning"))
    quiet = mix(text, background, 0.72).name()
    if background.lightnessF() > 0.5:  # yellow cannot be read on a light ground
        warning = mix(warning, text, 0.4)
    return f"""
        QAbstractSpinBox {{ min-width: 30px; padding: 1px 4px; }}
        QLabel[role="quiet"] {{ color: {quiet}; }}
        QLabel[role="warning"] {{ color: {warning.name()}; }}
        QLabel[role="heading"] {{ font-weight: bold; }}
        QToolButton[role="heading"], QToolButton[role="fold"] {{
            background: transparent; border: none; padding: 2px 0; color: {text.name()};
        }}
        QToolButton[role="heading"] {{ font-weight: bold; }}
        QToolButton[role="stop"] {{ border: none; padding: 0 4px; text-decoration: underline; }}
        QToolButton[role="heading"]:focus, QToolButton[role="fold"]:focus {{
            border: 1px solid {accent.name()};
        }}
        QToolButton[role="tool"] {{
            background: {mix(text, background, 0.12).name()}; border: 1px solid transparent;
            border-radius: 3px; padding: 4px; color: {text.name()};
        }}
        QToolButton[role="tool"]:hover {{ background: {mix(text, background, 0.2).name()}; }}
        QToolButton[role="tool"]:checked {{
            background: {mix(accent, background, 0.45).name()}; border-color: {text.name()};
        }}
        QToolButton[role="tool"]:disabled {{ color: {mix(text, background, 0.45).name()}; }}
        QAbstractSpinBox[role="number"] {{ min-width: 52px; max-width: 52px; }}
        QPushButton[role="next"] {{ background: {accent.name()}; color: {readable_on(accent)}; }}
        QPushButton[role="next"]:disabled {{
            background: {mix(accent, background, 0.25).name()};
            color: {mix(text, background, 0.45).name()};
        }}
        QFrame[role="line"] {{ background: {mix(text, background, 0.2).name()}; }}
    """
