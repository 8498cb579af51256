"""The ranking lists every way to join, the best first, and a click chooses one."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor

from napari_emseg.gui.evaluate.ranking import Ranking
from napari_emseg.gui.grouping_names import GROUPING_NAMES

BEST = {"h_minima": (0.06, 0.95), "mean_boundary": (0.5, 0.97), "linking": (0.3, 0.9)}


@pytest.fixture
def ranking(qtbot: Any) -> Ranking:
    made = Ranking()
    qtbot.addWidget(made)
    made.show()
    made.show_best(BEST, {"h_minima": QColor("blue")}, chosen="h_minima", is_error=False)
    return made


def rows_of(ranking: Ranking) -> list[list[str]]:
    return [
        [ranking.item(row, place).text() for place in range(3)]  # type: ignore[union-attr]
        for row in range(ranking.rowCount())
    ]


def test_the_best_comes_first_by_the_name_of_the_list(ranking: Ranking) -> None:
    assert rows_of(ranking) == [
        ["mean wall", "0.9700", "0.5"],
        ["depth of basins (H-minima)", "0.9500", "0.06"],
        ["overlap of sections", "0.9000", "0.3"],
    ]
    assert ranking.currentRow() == 1
    ranking.show_best(BEST, {}, chosen="linking", is_error=True)
    assert rows_of(ranking)[0][0] == "overlap of sections"
    assert ranking.currentRow() == 0


def test_a_click_chooses_and_the_mouse_points(ranking: Ranking, qtbot: Any) -> None:
    viewport, place = ranking.viewport(), ranking.visualRect(ranking.model().index(0, 0)).center()  # type: ignore[union-attr]
    with qtbot.waitSignal(ranking.pointed_at) as pointed:
        qtbot.mouseMove(viewport, place)
    with qtbot.waitSignal(ranking.chosen) as chosen:
        qtbot.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=place)
    assert pointed.args == chosen.args == ["mean_boundary"]


def test_its_height_is_that_of_all_ways_whatever_is_listed(ranking: Ranking) -> None:
    full = dict.fromkeys(GROUPING_NAMES, (0.1, 0.9))
    before = ranking.sizeHint()
    ranking.show_best(full, {}, chosen="", is_error=False)
    assert ranking.sizeHint() == before
    assert ranking.currentRow() == -1
