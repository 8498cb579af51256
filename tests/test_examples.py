"""Every example runs, on a small size, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_emseg.networks.library import list_models

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.py"))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example: Path, tmp_path: Path) -> None:
    if "emseg.predict" in example.read_text() and not any(m.default for m in list_models()):
        pytest.skip("there is no default model in this checkout")
    finished = subprocess.run(
        [sys.executable, "-W", "error:::napari_emseg", str(example)],
        cwd=tmp_path,
        env={**os.environ, "EMSEG_EXAMPLE_SIZE": "96"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip()
