"""Which sections a training has learned from: they cannot tell any more how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from napari_emseg.errors import InputError
from napari_emseg.training.description import format_sections
from napari_emseg.training.pairs import TrainingPair


def add_learned(
    before: Mapping[str, Sequence[int]], pairs: Sequence[TrainingPair]
) -> dict[str, list[int]]:
    """Add the training sections of data sets to those learned from before, by data set.

    Raises
    ------
    InputError
        If a section is now held out for validation that was learned from before.

    Examples
    --------
    >>> from napari_emseg.samples import make_synthetic
    >>> from napari_emseg.training import hold_out
    >>> add_learned({"cells": [7]}, [hold_out(*make_synthetic((3, 64, 64)), name="cells")])
    {'cells': [0, 1, 7]}
    """
    learned = {name: list(sections) for name, sections in before.items()}
    for pair in pairs:
        seen = sorted({*before.get(pair.name, ())} & {*pair.validation_sections})
        if seen:
            raise InputError(
                f"The saved training has learned from sections {format_sections(seen)} of "
                f"{pair.name}, which are to score it now; take the same sections, or number of "
                "folds, as before, or start again without resuming."
            )
        learned[pair.name] = sorted({*learned.get(pair.name, ()), *pair.train_sections})
    return learned
