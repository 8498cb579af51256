"""What is written is read by independent readers, at the right place and the right way out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh

from napari_emseg import Volume, save_volume
from napari_emseg.cli import main
from napari_emseg.errors import InputError
from napari_emseg.morphometry import Shapes, find_shapes, save_meshes, save_skeletons, simplify
from napari_emseg.morphometry.measures import volume_nm3
from napari_emseg.morphometry.skeletons import parents_of
from napari_emseg.progress import Cancelled

SIZE_NM = (40.0, 8.0, 4.0)
OFFSET_NM = (100.0, 0.0, -20.0)
HUGE = 2**40 + 3
X_OF_ROD = 33 * 4 - 20  # nm, of the middle of the rod


def make_labels() -> Volume:
    labels = np.zeros((20, 50, 70), np.uint64)
    labels[4:16, 20:30, 30:37] = HUGE  # a rod along z
    labels[16:, 10:, :12] = 9
    return Volume(labels, kind="labels", voxel_size_nm=SIZE_NM, offset_nm=OFFSET_NM)


@pytest.fixture(scope="module")
def shapes() -> Shapes:
    return find_shapes(make_labels())


@pytest.mark.parametrize(("suffix", "nm_per_unit"), [("obj", 1), ("ply", 1), ("glb", 1000)])
def test_file_of_surfaces_is_read_by_others(
    tmp_path: Path, shapes: Shapes, suffix: str, nm_per_unit: float
) -> None:
    surfaces = [(i, shapes.surface(i)) for i in (HUGE, 9, 5)]
    path = tmp_path / f"cells.{suffix}"
    assert save_meshes(surfaces, path, colours={9: (1, 0, 0)}) == 2
    mesh = trimesh.load_mesh(path).copy()
    mesh.merge_vertices(merge_norm=True, merge_tex=True)
    assert mesh.is_watertight
    wanted = sum(volume_nm3(s) for _, s in surfaces)
    assert mesh.volume * nm_per_unit**3 == pytest.approx(wanted, rel=1e-3)
    rod = np.concatenate([s.vertices for _, s in surfaces])
    np.testing.assert_allclose(mesh.bounds[1] * nm_per_unit, rod.max(axis=0)[::-1], rtol=1e-4)


def test_segments_of_one_file_keep_their_names(tmp_path: Path, shapes: Shapes) -> None:
    save_meshes([(i, shapes.surface(i)) for i in (9, HUGE)], tmp_path / "two.glb")
    assert set(trimesh.load_scene(tmp_path / "two.glb").geometry) == {
        "segment 9",
        f"segment {HUGE}",
    }


def test_neuroglancer_finds_manifests_and_fragments(tmp_path: Path, shapes: Shapes) -> None:
    surface = shapes.surface(HUGE)
    save_meshes([(HUGE, surface)], tmp_path / "mesh", format="precomputed")
    folder = tmp_path / "mesh"
    assert json.loads((folder / "info").read_text()) == {"@type": "neuroglancer_legacy_mesh"}
    (name,) = json.loads((folder / f"{HUGE}:0").read_text())["fragments"]
    raw = (folder / name).read_bytes()
    n = int(np.frombuffer(raw, "<u4", 1)[0])
    xyz = np.frombuffer(raw, "<f4", 3 * n, offset=4).reshape(n, 3)
    faces = np.frombuffer(raw, "<u4", offset=4 + 12 * n).reshape(-1, 3)
    assert xyz[:, 0].mean() == pytest.approx(X_OF_ROD, abs=1)
    assert trimesh.Trimesh(xyz, faces).volume == pytest.approx(volume_nm3(surface), rel=1e-3)


def test_skeleton_runs_along_the_middle_and_is_a_tree(tmp_path: Path, shapes: Shapes) -> None:
    assert save_skeletons([(HUGE, shapes.skeleton(HUGE))], tmp_path / "rod.swc") == 1
    rows = np.loadtxt(tmp_path / "rod.swc")
    assert rows[:, 0].tolist() == list(range(1, len(rows) + 1))
    assert rows[0, 6] == -1
    assert (rows[1:, 6] < rows[1:, 0]).all()
    assert (rows[1:, 6] >= 1).all()
    np.testing.assert_allclose(rows[:, 2], X_OF_ROD / 1000, atol=0.013)
    assert np.ptp(rows[:, 4]) == pytest.approx(11 * 0.04, abs=0.09)
    assert np.median(rows[:, 5]) == pytest.approx(0.012, abs=0.012)


def test_skeleton_of_pieces_is_a_tree_for_each() -> None:
    labels = np.zeros((6, 6, 80), np.uint8)
    labels[2:4, 2:4, 1:30] = labels[2:4, 2:4, 40:79] = 1
    shapes = find_shapes(Volume(labels, kind="labels", voxel_size_nm=(64, 64, 64)))
    skeleton = shapes.skeleton(1)
    order, parent = parents_of(skeleton)
    assert (parent == -1).sum() == 2
    assert sorted(order.tolist()) == list(range(len(skeleton.nodes)))
    assert shapes.skeleton(4).length_nm == 0


def test_neuroglancer_reads_skeletons(tmp_path: Path, shapes: Shapes) -> None:
    skeleton = shapes.skeleton(9)
    save_skeletons([(9, skeleton), (4, shapes.skeleton(4))], tmp_path / "s", format="precomputed")
    assert json.loads((tmp_path / "s" / "info").read_text())["@type"] == "neuroglancer_skeletons"
    raw = (tmp_path / "s" / "9").read_bytes()
    n, e = np.frombuffer(raw, "<u4", 2)
    assert len(raw) == 8 + 16 * n + 8 * e
    np.testing.assert_array_equal(
        np.frombuffer(raw, "<f4", 3 * n, offset=8).reshape(n, 3), skeleton.nodes[:, ::-1]
    )
    assert not (tmp_path / "s" / "4").exists()


def test_simplified_surface_has_fewer_triangles_and_the_same_volume(shapes: Shapes) -> None:
    whole = shapes.surface(9)
    simple = simplify(whole, whole.n_faces // 4)
    assert simple.n_faces <= whole.n_faces // 4
    assert volume_nm3(simple) == pytest.approx(volume_nm3(whole), rel=0.02)


def test_simplifying_can_be_stopped(shapes: Shapes) -> None:
    class Stop:
        def update(self, done: int, total: int, message: str = "") -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        simplify(shapes.surface(9), 100, progress=Stop())


def test_refusals_are_one_sentence_and_leave_nothing(tmp_path: Path, shapes: Shapes) -> None:
    nothing = [(5, shapes.surface(5))]
    with pytest.raises(InputError, match="none of the segments"):
        save_meshes(nothing, tmp_path / "a.ply")
    with pytest.raises(InputError, match="Say the format"):
        save_meshes(nothing, tmp_path / "folder")
    with pytest.raises(InputError, match="exists already"):
        save_meshes(nothing, tmp_path, format="obj")
    with pytest.raises(InputError, match="would not be obj"):
        save_meshes(nothing, tmp_path / "a.ply", format="obj")
    with pytest.raises(InputError, match="holds one segment, not 2"):
        save_skeletons([(i, shapes.skeleton(i)) for i in (9, HUGE)], tmp_path / "two.swc")
    with pytest.raises(InputError, match="voxel size"):
        find_shapes(Volume(np.ones((2, 2, 2), np.uint8), kind="labels"))
    assert list(tmp_path.iterdir()) == []


def test_shell_writes_surfaces_and_skeletons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = make_labels()
    save_volume(labels, tmp_path / "labels.zarr")
    source = str(tmp_path / "labels.zarr")
    out = tmp_path / "cells"
    assert main(["meshes", source, str(out), "--format", "ply", "--largest", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["segments"] == 1
    assert [p.name for p in out.iterdir()] == ["9.ply"]
    assert main(["meshes", source, str(tmp_path / "rod.swc"), "--ids", str(HUGE)]) == 0
    assert "skeletons of 1 segments" in capsys.readouterr().out
    assert main(["meshes", source, str(tmp_path / "a.glb"), "--ids", "9", "77"]) == 2
    assert "has no segment 77" in capsys.readouterr().err
    assert main(["meshes", source, str(tmp_path / "a.glb"), "--skeletons"]) == 2
    assert not (tmp_path / "a.glb").exists()
