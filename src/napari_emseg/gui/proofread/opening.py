"""Beginning to proofread, or going on: what is computed before the first click."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.session.proofreads import (
    Brought,
    ProofreadFolder,
    bring_in,
    create_folder,
    folder_of,
    list_folders,
    remove_unused,
    unpack_folder,
)
from napari_emseg.steps.fingerprint import fingerprint

if TYPE_CHECKING:
    from napari_emseg.proofreading import NotCarried, Proofreader
    from napari_emseg.segmentation import Cuttable, Segmentation
    from napari_emseg.session import Session
    from napari_emseg.volume import Volume


_HAS_EARLIER = (
    "Other labels of this size were proofread before: “Bring in edits” makes those edits here, too."
)


@dataclass(frozen=True, eq=False)
class Opened:
    """An editor that is ready, and where its edits lie.

    Attributes
    ----------
    editor : Proofreader
    folder : ProofreadFolder
    raw : Volume or None
        What the segmentation is of, where the folder knows.
    notes : tuple of str
        What the user should know.
    lost : tuple of NotCarried
        Edits of another proofreading that could not be made here.
    """

    editor: Proofreader
    folder: ProofreadFolder
    raw: Volume | None = None
    notes: tuple[str, ...] = ()
    lost: tuple[NotCarried, ...] = ()


@dataclass(frozen=True, eq=False)
class Material:
    """What a proofreading begins with.

    Attributes
    ----------
    labels : Volume
    session : Session
    raw, boundary : Volume or None
    hierarchy : Hierarchy, Partitions or None
        With the fragments of `boundary`.
    """

    labels: Volume
    session: Session
    raw: Volume | None = None
    boundary: Volume | None = None
    hierarchy: Cuttable | None = None


def begin(material: Material, progress: Progress = NO_PROGRESS) -> Opened:
    """Correct labels; edits that were made of just these before are made again.

    Parameters
    ----------
    material : Material
    progress : Progress

    Returns
    -------
    Opened
    """
    from napari_emseg.steps.proofread import prepare

    remove_unused()
    labels = material.labels
    known_by = fingerprint(labels)
    before = folder_of(known_by, labels.name)
    if before is not None:
        opened = go_on(before, boundary=material.boundary, like=labels, progress=progress)
        if opened is not None:
            return opened
    segmentation = prepare(
        labels, boundary=material.boundary, hierarchy=material.hierarchy, progress=progress
    )
    folder = create_folder(
        labels,
        segmentation,
        known_by=known_by,
        session=material.session,
        raw=material.raw,
        boundary=material.boundary,
        progress=progress,
    )
    editor = _edit(segmentation, material.boundary, folder, progress)
    notes = (_HAS_EARLIER,) if others_like(folder, labels.shape) else ()
    return Opened(editor, folder, notes=notes)


def others_like(folder: ProofreadFolder, shape: tuple[int, ...]) -> list[ProofreadFolder]:
    """List other proofreadings with edits of volumes of this size, the one edited last first."""
    others = [other for other in list_folders() if other.path != folder.path]
    return [other for other in others if other.n_edits and other.shape == tuple(shape)]


def go_on(
    folder: ProofreadFolder,
    *,
    boundary: Volume | None = None,
    like: Volume | None = None,
    progress: Progress = NO_PROGRESS,
) -> Opened | None:
    """Go on with a proofreading on disk.

    Parameters
    ----------
    folder : ProofreadFolder
    boundary : Volume, optional
        The map, by default that of the folder.
    like : Volume, optional
        Labels it has to have begun with.
    progress : Progress

    Returns
    -------
    Opened or None
        None where it began with other labels than `like`.
    """
    from napari_emseg.segmentation import Segmentation

    saved = folder.open()
    assert saved.fragments is not None
    assert saved.segment_of is not None
    segmentation = Segmentation(saved.fragments, saved.segment_of)
    if like is not None and not _is_same(segmentation, like, progress):
        return None
    chosen = boundary if boundary is not None else saved.boundary
    editor = _edit(segmentation, chosen, folder, progress)
    return Opened(editor, folder, saved.raw, saved.notes)


def go_on_alone(folder: ProofreadFolder, progress: Progress = NO_PROGRESS) -> Opened | None:
    """Go on with a proofreading on disk, by the map that lies there too."""
    return go_on(folder, progress=progress)


def go_on_with(
    folder: ProofreadFolder, log: Path, boundary: Volume | None, progress: Progress = NO_PROGRESS
) -> Opened | None:
    """Go on with a proofreading and the edits of another log; what is wrong with it is noted."""
    try:
        made = bring_in(folder, log, boundary=boundary, progress=progress)
    except (InputError, OSError) as error:
        opened = go_on(folder, boundary=boundary, progress=progress)
        return replace(opened, notes=(*opened.notes, str(error))) if opened else None
    opened = go_on(made.folder, boundary=boundary, progress=progress)
    if opened is None:
        return None
    return replace(opened, notes=(*opened.notes, describe_brought(made)), lost=made.lost)


def describe_brought(made: Brought) -> str:
    """Say how many edits were brought in, and what became of the others."""
    n = made.n_brought
    words = f"{n} edit{' was' if n == 1 else 's were'} brought in"
    if made.n_needless:
        words += f", {made.n_needless} more had been made already"
    return f"{words}, {len(made.lost)} could not be made." if made.lost else f"{words}."


def go_on_packed(packed: Mapping[str, Any], progress: Progress = NO_PROGRESS) -> Opened | None:
    """Go on with a proofreading that came in a session file."""
    return go_on(unpack_folder(packed), progress=progress)


def _edit(
    segmentation: Segmentation,
    boundary: Volume | None,
    folder: ProofreadFolder,
    progress: Progress,
) -> Proofreader:
    from napari_emseg.proofreading import Proofreader

    editor = Proofreader(segmentation, boundary=boundary, log=folder.log, progress=progress)
    try:
        editor.prepare(progress=progress)
    except BaseException:  # stopped: the log is free again
        editor.close()
        raise
    return editor


def _is_same(segmentation: Segmentation, labels: Volume, progress: Progress) -> bool:
    """Whether a segmentation shows just these labels; a fingerprint may tell a sample only."""
    view = segmentation.view()
    if view.shape != labels.shape:
        return False
    for z in range(labels.shape[0]):
        if not np.array_equal(view[z], labels.read(z)):
            return False
        progress.update(z + 1, labels.shape[0], "Comparing with the edits before")
    return True
