"""H-minima and watershed the long way, for the fast way to be measured against."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.morphology import local_minima, reconstruction
from skimage.segmentation import watershed

Labels = npt.NDArray[np.integer]


def literal_minima(height: npt.NDArray[np.floating], h: float) -> tuple[Labels, int]:
    """Label the regional minima of the reconstruction of ``height + h`` above `height`.

    Neighbours share a face. ``skimage.morphology.h_minima`` is of no use here: it
    finds no minimum in a blank map or where h reaches the range, and it keeps
    minima of dynamics exactly h.
    """
    exact = height.astype(np.float64)
    faces = ndimage.generate_binary_structure(exact.ndim, 1)
    filled = reconstruction(exact + h, exact, method="erosion", footprint=faces)
    if filled.min() == filled.max():
        return np.ones(height.shape, np.int32), 1
    return ndimage.label(local_minima(filled, connectivity=1), faces)


def literal_labels(height: npt.NDArray[np.floating], h: float) -> Labels:
    """Flood `height` from the minima that survive h."""
    minima, _ = literal_minima(height, h)
    return watershed(height.astype(np.float64), minima, connectivity=1)


def literal_stack(height: npt.NDArray[np.floating], h: float, mode: str) -> Labels:
    """Segment a volume, or its sections each by itself with ids of their own."""
    if mode == "3d":
        return literal_labels(height, h)
    labels = np.zeros(height.shape, np.int64)
    for z, section in enumerate(height):
        labels[z] = literal_labels(section, h) + labels.max()
    return labels


def joint_counts(a: Labels, b: Labels) -> tuple[npt.NDArray[np.int64], ...]:
    """Voxels in each overlap, and index of the segment of `a` and of `b` it is in."""
    _, i = np.unique(a, return_inverse=True)
    _, j = np.unique(b, return_inverse=True)
    pair = i.ravel().astype(np.int64) * (int(j.max()) + 1) + j.ravel()
    pairs, counts = np.unique(pair, return_counts=True)
    return counts, pairs // (int(j.max()) + 1), pairs % (int(j.max()) + 1)


def variation_of_information(a: Labels, b: Labels) -> float:
    """H(a|b) + H(b|a) in nats."""
    n, i, j = joint_counts(a, b)
    n_i, n_j = np.bincount(i, n), np.bincount(j, n)
    return float(-(n * (np.log(n / n_i[i]) + np.log(n / n_j[j]))).sum() / n.sum())


def v_rand(labels: Labels, truth: Labels) -> float:
    """Compute V_rand where `truth` is not 0."""
    inside = truth > 0
    n, i, j = joint_counts(labels[inside], truth[inside])
    together = (n.astype(float) ** 2).sum()
    sums = (np.bincount(i, n) ** 2).sum() + (np.bincount(j, n) ** 2).sum()
    return float(2 * together / sums)


def fraction_moved(a: Labels, b: Labels) -> float:
    """Fraction of voxels outside the best one-to-one overlaps."""
    n, i, j = joint_counts(a, b)
    largest = np.argsort(-n, kind="stable")
    seen_i, seen_j, matched = set(), set(), 0
    for k in largest:
        if i[k] not in seen_i and j[k] not in seen_j:
            seen_i.add(i[k])
            seen_j.add(j[k])
            matched += n[k]
    return 1 - matched / n.sum()
