"""The panel that says how far a proofreading is."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QProgressBar, QWidget

from napari_emseg.errors import InputError
from napari_emseg.gui.frame import ElidedLabel, column, row
from napari_emseg.gui.jobs import format_seconds
from napari_emseg.gui.proofread.keys import KeyListener
from napari_emseg.gui.proofread.pace import Pace, TruthTable, pace_of, share_done
from napari_emseg.gui.proofread.sites import queue_of
from napari_emseg.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_emseg.gui.proofread.proofreading import Proofreading
    from napari_emseg.volume import Volume

_JOB = "proofread score"
_REST_MS = 150
_ROLE = "ground_truth"
_NO_TRUTH = "choose a ground truth in step 4"
_NOT_3D = "choose 3D labels as truth in step 4"


class ProgressPanel(QWidget):
    """Share done, pace, an estimate of what is left, and the score where truth is known.

    Parameters
    ----------
    proofreading : Proofreading
    """

    def __init__(self, proofreading: Proofreading) -> None:
        super().__init__()
        self.proofreading, self.context = proofreading, proofreading.context
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.share, self.pace, self.left = ElidedLabel(), ElidedLabel(), ElidedLabel()
        self.score, self.error = ElidedLabel(), ElidedLabel()
        self.bar.setToolTip("Share of the segmented volume that is marked as done")
        self._table: TruthTable | None = None
        self._known_by: tuple[Any, ...] = ()
        self._first: dict[str, float] = {}
        rows = column(self)
        rows.addLayout(row("Done", self.share))
        rows.addWidget(self.bar)
        rows.addLayout(row("So far", self.pace))
        rows.addLayout(row("Left", self.left))
        rows.addLayout(row("Score", self.score))
        rows.addLayout(row(" ", self.error))
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST_MS)
        self._rest.timeout.connect(self._score)
        KeyListener(self, proofreading)
        for signal in (proofreading.started, proofreading.ended, proofreading.changed):
            signal.connect(self.refresh)
        queue_of(proofreading).listed.connect(self._show_left)
        self.context.layer_changed.connect(self._on_layer_changed)
        self.context.session.events.evaluate.connect(self._on_evaluate_changed)
        self.refresh()

    def detach(self) -> None:
        """Stop listening to the session."""
        self._rest.stop()
        self.context.session.events.evaluate.disconnect(self._on_evaluate_changed)

    def refresh(self, *_: Any) -> None:
        """Show how far it is now."""
        editor = self.proofreading.editor
        share = share_done(editor.state) if editor is not None else 0.0
        self.bar.setValue(round(1000 * share))
        self.bar.setEnabled(editor is not None)
        if editor is None:
            self._forget()
            for label in (self.share, self.pace):
                label.setText("–")
            self._tell("–")
        else:
            self.share.setText(describe_share(share, len(editor.state.done)))
            self.pace.setText(describe_pace(self._pace))
            self._rest.start()
        self._show_left()

    @property
    def _pace(self) -> Pace:
        editor = self.proofreading.editor
        return pace_of(editor.history[: editor.position] if editor is not None else ())

    def _show_left(self) -> None:
        queue = queue_of(self.proofreading)
        if self.proofreading.editor is None:
            self.left.setText("–")
        elif queue.n_worth is None:
            self.left.setText("being estimated…")
        else:
            self.left.setText(describe_left(queue.n_worth, self._pace.decision_s))

    def _on_layer_changed(self, role: str) -> None:
        if role == _ROLE:
            self._forget()
            self._rest.start()

    def _on_evaluate_changed(self, *_: Any) -> None:
        self._forget()
        self._rest.start()

    def _forget(self) -> None:
        self._table, self._known_by, self._first = None, (), {}

    def _score(self) -> None:
        """Score the present state in the background."""
        editor, layer = self.proofreading.editor, self.context.layer(_ROLE)
        if editor is None or layer is None:
            self._tell("–" if editor is None else _NO_TRUTH)
            return
        params = self.context.session.evaluate
        if params.ground_truth_kind != "labels":
            self._tell(_NOT_3D)
            return
        try:
            truth = self.context.volume(_ROLE)
        except InputError as error:
            self._tell(str(error))
            return
        known_by = (id(layer), editor.state.voxel_version)
        segmentation = editor.segmentation
        self.context.jobs.start(
            partial(
                score,
                self._table if known_by == self._known_by else None,
                segmentation.fragments,
                segmentation.segment_of,
                truth,
                params.sections,
            ),
            title="Scoring the edits",
            key=_JOB,
            lane=_JOB,
            on_result=partial(self._on_scored, known_by),
        )

    def _on_scored(
        self, known_by: tuple[Any, ...], result: tuple[TruthTable | None, dict[str, float], str]
    ) -> None:
        if self.proofreading.editor is None:
            return
        self._table, scores, words = result
        self._known_by = known_by
        if scores and not self._first:
            self._first = scores
        self._tell(*(describe_scores(scores, self._first) if scores else (words,)))

    def _tell(self, score: str, error: str = " ") -> None:
        self.score.setText(score)
        self.error.setText(error)


def score(
    table: TruthTable | None,
    fragments: Volume,
    segment_of: npt.NDArray[np.integer],
    truth: Volume,
    sections: tuple[int, int] | None,
    progress: Progress,
) -> tuple[TruthTable | None, dict[str, float], str]:
    """Return the table of the truth, scores by it, or why there are none."""
    if table is None:
        try:
            table = TruthTable(fragments, truth, sections, progress=progress)
        except InputError as error:
            return None, {}, str(error)
    return table, table.scores(segment_of), ""


def describe_share(share: float, n_segments: int) -> str:
    """Say how much is done.

    Examples
    --------
    >>> describe_share(0.125, 3)
    '12.5 % of the volume, 3 segments'
    """
    noun = "segment" if n_segments == 1 else "segments"
    return f"{100 * share:.1f} % of the volume, {n_segments:,} {noun}"


def describe_pace(pace: Pace) -> str:
    """Say what was done so far.

    Examples
    --------
    >>> describe_pace(Pace(12, 10, 240.0, 9.0))
    '12 edits (10 decisions) in 4 min, 9 s each'
    """
    if not pace.n_edits:
        return "no edits yet"
    edits = f"{pace.n_edits:,} edit" + ("" if pace.n_edits == 1 else "s")
    n = pace.n_decisions
    decisions = f" ({n:,} decision{'' if n == 1 else 's'})" if n else ""
    each = f", {format_seconds(pace.decision_s)} each" if pace.decision_s is not None else ""
    return f"{edits}{decisions} in {format_seconds(pace.worked_s)}{each}"


def describe_left(n_worth: int, decision_s: float | None) -> str:
    """Say how many decisions are worth it, and how long they take.

    Examples
    --------
    >>> describe_left(340, 9.0)
    'about 340 decisions, 51 min at your pace'
    >>> describe_left(1, None), describe_left(0, 9.0)
    ('about 1 decision', 'nothing')
    """
    if not n_worth:
        return "nothing"
    words = f"about {n_worth:,} decision" + ("" if n_worth == 1 else "s")
    if decision_s is None:
        return words
    return f"{words}, {format_seconds(n_worth * decision_s)} at your pace"


def describe_scores(now: dict[str, float], first: dict[str, float]) -> tuple[str, str]:
    """Say what the scores were at the start, and what they are now.

    Examples
    --------
    >>> now = {"voi_split": 0.5, "voi_merge": 0.25, "adapted_rand_error": 0.1}
    >>> describe_scores(now, {**now, "voi_split": 1.0})
    ('VOI 1.250 → 0.750 bits', 'Rand error 0.100 → 0.100')
    """
    voi, before = (s["voi_split"] + s["voi_merge"] for s in (now, first))
    error, first_error = now["adapted_rand_error"], first["adapted_rand_error"]
    return (
        f"VOI {before:.3f} → {voi:.3f} bits",
        f"Rand error {first_error:.3f} → {error:.3f}",
    )
