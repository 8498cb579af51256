"""``emseg gui``: napari with the workspace and the files given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_emseg.session import FILE_SUFFIX


def launch(paths: Sequence[str] = ()) -> None:
    """Open napari with the workspace; returns when the window is closed.

    Parameters
    ----------
    paths : sequence of str
        Stacks to open as layers; a session file is restored.
    """
    import napari

    from napari_emseg.gui.data_step import DataStep
    from napari_emseg.gui.workspace import open_workspace

    viewer = napari.Viewer(title="EM Segmentation")
    workspace = open_workspace(viewer)
    data = workspace.step("data")
    assert isinstance(data, DataStep)
    data.open_paths([path for path in paths if not path.endswith(FILE_SUFFIX)])
    for path in paths:
        if path.endswith(FILE_SUFFIX):
            workspace.session_bar.restore_from(Path(path))
    napari.run()
