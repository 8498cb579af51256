"""The examples of docs/interop.md run on files laid out as the tools write them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.io import foreign

import napari_emseg as emseg
from napari_emseg.cli import main

DOC = (Path(__file__).resolve().parents[1] / "docs" / "interop.md").read_text()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All files the page speaks of."""
    monkeypatch.chdir(tmp_path)
    foreign.write_ilastik_probabilities(tmp_path / "section_Probabilities.h5")
    foreign.write_plantseg(tmp_path / "tissue.h5")
    foreign.write_pytc(tmp_path / "result.h5")
    foreign.write_cremi(tmp_path / "sample_A.hdf", padded=True)
    stack = np.concatenate([foreign.membranes()] * 2)
    boundary = emseg.Volume(stack, kind="boundary", voxel_size_nm=(40, 4, 4))
    for name in ("net1", "net2", "net3", "map", "boundary"):
        emseg.save_volume(boundary, f"{name}.tif")
    emseg.save_volume(boundary.derive(stack > 0.5, kind="boundary"), "membranes.tif")
    ids = np.concatenate([foreign.cells()] * 2)
    emseg.save_volume(boundary.derive(ids, kind="labels"), "labels.tif")
    return tmp_path


def test_python(folder: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)
    assert len(blocks) == 5
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert names["across_x"].kind == "boundary"
    assert names["cells"].read().mean() < 0.5
    assert names["labels"].kind == "labels"


def test_shell(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = DOC.replace("\\\n", " ")
    lines = [line.partition("#")[0] for line in text.splitlines() if line.startswith("    emseg ")]
    assert len(lines) == 6
    for line in lines:
        assert main([*shlex.split(line)[1:], "--quiet"]) == 0, capsys.readouterr().err
