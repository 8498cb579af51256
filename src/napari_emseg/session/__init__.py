"""The user's wishes (`Session`), what follows (`plan`), and both in one file."""

from __future__ import annotations

from napari_emseg.session.file import FILE_SUFFIX, SavedSession, load_session, save_session
from napari_emseg.session.model import Reference, Session, View
from napari_emseg.session.plan import Facts, Plan, StepState, plan

__all__ = [
    "FILE_SUFFIX",
    "Facts",
    "Plan",
    "Reference",
    "SavedSession",
    "Session",
    "StepState",
    "View",
    "load_session",
    "plan",
    "save_session",
]
