"""The files of a BioImage.IO package, a zip or a folder, read as data from a stranger.

Nothing is ever unpacked: files are read by name, up to a size said beforehand. So no
name in an archive can lead out of a folder, and no archive can fill the disk.
"""

from __future__ import annotations

import hashlib
import io
import stat
import zipfile
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import BinaryIO, Self

from napari_emseg.errors import InputError
from napari_emseg.networks.bioimageio_model import FileRef

DESCRIPTIONS = ("bioimageio.yaml", "rdf.yaml")
"""What the description is called: format 0.5, and both."""
_MOST_FILES = 5000
_MOST_TOTAL_BYTES = 16 * 2**30
_LARGEST_RATIO = 200
"""Weights cannot be compressed so well; what can is made to fill the memory."""
_FREELY_COMPRESSED_BYTES = 64 * 2**20
_CHUNK_BYTES = 2**20


class Archive:
    """The files of a package; use it as a context manager.

    Parameters
    ----------
    path : path
        A zip file, a folder, or the description in a folder.

    Attributes
    ----------
    names : frozenset of str
        Of the files, relative to where the description is.
    description : str
        Name of the description.

    Raises
    ------
    InputError
        If it is no package, or made to do harm.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path = Path(path)
        if path.name in DESCRIPTIONS and path.is_file():
            path = path.parent
        self._zip: zipfile.ZipFile | None = None
        self._root = path
        self._prefix = ""
        try:
            sizes = self._list_folder(path) if path.is_dir() else self._list_zip(path)
        except FileNotFoundError:
            raise InputError(f"There is no file {path}.") from None
        except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{path.name} cannot be read: {reason}.") from None
        self._sizes = sizes
        self.names = frozenset(sizes)
        found = [name for name in DESCRIPTIONS if name in sizes]
        if not found:
            self.close()
            raise InputError(
                f"{path.name} is no BioImage.IO package: it holds no {' or '.join(DESCRIPTIONS)}."
            )
        self.description = found[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._zip is not None:
            self._zip.close()

    def size(self, name: str) -> int:
        """Return how many bytes a file has.

        Raises
        ------
        InputError
            If there is none of that name.
        """
        if name not in self._sizes:
            raise InputError(f"{self.path.name} lacks the file {name[:100]} that it names.")
        return self._sizes[name]

    def read(self, name: str, *, most_bytes: int) -> bytes:
        """Return the content of a file.

        Raises
        ------
        InputError
            If there is none, it is larger than `most_bytes`, or damaged.
        """
        size = self.size(name)
        if size > most_bytes:
            raise InputError(
                f"{name} in {self.path.name} has {size:,} bytes; at most {most_bytes:,} are read."
            )
        content = io.BytesIO()
        try:
            with self._open(name) as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    content.write(chunk)
                    if content.tell() > size:
                        raise zipfile.BadZipFile("it is longer than announced")
        except (OSError, EOFError, ValueError, zipfile.BadZipFile, RuntimeError) as error:
            raise InputError(f"{name} in {self.path.name} is damaged: {error}.") from None
        return content.getvalue()

    def _open(self, name: str) -> BinaryIO:
        if self._zip is None:
            return (self._root / name).open("rb")
        entry = self._zip.getinfo(self._prefix + name)
        squeezed = entry.file_size / max(1, entry.compress_size)
        if entry.file_size > _FREELY_COMPRESSED_BYTES and squeezed > _LARGEST_RATIO:
            raise zipfile.BadZipFile(f"it grows {squeezed:.0f} times when unpacked")
        return self._zip.open(entry)  # type: ignore[return-value]

    def _list_folder(self, root: Path) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for path in root.rglob("*"):
            if path.is_symlink():
                continue  # may lead anywhere
            if path.is_file():
                sizes[path.relative_to(root).as_posix()] = path.stat().st_size
            if len(sizes) > _MOST_FILES:
                raise InputError(f"{root} holds more than {_MOST_FILES} files: no package.")
        return sizes

    def _list_zip(self, path: Path) -> dict[str, int]:
        self._zip = archive = zipfile.ZipFile(path)
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if len(entries) > _MOST_FILES or sum(e.file_size for e in entries) > _MOST_TOTAL_BYTES:
            raise InputError(f"{path.name} holds too much for a model: it is not opened.")
        sizes: dict[str, int] = {}
        for entry in entries:
            _check_entry(entry, path)
            if entry.filename in sizes:
                raise InputError(f"{path.name} holds {entry.filename[:100]} twice: not opened.")
            sizes[entry.filename] = entry.file_size
        self._prefix = _folder_of_description(sizes)
        start = len(self._prefix)
        return {n[start:]: size for n, size in sizes.items() if n.startswith(self._prefix)}


def is_archive(path: Path | str) -> bool:
    """Tell whether a path is a package: only names are looked at."""
    path = Path(path)
    if path.name in DESCRIPTIONS:
        return path.is_file()
    if path.is_dir():
        return any((path / name).is_file() for name in DESCRIPTIONS)
    try:
        if path.suffix.lower() != ".zip" or not path.is_file():
            return False
        with zipfile.ZipFile(path) as archive:
            return any(PurePosixPath(name).name in DESCRIPTIONS for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, NotImplementedError):
        return False


def check_sha256(content: bytes, file: FileRef) -> FileRef:
    """Compare the checksum of a file with the one in the description, if there is one.

    Returns
    -------
    FileRef
        With the checksum.

    Raises
    ------
    InputError
        If it differs.
    """
    found = hashlib.sha256(content).hexdigest()
    if file.sha256 and found != file.sha256.lower():
        raise InputError(
            f"{file.name} is not the file that the package describes (its checksum is "
            f"{found[:12]}, not {file.sha256[:12]}): copy or download the package again."
        )
    return FileRef(file.name, found)


def _check_entry(entry: zipfile.ZipInfo, path: Path) -> None:
    name = entry.filename
    parts = PurePosixPath(name).parts
    shown = name[:100]
    if name.startswith("/") or ".." in parts or "\\" in name or ":" in name or "\0" in name:
        raise InputError(f"{path.name} holds a file that leads out of it ({shown}): not opened.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise InputError(f"{path.name} holds a link instead of a file ({shown}): not opened.")
    if entry.flag_bits & 1:
        raise InputError(f"{path.name} is encrypted: unpack it and choose the folder.")


def _folder_of_description(sizes: dict[str, int]) -> str:
    """Return the folder in the archive that the description is in, with a slash."""
    if any(name in sizes for name in DESCRIPTIONS):
        return ""
    found = [n for n in sizes if PurePosixPath(n).name in DESCRIPTIONS and n.count("/") == 1]
    return found[0].rpartition("/")[0] + "/" if len(found) == 1 else ""
