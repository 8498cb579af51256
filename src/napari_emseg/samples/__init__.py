"""Data to start with: a made-up stack, and public ones; each name is loaded when used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_emseg.samples.public import PUBLIC_SETS, fetch
    from napari_emseg.samples.synthetic import make_synthetic

__all__ = ["PUBLIC_SETS", "fetch", "make_synthetic"]

_PUBLIC = {"PUBLIC_SETS": "public", "fetch": "public", "make_synthetic": "synthetic"}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
