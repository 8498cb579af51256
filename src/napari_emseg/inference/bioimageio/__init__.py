"""Models of the BioImage.IO collection: predicting with them, and giving ours to others.

Needs nothing but PyYAML and torch. No code of a package is ever run; what that means
for each kind of weights is said in :mod:`napari_emseg.inference.bioimageio.script`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_emseg.inference.bioimageio.example import check_package
    from napari_emseg.inference.bioimageio.export import export_package
    from napari_emseg.inference.bioimageio.fetch import fetch_package
    from napari_emseg.inference.bioimageio.predictor import PackagePredictor

_PUBLIC = {
    "PackagePredictor": "predictor",
    "check_package": "example",
    "export_package": "export",
    "fetch_package": "fetch",
}

__all__ = ["PackagePredictor", "check_package", "export_package", "fetch_package"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
