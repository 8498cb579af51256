"""What a model is scored on: only scores of the same can be compared."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from napari_emseg.training.description import format_sections
from napari_emseg.training.pairs import TrainingPair


def describe_held_out(pairs: Sequence[TrainingPair]) -> dict[str, str]:
    """Describe the validation sections of data sets, with a checksum of their labels.

    Labels that were corrected since, or painted on, are others.

    Examples
    --------
    >>> from napari_emseg.samples import make_synthetic
    >>> from napari_emseg.training import hold_out
    >>> raw, labels = make_synthetic((3, 64, 64))
    >>> before = describe_held_out([hold_out(raw, labels, name="cells")])
    >>> before["cells"].split()[:2]
    ['labels', '2']
    """
    return {pair.name: _describe(pair) for pair in pairs if pair.validation_sections}


def _describe(pair: TrainingPair) -> str:
    digest = hashlib.blake2b(digest_size=8)
    volumes = [volume for volume in (pair.labels, pair.ignore) if volume is not None]
    for volume in volumes:
        for z in pair.validation_sections:
            digest.update(np.ascontiguousarray(volume.read(z)).data)
    sections = format_sections(pair.validation_sections).replace(" ", "")
    return f"{pair.labels_kind} {sections} {digest.hexdigest()}"
