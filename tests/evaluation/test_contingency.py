"""The contingency table: right for any ids, small for any volume."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_emseg.evaluation import evaluate
from napari_emseg.evaluation.contingency import ContingencyBuilder

HUGE = [0, 1, 2**31, 2**32 + 1, 2**53 + 1, 2**63, 2**64 - 1]
HUGE_IDS = arrays(np.uint64, (3, 4, 5), elements=st.sampled_from(HUGE))


@settings(deadline=None, max_examples=50)
@given(HUGE_IDS, HUGE_IDS)
def test_pairs_of_huge_ids_are_counted_one_by_one(
    segmentation: npt.NDArray[np.uint64], truth: npt.NDArray[np.uint64]
) -> None:
    builder = ContingencyBuilder()
    for s, t in zip(segmentation, truth, strict=True):
        builder.add(s, t)
    table = builder.build()
    expected = Counter(zip(segmentation[truth != 0], truth[truth != 0], strict=True))
    rows = list(zip(table.segment, table.truth, strict=True))
    assert rows == sorted(expected)
    assert dict(zip(rows, table.count, strict=True)) == dict(expected)
    assert table.n_voxels == np.count_nonzero(truth)


class ManySections:
    """A deep stack that is never in memory, with huge ids."""

    shape = (150, 256, 256)
    dtype = np.dtype(np.uint64)

    def __init__(self, block_px: int) -> None:
        rows, columns = np.mgrid[:256, :256] // block_px
        self._ids: npt.NDArray[np.uint64] = (rows * 64 + columns).astype(np.uint64) + np.uint64(
            2**60
        )

    def __getitem__(self, z: int) -> npt.NDArray[np.uint64]:
        return self._ids


def test_memory_is_that_of_the_pairs_and_one_section() -> None:
    segmentation, truth = ManySections(32), ManySections(48)
    tracemalloc.start()
    scores = evaluate(segmentation, truth)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0 < scores["v_rand"] < 1
    n_sections = peak / (256 * 256 * 8)
    assert n_sections < 12, f"{n_sections:.1f} sections at once"
