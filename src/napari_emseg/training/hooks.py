"""Looking on while a network is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from napari_emseg.networks.base import Network


@dataclass(frozen=True)
class Moment:
    """A training as a hook sees it.

    Attributes
    ----------
    step : int
        Steps done.
    seconds : float
        Time spent, over all resumptions.
    loss : float
        Of the last step.
    learning_rate : float
        Of the last step.
    network, average : Network
        What is trained, and what is kept of it: the running mean of its weights, with
        the share of those it began with that was asked for. They are the training's
        own: look, do not change.
    images, targets : Tensor
        The last batch.
    scores : mapping
        Of the validation, by data set; empty in a step.
    is_best : bool
        Whether that validation was the best so far, so that the model was written.
    """

    step: int
    seconds: float
    loss: float
    learning_rate: float
    network: Network
    average: Network
    images: Tensor
    targets: Tensor
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    is_best: bool = False


@dataclass(frozen=True)
class Standing:
    """How a training stands before its first step, and after each validation.

    Attributes
    ----------
    step, seconds : int, float
        Done, over all resumptions.
    scores : mapping
        Of the validation, by data set; empty before the first step.
    best_step : int
        Step of the checkpoint that is the model; -1 before there is one.
    best_score : float or None
        Its mean score.
    curve : sequence of dict
        What is written in the curve file, oldest first; only before the first step.
    earlier : Network or None
        What makes the maps that a recursive network takes.
    """

    step: int
    seconds: float
    scores: Mapping[str, Mapping[str, float]]
    best_step: int
    best_score: float | None
    curve: Sequence[Mapping[str, Any]] = ()
    earlier: Network | None = None


class Hook:
    """Base of what looks on; override what is of interest.

    A hook must draw no random numbers from torch's global generator and leave
    the networks as they are, or the training can no longer be repeated.

    Examples
    --------
    >>> class Last(Hook):
    ...     def on_step(self, moment: Moment) -> None:
    ...         self.loss = moment.loss
    """

    def on_begin(self, standing: Standing) -> None:
        """Get ready: nothing of this run is done yet."""

    def on_step(self, moment: Moment) -> None:
        """Look at a step that was just taken."""

    def on_validation(self, moment: Moment) -> None:
        """Look at a validation that was just made after a step of this run."""

    def on_scores(self, standing: Standing) -> None:
        """Note the scores of a validation, also of one before the first step of this run."""

    def on_end(self) -> None:
        """Finish, also when the training was stopped or failed."""
