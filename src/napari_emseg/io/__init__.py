"""Reading and writing volumes; each public name is loaded when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_emseg.io.atomic import atomic_write
    from napari_emseg.io.kinds import guess_kind
    from napari_emseg.io.volumes import (
        READERS,
        WRITERS,
        can_open,
        check_writable,
        describe,
        open_pyramid,
        open_volume,
        save_volume,
    )

__all__ = [
    "READERS",
    "WRITERS",
    "atomic_write",
    "can_open",
    "check_writable",
    "describe",
    "guess_kind",
    "open_pyramid",
    "open_volume",
    "save_volume",
]

_PUBLIC = {
    "READERS": "volumes",
    "WRITERS": "volumes",
    "atomic_write": "atomic",
    "can_open": "volumes",
    "check_writable": "volumes",
    "describe": "volumes",
    "guess_kind": "kinds",
    "open_pyramid": "volumes",
    "open_volume": "volumes",
    "save_volume": "volumes",
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
