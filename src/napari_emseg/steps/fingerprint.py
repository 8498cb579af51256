"""Knowing a volume again by its voxels, wherever it is stored."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import Volume

GLANCE_BYTES = 2**23  # so much is read within one frame of a window
_VERSION = "2"
# Voxels in memory take 0.4 s a GB, those of a file mapped into it as long as its disk does.
_EXACT_BYTES = 2**29
_EXACT_MAPPED_BYTES = 2**26
_SAMPLED_SECTIONS = 5
_SAMPLED_PX = 128


def fingerprint(
    volume: Volume, *, limit_bytes: int = _EXACT_BYTES, progress: Progress = NO_PROGRESS
) -> str:
    """Identify the voxels of a volume quickly.

    All voxels are read where they are in memory, up to 512 MiB of them: there a
    single stroke of the brush counts. Of others at most five sections are sampled.

    Parameters
    ----------
    volume : Volume
    limit_bytes : int, optional
        Only sample what is larger; `GLANCE_BYTES` where a window waits for it.
    progress : Progress, optional
        Told the sections read.

    Returns
    -------
    str
        "2-SAMPLE-EXACT" in hexadecimal digits, "2-SAMPLE-" where only a sample was
        read; compare with :func:`has_changed`.

    Examples
    --------
    >>> volume = Volume(np.zeros((2, 3, 4), np.uint8))
    >>> fingerprint(volume) == fingerprint(volume)
    True
    """
    exact = f"{_checksum(volume, progress):08x}" if _bytes_to_read(volume) <= limit_bytes else ""
    return f"{_VERSION}-{_sample(volume)}-{exact}"


def has_changed(before: str, after: str) -> bool:
    """Whether two fingerprints are of different voxels, as far as both tell.

    Those of another version of this program tell nothing.

    Examples
    --------
    >>> has_changed("2-00aa-01ff", "2-00aa-"), has_changed("2-00aa-01ff", "2-00aa-0200")
    (False, True)
    """
    parts_before, parts_after = before.split("-"), after.split("-")
    if len(parts_before) != 3 or len(parts_after) != 3:
        return False
    if {parts_before[0], parts_after[0]} != {_VERSION}:
        return False
    return any(a != b for a, b in zip(parts_before, parts_after, strict=True) if a and b)


def takes_longer(volume: Volume) -> bool:
    """Whether the fingerprint reads more voxels than a glance does.

    Examples
    --------
    >>> takes_longer(Volume(np.zeros((2, 3, 4), np.uint8)))
    False
    """
    return GLANCE_BYTES < _bytes_to_read(volume) <= _EXACT_BYTES


def _bytes_to_read(volume: Volume) -> float:
    """Bytes of all voxels; infinite where they are only ever sampled."""
    data = volume.data
    limit = _EXACT_MAPPED_BYTES if isinstance(data, np.memmap) else _EXACT_BYTES
    is_read = isinstance(data, np.ndarray) and data.nbytes <= limit
    return float(data.nbytes) if is_read else float("inf")


def _sample(volume: Volume) -> str:
    depth, height, width = volume.shape[-3:]
    digest = hashlib.sha256(repr((volume.shape, volume.dtype.name)).encode())
    rows, columns = (slice(None, None, max(1, n // _SAMPLED_PX)) for n in (height, width))
    for z in sorted({round(z) for z in np.linspace(0, depth - 1, _SAMPLED_SECTIONS)}):
        section = volume.read((..., z, slice(None), slice(None)))[..., rows, columns]
        digest.update(_as_bytes(section))
    return digest.hexdigest()[:16]


def _checksum(volume: Volume, progress: Progress) -> int:
    checksum, depth = 0, volume.shape[-3]
    for z in range(depth):
        section = volume.read((..., z, slice(None), slice(None)))
        checksum = zlib.crc32(_as_bytes(section), checksum)
        progress.update(z + 1, depth, "Looking for changes")
    return checksum


def _as_bytes(values: npt.NDArray[Any]) -> memoryview:
    """Return values in C order and native byte order, as any file gives them."""
    return np.ascontiguousarray(values, values.dtype.newbyteorder("=")).data
