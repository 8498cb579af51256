"""What every test may ask for: the real data, where it is, and small synthetic volumes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real EM data; the test is skipped where it is absent."""
    here = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("EMSEG_TEST_DATA", here.parent / "shared" / "data"))
    if not (folder / "isbi2012" / "train_raw.tif").exists():
        pytest.skip(f"no real EM data in {folder}")
    return folder
