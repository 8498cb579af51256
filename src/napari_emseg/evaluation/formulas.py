"""Scores from sums over a contingency table; scalar, so that numba compiles them too.

S is the segmentation, T the ground truth, both restricted to the foreground of T.
Numba's cache does not see changes here: after one, save ``tree_walk.py`` too.
"""

from __future__ import annotations


def rand_scores(joint: float, segment: float, truth: float) -> tuple[float, float, float]:
    """Foreground-restricted Rand scores from sums of squared voxel counts.

    Parameters
    ----------
    joint, segment, truth : float
        Sums of p_ij^2, s_i^2 and t_j^2; positive.

    Returns
    -------
    v_rand, v_rand_split, v_rand_merge : float
        Arganda-Carreras et al. 2015, doi 10.3389/fnana.2015.00142 (alpha = 1/2).
    """
    return 2.0 * joint / (segment + truth), joint / truth, joint / segment


def info_scores(
    segment_given_truth: float, truth_given_segment: float, segment: float, truth: float
) -> tuple[float, float, float]:
    """Information-theoretic scores from entropies (any one unit).

    Written with conditional entropies, I = H(S) - H(S|T), so that a perfect
    segmentation scores exactly 1. Where an entropy is 0 the score is 0/0 and its
    limit is taken: a segmentation of one segment has no split error and a ground
    truth of one object no merge error, hence 1.

    Returns
    -------
    v_info, v_info_split, v_info_merge : float
        Arganda-Carreras et al. 2015, doi 10.3389/fnana.2015.00142 (alpha = 1/2).
    """
    split = 1.0
    if segment > 0.0:
        split = min(1.0, max(0.0, 1.0 - segment_given_truth / segment))
    merge = 1.0
    if truth > 0.0:
        merge = min(1.0, max(0.0, 1.0 - truth_given_segment / truth))
    both = 1.0
    if segment + truth > 0.0:
        variation = segment_given_truth + truth_given_segment
        both = min(1.0, max(0.0, 1.0 - variation / (segment + truth)))
    return both, split, merge
