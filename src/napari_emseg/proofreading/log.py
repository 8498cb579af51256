"""The log of edits: one line of JSON each, on disk before the edit counts."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import check_file_place, explain_failure
from napari_emseg.proofreading.delta import Delta, decode, encode

FORMAT = "napari-emseg edits"
VERSION = 1
MOVES = ("undo", "redo", "jump")
_LONGEST_HEADER = 2**16
_ENTRY_KEYS = {"n", "time", "who", "operation", "seconds"}


@dataclass(frozen=True)
class LogFile:
    """What a log file holds.

    Attributes
    ----------
    path : Path
    header : mapping
        The first line: of which fragments and starting table the edits are.
    entries : tuple of mapping
        The edits, undos and redos in order.
    n_bytes : int
        Length of the file up to the last whole line.
    """

    path: Path
    header: Mapping[str, Any]
    entries: tuple[Mapping[str, Any], ...]
    n_bytes: int


class EditLog:
    """A log open for writing; created with its first line if it is not there.

    Parameters
    ----------
    path : path-like
    header : mapping
        First line of a new log; see :func:`make_header`.

    Raises
    ------
    InputError
        If it cannot be written, or holds edits of other fragments.
    """

    def __init__(self, path: str | os.PathLike[str], header: Mapping[str, Any]) -> None:
        self.path = Path(path)
        check_file_place(self.path)
        before = read_log(self.path) if _has_header(self.path) else None
        if before is not None:
            check_header(before, header)
        self.entries = before.entries if before is not None else ()
        self._n_bytes = before.n_bytes if before is not None else 0
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._file: int | None = self._open(flags)
        if before is None:
            self._write({**header})

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write one line and wait until it is on the disk.

        Raises
        ------
        InputError
            If that fails, or somebody else wrote to the log; the edit must not be made then.
        """
        if self._file is None:
            raise InputError(f"The log {self.path} was closed; open it again to go on.")
        if os.fstat(self._file).st_size != self._n_bytes:
            raise InputError(
                f"Another window has written to {self.path}: close this one, and open the log "
                "again to go on from there."
            )
        self._write(entry)

    def close(self) -> None:
        """Close the file; everything in it is on the disk already."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self, flags: int) -> int:
        try:
            file = os.open(self.path, flags, 0o666)
            os.ftruncate(file, self._n_bytes)  # what a kill left of a line goes
        except OSError as error:
            raise _unwritable(self.path, error) from error
        return file

    def _write(self, entry: Mapping[str, Any]) -> None:
        assert self._file is not None
        line = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        try:
            os.lseek(self._file, self._n_bytes, os.SEEK_SET)
            left = memoryview(line)
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, self._n_bytes)
            raise _unwritable(self.path, error) from error
        self._n_bytes += len(line)


def make_header(
    *, fragments: str, table: str, shape: tuple[int, ...], voxel_size_nm: Any, created: str
) -> dict[str, Any]:
    """Return the first line of a log.

    Parameters
    ----------
    fragments, table : str
        By which the fragments and the starting table are known again.
    shape : (z, y, x)
        Of the fragments.
    voxel_size_nm : (z, y, x) or None
        None where it is not known; positions are voxels then.
    created : str
        When, UTC.

    Returns
    -------
    dict
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "fragments": fragments,
        "table": table,
        "shape": list(shape),
        "voxel_size_nm": None if voxel_size_nm is None else list(voxel_size_nm),
        "created": created,
    }


def read_log(path: str | os.PathLike[str]) -> LogFile:
    """Read a log of edits.

    A last line that a kill tore is left out: its edit had not been shown yet.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    LogFile

    Raises
    ------
    InputError
        If there is no such file, it is no log, or a line before the last is damaged.
    """
    source = Path(path)
    try:
        content = source.read_bytes()
    except OSError as error:
        raise InputError(f"The log {source} cannot be read: {error.strerror}.") from error
    whole = content[: content.rfind(b"\n") + 1]
    lines = whole.splitlines()
    header = _parse(lines[0]) if lines else None
    if header is None or header.get("format") != FORMAT:
        raise InputError(f"{source} is no log of edits; choose the .jsonl file of a proofreading.")
    version = header.get("version", 0)
    if not isinstance(version, int):
        raise InputError(f"The first line of {source} is damaged.")
    if version > VERSION:
        raise InputError(f"{source} was written by a newer napari-emseg: update to read it.")
    entries = []
    for number, line in enumerate(lines[1:], start=1):
        entry = _parse(line)
        if entry is None or not entry.keys() >= _ENTRY_KEYS or entry["n"] != number:
            raise InputError(
                f"Line {number + 1} of {source} is damaged. A copy of the file cut before that "
                f"line gives back the first {number - 1} edits."
            )
        entries.append(entry)
    return LogFile(source, header, tuple(entries), len(whole))


def check_header(log: LogFile, header: Mapping[str, Any]) -> None:
    """Make sure that a log is of the fragments and starting table that `header` tells.

    Raises
    ------
    InputError
        If it is of others; the sentence says what differs.
    """
    shape, wanted = log.header.get("shape"), header["shape"]
    if shape != wanted:
        raise InputError(
            f"{log.path} holds edits of a volume of {_sizes(shape)} voxels, but this one has "
            f"{_sizes(wanted)}: open the segmentation they were made on, or carry them over."
        )
    for part, name in (
        ("fragments", "other fragments"),
        ("table", "another starting segmentation"),
    ):
        if log.header.get(part) != header[part]:
            raise InputError(
                f"{log.path} holds edits of {name}: open the segmentation they were made on, or "
                "carry them over to this one."
            )


def pack(delta: Delta) -> str:
    """Return a delta as text.

    Examples
    --------
    >>> unpack(pack(Delta())).is_empty
    True
    """
    return base64.b64encode(encode(delta)).decode()


def unpack(text: str) -> Delta:
    """Return the delta that :func:`pack` made into text.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    return decode(base64.b64decode(text, validate=True))


def _has_header(path: Path) -> bool:
    """Whether the file holds a whole line; one killed while it was made does not."""
    if not path.exists():
        return False
    with open(path, "rb") as file:
        start = file.readline(_LONGEST_HEADER)
    if (
        start
        and not start.endswith(b"\n")
        and not b'{"format":"napari-emseg'.startswith(start[:23])
    ):
        raise InputError(f"{path} is no log of edits; choose another name for the log.")
    return start.endswith(b"\n")


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _sizes(shape: Any) -> str:
    return " x ".join(map(str, shape or ["?"]))


def _unwritable(path: Path, error: OSError) -> InputError:
    reason = explain_failure(error) or "the system refused it"
    return InputError(f"The edit was not made, since the log {path} cannot be written: {reason}.")
