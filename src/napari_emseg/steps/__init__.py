"""The steps of the job, one file each: a params model and a thin ``run``.

A step knows no window and no command line; both derive their forms and flags
from the step's params model and call its ``run``. To add a step, write
``steps/<name>.py`` with a ``STEP`` and add one line to `STEPS`.
"""

from __future__ import annotations

STEPS: dict[str, str] = {
    "predict": "napari_emseg.steps.predict:STEP",
    "fuse": "napari_emseg.steps.fuse:STEP",
    "postprocess": "napari_emseg.steps.postprocess:STEP",
    "segment": "napari_emseg.steps.segment:STEP",
    "evaluate": "napari_emseg.steps.evaluate:STEP",
}
