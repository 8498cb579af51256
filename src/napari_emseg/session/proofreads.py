"""Folders in which a proofreading lies: what it began with, and the log of its edits."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.session.file import SavedSession, load_session, save_session
from napari_emseg.steps.fingerprint import has_changed

if TYPE_CHECKING:
    from napari_emseg.proofreading import NotCarried
    from napari_emseg.segmentation import Segmentation
    from napari_emseg.session.model import Session
    from napari_emseg.volume import Volume

SUFFIX = ".proofread"
_START, _LOG, _ABOUT = "start.emseg", "edits.jsonl", "about.json"
_FORMAT = "napari-emseg proofreading"
_KEPT_UNUSED_S = 30 * 24 * 3600  # a window may have one open for long


def proofreads_folder() -> Path:
    """Return where proofreadings are kept; ``EMSEG_PROOFREADING`` overrides it."""
    if override := os.environ.get("EMSEG_PROOFREADING"):
        return Path(override).expanduser()
    from platformdirs import user_data_path

    return user_data_path("napari-emseg", appauthor=False) / "proofreading"


@dataclass(frozen=True)
class ProofreadFolder:
    """A proofreading on disk.

    Attributes
    ----------
    path : Path
    name : str
        Of the labels.
    known_by : str
        Fingerprint of the labels it began with.
    """

    path: Path
    name: str
    known_by: str

    @property
    def log(self) -> Path:
        """The log of the edits."""
        return self.path / _LOG

    @property
    def start(self) -> Path:
        """A session file with fragments, table, map and what else it began with."""
        return self.path / _START

    @property
    def n_edits(self) -> int:
        """How many edits, undos and redos the log holds."""
        try:
            return max(0, self.log.read_bytes().count(b"\n") - 1)
        except OSError:
            return 0

    @property
    def changed(self) -> datetime:
        """When it was edited last."""
        newest = self.log if self.log.exists() else self.start
        return datetime.fromtimestamp(newest.stat().st_mtime, UTC)

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels of what its log is of (z, y, x); empty where there is none."""
        try:
            with self.log.open("rb") as file:
                return tuple(int(n) for n in json.loads(file.readline())["shape"])
        except (OSError, ValueError, KeyError, TypeError):
            return ()

    def open(self) -> SavedSession:
        """Read what it began with.

        Raises
        ------
        InputError
            If that is damaged.
        """
        saved = load_session(self.start)
        if saved.fragments is None or saved.segment_of is None:
            raise InputError(f"{self.start} holds no fragments: it is of something else.")
        return saved


def create_folder(
    labels: Volume,
    segmentation: Segmentation,
    *,
    known_by: str,
    session: Session,
    raw: Volume | None = None,
    boundary: Volume | None = None,
    progress: Progress = NO_PROGRESS,
) -> ProofreadFolder:
    """Write what a proofreading begins with; complete or not at all.

    Parameters
    ----------
    labels : Volume
        For its name.
    segmentation : Segmentation
        The same over fragments.
    known_by : str
        Fingerprint of `labels`.
    session : Session
        For the settings, and where files are.
    raw, boundary : Volume, optional
    progress : Progress, optional
        Told the sections written.

    Returns
    -------
    ProofreadFolder

    Raises
    ------
    InputError
        If it cannot be written.
    """
    about = {"format": _FORMAT, "version": 1, "name": labels.name, "known_by": known_by}
    with _new_folder(labels.name or "labels") as (target, temporary):
        (temporary / _ABOUT).write_text(json.dumps(about))
        save_session(
            temporary / _START,
            session,
            raw=raw,
            boundary=boundary,
            fragments=segmentation.fragments,
            segment_of=segmentation.segment_of,
            progress=progress,
        )
    return ProofreadFolder(target, labels.name, known_by)


