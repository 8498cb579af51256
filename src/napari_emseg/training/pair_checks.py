"""What cannot be learned from a pair and what is left out of it, in words."""

from __future__ import annotations

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.training.painting import INSIDE, MEMBRANE
from napari_emseg.training.pairs import NO_PAINT, TrainingPair, longest_run, make_target
from napari_emseg.training.targets import IGNORED

_SPARSE_SHARE = 0.3
"""Of a section that has ids; fewer are hardly all neurons of it."""


def check_ids(pair: TrainingPair) -> None:
    """Refuse an image of membranes that was given as labels, and labels without a boundary.

    Raises
    ------
    InputError
        If the sections to train on hold fewer than two ids besides 0, or paint of
        them only shows membrane or only what is inside of cells.

    Examples
    --------
    >>> from napari_emseg.training.pairs import hold_out
    >>> from napari_emseg.volume import Volume
    >>> raw = Volume(np.zeros((1, 2, 2), np.uint8))
    >>> drawing = Volume(np.array([[[0, 255], [255, 0]]], np.uint8), kind="labels")
    >>> check_ids(hold_out(raw, drawing, name="a"))
    Traceback (most recent call last):
    ...
    napari_emseg.errors.InputError: a: the labels hold one id only (255); if they are an image of \
    membranes, say --labels-kind membranes (labels_kind: membranes in a YAML file).
    """
    if pair.labels_kind == "membranes":
        return
    if pair.labels_kind == "painted":
        _check_paint(pair)
        return
    ids: set[int] = set()
    has_unlabelled = False
    for z in pair.train_sections:
        found = set(np.unique(pair.labels.read(z)).tolist())
        has_unlabelled |= 0 in found
        ids |= found - {0}
        if len(ids) > 1:
            return
    if ids and has_unlabelled:
        raise InputError(
            f"{pair.name}: the labels hold one id only ({ids.pop()}); if they are an image of "
            "membranes, say --labels-kind membranes (labels_kind: membranes in a YAML file)."
        )
    what = f"one id only ({ids.pop()})" if ids else "no ids"
    raise InputError(
        f"{pair.name}: the labels of the sections to train on hold {what}, so there is no boundary "
        "to learn from."
    )


def _check_paint(pair: TrainingPair) -> None:
    known: set[int] = set()
    for z in pair.train_sections:
        known |= set(np.unique(make_target(pair, z)).tolist()) - {IGNORED}
        if len(known) == 2:
            return
    if not known:
        raise InputError(f"{pair.name}: in the sections to train on {NO_PAINT}")
    missing = (
        f"the inside of cells ({INSIDE} and more)" if known == {1} else f"membrane ({MEMBRANE})"
    )
    raise InputError(
        f"{pair.name}: a network learns the difference of membrane and inside, so paint some "
        f"strokes of {missing} too."
    )


def notes_on_pair(pair: TrainingPair) -> list[str]:
    """Say which sections go unused and whether the model will be scored.

    Examples
    --------
    >>> from napari_emseg.training.pairs import hold_out
    >>> from napari_emseg.volume import Volume
    >>> raw = Volume(np.zeros((5, 8, 8), np.uint8))
    >>> notes_on_pair(hold_out(raw, Volume(np.ones((4, 8, 8), np.uint8), kind="labels")))
    ['data: only sections 0 to 3 of 5 have labels.']
    """
    notes = []
    depth, labelled = pair.raw.shape[0], pair.labels.shape[0]
    if pair.labels_kind == "painted":
        count = len({*pair.train_sections, *pair.validation_sections})
        notes.append(f"{pair.name}: {count} of {depth} sections are painted and used.")
    elif labelled < depth:
        which = f"sections 0 to {labelled - 1} of {depth} have" if labelled > 1 else "section 0 has"
        notes.append(f"{pair.name}: only {which} labels.")
    notes += _notes_on_strokes(pair)
    first, last = longest_run(pair.train_sections)
    if pair.axes == "zyx" and last - first + 1 < len(set(pair.train_sections)):
        notes.append(
            f"{pair.name}: slices along y and x are taken from sections {first} to {last} only, "
            "the longest run of training sections without a gap."
        )
    if not pair.validation_sections:
        notes.append(f"{pair.name}: no section is left for validation, so nothing is scored on it.")
    return notes


def _notes_on_strokes(pair: TrainingPair) -> list[str]:
    """Say that ids look like strokes, whose edges would be learned as membrane."""
    if pair.labels_kind != "labels":
        return []
    z = pair.train_sections[0]
    share = float(np.count_nonzero(pair.labels.read(z)) / np.prod(pair.labels.shape[1:]))
    if not 0 < share < _SPARSE_SHARE:
        return []
    return [
        f"{pair.name}: only {share:.0%} of section {z} has ids, and where they end counts as "
        "membrane; if they are strokes, say painted (membrane 1, cells 2 and more)."
    ]
