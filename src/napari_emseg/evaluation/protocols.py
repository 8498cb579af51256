"""How the public challenges score: one function for each, by its published definition."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.evaluation.comparison import Comparison, MaskOverlap
from napari_emseg.evaluation.contingency import Contingency, ContingencyBuilder
from napari_emseg.evaluation.isbi import isbi_protocol
from napari_emseg.evaluation.pairs import empty_truth, open_pair
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import ZYX, Volume

__all__ = ["PROTOCOLS", "cremi_protocol", "find_border", "isbi_protocol", "snemi3d_protocol"]

Section = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

PROTOCOLS: dict[str, str] = {
    "isbi": f"{__name__}:isbi_protocol",
    "snemi3d": f"{__name__}:snemi3d_protocol",
    "cremi": f"{__name__}:cremi_protocol",
}
# What CREMI files write where there is no label: transparent, invalid, outside.
FIRST_CREMI_MARK = 2**64 - 3


def snemi3d_protocol(
    labels: Any,
    truth: Any,
    *,
    as_published: bool = False,
    sections: Iterable[int] | None = None,
    progress: Progress = NO_PROGRESS,
) -> dict[str, float]:
    """Score a segmentation as SNEMI3D did: the adapted Rand error.

    1 - F-score of precision sum p^2 / sum s^2 (mergers lower it) and recall
    sum p^2 / sum t^2 (splits lower it) over the voxels where the truth is not 0;
    p, s and t count the voxels of overlaps, segments and true objects.
    http://brainiac2.mit.edu/SNEMI3D/evaluation

    Parameters
    ----------
    labels, truth : Volume or array-like of ids, ZYX
        Truth 0 is not counted. A voxel of segmentation 0 is a segment of its own.
    as_published : bool
        Compute what the challenge's script computes: it adds the number of voxels
        of segmentation 0 *divided by that of all voxels* where counts are summed, a
        slip, so that these voxels hardly count as segments at all. The two differ only
        where the segmentation has zeros.
    sections : iterable of int, optional
        Score these only.
    progress : Progress
        Told after each section.

    Returns
    -------
    dict of str to float
        ``adapted_rand_error``, ``rand_precision``, ``rand_recall``.

    Raises
    ------
    InputError
        As :func:`evaluate`.

    Examples
    --------
    >>> truth = np.array([[[1, 1, 2, 2]]])
    >>> snemi3d_protocol(np.array([[[5, 5, 5, 5]]]), truth)
    {'adapted_rand_error': 0.33333333333333337, 'rand_precision': 0.5, 'rand_recall': 1.0}
    """
    pair = open_pair(labels, truth, kind="labels", average="stack", sections=sections, invert=None)
    builder = ContingencyBuilder()
    n_voxels = 0
    for segmentation, true_section in pair.read(progress):
        builder.add(segmentation, true_section)
        n_voxels += segmentation.size
    return _adapted_rand(_comparison(builder.build()), n_voxels if as_published else None)


def cremi_protocol(
    labels: Any,
    truth: Any,
    voxel_size_nm: ZYX | None = None,
    border_nm: float = 25.0,
    *,
    as_published: bool = False,
    sections: Iterable[int] | None = None,
    progress: Progress = NO_PROGRESS,
) -> dict[str, float]:
    """Score a segmentation as CREMI did.

    Voxels of the truth within `border_nm` of a border between two ids, in their
    section, are not counted (https://cremi.org/metrics). Then the variation of
    information in bits, split H(S|T) and merge H(T|S), where segmentation 0 is one
    more label; the adapted Rand error as in SNEMI3D; and the CREMI score
    sqrt(adapted Rand error * (VOI split + VOI merge)).

    Parameters
    ----------
    labels, truth : Volume or array-like of ids, ZYX
        Truth 0 is not counted, neither are the marks of CREMI files for "no label",
        2**64 - 3 and above.
    voxel_size_nm : (z, y, x) in nm, optional
        By default that of the truth, else of the segmentation.
    border_nm : float
        0 leaves out only the voxels that touch a border; a negative number none.
    as_published : bool
        See :func:`snemi3d_protocol`; CREMI inherited that slip.
    sections : iterable of int, optional
        Score these only.
    progress : Progress
        Told after each section.

    Returns
    -------
    dict of str to float
        ``cremi_score``, ``voi_split``, ``voi_merge``, ``adapted_rand_error``,
        ``rand_precision``, ``rand_recall``.

    Raises
    ------
    InputError
        As :func:`evaluate`; also if the voxel size is not known, or nothing is left.

    Examples
    --------
    >>> truth = np.repeat([1, 2], 20).reshape(1, 1, 40)
    >>> merged = np.ones_like(truth)
    >>> cremi_protocol(merged, truth, (40, 4, 4))["voi_merge"]
    1.0
    """
    size = _voxel_size(voxel_size_nm, truth, labels)
    pair = open_pair(labels, truth, kind="labels", average="stack", sections=sections, invert=None)
    builder = ContingencyBuilder()
    n_voxels = 0
    for segmentation, section in pair.read(progress):
        is_ignored = find_border(section, (size[1], size[2]), border_nm)
        if section.dtype == np.uint64:
            is_ignored |= section >= np.uint64(FIRST_CREMI_MARK)
        builder.add(segmentation, np.where(is_ignored, section.dtype.type(0), section))
        n_voxels += section.size
    comparison = _comparison(builder.build(), border_nm)
    rand = _adapted_rand(comparison, n_voxels if as_published else None)
    split, merge = comparison.variation
    score = sqrt(rand["adapted_rand_error"] * (split + merge))
    return {"cremi_score": score, "voi_split": split, "voi_merge": merge, **rand}


def find_border(ids: Section, pixel_size_nm: tuple[float, float], border_nm: float) -> Mask:
    """Voxels of a section near a border between two ids.

    Parameters
    ----------
    ids : ndarray of int, shape (y, x)
        0 is an id like any other here.
    pixel_size_nm : (y, x) in nm
    border_nm : float
        Greatest distance from a pixel that has a 4-neighbour of another id.

    Returns
    -------
    ndarray of bool, shape (y, x)
        True = within that distance, at most `border_nm`.

    Examples
    --------
    >>> find_border(np.array([[1, 1, 1, 2, 2, 2, 2]]), (4, 4), 5).astype(int)
    array([[0, 1, 1, 1, 1, 0, 0]])
    """
    from scipy.ndimage import distance_transform_edt

    touches = np.zeros(ids.shape, bool)
    below, right = ids[1:] != ids[:-1], ids[:, 1:] != ids[:, :-1]
    touches[1:] |= below
    touches[:-1] |= below
    touches[:, 1:] |= right
    touches[:, :-1] |= right
    if border_nm < 0 or not touches.any():
        return np.zeros(ids.shape, bool)
    return np.asarray(distance_transform_edt(~touches, sampling=pixel_size_nm) <= border_nm)


def _adapted_rand(comparison: Comparison, n_voxels: int | None) -> dict[str, float]:
    """Adapted Rand error; `n_voxels` of the whole stack for the published script's slip."""
    if n_voxels is None:
        f_score, recall, precision = comparison.rand
    else:
        table = comparison.table
        inside = table.segment != 0
        slip = float(table.count[~inside].sum()) / n_voxels
        sizes = table.segment_sizes[int(not inside.all()) :].astype(np.float64)
        overlaps = table.count[inside].astype(np.float64)
        true_sizes = table.truth_sizes.astype(np.float64)
        joint = float(np.dot(overlaps, overlaps)) + slip
        precision = joint / (float(np.dot(sizes, sizes)) + slip)
        recall = joint / float(np.dot(true_sizes, true_sizes))
        f_score = 2 * precision * recall / (precision + recall)
    return {
        "adapted_rand_error": 1.0 - f_score,
        "rand_precision": precision,
        "rand_recall": recall,
    }


def _comparison(table: Contingency, border_nm: float | None = None) -> Comparison:
    if table.n_voxels:
        return Comparison(table, MaskOverlap(), MaskOverlap())
    if border_nm is None:
        raise empty_truth()
    raise InputError(
        f"All voxels of the ground truth are empty or within {border_nm:g} nm of a border, so "
        "there is nothing to compare; choose a smaller border distance."
    )


def _voxel_size(given: ZYX | None, *volumes: Any) -> ZYX:
    sizes = [volume.voxel_size_nm for volume in volumes if isinstance(volume, Volume)]
    size = next((s for s in (given, *sizes) if s is not None), None)
    if size is None:
        raise InputError(
            "The CREMI score leaves out a border in nm: give the voxel size (z, y, x) in nm."
        )
    return size
