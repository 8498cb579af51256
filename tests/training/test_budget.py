"""What looks on takes its share of the time and no more."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.training.budget import SHARE, Budget

durations = st.lists(st.floats(0.01, 3.0), min_size=1, max_size=20)


@settings(deadline=None, max_examples=50)
@given(steps=durations, looks=durations, urgent=st.lists(st.booleans(), min_size=1, max_size=7))
def test_in_the_long_run_a_tenth_of_the_time_is_spent(steps, looks, urgent):
    """Whoever wants how much: beyond the tenth there is only what was had in advance."""
    budget, now, spent = Budget(), 0.0, 0.0
    budget.begin(now)
    for number in range(400):
        now += steps[number % len(steps)]
        if budget.allows(now, is_urgent=urgent[number % len(urgent)], is_begun=number % 2 == 0):
            took = looks[number % len(looks)]
            budget.spend(now, now + took)
            now, spent = now + took, spent + took
    assert spent <= SHARE * now + 4.0 + max(looks)
    assert spent >= min(SHARE * now - 4.0 - max(steps) - max(looks), 0) or spent > 0


def test_the_first_look_is_soon_and_another_section_need_not_wait():
    budget = Budget()
    budget.begin(100.0)
    assert not budget.allows(102.0, is_urgent=True)
    assert budget.allows(103.0, is_urgent=True)
    budget.spend(103.0, 104.0)
    assert not budget.allows(105.0)
    assert budget.allows(105.0, is_urgent=True)
    assert budget.allows(115.0)
