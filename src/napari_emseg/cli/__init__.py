"""The command line ``emseg``: each command one file, imported when it is used.

A command file has ``add_arguments(parser)``, ``run(args, progress)`` returning
a report of plain values, and ``describe(report)`` returning it as text.
"""

from __future__ import annotations

from napari_emseg.cli.main import main

__all__ = ["main"]
