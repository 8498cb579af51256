"""Corrections by a person: edits of a table, kept in a log, never lost."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_emseg.proofreading.carrying import Carried, NotCarried, carry_over
    from napari_emseg.proofreading.delta import Delta, inverse
    from napari_emseg.proofreading.history import Change, HistoryItem
    from napari_emseg.proofreading.joining import join_logs
    from napari_emseg.proofreading.log import EditLog, read_log
    from napari_emseg.proofreading.patched import PatchedFragments
    from napari_emseg.proofreading.preview import Preview
    from napari_emseg.proofreading.proofreader import OPERATIONS, Proofreader
    from napari_emseg.proofreading.state import State

_MODULE_OF = {
    "Carried": "carrying",
    "Change": "history",
    "Delta": "delta",
    "EditLog": "log",
    "HistoryItem": "history",
    "NotCarried": "carrying",
    "OPERATIONS": "proofreader",
    "PatchedFragments": "patched",
    "Preview": "preview",
    "Proofreader": "proofreader",
    "State": "state",
    "carry_over": "carrying",
    "inverse": "delta",
    "join_logs": "joining",
    "read_log": "log",
}

__all__ = [
    "OPERATIONS",
    "Carried",
    "Change",
    "Delta",
    "EditLog",
    "HistoryItem",
    "NotCarried",
    "PatchedFragments",
    "Preview",
    "Proofreader",
    "State",
    "carry_over",
    "inverse",
    "join_logs",
    "read_log",
]


def __getattr__(name: str) -> Any:
    # Compiled kernels take a moment to load, so a module is imported when it is used.
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
