"""Compiled loops are remembered, apart for each state of the package's files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_emseg import jit

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
    assert list(tmp_path.rglob("kernels/**/*.nbi"))


def test_another_state_of_any_file_is_another_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    (package / "segmentation").mkdir(parents=True)
    for name in ("jit.py", "segmentation/one.py", "segmentation/two.py"):
        (package / name).write_text("pass")
    monkeypatch.setattr(jit, "__file__", str(package / "jit.py"))
    monkeypatch.setattr(jit.platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path))
    before = jit._cache_folder.__wrapped__()
    assert jit._cache_folder.__wrapped__() == before
    before.mkdir(parents=True)
    old = before.with_name("old")
    old.mkdir()
    os.utime(old, (0, 0))
    (package / "segmentation/two.py").write_text("pass  # changed")
    assert jit._cache_folder.__wrapped__() != before
    assert before.exists()
    assert not old.exists()


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    assert run(blocked) >= 0
