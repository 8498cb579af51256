"""Compiled loops are remembered, apart for each state of the package's files."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from napari_emseg import jit

NAME = "napari_emseg"
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


def test_another_state_of_a_file_that_counts_is_another_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    for name in ("jit.py", "segmentation/one.py", "proofreading/two.py", "training/three.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("pass")
    monkeypatch.setattr(jit, "__file__", str(package / "jit.py"))
    monkeypatch.setattr(jit.platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path))
    folder = partial(jit._cache_folder.__wrapped__, "proofreading")
    before = folder()
    before.mkdir(parents=True)
    old = before.with_name("old")
    old.mkdir()
    os.utime(old, (0, 0))
    (package / "training/three.py").write_text("pass  # changed")
    assert folder() == before  # no kernel of proofreading calls one of training
    (package / "segmentation/one.py").write_text("pass  # changed")
    other = folder()
    (package / "proofreading/two.py").write_text("pass  # changed")
    assert len({before, other, folder()}) == 3
    assert before.exists()
    assert not old.exists()


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    assert run(blocked) >= 0


def test_no_kernel_takes_from_a_part_that_does_not_count() -> None:
    """What files with kernels import from other parts holds no kernels and no constants."""
    package = Path(jit.__file__).parent
    with_kernels = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts): path
        for path in package.rglob("*.py")
        if "napari_emseg.jit import" in path.read_text(encoding="utf-8")
    }
    assert "napari_emseg.segmentation.cutting" in with_kernels
    for name, path in with_kernels.items():
        counted = (NAME, name.split(".")[1], "segmentation", "evaluation", "jit")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = (isinstance(node, ast.ImportFrom) and node.module) or ""
            if not module.startswith(NAME) or module.split(".")[1] in counted:
                continue
            taken = {each.name for each in node.names} - {"NO_PROGRESS", "ZYX"}  # not by kernels
            assert module not in with_kernels, (name, module)
            assert not any(each.isupper() for each in taken), (name, taken)
