"""The walk up a merge tree that keeps all scores exact (compiled by numba).

A merge of two clusters changes a sum like sum p_ij^2 only where both hold voxels
of the same object j. Laid out in dendrogram order, every cluster is an interval of
fragments, and two fragments meet at the highest gap between them. So for each
object, neighbours along that order are linked once, at a known height; going
through the links in order of height visits every change of every sum exactly once:
O(P log P) for P overlapping pairs, whatever the shape of the tree.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from napari_emseg.evaluation.formulas import info_scores, rand_scores
from napari_emseg.jit import kernel

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Scores = tuple[float, float, float, float, float, float, float, float]

_rand = kernel(rand_scores)
_info = kernel(info_scores)

N_SCORES = 8


@kernel
def _find(parent: Ints, node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@kernel
def order_leaves(n_fragments: int, a: Ints, b: Ints, rank: Ints, never: int) -> tuple[Ints, Ints]:
    """Lay fragments out so that every cluster of the tree is an interval.

    Parameters
    ----------
    n_fragments : int
    a, b : ndarray, shape (edges,)
        Fragments joined, ids 1..n_fragments, in ascending order of height.
    rank : ndarray of int64, shape (edges,)
        Index of each edge's height among the distinct heights.
    never : int
        Stands for "not joined by the tree".

    Returns
    -------
    place : ndarray of int64, shape (n_fragments + 1,)
        Position of each fragment; fragment 0 has none (-1).
    gap : ndarray of int64, shape (n_fragments,)
        Rank at which positions k and k + 1 come into one cluster.
    """
    parent = np.arange(n_fragments + 1)
    size = np.ones(n_fragments + 1, np.int64)
    first = np.arange(n_fragments + 1)
    last = np.arange(n_fragments + 1)
    following = np.zeros(n_fragments + 1, np.int64)
    gap_after = np.full(n_fragments + 1, never, np.int64)
    for k in range(a.size):
        one, two = _find(parent, a[k]), _find(parent, b[k])
        if one == two:
            continue
        if size[one] < size[two]:
            one, two = two, one
        following[last[one]] = first[two]
        gap_after[last[one]] = rank[k]
        last[one] = last[two]
        parent[two] = one
        size[one] += size[two]
    place = np.full(n_fragments + 1, -1, np.int64)
    gap = np.full(n_fragments, never, np.int64)
    position = 0
    for root in range(1, n_fragments + 1):
        if parent[root] != root:
            continue
        leaf = first[root]
        while leaf != 0:
            place[leaf] = position
            gap[position] = gap_after[leaf]
            position += 1
            leaf = following[leaf]
    return place, gap


@kernel
def link_entries(
    place: Ints, column: Ints, gap: Ints, n_columns: int, never: int
) -> tuple[Ints, Ints]:
    """Link each entry to the one before it in its column.

    Parameters
    ----------
    place : ndarray of int64, shape (entries,)
        Position of each entry's fragment, ascending.
    column : ndarray of int64, shape (entries,)
    gap : ndarray of int64
        From :func:`order_leaves`.

    Returns
    -------
    previous : ndarray of int64, shape (entries,)
        The entry linked to, -1 for the first of a column.
    rank : ndarray of int64, shape (entries,)
        When the two come into one cluster: the highest gap between them.
    """
    previous = np.full(place.size, -1, np.int64)
    rank = np.full(place.size, never, np.int64)
    last = np.full(n_columns, -1, np.int64)
    # Gaps that are higher than all behind them: the highest from l on is the first with index >= l.
    stack = np.empty(gap.size + 1, np.int64)
    height = 0
    position = 0
    for entry in range(place.size):
        while position < place[entry]:
            while height > 0 and gap[stack[height - 1]] <= gap[position]:
                height -= 1
            stack[height] = position
            height += 1
            position += 1
        before = last[column[entry]]
        if before >= 0:
            k = np.searchsorted(stack[:height], place[before])
            previous[entry] = before
            rank[entry] = gap[stack[k]]
        last[column[entry]] = entry
    return previous, rank


@kernel
def _x_log2_x(count: int) -> float:
    return count * math.log2(count) if count > 0 else 0.0


@kernel
def _entropies(
    squares: tuple[int, int], logs: tuple[float, float], truth_square: int, truth_log: float, n: int
) -> tuple[float, float, float, float]:
    # Sums of squares are exact integers, so they tell a true 0 from rounding.
    joint_square, segment_square = squares
    joint_log, segment_log = logs
    split = max(0.0, truth_log - joint_log) / n if joint_square != truth_square else 0.0
    merge = max(0.0, segment_log - joint_log) / n if joint_square != segment_square else 0.0
    segment = math.log2(n) - segment_log / n if segment_square != n * n else 0.0
    truth = math.log2(n) - truth_log / n if truth_square != n * n else 0.0
    return split, merge, segment, truth


@kernel
def _score_group(
    square: Ints,
    log: Floats,
    truth_square: int,
    truth_log: float,
    zero_square: Ints,
    zero_log: Floats,
    n: int,
) -> Scores:
    """Eight scores of one group from its sums; zeros as singletons, for VOI as a label."""
    n_zeros = zero_square[2]
    squares = (square[0] + n_zeros, square[1] + n_zeros)
    rand = _rand(squares[0], squares[1], truth_square)
    info = _info(*_entropies(squares, (log[0], log[1]), truth_square, truth_log, n))
    voi = _entropies(
        (square[0] + zero_square[0], square[1] + zero_square[1]),
        (log[0] + zero_log[0], log[1] + zero_log[1]),
        truth_square,
        truth_log,
        n,
    )
    return (rand[0], rand[1], rand[2], info[0], info[1], info[2], voi[0], voi[1])


@kernel
def _add_exactly(total: Floats, lost: Floats, k: int, value: float) -> None:
    """Neumaier's compensated sum, so that millions of small steps do not drift."""
    new = total[k] + value
    if abs(total[k]) >= abs(value):
        lost[k] += (total[k] - new) + value
    else:
        lost[k] += (value - new) + total[k]
    total[k] = new


