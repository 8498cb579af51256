"""Where segments hang together by little: cuts through the spanning trees of their fragments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from napari_emseg.proofreading.contacts import Edges
from napari_emseg.proofreading.runs import Ids
from napari_emseg.proofreading.survey import Survey
from napari_emseg.proofreading.trees import Trees, hang_up

Ints = npt.NDArray[np.int64]
_NEAR = 40  # fragments looked at for one that stands for its side


@dataclass(frozen=True, eq=False)
class Necks:
    """Ways to cut a segment in two.

    Attributes
    ----------
    trees : Trees
    node : (n,) int64
        Fragment at the end of each part cut off; the part is what hangs below it.
    edges : Edges
        All contacts of the cut together, as one; `a` is the fragment, `b` the one above.
    size_one, size_two : (n,) int64
        Voxels of the part cut off, and of the rest.
    """

    trees: Trees
    node: Ints
    edges: Edges
    size_one: Ints
    size_two: Ints

    def sides(self, k: int, size: Ints) -> tuple[int, int]:
        """Return a fragment for each side of a neck: the largest of those near it."""
        node, above = int(self.node[k]), int(self.edges.b[k])
        return self._largest(node, above, size), self._largest(above, node, size)

    def _largest(self, first: int, without: int, size: Ints) -> int:
        children, start = self._children
        parent = self.trees.parent
        seen, queue = {first, without, 0}, [first]
        for node in queue:
            below = children[start[node] : start[node + 1]].tolist()
            for beside in (*below, int(parent[node])):
                if beside not in seen and len(queue) < _NEAR:
                    seen.add(beside)
                    queue.append(beside)
        return max(queue, key=lambda node: int(size[node]))

    @property
    def tree_ends(self) -> tuple[Ids, Ids]:
        """The two fragments that touch at each neck."""
        return self.edges.a, self.edges.b

    def below(self, k: int) -> Ids:
        """Return the fragments of the part that a neck cuts off."""
        children, start = self._children
        queue = [int(self.node[k])]
        for node in queue:
            queue += children[start[node] : start[node + 1]].tolist()
        return np.array(queue, np.uint32)

    @cached_property
    def _children(self) -> tuple[Ints, Ints]:
        """Nodes by the one above them, and where those below each start."""
        parent = self.trees.parent
        order = np.argsort(parent, kind="stable")
        return order, np.searchsorted(parent[order], np.arange(parent.size + 1))


def find_necks(survey: Survey) -> Necks:
    """Return for each edge of the spanning trees what cutting there would cut.

    Fragments hang on those they hold to most: by many faces with little wall. What
    leads from below an edge to anywhere else is the whole cut, be it over several
    contacts [1]_. Places where both sides are known to be one cell are left out.

    Parameters
    ----------
    survey : Survey

    Returns
    -------
    Necks

    References
    ----------
    .. [1] Karger, D. R. (2000). Minimum cuts in near-linear time. Journal of the ACM 47,
       section 5 (cuts that cross a tree once). doi 10.1145/331605.331608
    """
    table, edges = survey.segment_of, survey.edges
    inner = (table[edges.a] == table[edges.b]) & ~survey.is_closed[table[edges.a]]
    edges = edges.take(np.flatnonzero(inner))
    trees = hang_up(edges, 1 / _hold(edges), table.size)
    sums = np.column_stack([*edges.sums])
    crossing = trees.crossing(edges, sums)
    below = trees.summed_up(survey.size[:, None].astype(np.float64))[:, 0].astype(np.int64)
    is_open = (trees.parent > 0) & (below > 0) & (crossing[:, 1] > 0)
    is_open &= below < survey.segment_size[table]
    is_open &= ~_known(survey, trees)
    node = np.flatnonzero(is_open)
    cut = crossing[node]
    return Necks(
        trees=trees,
        node=node,
        edges=Edges(
            a=node.astype(np.uint32),
            b=trees.parent[node].astype(np.uint32),
            total=cut[:, 0],
            count=np.rint(cut[:, 1]).astype(np.int64),
            gaps=cut[:, 2],
            place=cut[:, 3:],
        ),
        size_one=below[node],
        size_two=survey.segment_size[table[node]] - below[node],
    )


def _hold(edges: Edges) -> npt.NDArray[np.float64]:
    """By how much two fragments hold together."""
    held: npt.NDArray[np.float64] = edges.count * ((1 - edges.mean) ** 2 + 1e-3)
    return held


def _known(survey: Survey, trees: Trees) -> npt.NDArray[np.bool_]:
    """Whether the edge above each node lies between fragments known to be one cell."""
    one, two = survey.decided.T
    inside = (two < survey.segment_of.size) & (one > 0)
    one, two = one[inside], two[inside]
    together = survey.segment_of[one] == survey.segment_of[two]
    return trees.on_the_way(one[together], two[together])
