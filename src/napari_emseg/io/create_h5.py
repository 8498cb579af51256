"""Writing an HDF5 file so that a full disk is an error and not a crash."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class _DeafFile(io.FileIO):
    """A file whose failed writes are kept as `error` and not raised.

    HDF5 does not survive a failed write: what it could not write stays in its
    cache, closing fails for that, and the process ends with a segmentation
    fault when the file is freed. So it is told that all is well.
    """

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        n_bytes = memoryview(data).nbytes
        if self.error is None:
            try:
                written = super().write(data)
                if written is not None and written < n_bytes:
                    super().write(memoryview(data).cast("B")[written:])
            except OSError as error:
                self.error = error
        return n_bytes

    def truncate(self, size: int | None = None, /) -> int:
        if self.error is None:
            try:
                return super().truncate(size)
            except OSError as error:
                self.error = error
        return size or 0


@contextmanager
def create_h5(
    path: str | os.PathLike[str], *, extend: bool = False, **options: Any
) -> Iterator[Any]:
    """Make an HDF5 file, or write into one.

    Parameters
    ----------
    path : path-like
        Replaced if it exists, unless it is extended.
    extend : bool
        Keep what the file holds.
    **options
        For ``h5py.File``.

    Yields
    ------
    h5py.File
        Open for writing; closed at the end.

    Raises
    ------
    OSError
        At the end, if something could not be written.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "a.h5"
    >>> with create_h5(path) as file:
    ...     file["numbers"] = [1, 2]
    >>> path.stat().st_size > 0
    True
    """
    import h5py

    with _DeafFile(Path(path), "r+b" if extend else "w+b") as stream:
        try:
            with h5py.File(stream, "r+" if extend else "w", **options) as file:
                yield file
        finally:
            if stream.error is not None:
                raise stream.error
