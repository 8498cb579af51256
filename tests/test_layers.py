"""The layer rule of pyproject.toml is executed, and seen to fail when broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package and its contracts, to be broken on purpose."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copy(ROOT / "napari.yaml", tmp_path)
    shutil.copytree(
        ROOT / "src",
        tmp_path / "src",
        ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"),
    )
    return tmp_path


def test_arrows_point_down_only() -> None:
    result = _lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line"),
    [
        pytest.param("segmentation", "import napari", id="window-below-gui"),
        pytest.param("io", "import torch", id="torch-below-networks"),
        pytest.param("evaluation", "import napari_emseg.segmentation", id="sideways"),
        pytest.param("inference", "import napari_emseg.cli", id="upwards"),
    ],
)
def test_a_broken_rule_is_noticed(copy: Path, module: str, line: str) -> None:
    init = copy / "src" / "napari_emseg" / module / "__init__.py"
    init.write_text(init.read_text() + f"\n{line}  # noqa\n")
    result = _lint_imports(copy)
    assert result.returncode != 0, result.stdout
    assert "BROKEN" in result.stdout


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, napari_emseg; "
        "print(sorted({'torch','napari','qtpy','numpy','numba','skimage'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ["segmentation", "evaluation", "io", "samples", "steps"])
def test_computing_packages_load_neither_torch_nor_windows(package: str) -> None:
    code = (
        f"import sys, napari_emseg.{package}; "
        "print(sorted({'torch','napari','qtpy','superqt','magicgui'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
