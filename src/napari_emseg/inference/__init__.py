"""From raw sections to boundary maps, with a trained network.

Importing this package does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_emseg.inference.axes import AxesPredictor
    from napari_emseg.inference.device import choose_device, threads_for
    from napari_emseg.inference.ensemble import Ensemble
    from napari_emseg.inference.one_call import predict, predict_section
    from napari_emseg.inference.predictor import Predictor
    from napari_emseg.inference.protocol import BoundaryPredictor
    from napari_emseg.inference.streaming import predict_to_zarr
    from napari_emseg.inference.substitution import SubstitutingPredictor

_PUBLIC = {
    "AxesPredictor": "axes",
    "BoundaryPredictor": "protocol",
    "Ensemble": "ensemble",
    "Predictor": "predictor",
    "SubstitutingPredictor": "substitution",
    "choose_device": "device",
    "predict": "one_call",
    "predict_section": "one_call",
    "predict_to_zarr": "streaming",
    "threads_for": "device",
}

__all__ = [
    "AxesPredictor",
    "BoundaryPredictor",
    "Ensemble",
    "Predictor",
    "SubstitutingPredictor",
    "choose_device",
    "predict",
    "predict_section",
    "predict_to_zarr",
    "threads_for",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
