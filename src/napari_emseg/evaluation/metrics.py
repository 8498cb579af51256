"""The scores by name, each a function of a :class:`Comparison`.

Conventions, for all of them: voxels where the ground truth is 0 are not counted
(the voxel metrics `pixel_error`, `dice` and the warping errors apart). Voxels of id 0 in the
*segmentation* belong to no segment; the Rand and V_info scores take each of them
as a segment of its own (a singleton), while the CREMI variation of information
takes 0 as one more label. In a segmentation without zeros both are the same.
"""

from __future__ import annotations

from math import sqrt

from napari_emseg.evaluation.comparison import Comparison
from napari_emseg.evaluation.run_length import RunLength
from napari_emseg.evaluation.warping import WarpingCounts

_HERE = "napari_emseg.evaluation.metrics"
METRICS: dict[str, str] = {
    "v_rand": f"{_HERE}:v_rand",
    "v_rand_split": f"{_HERE}:v_rand_split",
    "v_rand_merge": f"{_HERE}:v_rand_merge",
    "v_info": f"{_HERE}:v_info",
    "v_info_split": f"{_HERE}:v_info_split",
    "v_info_merge": f"{_HERE}:v_info_merge",
    "rand_error": f"{_HERE}:rand_error",
    "adapted_rand_error": f"{_HERE}:adapted_rand_error",
    "voi_split": f"{_HERE}:voi_split",
    "voi_merge": f"{_HERE}:voi_merge",
    "cremi_score": f"{_HERE}:cremi_score",
    "pixel_error": f"{_HERE}:pixel_error",
    "dice": f"{_HERE}:dice",
}

# Slower, or of use for some data only: computed where asked for by name.
WARPING_METRICS: dict[str, str] = {
    "warping_error": f"{_HERE}:warping_error",
    "warping_split_error": f"{_HERE}:warping_split_error",
    "warping_merge_error": f"{_HERE}:warping_merge_error",
    "warping_hole_error": f"{_HERE}:warping_hole_error",
    "warping_object_error": f"{_HERE}:warping_object_error",
}
RUN_LENGTH_METRICS: dict[str, str] = {
    "expected_run_length_nm": f"{_HERE}:expected_run_length_nm",
    "expected_run_length_share": f"{_HERE}:expected_run_length_share",
}
ON_REQUEST: dict[str, str] = {**WARPING_METRICS, **RUN_LENGTH_METRICS}

LOWER_IS_BETTER = frozenset(
    {
        "rand_error",
        "adapted_rand_error",
        "voi",
        "voi_split",
        "voi_merge",
        "cremi_score",
        "pixel_error",
        *WARPING_METRICS,
    }
)


def v_rand(comparison: Comparison) -> float:
    """Foreground-restricted Rand F-score, the ranking score of ISBI 2012; 1 is perfect.

    Harmonic mean of the split and the merge score. Segmentation 0: singletons.
    Arganda-Carreras et al. 2015, doi 10.3389/fnana.2015.00142.
    """
    return comparison.rand[0]


def v_rand_split(comparison: Comparison) -> float:
    """Probability that two voxels of one true object share a segment; splits lower it.

    Sum p^2 / sum t^2. Segmentation 0: singletons.
    Arganda-Carreras et al. 2015, doi 10.3389/fnana.2015.00142.
    """
    return comparison.rand[1]


def v_rand_merge(comparison: Comparison) -> float:
    """Probability that two voxels of one segment share a true object; merges lower it.

    Sum p^2 / sum s^2. Segmentation 0: singletons.
    Arganda-Carreras et al. 2015, doi 10.3389/fnana.2015.00142.
    """
    return comparison.rand[2]


def v_info(comparison: Comparison) -> float:
    """Information-theoretic F-score 2 I(S;T) / (H(S) + H(T)); 1 is perfect.

    Segmentation 0: singletons. 1 where both are a single object.
    Arganda-Carreras et al. 2015, doi 10.3389/fnana.2015.00142.
    """
    return comparison.information[0]


def v_info_split(comparison: Comparison) -> float:
    """I(S;T) / H(S); splits lower it. 1 for a segmentation of one segment (limit of 0/0).

    Segmentation 0: singletons.
    Arganda-Carreras et al. 2015, doi 10.3389/fnana.2015.00142.
    """
    return comparison.information[1]


def v_info_merge(comparison: Comparison) -> float:
    """I(S;T) / H(T); merges lower it. 1 for a ground truth of one object (limit of 0/0).

    Segmentation 0: singletons.
    Arganda-Carreras et al. 2015, doi 10.3389/fnana.2015.00142.
    """
    return comparison.information[2]


