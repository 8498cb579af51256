"""The curves of every grouping tried on one map, one score of them at a time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QComboBox, QWidget

from napari_emseg.evaluation.metrics import LOWER_IS_BETTER
from napari_emseg.gui.colours import theme_colour
from napari_emseg.gui.context import Context
from napari_emseg.gui.evaluate.ranking import Ranking
from napari_emseg.gui.frame import ElidedLabel, column, row
from napari_emseg.gui.plot import NO_CURVE, Curve, ScorePlot
from napari_emseg.progress import Progress
from napari_emseg.steps.segment import SegmentParams

if TYPE_CHECKING:
    from napari_emseg.evaluation import ScoreCurve
    from napari_emseg.evaluation.stability import StableRange
    from napari_emseg.segmentation.forest import Forest

METRICS = {
    "v_rand": "V_rand",
    "v_rand_split": "V_rand split",
    "v_rand_merge": "V_rand merge",
    "v_info": "V_info",
    "voi": "VOI (bits)",
    "voi_split": "VOI split (bits)",
    "voi_merge": "VOI merge (bits)",
}
_AXES = {"h": "H-minima (h)", "merge_threshold": "threshold"}


class ScoreCurves(QWidget):
    """Plot, choice of the score, and what the sliders give now.

    `ranking`, which lists all curves, is made here and shown elsewhere.
    """

    threshold_chosen = Signal(float)
    grouping_chosen = Signal(str, float)
    metric_changed = Signal()
    hint_changed = Signal()

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._curves: dict[str, tuple[tuple[Any, ...], ScoreCurve]] = {}
        self.hint: StableRange | None = None
        self.metric_box = QComboBox()
        for key, title in METRICS.items():
            self.metric_box.addItem(title, key)
        self.metric_box.setAccessibleName("score shown")
        self.metric_box.setToolTip("Which score the curve and the bars of the sections show")
        self.metric_box.currentIndexChanged.connect(self._on_metric_changed)
        self.now = ElidedLabel(" ")
        self.plot = ScorePlot(partial(theme_colour, context.viewer))
        self.plot.h_chosen.connect(self.threshold_chosen)
        self.ranking = Ranking()
        self.ranking.pointed_at.connect(self.plot.point_at)
        self.ranking.chosen.connect(self._on_ranking_chosen)
        context.hierarchy_changed.connect(self._find_hint)
        rows = column(self)
        rows.addWidget(self.now)
        rows.addLayout(row("Curve of", self.metric_box))
        rows.addWidget(self.plot)
        self._find_hint()

    @property
    def curve(self) -> ScoreCurve | None:
        """The curve of the present grouping, if it is known."""
        return self.by_grouping.get(self._params.grouping)

    @property
    def by_grouping(self) -> dict[str, ScoreCurve]:
        """All curves known."""
        return {grouping: curve for grouping, (_, curve) in self._curves.items()}

    @property
    def chosen_metric(self) -> str:
        """The score shown."""
        return str(self.metric_box.currentData())

    def add(self, params: SegmentParams, curve: ScoreCurve) -> None:
        """Show the curve of what `params` build, beside those of other groupings."""
        self._curves[params.grouping] = _built_with(params), curve
        self.drop_unfit()

    def drop_unfit(self) -> None:
        """Forget the curves of what the present parameters would not build."""
        now = self._params
        self._curves = {
            grouping: kept
            for grouping, kept in self._curves.items()
            if kept[0] == _built_with(now.model_copy(update={"grouping": grouping}))
        }
        self.refresh()

    def clear(self) -> None:
        """Forget all curves: map or ground truth changed."""
        self._curves = {}
        self.refresh()

    def refresh(self) -> None:
        """Draw anew."""
        curve, params, metric = self.curve, self._params, self.chosen_metric
        drawn = {name: _drawn(c, metric) for name, c in self.by_grouping.items()}
        self.plot.set_current(params.threshold)
        if curve is None:
            self.plot.clear(self._words())
        else:
            self.plot.set_curves(
                drawn,
                chosen=params.grouping,
                name=METRICS[metric],
                axis=_AXES[params.threshold_name],
                is_error=metric in LOWER_IS_BETTER,
                best_possible=curve.best_possible.get(metric),
            )
        self.ranking.show_best(
            {name: curve.best for name, curve in drawn.items()},
            self.plot.inks(),
            chosen=params.grouping,
            is_error=metric in LOWER_IS_BETTER,
        )
        self.show_now()

    def show_now(self) -> None:
        """Show what the sliders give now."""
        params = self._params
        self.plot.set_current(params.threshold)
        if self.curve is None:
            self.now.setText(" ")
            return
        at = self.curve.at(params.threshold)
        self.now.setText(
            f"Sliders now: V_rand {at['v_rand']:.4f} "
            f"(split {at['v_rand_split']:.3f}, merge {at['v_rand_merge']:.3f})"
        )

    def suggestion(self) -> float | None:
        """Return the threshold to try: the best of the curve, without one that of the hint."""
        if self.curve is not None:
            return self.curve.best(self.chosen_metric)[0]
        return None if self.hint is None else self.hint.h

    def _words(self) -> str:
        if self.hint is None:
            return NO_CURVE
        what = _AXES[self._params.threshold_name]
        return (
            f"{NO_CURVE}\n\nA hint, no proof: between {what} {self.hint.low:.2g} and "
            f"{self.hint.high:.2g} the number of segments hardly changes."
        )

    def _find_hint(self) -> None:
        """Look for the stable range of a new hierarchy, in the background."""
        self.hint = None
        forest = getattr(self._context.hierarchy, "forest", None)
        if forest is None:
            self._context.jobs.stop("stability")
            self._show_hint(None)
            return
        self._context.jobs.start(
            partial(_find_stable_range, forest),
            title="Looking for a stable h",
            key="stability",
            lane="preview",
            on_result=self._show_hint,
        )

    def _show_hint(self, hint: StableRange | None) -> None:
        self.hint = hint
        if self.curve is None:
            self.refresh()
        self.hint_changed.emit()

    @property
    def _params(self) -> SegmentParams:
        return self._context.session.segment

    def _on_ranking_chosen(self, grouping: str) -> None:
        threshold = self.by_grouping[grouping].best(self.chosen_metric)[0]
        self.grouping_chosen.emit(grouping, threshold)

    def _on_metric_changed(self, *_: Any) -> None:
        self.refresh()
        self.metric_changed.emit()


def _drawn(curve: ScoreCurve, metric: str) -> Curve:
    return Curve(curve.h, curve.values(metric), curve.best(metric))


def _find_stable_range(forest: Forest, progress: Progress) -> StableRange | None:
    from napari_emseg.evaluation.stability import find_stable_range

    return find_stable_range(forest.height, forest.n_fragments)


def _built_with(params: SegmentParams) -> tuple[Any, ...]:
    return tuple(getattr(params, name) for name in params.hierarchy_fields)
