"""What names and attributes inside HDF5 files mean, tool by tool.

ilastik: ``axistags`` (JSON) gives the order of the axes; probabilities have one channel
for each class drawn. PlantSeg: ``predictions``, ``segmentation``, sizes in µm. PyTorch
Connectomics: ``vol0`` or ``main``, affinities as CZYX. CREMI: ``volumes/...``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.io.inside import three_numbers
from napari_emseg.io.source import UNKNOWN, Size
from napari_emseg.volume import Kind

# Where a file with several arrays keeps what is asked for, best first.
NAMES_OF_KIND: dict[Kind, tuple[str, ...]] = {
    "raw": ("volumes/raw", "raw", "image", "data"),
    "boundary": ("boundary", "volumes/boundary", "predictions", "exported_data", "boundaries"),
    "affinities": ("affinities", "volumes/affinities", "affs", "vol0", "main"),
    "labels": ("labels", "volumes/labels/neuron_ids", "neuron_ids", "segmentation"),
    "fragments": ("fragments", "volumes/fragments", "volumes/labels/fragments", "superpixels"),
}
_LABEL_NAMES = {"labels", "neuron_ids", "clefts", "segmentation"}
_AFFINITY_NAMES = {"affinities", "affs", "vol0", "main"}
_MIN_SUM, _MAX_SUM = 0.97, 1.03


def find_kind(name: str, dtype: np.dtype[Any], axes: str, shape: Sequence[int]) -> Kind | None:
    """Return what a dataset holds where its name tells, else None.

    Parameters
    ----------
    name : str
        Of the dataset, with its groups.
    dtype : dtype
    axes : str
        One letter for each axis.
    shape : sequence of int

    Examples
    --------
    >>> find_kind("volumes/labels/neuron_ids", np.dtype(np.uint64), "ZYX", (9, 9, 9))
    'labels'
    >>> find_kind("vol0", np.dtype(np.uint8), "CZYX", (3, 9, 9, 9))
    'affinities'
    """
    last = name.rpartition("/")[2]
    n_channels = dict(zip(axes, shape, strict=True)).get("C", 1)
    is_map = dtype.kind == "f" or dtype == np.uint8
    if dtype.kind in "ui" and dtype.itemsize > 1 and n_channels == 1 and last in _LABEL_NAMES:
        return "labels"
    if is_map and last == "predictions" and n_channels == 1:
        return "boundary"
    if is_map and last in _AFFINITY_NAMES and n_channels >= 3:
        return "affinities"
    return None


def read_axistags(attributes: Any, n_axes: int) -> str | None:
    """Return the axis letters that ilastik wrote down, None where there are none.

    Parameters
    ----------
    attributes : mapping
        Of the dataset.
    n_axes : int
        How many there must be.

    Examples
    --------
    >>> read_axistags({"axistags": '{"axes": [{"key": "y"}, {"key": "x"}]}'}, 2)
    'YX'
    """
    try:
        tags = json.loads(attributes["axistags"])["axes"]
        axes = "".join(str(tag["key"])[:1].upper() for tag in tags)
    except (KeyError, TypeError, ValueError):
        return None
    is_complete = len(axes) == n_axes == len(set(axes)) and {*"YX"} <= {*axes}
    return axes if is_complete else None


def read_size(attributes: Any) -> Size:
    """Return the voxel size in nm that a dataset's attributes tell.

    Parameters
    ----------
    attributes : mapping
        ``resolution`` or ``voxel_size`` in nm (CREMI), ``element_size_um`` (PlantSeg).

    Examples
    --------
    >>> read_size({"element_size_um": (0.05, 0.004, 0.004)})
    (50.0, 4.0, 4.0)
    """
    size = three_numbers(attributes.get("resolution", attributes.get("voxel_size")))
    if size is None:
        in_um = three_numbers(attributes.get("element_size_um"))
        # PlantSeg writes 1 µm where it does not know.
        size = None if in_um is None or in_um == (1.0, 1.0, 1.0) else _nm(in_um)
    return size if size is not None and min(size) > 0 else UNKNOWN


def _nm(in_um: tuple[float, float, float]) -> tuple[float, float, float]:
    # 1000 times a decimal such as 0.004 is 4 but for the last bit.
    z, y, x = (round(1000 * step, 6) for step in in_um)
    return (z, y, x)


def read_offsets(attributes: Any, n_channels: int) -> tuple[tuple[int, int, int], ...]:
    """Return the offset of each channel of affinities, empty where they are not told.

    Parameters
    ----------
    attributes : mapping
        ``offsets``: three whole numbers of voxels (z, y, x) for each channel, as an array
        or as JSON.
    n_channels : int
        How many there must be.

    Examples
    --------
    >>> read_offsets({"offsets": [[-1, 0, 0], [0, -3, 0]]}, 2)
    ((-1, 0, 0), (0, -3, 0))
    """
    told = attributes.get("offsets")
    try:
        told = json.loads(told) if isinstance(told, str | bytes) else told
        numbers = np.asarray(told, np.float64)
    except (TypeError, ValueError):
        return ()
    if numbers.shape != (n_channels, 3) or not np.array_equal(numbers, np.rint(numbers)):
        return ()
    return tuple((int(z), int(y), int(x)) for z, y, x in numbers)


def pick_membrane_channel(sample: npt.NDArray[Any], where: str) -> tuple[int, str]:
    """Choose among the channels of a pixel classifier the one of the membranes.

    Parameters
    ----------
    sample : (channel, ...) ndarray
        Some voxels of all channels.
    where : str
        The dataset, for messages.

    Returns
    -------
    channel : int
        Of two that sum to 1 the rarer, as membranes fill less than half of any tissue.
    note : str
        What was chosen and how to choose another.

    Raises
    ------
    InputError
        If there are more than two, or they are no probabilities.

    Examples
    --------
    >>> pick_membrane_channel(np.array([[0.9, 0.8], [0.1, 0.2]]), "a.h5:/p")[0]
    1
    """
    n_channels = sample.shape[0]
    top = 1.0 if sample.dtype.kind == "f" else float(np.iinfo(sample.dtype).max)
    mean = sample.reshape(n_channels, -1).mean(axis=1, dtype=np.float64) / top
    if n_channels != 2 or not _MIN_SUM < mean.sum() < _MAX_SUM:
        raise InputError(
            f"{where} holds {n_channels} channels; choose that of the membranes by its number, "
            f"such as {where}/0."
        )
    channel = int(mean.argmin())
    note = (
        f"Channel {channel} of 2, the rarer class, was taken as membrane; "
        f"the other is {where}/{1 - channel}."
    )
    return channel, note
