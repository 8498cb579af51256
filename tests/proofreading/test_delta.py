"""A delta is small, survives packing, and knows its inverse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_emseg.proofreading.delta import Delta, FlagChange, decode, encode, inverse
from napari_emseg.proofreading.runs import VoxelRuns, find_runs

ids = st.integers(0, 2**32 - 1)


@st.composite
def deltas(draw: st.DrawFn) -> Delta:
    fragments = np.array(sorted(draw(st.sets(ids, max_size=6))), np.uint32)
    before, after = (
        np.array(draw(st.lists(ids, min_size=n, max_size=n)), np.uint32)
        for n in (fragments.size, fragments.size)
    )
    boxes = [draw(hnp.arrays(np.uint32, (2, 3, 5), elements=st.integers(0, 3))) for _ in "on"]
    flags = (FlagChange(7, "done", False, True), FlagChange(9, "name", "", "été"))
    return Delta(fragments, before, after, flags, find_runs((4, 5, 6), *boxes))


def _same(one: Delta, two: Delta) -> None:
    for name in ("fragments", "before", "after"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert one.flags == two.flags
    assert (one.voxels is None) == (two.voxels is None)
    if one.voxels is not None and two.voxels is not None:
        for name in VoxelRuns.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(one.voxels, name), getattr(two.voxels, name))


@given(deltas())
@settings(deadline=None, max_examples=60)
def test_packing_and_unpacking_gives_the_same(delta: Delta) -> None:
    _same(decode(encode(delta)), delta)


@given(deltas())
@settings(deadline=None, max_examples=30)
def test_the_inverse_of_the_inverse_is_the_delta(delta: Delta) -> None:
    once = inverse(delta)
    np.testing.assert_array_equal(once.before, delta.after)
    back = inverse(once)
    _same(
        Delta(back.fragments, back.before, back.after, back.flags[::-1][::-1], back.voxels), delta
    )


@given(
    hnp.arrays(np.uint32, (3, 4, 6), elements=st.integers(0, 2)),
    hnp.arrays(np.uint32, (3, 4, 6), elements=st.integers(0, 2)),
)
@settings(deadline=None, max_examples=60)
def test_runs_hold_all_that_differs_and_nothing_else(old: np.ndarray, new: np.ndarray) -> None:
    runs = find_runs((0, 0, 0), old, new)
    if runs is None:
        np.testing.assert_array_equal(old, new)
        return
    assert runs.n_voxels == (old != new).sum()
    box = old[runs.box].copy()
    runs.write(box)
    np.testing.assert_array_equal(box, new[runs.box])
    runs.inverse().write(box)
    np.testing.assert_array_equal(box, old[runs.box])


def test_a_thousand_fragments_of_one_segment_pack_into_few_bytes() -> None:
    delta = Delta(np.arange(1000, 2000), np.full(1000, 5), np.full(1000, 6))
    assert delta.before.size == 1
    assert len(encode(delta)) < 200


def test_damage_is_noticed() -> None:
    packed = encode(Delta(np.array([3]), np.array([1]), np.array([2])))
    for broken in (packed[:-3], b"nothing", packed[:5] + b"\x00" + packed[6:]):
        with pytest.raises(ValueError, match="damaged"):
            decode(broken)