@kernel
def walk(
    previous: Ints,
    rank: Ints,
    order: Ints,
    count: Ints,
    margin: Ints,
    group: Ints,
    truth_square: Ints,
    truth_log: Floats,
    zero_square: Ints,
    zero_log: Floats,
    n: Ints,
    n_ranks: int,
) -> Floats:
    """Scores after every distinct height.

    Parameters
    ----------
    previous, rank : ndarray of int64, shape (entries,)
        From :func:`link_entries`.
    order : ndarray of int64
        Linked entries by ascending rank.
    count : ndarray of int64, shape (entries,)
        Voxels; an entry is a fragment's overlap with an object, or all its voxels
        in the foreground of a group.
    margin : ndarray of int64, shape (entries,)
        0 for an overlap (joint sum), 1 for the whole (segment sum).
    group : ndarray of int64, shape (entries,)
        What an entry is scored with: the stack, or its section alone.
    truth_square, truth_log : ndarray, shape (groups,)
        Sums of t^2 and t log2 t.
    zero_square, zero_log : ndarray, shape (groups, 3) and (groups, 2)
        What voxels without a fragment add: as one label (joint, segment), and
        their number.
    n : ndarray of int64, shape (groups,)
        Foreground voxels.
    n_ranks : int

    Returns
    -------
    ndarray of float64, shape (n_ranks, 8)
        Mean over the groups of v_rand, split, merge, v_info, split, merge, voi
        split, voi merge.
    """
    n_groups = n.size
    square = np.zeros((n_groups, 2), np.int64)
    log = np.zeros((n_groups, 2))
    log_lost = np.zeros((n_groups, 2))
    for entry in range(count.size):
        g, m = group[entry], margin[entry]
        square[g, m] += count[entry] * count[entry]
        _add_exactly(log[g], log_lost[g], m, _x_log2_x(count[entry]))
    scores = np.empty((n_groups, N_SCORES))
    total = np.zeros(N_SCORES)
    total_lost = np.zeros(N_SCORES)
    for g in range(n_groups):
        values = _score_group(
            square[g],
            log[g] + log_lost[g],
            truth_square[g],
            truth_log[g],
            zero_square[g],
            zero_log[g],
            n[g],
        )
        for k in range(N_SCORES):
            scores[g, k] = values[k]
            _add_exactly(total, total_lost, k, values[k])

    result = np.empty((n_ranks, N_SCORES))
    parent = np.arange(count.size)
    size = count.copy()
    is_touched = np.zeros(n_groups, np.bool_)
    touched = np.empty(n_groups, np.int64)
    done = 0
    for r in range(n_ranks):
        n_touched = 0
        while done < order.size and rank[order[done]] == r:
            entry = order[done]
            done += 1
            one, two = _find(parent, entry), _find(parent, previous[entry])
            g, m = group[entry], margin[entry]
            square[g, m] += 2 * size[one] * size[two]
            gain = _x_log2_x(size[one] + size[two]) - _x_log2_x(size[one]) - _x_log2_x(size[two])
            _add_exactly(log[g], log_lost[g], m, gain)
            if size[one] < size[two]:
                one, two = two, one
            parent[two] = one
            size[one] += size[two]
            if not is_touched[g]:
                is_touched[g] = True
                touched[n_touched] = g
                n_touched += 1
        for k in range(n_touched):
            g = touched[k]
            is_touched[g] = False
            values = _score_group(
                square[g],
                log[g] + log_lost[g],
                truth_square[g],
                truth_log[g],
                zero_square[g],
                zero_log[g],
                n[g],
            )
            for i in range(N_SCORES):
                _add_exactly(total, total_lost, i, values[i] - scores[g, i])
                scores[g, i] = values[i]
        for i in range(N_SCORES):
            result[r, i] = (total[i] + total_lost[i]) / n_groups
    return result