def open_folder(path: str | os.PathLike[str]) -> ProofreadFolder:
    """Find a proofreading on disk.

    Raises
    ------
    InputError
        If there is none.
    """
    place = Path(path)
    try:
        about = json.loads((place / _ABOUT).read_bytes())
        if about["format"] != _FORMAT or not (place / _START).is_file():
            raise ValueError
        return ProofreadFolder(place, str(about["name"]), str(about["known_by"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{place} holds no proofreading.") from error


def list_folders() -> list[ProofreadFolder]:
    """List all proofreadings kept for this user, the one edited last first."""
    found = []
    for place in proofreads_folder().glob(f"*{SUFFIX}"):
        if place.name.startswith("."):  # being written
            continue
        try:
            found.append(open_folder(place))
        except InputError:
            continue
    return sorted(found, key=lambda folder: folder.changed, reverse=True)


def folder_of(known_by: str, name: str = "") -> ProofreadFolder | None:
    """Find the proofreading of some labels, by their fingerprint; the one edited last.

    Labels of which a fingerprint tells only a sample have to bear the same name, too.
    """
    is_exact = not known_by.endswith("-")
    for folder in list_folders():
        is_same = folder.known_by and not has_changed(folder.known_by, known_by)
        if is_same and (is_exact or folder.name == name):
            return folder
    return None


def pack_folder(folder: ProofreadFolder) -> dict[str, Any]:
    """Read everything of a proofreading, to take it along in a session file."""
    parts = {_START: folder.start, _LOG: folder.log, _ABOUT: folder.path / _ABOUT}
    held = {name: path.read_bytes() for name, path in parts.items() if path.exists()}
    return {"place": str(folder.path), **held}


def unpack_folder(packed: Mapping[str, Any]) -> ProofreadFolder:
    """Find the proofreading that was packed, or write it anew where it is not there.

    One that was gone on with since is taken as it is: it holds all that was packed.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    place, log = Path(packed["place"]), packed.get(_LOG, b"")
    try:
        there = open_folder(place)
        held = there.log.read_bytes() if there.log.exists() else b""
        if held.startswith(log) and (place / _ABOUT).read_bytes() == packed[_ABOUT]:
            return there
    except InputError:
        pass
    with _new_folder(place.name.removesuffix(SUFFIX)) as (target, temporary):
        for name in (_START, _LOG, _ABOUT):
            if name in packed:
                (temporary / name).write_bytes(packed[name])
    return open_folder(target)


@dataclass(frozen=True)
class Brought:
    """A proofreading into which somebody's edits were brought.

    Attributes
    ----------
    folder : ProofreadFolder
        A new one with the edits of both; the one before where nothing was brought in.
    n_brought, n_needless : int
        Edits made again; edits of which the result was there already.
    lost : tuple of NotCarried
        All others, each with the reason.
    """

    folder: ProofreadFolder
    n_brought: int
    n_needless: int
    lost: tuple[NotCarried, ...]


def bring_in(
    folder: ProofreadFolder,
    log: str | os.PathLike[str],
    *,
    boundary: Volume | None = None,
    progress: Progress = NO_PROGRESS,
) -> Brought:
    """Make the edits of another log after one's own, in a new folder; both stay as they are.

    The log may be of the same labels, as another person edited them, or of others of the
    same tissue: edits are made where their positions fit.

    Parameters
    ----------
    folder : ProofreadFolder
    log : path-like
    boundary : Volume, optional
        The map, by default that of the folder.
    progress : Progress

    Returns
    -------
    Brought

    Raises
    ------
    InputError
        If the log cannot be read or nothing can be written.
    """
    from napari_emseg.proofreading import Proofreader, read_log
    from napari_emseg.proofreading.carrying import carry_into, lasting_entries
    from napari_emseg.segmentation import Segmentation

    theirs = lasting_entries(read_log(log).entries)
    own = {_stamp(entry) for entry in read_log(folder.log).entries} if folder.log.exists() else ()
    new = [entry for entry in theirs if _stamp(entry) not in own]
    saved = folder.open()
    assert saved.fragments is not None
    assert saved.segment_of is not None
    try:
        with _new_folder(folder.path.name.removesuffix(SUFFIX)) as (target, temporary):
            for path in (folder.start, folder.log, folder.path / _ABOUT):
                if path.exists():
                    shutil.copyfile(path, temporary / path.name)
            editor = Proofreader(
                Segmentation(saved.fragments, saved.segment_of),
                boundary=boundary if boundary is not None else saved.boundary,
                log=temporary / _LOG,
                progress=progress,
            )
            try:
                made = carry_into(editor, new, progress=progress)
            finally:
                editor.close()
            n_needless = made.n_needless + len(theirs) - len(new)
            brought = Brought(folder, made.n_carried, n_needless, made.not_carried)
            if not made.n_carried:
                raise _NothingBrought
    except _NothingBrought:
        return brought
    return replace(brought, folder=open_folder(target))


class _NothingBrought(Exception):
    """No edit could be made, so that no folder is needed."""


def _stamp(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    """By what an edit is known again, in whose log it may be."""
    return str(entry["time"]), str(entry["who"]), str(entry["operation"])


def remove_unused() -> None:
    """Remove proofreadings begun long ago in which nothing was edited."""
    for folder in list_folders():
        if folder.n_edits == 0 and time.time() - folder.changed.timestamp() > _KEPT_UNUSED_S:
            shutil.rmtree(folder.path, ignore_errors=True)


@contextmanager
def _new_folder(name: str) -> Iterator[tuple[Path, Path]]:
    """Yield a place that is nobody else's, and a folder to fill that comes there in the end."""
    target = _reserve(name)
    try:
        with atomic_write(target) as temporary:
            temporary.mkdir()
            yield target, temporary
    except BaseException:
        with suppress(OSError):  # it is empty, or there is something in it that must stay
            target.rmdir()
        raise


def _reserve(name: str) -> Path:
    """Make an empty folder of a name like this that was not there."""
    root = proofreads_folder()
    stem = re.sub(r"[^\w.-]+", "_", name).strip("._")[:60] or "labels"
    for number in itertools.count(1):
        place = root / f"{stem}{'' if number == 1 else f'_{number}'}{SUFFIX}"
        try:
            place.mkdir(parents=True)
        except FileExistsError:
            if not root.is_dir():
                raise _unwritable(root, "a file is in its place") from None
            continue
        except OSError as error:
            raise _unwritable(root, error.strerror or str(error)) from error
        break
    return place


def _unwritable(root: Path, why: str) -> InputError:
    return InputError(
        f"Cannot make the folder {root} for the edits ({why}): set "
        "EMSEG_PROOFREADING to a folder that can be written."
    )
