"""An edit as a difference: what changes, from what, to what."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_emseg.proofreading.runs import Ids, VoxelRuns

Flag = Literal["done", "set_aside", "name"]
_NO_IDS = np.empty(0, np.uint32)


@dataclass(frozen=True)
class FlagChange:
    """What is noted of a segment, before and after: True or False, or a name."""

    segment: int
    flag: Flag
    before: bool | str
    after: bool | str

    def inverse(self) -> FlagChange:
        """Return the change back."""
        return FlagChange(self.segment, self.flag, self.after, self.before)


@dataclass(frozen=True, eq=False)
class Delta:
    """Everything one edit changes; small, whatever the size of the volume.

    Attributes
    ----------
    fragments : (n,) uint32
        Fragments that change their segment, ascending. Those an edit makes come from
        segment 0.
    before, after : (n,) or (1,) uint32
        Their segments; one value where all have the same.
    flags : tuple of FlagChange
    voxels : VoxelRuns or None
        Voxels that change their fragment.

    Examples
    --------
    >>> delta = Delta(np.array([4, 9], np.uint32), np.array([2, 2]), np.array([7, 7]))
    >>> delta.before, delta.after
    (array([2], dtype=uint32), array([7], dtype=uint32))
    """

    fragments: Ids = field(default_factory=_NO_IDS.copy)
    before: Ids = field(default_factory=_NO_IDS.copy)
    after: Ids = field(default_factory=_NO_IDS.copy)
    flags: tuple[FlagChange, ...] = ()
    voxels: VoxelRuns | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "fragments", np.asarray(self.fragments, np.uint32))
        for name in ("before", "after"):
            object.__setattr__(self, name, _once(np.asarray(getattr(self, name), np.uint32)))

    @property
    def is_empty(self) -> bool:
        """Whether it changes nothing."""
        return not (self.fragments.size or self.flags or self.voxels is not None)

    @property
    def segments(self) -> tuple[int, ...]:
        """Segments that change, before or after, ascending; 0 left out."""
        ids = {*np.unique(self.before).tolist(), *np.unique(self.after).tolist()}
        return tuple(sorted((ids | {change.segment for change in self.flags}) - {0}))


def inverse(delta: Delta) -> Delta:
    """Return the delta that takes another one back.

    Parameters
    ----------
    delta : Delta

    Returns
    -------
    Delta

    Examples
    --------
    >>> there = Delta(np.array([4]), np.array([2]), np.array([7]))
    >>> inverse(there).after
    array([2], dtype=uint32)
    """
    return Delta(
        fragments=delta.fragments,
        before=delta.after,
        after=delta.before,
        flags=tuple(change.inverse() for change in reversed(delta.flags)),
        voxels=None if delta.voxels is None else delta.voxels.inverse(),
    )


def encode(delta: Delta) -> bytes:
    """Pack a delta into few bytes, for the history and the log.

    Examples
    --------
    >>> delta = Delta(np.array([4, 9]), np.array([2]), np.array([7]))
    >>> decode(encode(delta)).fragments
    array([4, 9], dtype=uint32)
    """
    voxels = delta.voxels
    header: dict[str, Any] = {
        "sizes": [delta.fragments.size, delta.before.size, delta.after.size],
        "flags": [[c.segment, c.flag, c.before, c.after] for c in delta.flags],
    }
    parts = [_differences(delta.fragments), delta.before, delta.after]
    if voxels is not None:
        header["voxels"] = [voxels.origin, voxels.shape, voxels.start.size]
        parts += [_differences(voxels.start), voxels.length, voxels.old, voxels.new]
    text = json.dumps(header, separators=(",", ":")).encode()
    # Differences fit in 32 bits: a box of more voxels would have needed more memory to edit.
    body = b"".join(np.ascontiguousarray(p, "<u4").tobytes() for p in parts)
    return zlib.compress(struct.pack("<I", len(text)) + text + body)


def decode(packed: bytes) -> Delta:
    """Unpack what :func:`encode` packed.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    try:
        plain = zlib.decompress(packed)
        (n_text,) = struct.unpack_from("<I", plain)
        header = json.loads(plain[4 : 4 + n_text])
        numbers = np.frombuffer(plain, "<u4", offset=4 + n_text)
        sizes = [int(n) for n in header["sizes"]]
        about = header.get("voxels")
        wanted = sizes if about is None else [*sizes, *[int(about[2])] * 4]
        if min(wanted) < 0 or sum(wanted) != numbers.size:
            raise ValueError("its parts do not add up")
        parts = [p.astype(np.uint32) for p in np.split(numbers, np.cumsum(wanted)[:-1])]
        return Delta(
            fragments=_sums(parts[0]).astype(np.uint32),
            before=parts[1],
            after=parts[2],
            flags=tuple(FlagChange(int(s), f, b, a) for s, f, b, a in header["flags"]),
            voxels=None if about is None else _decode_runs(about, parts[3:]),
        )
    except (zlib.error, struct.error, KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(f"the edit is damaged: {error}") from error


def _decode_runs(about: Any, parts: list[Ids]) -> VoxelRuns:
    (z, y, x), (n_z, n_y, n_x) = about[0], about[1]
    return VoxelRuns(
        origin=(int(z), int(y), int(x)),
        shape=(int(n_z), int(n_y), int(n_x)),
        start=_sums(parts[0]),
        length=parts[1].astype(np.int64),
        old=parts[2],
        new=parts[3],
    )


def _once(ids: Ids) -> Ids:
    is_uniform = ids.size > 1 and bool((ids == ids[0]).all())
    return ids[:1].copy() if is_uniform else ids


def _differences(ascending: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    values = ascending.astype(np.int64)
    values[1:] -= values[:-1].copy()
    return values


def _sums(differences: Ids) -> npt.NDArray[np.int64]:
    return np.cumsum(differences, dtype=np.int64)
