"""Compiled loops are remembered, per version of the package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import numpy as np
from napari_emseg.segmentation.cutting import relabel
out = np.empty(3, np.uint32)
relabel(np.array([0, 2, 1], np.uint32), np.array([0, 5, 9], np.uint32), out)
assert out.tolist() == [0, 9, 5]
print(sum(relabel.stats.cache_hits.values()))
"""


def run(home: Path) -> int:
    """Relabel in a fresh process; return how many kernels were found in the cache."""
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "LOCALAPPDATA": str(home)}
    found = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, **places},
        check=True,
        capture_output=True,
        text=True,
    )
    return int(found.stdout)


def test_a_second_process_does_not_compile_again(tmp_path: Path) -> None:
    first, second = run(tmp_path), run(tmp_path)
    assert (first, second) == (0, 1)
    from napari_emseg import __version__

    assert list(tmp_path.rglob(f"kernels-{__version__}/**/*.nbi"))


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    assert run(blocked) >= 0
