"""A state says as much as fits, and no word is cut where a shorter sentence is left."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtGui import QFontMetrics

from napari_emseg.gui.frame import ElidedLabel

STALE = "out of date because dimensions changed from 2d to 3d"


@pytest.mark.parametrize(
    ("text", "fits", "shown"),
    [
        (STALE, STALE, STALE),
        (STALE, "out of date because dimensions changed", "out of date because dimensions changed"),
        (STALE, "out of date because", "out of date"),
        ("waiting for labels: press Write", "waiting for labels: press", "waiting for labels"),
        ("ready", "rea", "r…"),
    ],
)
def test_a_state_loses_its_reasons_first(qtbot: Any, text: str, fits: str, shown: str) -> None:
    label = ElidedLabel(text, is_state=True)
    qtbot.addWidget(label)
    metrics = QFontMetrics(label.font())
    words = label._words_within(metrics.horizontalAdvance(fits), metrics)
    assert words == shown or (shown.endswith("…") and words.endswith("…"))
    assert label.toolTip() == text
