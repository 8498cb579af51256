"""How much time something beside the main work may take."""

from __future__ import annotations

SHARE = 0.1
"""Of the time."""
FIRST_AFTER_S = 3.0
"""So long after the start, what is looked at begins to be worth a look."""
PAUSE_S = 2.0
"""At least so long between two looks at the same."""
_AHEAD_S, _AHEAD_URGENT_S = 1.0, 4.0
"""What may be owed while a look is finished, and when somebody looks elsewhere."""


class Budget:
    """Keeps a share of the time, with a debt that is paid off while nothing is spent.

    Examples
    --------
    >>> budget = Budget()
    >>> budget.begin(0.0)
    >>> budget.allows(5.0)
    True
    >>> budget.spend(5.0, 6.0)
    >>> budget.allows(10.0), budget.allows(10.0, is_urgent=True), budget.allows(16.0)
    (False, True, True)
    """

    def __init__(self) -> None:
        self._paid_at = 0.0
        self._ended_at = float("-inf")
        self._first_at = 0.0
        self._debt_s = 0.0

    def begin(self, now_s: float) -> None:
        """Start counting."""
        self._paid_at, self._first_at = now_s, now_s + FIRST_AFTER_S

    def allows(self, now_s: float, *, is_urgent: bool = False, is_begun: bool = False) -> bool:
        """Tell whether the next look, or part of one, may be taken now.

        Parameters
        ----------
        now_s : float
        is_urgent : bool
            Whether it is the first at something, for which somebody waits.
        is_begun : bool
            Whether it goes on with what was begun, so that no pause is needed.
        """
        self._pay(now_s)
        if now_s < self._first_at:
            return False
        if is_urgent:
            return self._debt_s <= _AHEAD_URGENT_S
        if is_begun:
            return self._debt_s <= _AHEAD_S
        return self._debt_s <= 0 and now_s >= self._ended_at + PAUSE_S

    def spend(self, started_s: float, ended_s: float) -> None:
        """Note what a look, or part of one, took."""
        self._pay(started_s)
        self._paid_at = self._ended_at = ended_s
        self._debt_s += ended_s - started_s

    def _pay(self, now_s: float) -> None:
        self._debt_s = max(0.0, self._debt_s - SHARE * (now_s - self._paid_at))
        self._paid_at = now_s
