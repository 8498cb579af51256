"""Several computations of about the same length as one progress."""

from __future__ import annotations

from napari_emseg.progress import Progress


class Percent:
    """Passes reports on as percent of `n_parts` computations.

    Parameters
    ----------
    progress : Progress
        Told percent.
    n_parts : int
        How many computations there will be, at most.

    Examples
    --------
    >>> class Log:
    ...     def update(self, done: int, total: int, message: str = "") -> None:
    ...         print(done, total, message)
    >>> percent = Percent(Log(), 2)
    >>> percent.begin("first")
    >>> percent.update(3, 3)
    50 100 first
    >>> percent.begin("second")
    >>> percent.update(1, 2)
    75 100 second
    """

    def __init__(self, progress: Progress, n_parts: int) -> None:
        self._progress, self._n_parts = progress, n_parts
        self._begun, self._title = 0, ""

    def begin(self, title: str) -> None:
        """Go on with the next computation."""
        self._begun, self._title = min(self._begun + 1, self._n_parts), title

    def update(self, done: int, total: int, message: str = "") -> None:
        """Report of the present computation; `message` gives way to its title."""
        share = (self._begun - 1 + done / max(total, 1)) / self._n_parts
        self._progress.update(round(100 * share), 100, self._title)
