"""Affinities in the shell: ``emseg segment AFFINITIES OUT`` and ``emseg tune``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import tifffile

from napari_emseg import Volume, open_volume, save_volume
from napari_emseg.cli import main
from napari_emseg.segmentation.affinities import affinities_from_boundary
from napari_emseg.segmentation.affinity_hierarchy import build_affinity_hierarchy
from napari_emseg.segmentation.small_regions import PRESETS
from napari_emseg.steps.segment import AffinityThresholds, SegmentParams, build, build_section

Capture = pytest.CaptureFixture[str]
MODES = pytest.mark.parametrize("mode", ["2d", "3d"])


@pytest.fixture(autouse=True)
def affinities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Volume:
    """Two rooms a section with a wall at x = 8 that has a gap; "truth.tif" knows the rooms."""
    monkeypatch.chdir(tmp_path)
    walls = np.random.default_rng(0).uniform(0, 0.02, (4, 20, 30)).astype(np.float32)
    walls[:, :, 8] = 0.9
    walls[:, 10, 8] = 0.1
    boundary = Volume(walls, kind="boundary", voxel_size_nm=(50, 4, 4))
    made = affinities_from_boundary(boundary, along="max")
    save_volume(made, "affinities.h5:/affinities")
    rooms = np.ones(walls.shape, np.uint32)
    rooms[:, :, 9:] = 2
    save_volume(Volume(rooms, kind="labels", voxel_size_nm=(50, 4, 4)), "truth.tif")
    return made


def run_json(capsys: Capture, *arguments: str) -> dict:
    code = main([*arguments, "--json", "--quiet"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    report = json.loads(captured.out)
    assert isinstance(report, dict)
    return report


@MODES
@pytest.mark.parametrize("grouping", ["mean_affinity", "zlateski_seung"])
def test_segments_are_those_of_the_affinities(grouping, mode, affinities, capsys):
    flags = ["--grouping", grouping, "--mode", mode, "--merge-threshold", "0.4"]
    flags += ["--min-size-voxels", "0"]
    report = run_json(capsys, "segment", "affinities.h5:/affinities", "out.tif", *flags)
    labels = open_volume("out.tif")
    expected = build_affinity_hierarchy(affinities, grouping=grouping, mode=mode).cut(0.4)
    assert np.array_equal(labels.read(), expected.to_volume().data)
    assert report["segments"] == expected.n_segments
    assert labels.voxel_size_nm == (50, 4, 4)


def test_the_mean_keeps_rooms_apart_that_the_strongest_edge_joins(capsys):
    flags = ["--mode", "3d", "--merge-threshold", "0.4", "--min-size-voxels", "0"]
    counts = []
    for grouping in ("mean_affinity", "zlateski_seung"):
        report = run_json(
            capsys, "segment", "affinities.h5:/affinities", "o.tif", "--grouping", grouping, *flags
        )
        counts.append(report["segments"])
    assert counts[0] > counts[1]


def test_affinities_can_be_flooded_like_a_boundary_map(capsys):
    report = run_json(capsys, "segment", "affinities.h5:/affinities", "out.tif", "--mode", "3d")
    assert report["grouping"] == "h_minima"
    assert report["segments"] >= 1


def test_tune_uses_the_affinities_of_the_sections_chosen(affinities, capsys):
    flags = ["--grouping", "mean_affinity", "--mode", "3d", "--sections", "1:3"]
    report = run_json(capsys, "tune", "affinities.h5:/affinities", "truth.tif", *flags)
    chosen = build_affinity_hierarchy(Volume(affinities.read()[:, 1:3], kind="affinities"))
    heights = np.unique(np.append(np.float32(0), chosen.tree.height))
    assert np.allclose(report["curve"]["h"], heights)
    assert report["best_value"] > 0.9


def test_a_file_that_does_not_say_what_it_is_can_be_told(affinities, capsys):
    tifffile.imwrite(
        "plain.tif", affinities.read(), photometric="minisblack", metadata={"axes": "QZYX"}
    )
    flags = ["--grouping", "mean_affinity", "--min-size-voxels", "0"]
    plain = run_json(capsys, "segment", "plain.tif", "out.tif", "--affinities", *flags)
    known = run_json(capsys, "segment", "affinities.h5:/affinities", "out.tif", *flags)
    assert plain["segments"] == known["segments"]


def test_inverting_affinities_is_refused(capsys):
    assert main(["segment", "affinities.h5:/affinities", "out.tif", "--invert"]) == 2
    assert "affinities must be 1" in capsys.readouterr().err


def test_the_preview_of_a_section_uses_its_affinities(affinities):
    params = SegmentParams(grouping="mean_affinity", sigma_px=0)
    whole = build(affinities, params=params)
    for z in range(4):
        section = build_section(affinities, z, params=params).cut(0.4).view()[0]
        ids = whole.section_ids(z)
        assert np.array_equal(section + (ids[0] - 1), whole.cut(0.4).view()[z])


def test_linking_takes_h_for_the_sections_and_a_threshold_for_the_links(capsys):
    flags = ["--grouping", "linking", "--min-size-voxels", "0", "--sigma-px", "0"]
    source = "affinities.h5:/affinities"
    reports = [
        run_json(capsys, "segment", source, "out.tif", *flags, "--mode", mode, "--h", h)
        for mode, h in (("2d", "0.2"), ("3d", "0.2"), ("3d", "0.01"))
    ]
    counts = [report["segments"] for report in reports]
    assert counts[0] > counts[1]
    assert counts[2] > counts[1]
    assert [len(report["notes"]) for report in reports] == [1, 0, 0]


def test_thresholds_of_other_programs_by_name(affinities, capsys):
    assert get_args(AffinityThresholds) == tuple(PRESETS)
    flags = ["--grouping", "zlateski_seung", "--mode", "3d", "--merge-threshold", "0"]
    flags += ["--min-size-voxels", "0", "--affinity-thresholds", "deepseg_cli"]
    report = run_json(capsys, "segment", "affinities.h5:/affinities", "out.tif", *flags)
    options = {"low": 0.3, "high": 0.9, "size_threshold_voxels": 250, "dust_voxels": 250}
    expected = build_affinity_hierarchy(affinities, grouping="zlateski_seung", **options)
    assert report["fragments"] == expected.n_fragments
    assert np.array_equal(open_volume("out.tif").read(), expected.cut(0).to_volume().data)
