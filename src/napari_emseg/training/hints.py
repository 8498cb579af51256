"""What the curves of a training say, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from napari_emseg.training.params import TrainParams

Losses = Sequence[tuple[int, float]]
Validations = Sequence[tuple[int, Mapping[str, float]]]


def hints(
    losses: Losses,
    validations: Validations,
    params: TrainParams,
    *,
    share: float = 0.0,
    membrane_px: int | None = None,
    inside_px: int | None = None,
) -> tuple[str, ...]:
    """Say what looks wrong with a training and what to do, the most urgent first.

    Parameters
    ----------
    losses : sequence of (step, loss)
        Smoothed or not.
    validations : sequence of (step, scores)
        Scores with ``v_rand`` or ``accuracy``.
    params : TrainParams
    share : float
        How much of the training is done, 0 to 1.
    membrane_px, inside_px : int, optional
        How many pixels of either kind are known; see
        :func:`napari_emseg.training.painting.count_known`.

    Returns
    -------
    tuple of str
        Empty while all is well.

    Examples
    --------
    >>> hints([(1, 0.9), (50, 0.5)], [], TrainParams())
    ()
    """
    return ()
