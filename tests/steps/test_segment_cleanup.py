"""The segment step cleans up what it cut, with and without exact borders, and so does the shell."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from napari_emseg import Volume, open_volume, save_volume
from napari_emseg.cli import main
from napari_emseg.segmentation.cleanup import cleanup
from napari_emseg.steps.segment import SegmentParams, build, run


@pytest.fixture
def boundary() -> Volume:
    """Noise that changes with every section, so that many segments are in one only."""
    noise = np.random.default_rng(3).random((5, 50, 55))
    smooth = ndimage.gaussian_filter(noise, (0.3, 1, 1))
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    return Volume(np.float32(smooth), kind="boundary", voxel_size_nm=(50, 4, 4), name="noise")


PARAMS = SegmentParams(
    mode="3d", sigma_px=0, h=0.01, min_size_voxels=0, fill_holes=True, min_sections=2
)


def test_by_default_nothing_is_cleaned_up() -> None:
    params = SegmentParams()
    assert (params.fill_holes, params.min_sections) == (False, 1)


@pytest.mark.parametrize("fate", ["join", "drop"])
def test_labels_are_those_of_the_cleaned_table(boundary: Volume, fate: str) -> None:
    params = PARAMS.model_copy(update={"short_segments": fate})
    cut = build(boundary, params=params).cut(params.h)
    cleaned, report = cleanup(cut, fill_holes=True, min_sections=2, fate=fate)
    labels = run(boundary, params=params)
    assert report.short > 3
    np.testing.assert_array_equal(labels.read(), cleaned.to_volume().read())
    assert any("in too few sections" in note for note in labels.provenance["notes"])
    assert labels.voxel_size_nm == (50, 4, 4)


def test_exact_borders_keep_the_cleaned_ids(boundary: Volume) -> None:
    labels = run(boundary, params=PARAMS).read()
    exact = run(boundary, params=PARAMS.model_copy(update={"exact_borders": True})).read()
    assert set(np.unique(exact)) == set(np.unique(labels))
    assert 0.5 < np.mean(exact == labels) < 1
    for i, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            sections = np.flatnonzero((labels == i).any(axis=(1, 2)))
            assert sections.size > 1


def test_from_the_shell(
    boundary: Volume, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save_volume(boundary, tmp_path / "map.tif")
    argv = ["segment", str(path), str(tmp_path / "labels.tif"), "--mode", "3d", "--sigma-px", "0"]
    argv += ["--h", "0.01", "--min-size-voxels", "0", "--fill-holes", "--min-sections", "2"]
    assert main([*argv, "--json", "--quiet"]) == 0
    report = json.loads(capsys.readouterr().out)
    labels = open_volume(tmp_path / "labels.tif").read()
    np.testing.assert_array_equal(labels, run(boundary, params=PARAMS).read())
    assert report["segments"] == len(np.unique(labels))
    assert any("in too few sections" in note for note in report["notes"])