def rand_error(comparison: Comparison) -> float:
    """Rand error of the first ISBI 2012 leaderboard: 1 - F-score over voxel pairs.

    Counts pairs of *distinct* voxels, n (n - 1) / 2 of them, where
    `adapted_rand_error` counts n^2 ordered pairs, a voxel with itself included;
    they differ only where objects are a few voxels large. The challenge took the
    best of several thresholds; labels have none. Segmentation 0: singletons,
    which form no pair. http://brainiac2.mit.edu/isbi_challenge/evaluation
    """
    return 1.0 - comparison.pair_f_score


def adapted_rand_error(comparison: Comparison) -> float:
    """Adapted Rand error of SNEMI3D and CREMI, 1 - V_rand; 0 is perfect.

    Segmentation 0: singletons. The published SNEMI3D script adds their number
    divided by that of all voxels to sums of unnormalised counts, a slip its
    authors acknowledged; here they count in full.
    """
    return 1.0 - comparison.rand[0]


def voi_split(comparison: Comparison) -> float:
    """Variation of information due to splits, H(S|T) in bits; 0 is perfect.

    Segmentation 0: one more label, as in CREMI (cremi.org). Meila 2007,
    doi 10.1016/j.jmva.2006.11.013.
    """
    return comparison.variation[0]


def voi_merge(comparison: Comparison) -> float:
    """Variation of information due to merges, H(T|S) in bits; 0 is perfect.

    Segmentation 0: one more label, as in CREMI (cremi.org). Meila 2007,
    doi 10.1016/j.jmva.2006.11.013.
    """
    return comparison.variation[1]


def cremi_score(comparison: Comparison) -> float:
    """CREMI score, sqrt(adapted Rand error * (VOI split + VOI merge)); 0 is perfect.

    As on cremi.org, segmentation 0 is singletons in the first factor and one
    more label in the second.
    """
    return sqrt(adapted_rand_error(comparison) * sum(comparison.variation))


def pixel_error(comparison: Comparison) -> float:
    """1 - F-score of the boundary voxels; 0 is perfect, also where neither has any.

    Boundary: id 0, or an id that differs from a 4-neighbour's in its section.
    After the pixel error of ISBI 2012, http://brainiac2.mit.edu/isbi_challenge/evaluation
    """
    return 1.0 - comparison.boundary.dice


def dice(comparison: Comparison) -> float:
    """Dice overlap of the foregrounds (id not 0); 1 is perfect, also where both are empty.

    Useful for blobs such as mitochondria; of no use where segments leave no gaps.
    """
    return comparison.foreground.dice


def warping_error(comparison: Comparison) -> float:
    """Share of pixels that differ in topology, after warping; 0 is perfect.

    The true cells are warped onto the segments by flipping simple pixels only; what
    cannot be flipped is an error. Section by section, all pixels count; id 0 is
    membrane, and where two ids touch a membrane one pixel wide is put between them.
    The lesser of two greedy descents, from true membranes as they are and thickened by
    one pixel to each side. The sum of the four errors below. Jain et al. 2010,
    doi 10.1109/CVPR.2010.5539950.
    """
    return _warping(comparison).error()


def warping_split_error(comparison: Comparison) -> float:
    """Part of the warping error that splits cells; with merges, the warping error of ISBI 2012.

    http://brainiac2.mit.edu/isbi_challenge/evaluation
    """
    return _warping(comparison).error("split")


def warping_merge_error(comparison: Comparison) -> float:
    """Part of the warping error that merges cells; with splits, the warping error of ISBI 2012.

    http://brainiac2.mit.edu/isbi_challenge/evaluation
    """
    return _warping(comparison).error("merge")


def warping_hole_error(comparison: Comparison) -> float:
    """Part of the warping error that adds holes to cells or fills them."""
    return _warping(comparison).error("hole_added", "hole_deleted")


def warping_object_error(comparison: Comparison) -> float:
    """Part of the warping error that adds or deletes whole cells."""
    return _warping(comparison).error("object_added", "object_deleted")


def expected_run_length_nm(comparison: Comparison) -> float:
    """How far a neuron can be traced before an error, in nm; more is better.

    Along centre lines of the true objects, which must be 3D.
    Januszewski et al. 2018, doi 10.1038/s41592-018-0049-4.
    """
    return _run_length(comparison).expected_nm


def expected_run_length_share(comparison: Comparison) -> float:
    """Share of the expected run length of a perfect segmentation that is reached; 1 is perfect."""
    length = _run_length(comparison)
    return length.expected_nm / length.best_nm


def _warping(comparison: Comparison) -> WarpingCounts:
    if comparison.warping is None:
        raise ValueError("The comparison was made without warping.")
    return comparison.warping


def _run_length(comparison: Comparison) -> RunLength:
    if comparison.run_length is None:
        raise ValueError("The comparison was made without skeletons.")
    return comparison.run_length
