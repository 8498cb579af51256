"""A process that edits at random and says each edit, to be killed at any moment."""

from __future__ import annotations

import sys

import numpy as np
from tests.proofreading.worlds import edit_at_random, make_segmentation

from napari_emseg import Proofreader


def main(log: str, seed: int) -> None:
    segmentation, boundary = make_segmentation(0)
    editor = Proofreader(segmentation, boundary=boundary, log=log)
    random = np.random.default_rng(seed)
    _say("ready")
    while True:
        edit_at_random(editor, random, 1)
        _say(summary(editor))


def summary(editor: Proofreader) -> str:
    """Say the state in a line: lines of the log, and what is seen."""
    view = editor.view[...].astype(np.uint64)
    places = np.arange(1, view.size + 1, dtype=np.uint64)
    seen = int((view.ravel() * places * np.uint64(2654435761)).sum())
    return f"{editor.n_entries} {editor.position} {seen} {sorted(editor.state.done)}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
