"""The examples of docs/bioimageio.md run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.inference.bioimageio import packages
from torch import nn

import napari_emseg as emseg
from napari_emseg.cli import main

DOC = (Path(__file__).resolve().parents[1] / "docs" / "bioimageio.md").read_text(encoding="utf-8")


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> emseg.Volume:
    """All files the page speaks of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMSEG_MODELS", str(tmp_path / "models"))
    packages.write_zip(tmp_path / "impartial-shrimp.zip", packages.package_5(nn.Sigmoid()))
    grey = np.random.default_rng(0).integers(0, 256, (5, 40, 40)).astype(np.uint8)
    raw = emseg.Volume(grey, voxel_size_nm=(40, 4, 4))
    emseg.save_volume(raw, "raw.tif")
    return raw


def test_python(raw: emseg.Volume) -> None:
    blocks = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, Any] = {"raw": raw}
    for block in blocks:
        exec(block, names)
    assert names["section"].shape == (40, 40)
    assert eval(blocks[1].splitlines()[-1], names)


def test_shell(raw: emseg.Volume, capsys: pytest.CaptureFixture[str]) -> None:
    """All but the one that needs the network, which is tried against a local server elsewhere."""
    lines = [line.strip() for line in DOC.splitlines() if line.startswith("    emseg ")]
    assert len(lines) == 5
    for line in lines:
        if line.endswith("import impartial-shrimp"):
            continue
        assert main([*shlex.split(line)[1:], "--quiet"]) == 0, capsys.readouterr().err
    assert main(["models", "import", "sstem.zip", "--name", "back", "--quiet"]) == 0
