"""Protocols and slow scores from the step's parameters and from the shell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_emseg.cli import main
from napari_emseg.errors import InputError
from napari_emseg.evaluation import cremi_protocol, isbi_protocol, snemi3d_protocol
from napari_emseg.io import save_volume
from napari_emseg.steps.evaluate import EvaluateParams, run
from napari_emseg.steps.params import parse_params
from napari_emseg.volume import Volume

VOXEL_NM = (40.0, 4.0, 4.0)
_, Y, X = np.indices((3, 60, 84))
TRUTH = (Y // 20 * 4 + X // 21 + 1).astype(np.uint16)
LABELS = np.where(X < 25, 1, TRUTH).astype(np.uint16)
LABELS[:, ::9] = 0
MEMBRANES = ((Y % 20 < 3) | (X % 21 < 3)).astype(np.uint8) * np.uint8(255)
BOUNDARY = np.where(MEMBRANES > 0, np.float32(0.9), np.float32(0.05))
BOUNDARY[:, 25:30, 20:25] = 0.3

Shell = Callable[..., dict[str, float]]


def volume(data: Any, kind: Any = "labels") -> Volume:
    return Volume(data, kind=kind, voxel_size_nm=VOXEL_NM)


@pytest.fixture
def shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """Run ``emseg evaluate --json`` beside some files."""
    monkeypatch.chdir(tmp_path)
    save_volume(Volume(LABELS, kind="labels"), "labels.tif")
    save_volume(Volume(TRUTH, kind="labels"), "truth.tif")
    save_volume(volume(BOUNDARY, "boundary"), "map.tif")
    save_volume(volume(MEMBRANES, "boundary"), "membranes.tif")

    def evaluate(*arguments: str) -> dict[str, float]:
        assert main(["evaluate", *arguments, "--json", "--quiet"]) == 0
        return dict(json.loads(capsys.readouterr().out))

    return evaluate


def test_the_step_follows_the_protocol() -> None:
    params = EvaluateParams.model_validate({"protocol": {"name": "cremi", "border_nm": 8}})
    scores = run(volume(LABELS), volume(TRUTH), params=params)
    assert scores == cremi_protocol(LABELS, TRUTH, VOXEL_NM, border_nm=8)
    params = EvaluateParams.model_validate({"protocol": "snemi3d", "sections": "1:3"})
    scores = run(volume(LABELS), volume(TRUTH), params=params)
    assert scores == snemi3d_protocol(LABELS[1:], TRUTH[1:])
    params = EvaluateParams.model_validate({"protocol": "isbi", "ground_truth_kind": "membranes"})
    scores = run(volume(BOUNDARY, "boundary"), volume(MEMBRANES, "raw"), params=params)
    assert scores == isbi_protocol(BOUNDARY, MEMBRANES)


@pytest.mark.parametrize(
    ("values", "kind", "says"),
    [
        ({"protocol": "isbi"}, "labels", "a boundary map and membranes; this is a labels volume"),
        ({"protocol": "cremi"}, "boundary", "a segmentation and true ids; this is a boundary"),
        ({"protocol": "cremi", "metrics": "dice"}, "labels", "either metrics or a protocol"),
    ],
)
def test_a_protocol_for_other_data_is_refused(values: Any, kind: Any, says: str) -> None:
    data = BOUNDARY if kind == "boundary" else LABELS
    with pytest.raises(InputError, match=says):
        run(volume(data, kind), volume(TRUTH), params=EvaluateParams.model_validate(values))


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(InputError, match="protocol"):
        parse_params(EvaluateParams, {"protocol": "coco"})


def test_protocols_in_the_shell(shell: Shell) -> None:
    size = ["--voxel-size-nm", "40", "4", "4"]
    cremi = shell("labels.tif", "truth.tif", "--protocol", "cremi", "--border-nm", "8", *size)
    assert cremi == cremi_protocol(LABELS, TRUTH, VOXEL_NM, border_nm=8)
    published = shell("labels.tif", "truth.tif", "--protocol", "snemi3d", "--as-published")
    assert published == snemi3d_protocol(LABELS, TRUTH, as_published=True)
    assert published != snemi3d_protocol(LABELS, TRUTH)
    isbi = shell("map.tif", "membranes.tif", "--protocol", "isbi")
    assert isbi == pytest.approx(isbi_protocol(BOUNDARY, MEMBRANES))


def test_slow_scores_in_the_shell(shell: Shell) -> None:
    names = "warping_error,expected_run_length_share"
    size = ["--voxel-size-nm", "40", "4", "4"]
    scores = shell("truth.tif", "truth.tif", "--metrics", names, *size)
    assert scores == {"warping_error": 0.0, "expected_run_length_share": 1.0}
    assert "warping_error" not in shell("truth.tif", "truth.tif")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["labels.tif", "truth.tif", "--border-nm", "3"], "--border-nm is for a --protocol"),
        (["labels.tif", "truth.tif", "--invert"], "only --protocol isbi scores"),
        (["labels.tif", "truth.tif", "--protocol", "cremi"], "give the voxel size"),
        (
            ["labels.tif", "truth.tif", "--protocol", "cremi", "--border-nm=-1"],
            "--border-nm must be at least 0",
        ),
        (
            ["labels.tif", "truth.tif", "--protocol", "cremi", "--metrics", "dice"],
            "--metrics or a --protocol",
        ),
        (["labels.tif", "membranes.tif", "--protocol", "isbi"], "looks like labels"),
    ],
)
def test_flags_that_do_not_fit_get_one_sentence(
    shell: Shell, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(["evaluate", *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
