"""What is done to boundary maps between the network and the watershed.

Functions take and give Volumes of kind ``boundary`` and work section by section;
each is one the papers describe, so that their results can be repeated.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_emseg.postprocessing.calibration import (
        Calibration,
        calibrate,
        fit_calibration,
    )
    from napari_emseg.postprocessing.deepem3d import (
        build_deepem3d,
        deepem3d_labels,
        deepem3d_map,
    )
    from napari_emseg.postprocessing.filters import filter_gaussian, filter_median
    from napari_emseg.postprocessing.fusion import fuse_maps
    from napari_emseg.postprocessing.refill import fill_by_mode, refill_certain
    from napari_emseg.postprocessing.substitution import (
        SectionFaults,
        find_faults,
        substitute_sections,
    )
    from napari_emseg.postprocessing.watershed_lines import (
        add_watershed_lines,
        draw_watershed_lines,
        tune_watershed_weight,
    )

_MODULE_OF = {
    "Calibration": "calibration",
    "SectionFaults": "substitution",
    "add_watershed_lines": "watershed_lines",
    "build_deepem3d": "deepem3d",
    "calibrate": "calibration",
    "deepem3d_labels": "deepem3d",
    "deepem3d_map": "deepem3d",
    "draw_watershed_lines": "watershed_lines",
    "fill_by_mode": "refill",
    "filter_gaussian": "filters",
    "filter_median": "filters",
    "find_faults": "substitution",
    "fit_calibration": "calibration",
    "fuse_maps": "fusion",
    "refill_certain": "refill",
    "substitute_sections": "substitution",
    "tune_watershed_weight": "watershed_lines",
}

__all__ = [
    "Calibration",
    "SectionFaults",
    "add_watershed_lines",
    "build_deepem3d",
    "calibrate",
    "deepem3d_labels",
    "deepem3d_map",
    "draw_watershed_lines",
    "fill_by_mode",
    "filter_gaussian",
    "filter_median",
    "find_faults",
    "fit_calibration",
    "fuse_maps",
    "refill_certain",
    "substitute_sections",
    "tune_watershed_weight",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
