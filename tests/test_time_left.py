"""The time left is that of the work, not of what comes before it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.time_left import TimeLeft


def test_loading_does_not_count_as_work() -> None:
    """40 s of loading, then ten sections of 2 s: as in a first prediction."""
    clock = TimeLeft()
    assert clock.estimate_s(0, 10, 40.5) is None  # the first block of the first section
    assert clock.estimate_s(1, 10, 42.5) == pytest.approx(18)
    assert clock.estimate_s(5, 10, 50.5) == pytest.approx(10)
    assert clock.estimate_s(10, 10, 60.5) is None


def test_what_an_earlier_run_has_done_does_not_count() -> None:
    clock = TimeLeft()
    assert clock.estimate_s(90, 100, 5) is None
    assert clock.estimate_s(91, 100, 8) == pytest.approx(27)


def test_another_part_of_the_work_has_its_own_pace() -> None:
    clock = TimeLeft()
    for z in range(31):
        clock.estimate_s(z, 30, z / 100)  # sections looked through
    assert clock.estimate_s(0, 30, 9) is None  # sections predicted
    assert clock.estimate_s(1, 30, 14) == pytest.approx(5 * 29)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 50), st.integers(2, 60), st.floats(0.01, 100), st.floats(0, 1e4), st.data())
def test_steady_work_is_estimated_exactly(
    first: int, n: int, pace_s: float, start_s: float, data: st.DataObject
) -> None:
    total, clock = first + n, TimeLeft()
    clock.estimate_s(first, total, start_s)
    done = data.draw(st.integers(1, n - 1))
    found = clock.estimate_s(first + done, total, start_s + done * pace_s)
    assert found == pytest.approx((n - done) * pace_s, rel=1e-3, abs=1e-6)
