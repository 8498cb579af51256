"""Writing a file or folder so that a failure leaves the old one as it was."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_emseg.errors import InputError

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space or choose another disk",
    errno.EDQUOT: "your disk quota is used up; free some space or choose another disk",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.EACCES: "writing there is not permitted; choose another folder",
    errno.EPERM: "writing there is not permitted; choose another folder",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.EFBIG: "the disk takes no file that large; choose another disk",
    errno.EIO: "the disk reported an error; choose another disk",
}


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path` and put it in place at the end.

    The block writes a file, or makes a folder, at the temporary path. When it
    ends well that replaces `path` in one step; when it ends with any exception,
    a stop by the user included, the temporary is removed and what was at `path`
    before is untouched.

    Parameters
    ----------
    path : path-like
        Where the result shall be. A symbolic link is followed.

    Yields
    ------
    Path
        Temporary path in the same folder, ending in the same name.

    Raises
    ------
    InputError
        If the folder is missing, or the disk is full or not writable.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> target = Path(mkdtemp()) / "scores.json"
    >>> with atomic_write(target) as temporary:
    ...     _ = temporary.write_text("{}")
    >>> target.read_text()
    '{}'
    """
    check_place(path)
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{secrets.token_hex(4)}.tmp.{target.name}")
    try:
        yield temporary
        _flush(temporary)
        _put_in_place(temporary, target)
    except InputError:
        raise
    except Exception as error:
        reason = explain_failure(error)
        if reason is None:
            raise
        raise InputError(f"Cannot write {target}: {reason}.") from error
    finally:
        _remove(temporary)


def check_place(path: str | os.PathLike[str]) -> None:
    """Make sure that `atomic_write` can begin at a path, without writing.

    Parameters
    ----------
    path : path-like
        As for `atomic_write`.

    Raises
    ------
    InputError
        If the folder is missing, or it or what is at `path` is not writable, or that is
        a device or pipe.
    """
    target = Path(os.path.realpath(path))
    folder = target.parent
    if os.path.exists(target) and not (target.is_file() or target.is_dir()):
        raise InputError(f"Cannot write {target}: it is a device or pipe; choose a file.")
    if not folder.is_dir():
        raise InputError(
            f"Cannot write {target}: there is no folder {folder}; make it first or choose another."
        )
    if not os.access(folder, os.W_OK | os.X_OK) or (
        os.path.exists(target) and not os.access(target, os.W_OK)
    ):
        raise InputError(f"Cannot write {target}: {_REASONS[errno.EACCES]}.")


def check_file_place(path: str | os.PathLike[str]) -> None:
    """Make sure that `atomic_write` can put a file, not a folder, at a path.

    Raises
    ------
    InputError
        As `check_place`, or if a folder has that name.
    """
    check_place(path)
    if os.path.isdir(path):
        raise InputError(f"Cannot write {path}: a folder has that name; choose another name.")


def _put_in_place(temporary: Path, target: Path) -> None:
    if not temporary.is_dir():
        if target.is_dir():
            raise InputError(f"Cannot write {target}: a folder has that name; choose another name.")
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    elif target.exists():
        # A filled folder cannot be replaced in one call, so the old one steps aside first.
        old = temporary.with_name(f"{temporary.name}.old")
        os.rename(target, old)
        try:
            os.rename(temporary, target)
        except BaseException:
            os.rename(old, target)
            raise
        _remove(old)
    else:
        os.rename(temporary, target)
    _flush_folder(target.parent)


def _flush(path: Path) -> None:
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    for file in files:
        with open(file, "rb+") as stream:
            os.fsync(stream.fileno())


def _flush_folder(folder: Path) -> None:
    # Windows cannot open folders and some network disks cannot flush them.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove(path: Path) -> None:
    if os.path.isdir(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def explain_failure(error: Exception) -> str | None:
    """Say why writing failed and what to do, or None where the disk is not to blame.

    Examples
    --------
    >>> explain_failure(OSError(errno.EIO, "Input/output error"))
    'the disk reported an error; choose another disk'
    """
    number = error.errno if isinstance(error, OSError) else None
    if number in _REASONS:
        return _REASONS[number]
    # HDF5 reports the system's error only in its text, sometimes as RuntimeError.
    text = str(error)
    for known, reason in _REASONS.items():
        if os.strerror(known) in text:
            return reason
    if isinstance(error, OSError) and number is not None:
        return f"{(error.strerror or text).lower()}; try another folder"
    return None
