"""The region graph against a count of faces by hand."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.segmentation.strategies import LEVELS, shapes

from napari_emseg.errors import InputError
from napari_emseg.segmentation import build_hierarchy
from napari_emseg.segmentation.face_values import N_BINS, measure_face_values
from napari_emseg.segmentation.rag import build_rag


def count_faces(fragments: np.ndarray, boundary: np.ndarray) -> dict[tuple[int, int], list[float]]:
    """Values of all faces between two different fragments, one by one."""
    faces = defaultdict(list)
    for axis in range(3):
        ends = [np.delete(array, i, axis) for array in (fragments, boundary) for i in (-1, 0)]
        for i, j, here, there in zip(*(end.ravel().tolist() for end in ends), strict=True):
            if i != j and i and j:
                faces[min(i, j), max(i, j)].append((here + there) / 2)
    return faces


@st.composite
def labelled(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(shapes)
    fragments = draw(hnp.arrays(np.uint32, shape, elements=st.integers(0, 6)))
    grey = draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, LEVELS)))
    return fragments, (grey / LEVELS).astype(np.float32)


@settings(deadline=None, max_examples=80)
@given(labelled())
def test_each_contact_has_its_faces_and_their_sum(case):
    fragments, boundary = case
    rag = build_rag(fragments, boundary, n_fragments=6)
    faces = count_faces(fragments, boundary)
    pairs = list(zip(rag.a.tolist(), rag.b.tolist(), strict=True))
    assert pairs == sorted(faces)
    assert rag.count.tolist() == [len(faces[pair]) for pair in pairs]
    assert rag.total.tolist() == pytest.approx([sum(faces[pair]) for pair in pairs])


@settings(deadline=None, max_examples=40)
@given(labelled())
def test_face_values_are_counted_where_they_are(case):
    fragments, boundary = case
    rag = build_rag(fragments, boundary, n_fragments=6)
    counts = measure_face_values(rag, fragments, lambda z: boundary[z])
    faces = count_faces(fragments, boundary)
    for i, j, row in zip(rag.a.tolist(), rag.b.tolist(), counts, strict=True):
        expected, _ = np.histogram(faces[i, j], N_BINS, (0, 1))
        assert row.tolist() == expected.tolist()


def test_a_real_map_as_a_library_measures_it(fib_boundary):
    from bioimage_cpp.graph import region_adjacency_graph
    from bioimage_cpp.graph.features import edge_map_features

    hierarchy = build_hierarchy(fib_boundary, mode="3d", sigma_px=0.5)
    fragments = hierarchy.fragments.data
    rag = build_rag(fragments, fib_boundary, hierarchy.n_fragments)
    graph = region_adjacency_graph(fragments)
    features = edge_map_features(graph, fragments, fib_boundary)
    assert rag.n_edges > 3000  # the arrays have grown
    assert np.array_equal(np.stack([rag.a, rag.b], 1), graph.uv_ids())
    assert np.array_equal(rag.count, features[:, 1])
    np.testing.assert_allclose(rag.mean, features[:, 0], rtol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 4)])
def test_a_single_fragment_touches_nothing(shape):
    rag = build_rag(np.ones(shape, np.uint32), np.zeros(shape, np.float32), n_fragments=1)
    assert rag.n_edges == rag.mean.size == 0
    nothing = build_rag(np.zeros(shape, np.uint32), np.zeros(shape, np.float32), n_fragments=0)
    assert nothing.n_edges == 0


def test_another_shape_is_refused():
    with pytest.raises(InputError, match="same voxels"):
        build_rag(np.ones((1, 2, 3), np.uint32), np.zeros((1, 3, 2), np.float32), 1)
