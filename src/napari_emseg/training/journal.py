"""What is told of a training while it goes on: the curve on disk, and the hooks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_emseg.networks.base import Network
from napari_emseg.training.curve import append_line, read_curve, truncate_curve
from napari_emseg.training.descent import Descent, Step
from napari_emseg.training.hooks import Hook, Moment, Standing
from napari_emseg.training.state import Counters

_LOSS_EVERY_STEPS = 10
_LONG_STEPS, _SELDOM = 1000, 50
"""Of a longer training, the loss is written only after so many steps."""

Scores = Mapping[str, Mapping[str, float]]


class Journal:
    """Writes the curve of a training and lets hooks look on.

    Parameters
    ----------
    path : Path
        The curve, JSON lines.
    descent : Descent
        What hooks may look at.
    hooks : sequence of Hook
    """

    def __init__(self, path: Path, descent: Descent, hooks: Sequence[Hook]) -> None:
        self._path = path
        self._descent = descent
        self._hooks = hooks

    def begin(self, counters: Counters, earlier: Network | None = None) -> None:
        """Keep of an earlier curve what came before the state that is gone on from.

        Parameters
        ----------
        counters : Counters
        earlier : Network, optional
            What makes the maps that a recursive network takes.
        """
        if counters.step == 0:
            self._path.unlink(missing_ok=True)
        else:
            truncate_curve(self._path, step=counters.step, validated_step=counters.validated_step)
        standing = replace(_standing(counters), curve=read_curve(self._path), earlier=earlier)
        for hook in self._hooks:
            hook.on_begin(standing)

    def tell_step(self, step: Step, counters: Counters, *, is_validation_next: bool) -> None:
        """Tell of a step; now and then write the mean loss, unless a validation will."""
        for hook in self._hooks:
            hook.on_step(self._moment(step, counters))
        every = _LOSS_EVERY_STEPS if counters.step <= _LONG_STEPS else _SELDOM
        if counters.step % every == 0 and not is_validation_next:
            self._write(_loss_record(step, counters), counters)

    def tell_validation(
        self,
        step: Step | None,
        counters: Counters,
        scores: Scores,
        *,
        is_best: bool,
        saving_s: float,
    ) -> None:
        """Tell of a validation; `step` is None where a training was resumed just before."""
        record = {
            **_loss_record(step, counters),
            "validation_seconds": round(counters.last_validation_s, 1),
            "saving_seconds": round(saving_s, 3),
            "scores": scores,
        }
        self._write(record, counters)
        for hook in self._hooks:
            hook.on_scores(replace(_standing(counters), scores=scores))
        if step is not None:
            for hook in self._hooks:
                hook.on_validation(self._moment(step, counters, scores, is_best))

    def end(self) -> None:
        """Let the hooks finish."""
        for hook in self._hooks:
            hook.on_end()

    def _moment(
        self,
        step: Step,
        counters: Counters,
        scores: Scores | None = None,
        is_best: bool = False,
    ) -> Moment:
        return Moment(
            step=counters.step,
            seconds=counters.seconds,
            loss=step.loss,
            learning_rate=step.learning_rate,
            network=self._descent.network,
            average=self._descent.kept,
            images=step.batch.images,
            targets=step.batch.targets,
            scores=scores or {},
            is_best=is_best,
        )

    def _write(self, record: Mapping[str, Any], counters: Counters) -> None:
        append_line(self._path, record)
        counters.loss_sum, counters.loss_count = 0.0, 0


def _standing(counters: Counters) -> Standing:
    return Standing(
        step=counters.step,
        seconds=counters.seconds,
        scores={},
        best_step=counters.best_step,
        best_score=counters.best_score if math.isfinite(counters.best_score) else None,
    )


def _loss_record(step: Step | None, counters: Counters) -> dict[str, Any]:
    """Return the line of a curve; its loss is the mean since the line before."""
    count = counters.loss_count
    return {
        "step": counters.step,
        "seconds": round(counters.seconds, 1),
        "loss": round(counters.loss_sum / count, 5) if count else None,
        "learning_rate": step.learning_rate if step else None,
        "waited_share": round(counters.waited_share(), 4),
    }
