"""Paint on disk: a folder for each painting, in which sections are kept as they are painted.

A journal belongs to the window that holds its lock. The system lets go of the lock when that
program ends in whatever way; what is left then is offered to the next window. Knows nothing of
Qt and napari.
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
import zipfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write, explain_failure

if TYPE_CHECKING:
    from filelock import BaseFileLock

_ABOUT = "about.json"
_LOCK = ".lock"
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


class About(BaseModel):
    """What a journal is of.

    Attributes
    ----------
    layer, stack : str
        Names of the painting and of the sections under it.
    fingerprint : str
        By which those sections are known again; "" where they are not known.
    shape, dtype : tuple of int, str
        Of the painting: (z, y, x), or (y, x).
    scale, translate, units, axes : tuple
        How the painting lies, as napari has it.
    is_painting : bool
        Whether the journal holds all that is painted; of other labels only the sections
        that were painted over.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    layer: str
    shape: tuple[int, ...]
    dtype: str
    stack: str = ""
    fingerprint: str = ""
    scale: tuple[float, ...] = ()
    translate: tuple[float, ...] = ()
    units: tuple[str, ...] = ()
    axes: tuple[str, ...] = ()
    is_painting: bool = True


class PaintingJournal:
    """One painting on disk, held by this window.

    All methods may be called on any thread.

    Parameters
    ----------
    folder : Path
        Of this journal.
    lock : filelock.BaseFileLock
        Held.
    about : About
    """

    def __init__(self, folder: Path, lock: BaseFileLock, about: About) -> None:
        self.folder, self.about = folder, about
        self._lock = lock
        self._checksums: dict[int, int] = {}
        self._writing = threading.RLock()

    @classmethod
    def create(cls, about: About) -> PaintingJournal:
        """Begin a journal.

        Raises
        ------
        InputError
            If nothing can be written there.
        """
        folder = journals_folder() / secrets.token_hex(8)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = _take_lock(folder)
            folder.mkdir()
        except OSError as error:
            raise _not_kept(error) from error
        if lock is None:
            raise InputError("Paint is not kept: another window writes it.")
        made = cls(folder, lock, about)
        made._write_about(about)
        return made

    @property
    def sections(self) -> tuple[int, ...]:
        """Those that are on disk."""
        names = [path.stem for path in self._section_files()]
        return tuple(sorted(int(name) for name in names))

    @property
    def last_stroke(self) -> float:
        """When the newest section was written, in seconds since 1970."""
        times = [path.stat().st_mtime for path in self._section_files()]
        return max(times, default=0.0)

    def keep(self, data: Any, sections: Iterable[int], about: About) -> None:
        """Write those of the sections that are no longer as they were written.

        Parameters
        ----------
        data : array-like, integer, (z, y, x) or (y, x)
            May be painted while it is read: the stroke tells of its sections again.
        sections : iterable of int
        about : About

        Raises
        ------
        InputError
            If the disk is full or not writable; the sections of before stay.
        """
        stack = data[None] if data.ndim == 2 else data
        with self._writing:
            if about != self.about:
                self._write_about(about)
            for z in sections:
                if z in self._checksums or not self.about.is_painting or stack[z].any():
                    self._keep_section(z, np.array(stack[z]))

    def read(self) -> tuple[dict[int, npt.NDArray[Any]], tuple[int, ...]]:
        """Read what is painted.

        Returns
        -------
        sections, damaged : dict of arrays (y, x), tuple of int
            By their numbers; those that cannot be read, after a failure of the disk.
        """
        found: dict[int, npt.NDArray[Any]] = {}
        damaged = []
        with self._writing:
            for z in self.sections:
                section = self._read_section(z)
                if section is None:
                    damaged.append(z)
                else:
                    found[z] = section
                    self._checksums[z] = _checksum(section)
        return found, tuple(damaged)

    def release(self) -> None:
        """Let another window have it."""
        self._lock.release()

    def remove(self) -> None:
        """Remove it for good: what it held is saved elsewhere, or thrown away."""
        with self._writing:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._lock.release()
            with suppress(OSError):
                Path(self._lock.lock_file).unlink(missing_ok=True)

    def _section_files(self) -> list[Path]:
        return [path for path in self.folder.glob("*.npz") if path.stem.isdecimal()]

    def _keep_section(self, z: int, section: npt.NDArray[Any]) -> None:
        checksum = _checksum(section)
        if self._checksums.get(z) == checksum:
            return
        path = self.folder / f"{z:06}.npz"
        if self.about.is_painting and not section.any():
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise _not_kept(error) from error
        else:
            with atomic_write(path) as temporary:
                np.savez_compressed(temporary, section=section)
        self._checksums[z] = checksum

    def _read_section(self, z: int) -> npt.NDArray[Any] | None:
        try:
            with np.load(self.folder / f"{z:06}.npz", allow_pickle=False) as content:
                section: npt.NDArray[Any] = content["section"]
        except _UNREADABLE:
            return None
        is_right = section.shape == self.about.shape[-2:] and section.dtype == self.about.dtype
        return section if is_right else None

    def _write_about(self, about: About) -> None:
        with atomic_write(self.folder / _ABOUT) as temporary:
            temporary.write_text(about.model_dump_json(), encoding="utf-8")
        self.about = about


def journals_folder() -> Path:
    """Return where paint is kept until it is saved; ``EMSEG_PAINTINGS`` overrides it."""
    if override := os.environ.get("EMSEG_PAINTINGS"):
        return Path(override).expanduser()
    from platformdirs import user_data_path

    return user_data_path("napari-emseg", appauthor=False) / "paintings"


def take_left() -> list[PaintingJournal]:
    """Take hold of the journals that no window holds, those painted in last first."""
    found = []
    try:
        folders = [path for path in journals_folder().iterdir() if path.is_dir()]
    except OSError:
        return []
    for folder in folders:
        journal = _take(folder)
        if journal is None:
            continue
        if not journal.sections:
            journal.remove()
        else:
            found.append(journal)
    return sorted(found, key=lambda one: -one.last_stroke)


def _take(folder: Path) -> PaintingJournal | None:
    about = _read_about(folder)
    if about is None:
        return None
    try:
        lock = _take_lock(folder)
    except OSError:
        return None
    about = _read_about(folder)  # it may have been removed, or written, until now
    if lock is None or about is None:
        if lock is not None:
            lock.release()
        return None
    return PaintingJournal(folder, lock, about)


def _read_about(folder: Path) -> About | None:
    try:
        return About.model_validate_json((folder / _ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError, ValidationError, RecursionError):
        return None


def _take_lock(folder: Path) -> BaseFileLock | None:
    """Lock a journal for this window; None where another one holds it."""
    from filelock import FileLock, Timeout

    # It lies beside the folder: an open file in it would keep some systems from removing it.
    lock = FileLock(folder.with_name(folder.name + _LOCK), timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        return None
    return lock


def _checksum(section: npt.NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(section).data)


def _not_kept(error: OSError) -> InputError:
    reason = explain_failure(error) or "the system refused it"
    return InputError(f"Paint is not kept on disk: {reason}.")
