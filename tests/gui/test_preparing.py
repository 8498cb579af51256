"""What a prediction needs is loaded while somebody looks at the stack, off the window's thread."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.workspace import Workspace
from napari_emseg.volume import Volume

GREY = np.random.default_rng(0).integers(0, 255, (2, 24, 28), np.uint8)


def test_torch_is_loaded_once_a_stack_is_open(
    workspace: Workspace, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    monkeypatch.setattr(
        "napari_emseg.inference.preloading.load_torch",
        lambda progress: threads.append(threading.current_thread()),
    )
    qtbot.wait(900)
    assert threads == [], "nobody has anything to predict"
    add_volume(workspace.context.viewer, Volume(GREY, voxel_size_nm=(50, 4, 4)))
    qtbot.waitUntil(lambda: bool(threads))
    assert threads[0] is not threading.main_thread()
    add_volume(workspace.context.viewer, Volume(GREY, voxel_size_nm=(50, 4, 4)))
    qtbot.wait(900)
    assert len(threads) == 1
