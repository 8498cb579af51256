"""Files for the challenges hold what their rules say, and can be opened again."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from napari_emseg import InputError, Volume, open_volume, save_volume
from napari_emseg.cli import main
from napari_emseg.evaluation import evaluate
from napari_emseg.io.submissions import CHALLENGES, get_challenge, write_submission
from napari_emseg.progress import Cancelled

SIZE = (40, 4, 4)


def _labels(ids: np.ndarray, **options: object) -> Volume:
    return Volume(ids, kind="labels", voxel_size_nm=SIZE, **options)


class TestIsbi:
    def test_a_map_becomes_white_cells_in_32_bits(self, tmp_path: Path) -> None:
        p = np.random.default_rng(0).random((3, 5, 7)).astype(np.float32)
        write_submission(Volume(p, kind="boundary"), tmp_path / "a.tif", challenge="isbi2012")
        with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
            assert len(tiff.pages) == 3
            assert tiff.pages[0].dtype == np.float32
            assert tiff.pages[0].compression == 1
            np.testing.assert_array_equal(tiff.asarray(), 1 - p)

    def test_bytes_mean_a_255th(self, tmp_path: Path) -> None:
        p = Volume(np.array([[[0, 255, 51]]], np.uint8), kind="boundary")
        write_submission(p, tmp_path / "a.tif", challenge="isbi2012")
        np.testing.assert_allclose(tifffile.imread(tmp_path / "a.tif").ravel(), [1, 0, 0.8])

    def test_labels_are_parted_by_thin_black_lines(self, tmp_path: Path) -> None:
        ids = np.array([[[5, 5, 9, 9, 0, 9]] * 2], np.uint32)
        write_submission(_labels(ids), tmp_path / "a.tif", challenge="isbi2012")
        written = tifffile.imread(tmp_path / "a.tif")
        np.testing.assert_array_equal(written.reshape(2, 6)[0], [1, 0, 1, 0, 0, 1])

    def test_the_map_comes_back(self, tmp_path: Path) -> None:
        p = np.zeros((2, 40, 40), np.float32)
        p[:, 20] = 0.9
        path = write_submission(
            Volume(p, kind="boundary"), tmp_path / "a.tif", challenge="isbi2012"
        )
        again = open_volume(path, kind="boundary")
        np.testing.assert_allclose(again.read(), p, atol=1e-6)
        assert any("inverted" in note for note in again.provenance["notes"])


class TestSnemi:
    def test_small_ids_stay(self, tmp_path: Path) -> None:
        ids = np.array([[[0, 3, 65535]], [[7, 7, 0]]], np.uint64)
        path = write_submission(_labels(ids), tmp_path / "a.tif", challenge="snemi3d")
        written = tifffile.imread(path)
        assert written.dtype == np.uint16
        np.testing.assert_array_equal(written, ids)

    def test_large_ids_are_numbered_by_size(self, tmp_path: Path) -> None:
        ids = np.array([[[0, 70_000, 9, 9]], [[9, 2**40, 2**40, 0]]], np.uint64)
        path = write_submission(_labels(ids), tmp_path / "a.tif", challenge="snemi3d")
        np.testing.assert_array_equal(tifffile.imread(path), [[[0, 3, 1, 1]], [[1, 2, 2, 0]]])

    def test_numbering_anew_changes_no_score(self, tmp_path: Path) -> None:
        random = np.random.default_rng(2)
        ids = random.integers(0, 40, (3, 20, 21)).astype(np.uint32) * 100_000
        truth = random.integers(0, 9, ids.shape).astype(np.uint32)
        path = write_submission(_labels(ids), tmp_path / "a.tif", challenge="snemi3d")
        wanted = ["v_rand", "voi_split", "voi_merge"]
        again = evaluate(open_volume(path, kind="labels"), _labels(truth), metrics=wanted)
        assert again == pytest.approx(evaluate(_labels(ids), _labels(truth), metrics=wanted))

    def test_too_many_segments_are_refused_in_a_sentence(self, tmp_path: Path) -> None:
        ids = np.arange(65_537, dtype=np.uint32).reshape(1, 1, -1)
        with pytest.raises(InputError, match="65536 segments, but SNEMI3D's 16 bits hold 65535"):
            write_submission(_labels(ids), tmp_path / "a.tif", challenge="snemi3d")
        assert not (tmp_path / "a.tif").exists()
        all_but_one = np.where(ids == 65_536, 0, ids)
        path = write_submission(_labels(all_but_one), tmp_path / "a.tif", challenge="snemi3d")
        assert len(np.unique(tifffile.imread(path))) == 65_536

    def test_negative_ids_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="negative id -1"):
            write_submission(
                _labels(np.array([[[-1, 2]]], np.int32)), tmp_path / "a.tif", challenge="snemi3d"
            )


class TestCremi:
    def test_groups_types_and_attributes(self, tmp_path: Path) -> None:
        ids = np.array([[[0, 2**63, 5]]] * 3, np.uint64)
        path = write_submission(
            _labels(ids, offset_nm=(200.0, 0.0, 8.0)), tmp_path / "a.hdf", challenge="cremi"
        )
        with h5py.File(path) as h5:
            assert h5.attrs["file_format"] == "0.2"
            dataset = h5["/volumes/labels/neuron_ids"]
            assert dataset.dtype == np.uint64
            assert dataset.compression == "gzip"
            np.testing.assert_array_equal(dataset[...], ids)
            np.testing.assert_array_equal(dataset.attrs["resolution"], [40, 4, 4])
            np.testing.assert_array_equal(dataset.attrs["offset"], [200, 0, 8])

    def test_it_opens_as_labels_of_the_same_geometry(self, tmp_path: Path) -> None:
        ids = np.arange(24, dtype=np.uint32).reshape(2, 3, 4)
        path = write_submission(_labels(ids), tmp_path / "a.hdf", challenge="cremi")
        again = open_volume(path)
        assert (again.kind, again.voxel_size_nm, again.offset_nm) == ("labels", SIZE, (0, 0, 0))
        np.testing.assert_array_equal(again.read(), ids)

    def test_the_voxel_size_must_be_known(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="size of its voxels"):
            write_submission(
                Volume(np.ones((1, 2, 2), np.uint8), kind="labels"),
                tmp_path / "a.hdf",
                challenge="cremi",
            )


@pytest.mark.parametrize("name", CHALLENGES)
class TestEvery:
    def test_a_stop_leaves_what_was_there(self, name: str, tmp_path: Path) -> None:
        class StopAtSecond:
            def update(self, done: int, total: int, message: str = "") -> None:
                if done == 1:
                    raise Cancelled

        path = tmp_path / f"a{get_challenge(name).suffixes[0]}"
        path.write_bytes(b"old")
        with pytest.raises(Cancelled):
            write_submission(
                _labels(np.ones((3, 4, 4), np.uint8)),
                path,
                challenge=name,
                progress=StopAtSecond(),
            )
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_raw_and_wrong_names_are_refused(self, name: str, tmp_path: Path) -> None:
        path = tmp_path / f"a{get_challenge(name).suffixes[0]}"
        with pytest.raises(InputError, match="but grey is raw"):
            write_submission(
                Volume(np.ones((1, 4, 4), np.uint8), name="grey"), path, challenge=name
            )
        with pytest.raises(InputError, match="takes files named"):
            write_submission(_labels(np.ones((1, 4, 4), np.uint8)), "a.zarr", challenge=name)

    def test_from_the_shell(
        self, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ids = np.repeat(np.arange(1, 5, dtype=np.uint32), 24).reshape(1, 1, 96)
        save_volume(_labels(np.repeat(np.repeat(ids, 70, 1), 2, 0)), tmp_path / "labels.tif")
        out = tmp_path / f"a{get_challenge(name).suffixes[0]}"
        argv = ["submit", str(tmp_path / "labels.tif"), str(out), "--challenge", name]
        assert main([*argv, "--json", "--quiet"]) == 0
        assert json.loads(capsys.readouterr().out)["output"] == str(out)
        assert out.stat().st_size > 0


def test_a_map_is_no_submission_of_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    p = np.random.default_rng(0).random((2, 9, 9)).astype(np.float32)
    save_volume(Volume(np.uint8(255 * p), kind="boundary"), tmp_path / "map.tif")
    argv = ["submit", str(tmp_path / "map.tif"), str(tmp_path / "a.tif")]
    assert main([*argv, "--challenge", "snemi3d"]) == 2
    assert "looks like boundary, but snemi3d takes labels" in capsys.readouterr().err
    assert main([*argv, "--challenge", "isbi2012", "--quiet"]) == 0


def test_an_unknown_challenge_is_told() -> None:
    with pytest.raises(InputError, match="no challenge named 'dream'"):
        write_submission(_labels(np.ones((1, 2, 2), np.uint8)), "a.tif", challenge="dream")


def test_cremi_refuses_negative_ids(tmp_path):
    ids = -np.ones((2, 4, 5), np.int64)
    volume = Volume(ids, kind="labels", voxel_size_nm=(40, 4, 4))
    with pytest.raises(InputError, match="negative id -1"):
        write_submission(volume, tmp_path / "u.hdf", challenge="cremi")
    assert not (tmp_path / "u.hdf").exists()
