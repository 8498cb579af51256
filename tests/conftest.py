"""What every test may ask for, and the switch that makes Qt unimportable."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

WINDOW_PACKAGES = {"PyQt5", "PyQt6", "PySide2", "PySide6", "qtpy", "napari", "superqt", "magicgui"}


class _Refuse(MetaPathFinder):
    """Refuses to import anything that needs a window."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in WINDOW_PACKAGES:
            raise ImportError(f"{name} is blocked: this part must work without a window")
        return None


if os.environ.get("EMSEG_BLOCK_QT"):
    sys.meta_path.insert(0, _Refuse())


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real EM data; the test is skipped where it is absent."""
    here = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("EMSEG_TEST_DATA", here.parent / "shared" / "data"))
    if not (folder / "isbi2012" / "train_raw.tif").exists():
        pytest.skip(f"no real EM data in {folder}")
    return folder
