"""Shapes of segments: surfaces, skeletons, and files of them."""

from napari_emseg.morphometry.mesh_files import MESH_FORMATS, save_meshes
from napari_emseg.morphometry.shapes import Shapes, find_shapes
from napari_emseg.morphometry.simplifying import can_simplify, simplify
from napari_emseg.morphometry.skeleton_files import SKELETON_FORMATS, save_skeletons
from napari_emseg.morphometry.skeletons import Skeleton
from napari_emseg.morphometry.surfaces import Surface
from napari_emseg.morphometry.tiles import TileIndex, index_tiles

__all__ = [
    "MESH_FORMATS",
    "SKELETON_FORMATS",
    "Shapes",
    "Skeleton",
    "Surface",
    "TileIndex",
    "can_simplify",
    "find_shapes",
    "index_tiles",
    "save_meshes",
    "save_skeletons",
    "simplify",
]
