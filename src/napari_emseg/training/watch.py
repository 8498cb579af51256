"""What a window sees of a training that runs, and what it asks to see.

Does not import torch.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.volume import Volume

MOST_POINTS = 1000
"""A loss curve longer than this is thinned."""

Points = tuple[tuple[int, float], ...]
Validations = tuple[tuple[int, dict[str, float]], ...]


@dataclass(frozen=True, eq=False)
class View:
    """The section somebody looks at.

    Attributes
    ----------
    raw : Volume
    section : int
    number : int
        Rises with each other view.
    """

    raw: Volume
    section: int
    number: int


@dataclass(frozen=True, eq=False)
class WatchState:
    """A picture of a training at one moment; never changed.

    Attributes
    ----------
    step : int
        Steps done, over all resumptions.
    seconds : float
        Time spent on them, over all resumptions, without starting up.
    samples : int
        Patches, or windows, seen.
    loss : float
        Smoothed; NaN before the first step.
    losses : tuple of (int, float)
        Step and smoothed loss, at most `MOST_POINTS`.
    validations : tuple of (int, dict)
        Step and {"v_rand": ...} or {"accuracy": ...}, the mean over the data sets.
    best_step : int
        Of the model that is kept; -1 before there is one.
    best_score : float or None
        Its score; None where nothing was validated.
    section : int or None
        The section `map` is of.
    map : float32 array, (Y, X), or None
        Boundary map of the watched section, 1 = membrane; as large as the section.
    map_step : int
        Steps done when it was made, -1 before there is one.
    view : View or None
        What `map` is of, where more than one volume is looked at.
    eta_s : float or None
        Seconds left, told by the steps taken since the start; None until it can be told.
    """

    step: int = 0
    seconds: float = 0.0
    samples: int = 0
    loss: float = float("nan")
    losses: Points = ()
    validations: Validations = ()
    best_step: int = -1
    best_score: float | None = None
    section: int | None = None
    map: npt.NDArray[np.float32] | None = None
    map_step: int = -1
    view: View | None = None
    eta_s: float | None = None


class Watch:
    """Shared by a window, which looks, and a training, which tells; both may be threads.

    Examples
    --------
    >>> watch = Watch()
    >>> watch.look_at(Volume(np.zeros((5, 8, 8), np.uint8)), 3)
    >>> watch.view().section, watch.state().step
    (3, 0)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state = WatchState()
        self._view: View | None = None

    def state(self) -> WatchState:
        """Return how the training stands."""
        return self._state

    def look_at(self, raw: Volume, section: int) -> None:
        """Ask for the map of a section, from now on.

        Parameters
        ----------
        raw : Volume
            Any grey values, also none that is trained on. What its `data` is decides
            whether it is another volume than before.
        section : int
            Index along Z.
        """
        with self._lock:
            old = self._view
            if old and old.raw.data is raw.data and old.section == section:
                return
            self._view = View(raw, section, old.number + 1 if old else 0)

    def view(self) -> View | None:
        """Return what somebody looks at; None if nobody does."""
        return self._view

    def show(self, view: View) -> None:
        """Ask for the map of a view that has its number already."""
        self._view = view

    def tell(self, **changes: Any) -> None:
        """Change fields of the state; called by the training."""
        with self._lock:
            self._state = replace(self._state, **changes)


def thin(points: Points) -> Points:
    """Drop every second point of a curve that has become too long; the last one stays.

    Examples
    --------
    >>> len(thin(tuple((n, 0.0) for n in range(1001))))
    501
    """
    if len(points) <= MOST_POINTS:
        return points
    kept = points[::2]
    return kept if kept[-1] == points[-1] else (*kept, points[-1])
