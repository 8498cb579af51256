"""From electron-microscopy stacks to scored neurons, in napari and in the shell.

Importing this package imports nothing heavy; each public name is loaded when
it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_emseg.errors import InputError
    from napari_emseg.evaluation import evaluate, score_curve
    from napari_emseg.inference import predict
    from napari_emseg.io import open_volume, save_volume
    from napari_emseg.networks import build_network
    from napari_emseg.proofreading import Proofreader
    from napari_emseg.segmentation import Hierarchy, Segmentation, build_hierarchy
    from napari_emseg.volume import Volume

__version__ = "0.1.0"

_MODULE_OF = {
    "Hierarchy": "segmentation",
    "InputError": "errors",
    "Proofreader": "proofreading",
    "Segmentation": "segmentation",
    "Volume": "volume",
    "build_hierarchy": "segmentation",
    "build_network": "networks",
    "evaluate": "evaluation",
    "open_volume": "io",
    "predict": "inference",
    "save_volume": "io",
    "score_curve": "evaluation",
}

__all__ = [
    "Hierarchy",
    "InputError",
    "Proofreader",
    "Segmentation",
    "Volume",
    "__version__",
    "build_hierarchy",
    "build_network",
    "evaluate",
    "open_volume",
    "predict",
    "save_volume",
    "score_curve",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
