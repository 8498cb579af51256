"""How long a computation has yet to run, by what it reports."""

from __future__ import annotations


class TimeLeft:
    """Estimates from the first report on: what came before it was loading, not work.

    A report that counts to another total, or less than before, begins another
    computation, and so another estimate.

    Examples
    --------
    >>> clock = TimeLeft()
    >>> clock.estimate_s(0, 10, now_s=60.0)  # a minute to load the model
    >>> clock.estimate_s(2, 10, now_s=64.0)
    16.0
    """

    def __init__(self) -> None:
        self._begun_s = 0.0
        self._first_done = self._done = 0
        self._total: int | None = None

    def estimate_s(self, done: int, total: int, now_s: float) -> float | None:
        """Take a report; return the seconds left, or None as long as nothing was seen to advance.

        Parameters
        ----------
        done, total : int
            What was reported.
        now_s : float
            When, in seconds.
        """
        if total != self._total or done < self._done:
            self._begun_s, self._first_done = now_s, done
        self._done, self._total = done, total
        advanced = done - self._first_done
        if advanced < 1 or done >= total:
            return None
        return (now_s - self._begun_s) / advanced * (total - done)
