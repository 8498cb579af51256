"""The napari plugin; the only package that knows of windows."""

from __future__ import annotations

from napari_emseg.gui.launch import launch

__all__ = ["launch"]
