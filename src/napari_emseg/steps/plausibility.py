"""Noticing that a file holds something else than the step needs."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.volume import Volume

# Measured on the public EM sets: neighbours in x are equal in 2-5 % of grey values and 90 %
# of ids; 0-6 % of grey values and 64-75 % of map values lie within a tenth of an end.
_FEWEST_VOXELS = 4096
_EQUAL_IN_LABELS = 0.7
_EQUAL_IN_GREY = 0.2
_ENDS_IN_GREY = 0.15
_ENDS_IN_MAP = 0.5
_FEWEST_GREYS = 48
_FEWEST_IDS = 8
_EQUAL_IN_IDS = 0.85
_HIGHEST_OF_FEW_IDS = 127


class WrongKindError(InputError):
    """A file holds something else than is needed, as far as its voxels tell."""


def check_plausible(volume: Volume, *, name: str = "") -> None:
    """Refuse a volume whose voxels clearly contradict its kind.

    Looks at a small sample and refuses only clear cases; a sample too small or
    constant passes.

    Parameters
    ----------
    volume : Volume
        Of kind raw, boundary or labels; others pass.
    name : str, optional
        What to call it, by default its name.

    Raises
    ------
    WrongKindError
        Saying what the volume looks like.

    Examples
    --------
    >>> ids = np.repeat(np.arange(256, dtype=np.uint8), 64).reshape(1, 64, 256)
    >>> check_plausible(Volume(ids, kind="raw", name="a"))
    Traceback (most recent call last):
    ...
    napari_emseg.steps.plausibility.WrongKindError: a looks like labels, but grey values are needed.
    """
    if looks := _contradiction(volume):
        needed = {"raw": "grey values", "boundary": "a boundary map", "labels": "labels"}
        raise WrongKindError(
            f"{name or volume.name or 'The data'} looks like {looks}, but {needed[volume.kind]} "
            f"{'is' if volume.kind == 'boundary' else 'are'} needed."
        )


def _contradiction(volume: Volume) -> str:
    from napari_emseg.io.volumes import take_sample

    if volume.kind not in ("raw", "boundary", "labels"):
        return ""
    sample = take_sample(volume.data)
    if sample.size < _FEWEST_VOXELS or sample.dtype == bool or sample.min() == sample.max():
        return ""
    check = {"raw": _not_raw, "boundary": _not_boundary, "labels": _not_labels}
    return check[volume.kind](sample)


def _not_raw(sample: npt.NDArray[Any]) -> str:
    if sample.dtype.kind == "f":
        is_map = sample.min() >= 0 and sample.max() <= 1 and _share_at_ends(sample) >= _ENDS_IN_MAP
        return "a boundary map" if is_map else ""
    values = np.unique(sample)
    if values.size == 2:
        return "a drawing in two values"
    if _is_8bit_map(sample):
        return "a boundary map"
    # The commonest value is left out: many stacks have black margins.
    return "labels" if _share_equal(sample, without_commonest=True) >= _EQUAL_IN_LABELS else ""


def _not_boundary(sample: npt.NDArray[Any]) -> str:
    is_grey = (
        sample.dtype == np.uint8
        and np.unique(sample).size >= _FEWEST_GREYS
        and _share_at_ends(sample) < _ENDS_IN_GREY
        and _share_equal(sample) < _EQUAL_IN_GREY
    )
    if is_grey:
        return "grey values"
    values, equal = np.unique(sample), _share_equal(sample, without_commonest=True)
    is_many_ids = values.size > _FEWEST_IDS and equal >= _EQUAL_IN_IDS
    # Few ids are small ones, while a map of bytes has membranes in its upper half.
    is_few_ids = (
        sample.dtype == np.uint8
        and values.size > 2
        and values[-1] <= _HIGHEST_OF_FEW_IDS
        and equal >= _EQUAL_IN_LABELS
    )
    return "labels" if is_many_ids or is_few_ids else ""


def _not_labels(sample: npt.NDArray[Any]) -> str:
    is_grey = (
        sample.dtype.itemsize <= 2
        and np.unique(sample).size >= _FEWEST_GREYS
        and _share_equal(sample) < _EQUAL_IN_GREY
    )
    return "grey values" if is_grey else ""


def _is_8bit_map(sample: npt.NDArray[Any]) -> bool:
    from napari_emseg.io.kinds import guess_kind

    if sample.dtype != np.uint8 or guess_kind(sample) != "boundary":
        return False
    # Black margins are at an end too, but they are one value: without it grey is in between.
    inside = sample[sample != np.bincount(sample.ravel()).argmax()]
    return _share_at_ends(inside) >= _ENDS_IN_MAP


def _share_at_ends(sample: npt.NDArray[Any]) -> float:
    top = 255 if sample.dtype == np.uint8 else 1
    return float(np.mean((sample <= 0.1 * top) | (sample >= 0.9 * top)))


def _share_equal(sample: npt.NDArray[Any], *, without_commonest: bool = False) -> float:
    left, is_equal = sample[..., :-1], sample[..., 1:] == sample[..., :-1]
    if without_commonest:
        values, counts = np.unique(sample, return_counts=True)
        is_equal = is_equal[left != values[counts.argmax()]]
    return float(is_equal.mean()) if is_equal.size else 0.0


def says_affinities(path: str | os.PathLike[str]) -> bool:
    """Whether a file itself tells that it holds affinities."""
    from napari_emseg.io import open_volume

    try:
        return open_volume(path).kind == "affinities"
    except InputError:
        return False  # opened again as a boundary map, it says what is wrong
