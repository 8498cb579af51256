"""From a boundary map to segments that follow a slider."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_emseg.segmentation.affinities import affinities_from_boundary
    from napari_emseg.segmentation.affinity_hierarchy import build_affinity_hierarchy
    from napari_emseg.segmentation.building import build_hierarchy, build_section
    from napari_emseg.segmentation.forest import MergeTree
    from napari_emseg.segmentation.grouping import GROUPINGS, group
    from napari_emseg.segmentation.hierarchy import Hierarchy
    from napari_emseg.segmentation.linking import link_sections
    from napari_emseg.segmentation.mutex import mutex_watershed
    from napari_emseg.segmentation.partitions import Cuttable, Partitions
    from napari_emseg.segmentation.segmentation import Segmentation, SegmentView

_MODULE_OF = {
    "Cuttable": "partitions",
    "GROUPINGS": "grouping",
    "Hierarchy": "hierarchy",
    "MergeTree": "forest",
    "Partitions": "partitions",
    "SegmentView": "segmentation",
    "Segmentation": "segmentation",
    "affinities_from_boundary": "affinities",
    "build_affinity_hierarchy": "affinity_hierarchy",
    "build_hierarchy": "building",
    "build_section": "building",
    "group": "grouping",
    "link_sections": "linking",
    "mutex_watershed": "mutex",
}

__all__ = [
    "GROUPINGS",
    "Cuttable",
    "Hierarchy",
    "MergeTree",
    "Partitions",
    "SegmentView",
    "Segmentation",
    "affinities_from_boundary",
    "build_affinity_hierarchy",
    "build_hierarchy",
    "build_section",
    "group",
    "link_sections",
    "mutex_watershed",
]


def __getattr__(name: str) -> Any:
    # Compiled kernels take a moment to load, so a module is imported when it is used.
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
