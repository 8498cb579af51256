"""npe2 finds the manifest and every contribution, from a wheel and from a checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

_FIND = """
import json, sys
from npe2 import PluginManager
manager = PluginManager()
manager.discover()
manifest = manager.get_manifest("napari-emseg")
resolved = []
for command in manifest.contributions.commands:
    from npe2.manifest.utils import import_python_name
    import_python_name(command.python_name)
    resolved.append(command.id)
import napari_emseg
print(json.dumps({"commands": resolved, "from": napari_emseg.__file__}))
"""


def _find_contributions(**environment: str) -> dict[str, object]:
    result = subprocess.run(
        [sys.executable, "-c", _FIND],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "EMSEG_BLOCK_QT": "", **environment},
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(sys.executable).parent,
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, object] = json.loads(result.stdout.strip().splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def wheel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the built wheel was installed."""
    dist, target = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("site")
    build = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(dist), str(ROOT)]
    subprocess.run([sys.executable, *build], check=True, capture_output=True)
    (wheel,) = dist.glob("*.whl")
    install = ["-m", "pip", "install", "-q", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run([sys.executable, *install], check=True, capture_output=True)
    return target


def test_checkout_offers_every_contribution() -> None:
    found = _find_contributions()
    assert found["commands"]
    assert str(found["from"]).startswith(str(ROOT / "src"))


def test_wheel_offers_every_contribution(wheel_folder: Path) -> None:
    found = _find_contributions(PYTHONPATH=str(wheel_folder))
    assert found["commands"] == _find_contributions()["commands"]
    assert str(found["from"]).startswith(str(wheel_folder))


def test_wheel_carries_models_and_types_but_no_tests(wheel_folder: Path) -> None:
    names = {str(p.relative_to(wheel_folder)) for p in wheel_folder.rglob("*")}
    assert "napari_emseg/py.typed" in names
    assert any(n.startswith("napari_emseg/models/") and n.endswith(".safetensors") for n in names)
    assert not any(n.startswith("tests") for n in names)
    assert not (wheel_folder / "napari_emseg" / "napari.yaml").is_symlink()


def test_dependencies_bring_no_window_toolkit() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not [d for d in project["dependencies"] if "qt6" in d.lower() or "pyside" in d.lower()]
    assert "napari[all]" not in " ".join(project["dependencies"])
    assert any("napari[all]" in d for d in project["optional-dependencies"]["all"])
