"""The table of scores: each with its split and merge parts, named in words."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

_ROWS = (
    ("V_rand", "v_rand", "v_rand_split", "v_rand_merge", "1 is perfect"),
    ("V_info", "v_info", "v_info_split", "v_info_merge", "1 is perfect"),
    ("VOI (bits)", "voi", "voi_split", "voi_merge", "0 is perfect"),
)
_MORE = (
    ("Adapted Rand error", "adapted_rand_error"),
    ("Rand error", "rand_error"),
    ("CREMI score", "cremi_score"),
    ("Pixel error", "pixel_error"),
    ("Dice", "dice"),
)
_SPLIT = "Low means: one neuron was cut into several segments (split errors)."
_MERGE = "Low means: several neurons were joined in one segment (merge errors)."
NOTHING = "–"
HEADLINES = {"v_rand": "V_rand", "v_info": "V_info"}


class ScoreTable(QWidget):
    """Three scores with their parts, always there, so that nothing moves."""

    def __init__(self) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(1)
        self._values: dict[str, QLabel] = {}
        for place, (text, tip) in enumerate((("score", ""), ("split", _SPLIT), ("merge", _MERGE))):
            grid.addWidget(_cell(text, tip, quiet=True), 0, place + 1)
        for index, (title, *keys, meaning) in enumerate(_ROWS):
            name = QLabel(title)
            name.setToolTip(meaning)
            grid.addWidget(name, index + 1, 0)
            for place, key in enumerate(keys):
                self._values[key] = _cell(NOTHING, meaning)
                grid.addWidget(self._values[key], index + 1, place + 1)
        for place in range(1, 4):
            grid.setColumnStretch(place, 1)

    def show_scores(self, scores: Mapping[str, float]) -> None:
        """Fill the table; what is missing shows a dash."""
        full = dict(scores)
        if "voi_split" in full:
            full["voi"] = full["voi_split"] + full["voi_merge"]
        for key, label in self._values.items():
            label.setText(f"{full[key]:.4f}" if key in full else NOTHING)


def describe_more(scores: Mapping[str, float]) -> str:
    """Write the remaining scores, one per line."""
    return "\n".join(f"{title}: {scores[key]:.4f}" for title, key in _MORE if key in scores)


def overlay_text(scores: dict[str, float]) -> str:
    """Write the two headline scores for the canvas."""
    return "\n".join(
        f"{title} {scores[key]:.4f}  (split {scores[key + '_split']:.4f}, "
        f"merge {scores[key + '_merge']:.4f})"
        for key, title in HEADLINES.items()
        if key in scores
    )


def _cell(text: str, tip: str, *, quiet: bool = False) -> QLabel:
    label = QLabel(text)
    label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    label.setToolTip(tip)
    if quiet:
        label.setProperty("role", "quiet")
    else:
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
