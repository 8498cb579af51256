"""Files laid out as other tools publish them, with made-up voxels."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
from scipy import ndimage

SHAPE = (6, 70, 78)


def cells() -> np.ndarray:
    """(z, y, x) uint32: bricks with no gap between."""
    z, y, x = np.indices(SHAPE)
    return (1 + x // 20 + 5 * (y // 24) + 0 * z).astype(np.uint32)


def membranes() -> np.ndarray:
    """(z, y, x) float32: 1 on the borders of the bricks, blurred."""
    ids = cells()
    wall = ndimage.maximum_filter(ids, (1, 3, 3)) != ndimage.minimum_filter(ids, (1, 3, 3))
    return ndimage.gaussian_filter(wall.astype(np.float32), (0, 0.6, 0.6)).clip(0, 1)


def grey() -> np.ndarray:
    """(z, y, x) uint8: noise around the bricks, darker at their borders."""
    random = np.random.default_rng(0)
    return np.uint8((170 - 90 * membranes() + random.normal(0, 14, SHAPE)).clip(1, 254))


def write_ilastik(path: Path, values: np.ndarray, axes: str) -> Path:
    """What "Prediction Export" writes: `values` (z, y, x, c) in the order `axes`."""
    axes_of_values = "zyxc"
    for axis in axes:
        if axis not in axes_of_values:
            values, axes_of_values = values[..., None], axes_of_values + axis
    values = values.transpose([axes_of_values.index(axis) for axis in axes])
    tags = [
        {"key": axis, "typeFlags": 1 if axis == "c" else 2, "resolution": 0, "description": ""}
        for axis in axes
    ]
    with h5py.File(path, "w") as h5:
        data = h5.create_dataset("exported_data", data=values, chunks=True)
        data.attrs["axistags"] = json.dumps({"axes": tags})
        data.attrs["display_mode"] = "default"
        if values.dtype.kind == "f":
            data.attrs["drange"] = (0.0, 1.0)
    return path


def write_ilastik_probabilities(path: Path, axes: str = "zyxc", *, membrane: int = 1) -> Path:
    """Two classes drawn by the user, cell and membrane; their probabilities sum to 1."""
    p = membranes()
    both = [p, 1 - p] if membrane == 0 else [1 - p, p]
    return write_ilastik(path, np.stack(both, axis=-1), axes)


def write_plantseg(path: Path, *, with_raw: bool = True, channel: bool = False) -> Path:
    """Raw, prediction and segmentation, with the voxel size in micrometres."""
    with h5py.File(path, "w") as h5:
        stacks = {"predictions": membranes(), "segmentation": cells().astype(np.uint16)}
        if with_raw:
            stacks["raw"] = grey()
        for name, stack in stacks.items():
            if channel and name == "predictions":
                stack = stack[None]
            data = h5.create_dataset(name, data=stack, compression="gzip")
            data.attrs["element_size_um"] = (0.05, 0.004, 0.004)
    return path


def write_pytc(path: Path, dataset: str = "vol0", *, n_channels: int = 3) -> Path:
    """Affinities in 8 bits as CZYX, edges to the previous voxel along z, y, x first."""
    ids = cells()
    channels = []
    for channel in range(n_channels):
        axis = channel % 3
        same = np.ones(SHAPE, bool)
        ahead = [slice(None)] * 3
        ahead[axis] = slice(1, None)
        same[tuple(ahead)] = np.diff(ids.astype(np.int64), axis=axis) == 0
        channels.append(np.where(same, 250, 5))
    with h5py.File(path, "w") as h5:
        h5.create_dataset(dataset, data=np.stack(channels).astype(np.uint8), compression="gzip")
    return path


def write_cremi(path: Path, *, padded: bool = False) -> Path:
    """A training file: raw, neurons, clefts and synapses, all with geometry."""
    with h5py.File(path, "w") as h5:
        h5.attrs["file_format"] = "0.2"
        raw = grey()
        if padded:
            raw = np.pad(raw, ((2, 2), (8, 8), (8, 8)))
        stacks = {
            "volumes/raw": raw,
            "volumes/labels/neuron_ids": cells().astype(np.uint64),
            "volumes/labels/clefts": np.full(SHAPE, 2**64 - 1, np.uint64),
        }
        for name, stack in stacks.items():
            data = h5.create_dataset(name, data=stack, compression="gzip")
            data.attrs["resolution"] = (40.0, 4.0, 4.0)
            if padded and name != "volumes/raw":
                data.attrs["offset"] = (80.0, 32.0, 32.0)
        h5["annotations/ids"] = np.arange(20, dtype=np.uint64)
        h5["annotations/locations"] = np.zeros((20, 3))
    return path
