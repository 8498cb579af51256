"""Torch is loaded beforehand, in parts that let other threads go on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from napari_emseg.inference import preloading
from napari_emseg.progress import Cancelled

_LINK = """
import sys
from pathlib import Path
from napari_emseg.inference import preloading
preloading._link_libraries()
assert "torch" not in sys.modules
linked = Path("/proc/self/maps").read_text()
assert "libtorch_python" in linked and "libtorch_cpu" in linked
preloading.load_torch()
import torch
assert float(torch.ones(3).sum()) == 3
assert "napari_emseg.inference.predictor" in sys.modules
"""


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_libraries_are_linked_before_the_import() -> None:
    done = _run(_LINK)
    assert done.returncode == 0, done.stderr


def test_a_torch_without_such_libraries_is_imported_all_the_same(tmp_path: Path) -> None:
    code = f"""
from importlib.machinery import ModuleSpec
from napari_emseg.inference import preloading
spec = ModuleSpec("torch", None, origin={str(tmp_path / "torch" / "__init__.py")!r})
preloading.find_spec = lambda name: spec
preloading.load_torch()
import torch
"""
    done = _run(code)
    assert done.returncode == 0, done.stderr


def test_it_can_be_stopped_between_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stop:
        def update(self, done: int, total: int, message: str = "") -> None:
            raise Cancelled

    linked: list[bool] = []
    monkeypatch.setattr(preloading, "_link_libraries", lambda: linked.append(True))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with pytest.raises(Cancelled):
        preloading.load_torch(Stop())
    assert linked == [True]
