"""Thick boundaries and affinities from instance labels."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from napari_emseg.errors import InputError
from napari_emseg.training.targets import (
    IGNORED,
    affinity_target,
    kernel_target,
    label_target,
    membrane_target,
)

HUGE = 2**63 + 5
IDS = st.sampled_from([0, 1, 2, HUGE, HUGE + 1])
VOLUMES = nps.arrays(np.uint64, st.tuples(*[st.integers(1, 5)] * 3), elements=IDS)
OFFSETS = st.tuples(*[st.integers(-6, 6)] * 3).filter(any)


def within(kernel: str) -> list[tuple[int, ...]]:
    reach = 2 if kernel == "c5" else 1
    cube = product(range(-reach, reach + 1), repeat=3)
    return [d for d in cube if kernel != "l3" or sum(map(abs, d)) <= 1]


def ids_around(labels: npt.NDArray[Any], at: tuple[int, ...], kernel: str) -> set[int]:
    found = set()
    for step in within(kernel):
        near = tuple(a + d for a, d in zip(at, step, strict=True))
        if all(0 <= p < n for p, n in zip(near, labels.shape, strict=True)):
            found.add(int(labels[near]))
    return found - {0}


@settings(max_examples=40, deadline=None)
@given(labels=VOLUMES, kernel=st.sampled_from(["l3", "c3", "c5"]))
def test_boundary_is_where_the_kernel_holds_two_ids(labels: Any, kernel: Any) -> None:
    target = kernel_target(labels, kernel)
    code = kernel_target(labels, kernel, unlabelled="boundary")
    for at in np.ndindex(labels.shape):
        around = ids_around(labels, at, kernel)
        if labels[at]:
            assert target[at] == code[at] == (len(around) > 1)
        else:
            assert target[at] == (1 if around else IGNORED)
            assert code[at] == 1


def test_kernels_thicken_a_plane_between_two_cells() -> None:
    labels = np.ones((9, 6, 6), np.uint16)
    labels[:, :, 3:] = 2
    across = {kernel: int(kernel_target(labels, kernel)[4, 3].sum()) for kernel in ("l3", "c3")}
    assert across == {"l3": 2, "c3": 2}
    assert kernel_target(labels, "c5")[4, 3].tolist() == [0, 1, 1, 1, 1, 0]
    edge = np.ones((1, 5, 5), np.uint8)
    edge[0, :2, :2] = 2
    assert kernel_target(edge, "l3")[0, 2, 2] == 0
    assert kernel_target(edge, "c3")[0, 2, 2] == 1


@settings(max_examples=60, deadline=None)
@given(labels=VOLUMES, offset=OFFSETS)
def test_an_affinity_compares_a_voxel_with_the_one_at_its_offset(labels: Any, offset: Any) -> None:
    (target,) = affinity_target(labels, [offset])
    for at in np.ndindex(labels.shape):
        other = tuple(a + d for a, d in zip(at, offset, strict=True))
        inside = all(0 <= p < n for p, n in zip(other, labels.shape, strict=True))
        if not inside or labels[at] == 0 or labels[other] == 0:
            assert target[at] == IGNORED
        else:
            assert target[at] == (labels[at] == labels[other])


@settings(max_examples=60, deadline=None)
@given(labels=VOLUMES, offset=OFFSETS, halo=st.tuples(*[st.integers(0, 2)] * 3))
def test_a_halo_is_only_looked_at(labels: Any, offset: Any, halo: Any) -> None:
    core = tuple(slice(h, max(h, n - h)) for n, h in zip(labels.shape, halo, strict=True))
    whole = affinity_target(labels, [offset])[(slice(None), *core)]
    assert np.array_equal(affinity_target(labels, [offset], halo=halo), whole)


def test_bad_labels_and_offsets_are_explained() -> None:
    with pytest.raises(InputError, match=r"need the axes Z, Y, X; these have shape \(4, 5\)"):
        kernel_target(np.ones((4, 5), int))
    with pytest.raises(InputError, match="Z, Y, X"):
        affinity_target(np.ones((4, 5), int), [(0, 0, -1)])
    with pytest.raises(InputError, match=r"other than \(0, 0, 0\)"):
        affinity_target(np.ones((4, 5, 6), int), [(0, 0, 0)])


def test_boundaries_lie_where_ids_meet_however_large_the_ids():
    big = 2**63 + 5
    section = np.array([[7, 7, big, big], [7, 7, big, big]], np.uint64)
    assert label_target(section).tolist() == [[0, 1, 1, 0]] * 2


def test_thin_gaps_are_membrane_and_large_unlabelled_areas_unknown():
    section = np.array([[3, 3, 0, 4, 4, 0, 0, 0, 0]])
    assert label_target(section).tolist() == [[0, 1, 1, 1, 1, 1, IGNORED, IGNORED, IGNORED]]


@settings(deadline=None, max_examples=50)
@given(
    nps.arrays(
        np.uint8, nps.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 3)
    ),
    st.integers(1, 3),
)
def test_target_does_not_depend_on_orientation_or_on_names_of_ids(section, boundary_px):
    target = label_target(section, boundary_px=boundary_px)
    turned = label_target(np.rot90(section), boundary_px=boundary_px)
    assert np.array_equal(np.rot90(target), turned)
    renamed = np.array([0, 900, 17, 5])[section]
    assert np.array_equal(label_target(renamed, boundary_px=boundary_px), target)


def test_both_polarities_of_membranes_give_the_same_target():
    membranes = np.zeros((9, 9), np.uint8)
    membranes[4] = 255
    dark = 255 - membranes
    assert membrane_target(membranes).sum() == 9
    assert np.array_equal(membrane_target(membranes), membrane_target(dark))
    assert np.array_equal(membrane_target(membranes, invert=True), 1 - membrane_target(membranes))


def test_a_blank_membrane_section_has_no_membrane():
    assert membrane_target(np.full((3, 4), 255, np.uint8)).sum() == 0
