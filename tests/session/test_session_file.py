"""One file brings everything back; damage is said in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from napari_emseg import InputError, Volume, open_volume, save_volume
from napari_emseg.progress import Cancelled
from napari_emseg.segmentation import Hierarchy, Partitions, group
from napari_emseg.session import Reference, Session, load_session, plan, save_session
from napari_emseg.steps.segment import SegmentParams, build, write
from napari_emseg.steps.step import StepRecord


@dataclass
class Work:
    session: Session
    raw: Volume
    boundary: Volume
    hierarchy: Hierarchy
    labels: Volume


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """A raw file in a folder, a map and labels; odd sizes, one blank section."""
    random = np.random.default_rng(3)
    grey = random.integers(1, 255, (3, 21, 34), np.uint8)
    (tmp_path / "monday").mkdir()
    path = save_volume(Volume(grey, voxel_size_nm=(50, 4, 4.5)), tmp_path / "monday" / "stack.tif")
    raw = open_volume(path)
    data = random.random(raw.shape, np.float32)
    data[1] = 0
    boundary = raw.derive(data, kind="boundary", name="map")
    params = SegmentParams(sigma_px=1, h=0.02, min_size_voxels=4)
    hierarchy = build(boundary, params=params)
    labels = write(hierarchy, boundary, params=params)
    session = Session(
        raw=Reference.of(raw),
        boundary=Reference.of(boundary),
        segmentation=Reference.of(labels),
        segment=params,
        scores={"v_rand": 0.9},
    )
    session.remember(StepRecord("segment", params.model_dump(mode="json"), {"boundary": "x"}))
    return Work(session, raw, boundary, hierarchy, labels)


def save(work: Work, path: Path) -> Path:
    cut = work.hierarchy.cut(work.session.segment.h, work.session.segment.min_size_voxels)
    return save_session(
        path,
        work.session,
        raw=work.raw,
        boundary=work.boundary,
        labels=work.labels,
        hierarchy=work.hierarchy,
        segment_of=cut.segment_of,
    )


def same(one: Volume | None, other: Volume) -> bool:
    assert one is not None
    np.testing.assert_array_equal(one.read(), other.read())
    geometry = (one.kind, one.voxel_size_nm, one.offset_nm)
    return geometry == (other.kind, other.voxel_size_nm, other.offset_nm)


def test_everything_comes_back(work: Work, tmp_path: Path) -> None:
    path = save(work, tmp_path / "monday" / "work")
    assert path.name == "work.emseg"
    loaded = load_session(path)
    assert loaded.session == work.session
    assert loaded.notes == ()
    assert same(loaded.raw, work.raw)
    assert same(loaded.boundary, work.boundary)
    assert same(loaded.labels, work.labels)
    assert dict(loaded.labels.provenance) == dict(work.labels.provenance)
    assert plan(loaded.session) == plan(work.session)


def test_what_had_no_volume_is_told_from_what_was_lost(work: Work, tmp_path: Path) -> None:
    work.session.ground_truth = Reference.of(work.labels)  # chosen once, closed since
    path = save(work, tmp_path / "monday" / "work")
    assert work.raw.provenance["source"]
    (tmp_path / "monday" / "stack.tif").unlink()
    loaded = load_session(path)
    assert loaded.roles == {"raw", "boundary", "labels"}
    assert (loaded.raw, loaded.ground_truth) == (None, None)


def test_a_file_of_an_older_version_does_not_tell_its_roles(work: Work, tmp_path: Path) -> None:
    path = save(work, tmp_path / "monday" / "work")
    with h5py.File(path, "r+") as file:
        del file["roles"]
    assert load_session(path).roles is None


def test_the_sliders_go_on_as_before(work: Work, tmp_path: Path) -> None:
    loaded = load_session(save(work, tmp_path / "work.emseg"))
    for h in (0.0, 0.02, 0.3):
        np.testing.assert_array_equal(
            loaded.hierarchy.cut(h, 4).segment_of, work.hierarchy.cut(h, 4).segment_of
        )
    np.testing.assert_array_equal(loaded.segment_of, work.hierarchy.cut(0.02, 4).segment_of)


def test_partitions_go_on_as_before(work: Work, tmp_path: Path) -> None:
    partitions = group(work.hierarchy, work.boundary, grouping="multicut")
    assert isinstance(partitions, Partitions)
    path = save_session(tmp_path / "work", work.session, hierarchy=partitions)
    loaded = load_session(path).hierarchy
    assert isinstance(loaded, Partitions)
    for h in (0.0, 0.3, 0.9):
        before, after = partitions.cut(h, 4).segment_of, loaded.cut(h, 4).segment_of
        np.testing.assert_array_equal(before, after)


def test_raw_in_a_file_is_not_copied(work: Work, tmp_path: Path) -> None:
    path = save(work, tmp_path / "work.emseg")
    with h5py.File(path) as file:
        assert "raw" not in file
        assert "boundary" in file


def test_raw_in_no_file_is_kept_inside(work: Work, tmp_path: Path) -> None:
    work.raw = Volume(work.raw.read(), voxel_size_nm=work.raw.voxel_size_nm)
    work.session.raw = Reference.of(work.raw, name="drawn")
    loaded = load_session(save(work, tmp_path / "work.emseg"))
    assert same(loaded.raw, work.raw)


@pytest.fixture
def truth_path(work: Work, tmp_path: Path) -> Path:
    drawn = Volume(work.labels.read(), kind="labels", voxel_size_nm=(50, 4, 4.5))
    return save_volume(drawn, tmp_path / "truth.tif")


def test_truth_still_in_its_file_is_not_copied(
    work: Work, truth_path: Path, tmp_path: Path
) -> None:
    truth = open_volume(truth_path)
    work.session.ground_truth = Reference.of(truth)
    path = save_session(tmp_path / "work", work.session, ground_truth=truth)
    with h5py.File(path) as file:
        assert "ground_truth" not in file
    assert same(load_session(path).ground_truth, truth)


def test_painted_truth_comes_back_painted(work: Work, truth_path: Path, tmp_path: Path) -> None:
    opened = open_volume(truth_path)
    truth = opened.derive(opened.read().copy(), kind="labels")
    work.session.ground_truth = Reference.of(truth)
    truth.data[2, 3, 4] = 4_000_000_000
    path = save_session(tmp_path / "work", work.session, ground_truth=truth)
    loaded = load_session(path)
    assert same(loaded.ground_truth, truth)
    assert loaded.notes == ()


def test_a_file_mapped_into_memory_is_copied_only_if_painted(tmp_path: Path) -> None:
    path = tmp_path / "plain.tif"
    grey = np.arange(3 * 5 * 7, dtype=np.uint8).reshape(3, 5, 7)
    tifffile.imwrite(path, grey, photometric="minisblack")
    raw = open_volume(path, kind="raw")
    assert isinstance(raw.data, np.memmap)
    session = Session(raw=Reference.of(raw))
    with h5py.File(save_session(tmp_path / "as_it_was", session, raw=raw)) as file:
        assert "raw" not in file
    raw.data[1, 2, 3] = 255
    assert same(load_session(save_session(tmp_path / "painted", session, raw=raw)).raw, raw)


def test_all_labels_come_back(work: Work, tmp_path: Path) -> None:
    others = [
        work.labels.derive(work.labels.read() * n, kind="labels", name=f"try {n}", tried=n)
        for n in range(12)
    ]
    path = save_session(tmp_path / "work", work.session, labels=work.labels, other_labels=others)
    loaded = load_session(path)
    assert [labels.name for labels in loaded.other_labels] == [f"try {n}" for n in range(12)]
    for back, other in zip(loaded.other_labels, others, strict=True):
        assert same(back, other)
        assert back.provenance == other.provenance
    assert load_session(save(work, tmp_path / "none")).other_labels == ()


def test_an_unfinished_map_comes_back_unfinished(work: Work, tmp_path: Path) -> None:
    done = np.array([True, False, True])
    path = save_session(tmp_path / "work", work.session, boundary=work.boundary, done_sections=done)
    loaded = load_session(path)
    assert same(loaded.boundary, work.boundary)
    np.testing.assert_array_equal(loaded.done_sections, done)
    assert load_session(save(work, tmp_path / "whole")).done_sections is None


def test_a_folder_that_moved_as_a_whole_is_followed(work: Work, tmp_path: Path) -> None:
    path = save(work, tmp_path / "monday" / "work.emseg")
    (tmp_path / "monday").rename(tmp_path / "tuesday")
    loaded = load_session(tmp_path / "tuesday" / path.name)
    assert same(loaded.raw, work.raw)
    assert "stack.tif was no longer at" in loaded.notes[0]
    assert loaded.session.raw.path == str(tmp_path / "tuesday" / "stack.tif")


def test_a_lost_raw_file_is_said_and_the_rest_restored(work: Work, tmp_path: Path) -> None:
    path = save(work, tmp_path / "work.emseg")
    (tmp_path / "monday" / "stack.tif").unlink()
    loaded = load_session(path)
    assert loaded.raw is None
    assert same(loaded.boundary, work.boundary)
    assert "stack.tif is no longer at" in loaded.notes[0]
    assert "open it again" in loaded.notes[0]


def test_another_stack_of_the_same_name_is_said(work: Work, tmp_path: Path) -> None:
    path = save(work, tmp_path / "work.emseg")
    save_volume(
        Volume(255 - work.raw.read(), voxel_size_nm=(50, 4, 4)), tmp_path / "monday" / "stack.tif"
    )
    assert "has changed since the session was saved" in load_session(path).notes[0]


class StopAt:
    def __init__(self, calls: int) -> None:
        self.left = calls

    def update(self, done: int, total: int, message: str = "") -> None:
        self.left -= 1
        if self.left == 0:
            raise Cancelled


def test_a_stopped_save_leaves_the_old_file(work: Work, tmp_path: Path) -> None:
    path = save(work, tmp_path / "work.emseg")
    before = path.read_bytes()
    with pytest.raises(Cancelled):
        save_session(path, work.session, boundary=work.boundary, progress=StopAt(2))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["work.emseg"]


def test_a_disk_that_takes_no_more_leaves_the_old_file(work: Work, tmp_path: Path) -> None:
    """A real failure in the middle; HDF5 by itself would end the process."""
    resource = pytest.importorskip("resource")
    path = save(work, tmp_path / "work.emseg")
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"Cannot write .*work\.emseg"):
            save(work, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["work.emseg"]


class TestDamage:
    def test_any_byte_cut_off_is_noticed(self, work: Work, tmp_path: Path) -> None:
        path = save(work, tmp_path / "work.emseg")
        content = path.read_bytes()
        for share in (0.0, 0.1, 0.5, 0.9):
            path.write_bytes(content[: int(share * len(content))])
            with pytest.raises(InputError, match="damaged or of another format"):
                load_session(path)

    def test_flipped_bytes_in_the_map_are_noticed(self, work: Work, tmp_path: Path) -> None:
        path = save(work, tmp_path / "work.emseg")
        with h5py.File(path) as file:
            chunk = file["boundary/data"].id.get_chunk_info(1)
        content = bytearray(path.read_bytes())
        content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
        path.write_bytes(content)
        with pytest.raises(InputError, match="damaged"):
            load_session(path)

    def test_a_flipped_byte_anywhere_never_changes_a_voxel(
        self, work: Work, tmp_path: Path
    ) -> None:
        path = save(work, tmp_path / "work.emseg")
        sound, random = path.read_bytes(), np.random.default_rng(0)
        n_refused = 0
        for _ in range(80):
            content = bytearray(sound)
            content[random.integers(len(sound))] ^= 1 << random.integers(8)
            path.write_bytes(content)
            try:
                loaded = load_session(path)
            except InputError:
                n_refused += 1
                continue
            assert same(loaded.boundary, work.boundary)
            assert same(loaded.labels, work.labels)
        assert n_refused > 40

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"session": b"{"}, "no usable session"),
            ({"session": b'{"segment": {"h": 7}}'}, "no usable session"),
            ({"relative_paths": b"["}, "damaged"),
            ({"relative_paths": b'{"ground_truth": "a.tif"}'}, "damaged"),
            ({"relative_paths": b"[1]", "roles": b'["raw"]'}, "damaged"),
            ({"roles": b'["moon"]'}, "damaged"),
            ({"segment_of": np.arange(3, dtype=np.uint32)}, "damaged"),
            ({"segment_of": np.full(10**4, -1)}, "damaged"),
        ],
    )
    def test_nonsense_inside_is_noticed(
        self, change: dict[str, bytes | np.ndarray], words: str, work: Work, tmp_path: Path
    ) -> None:
        path = save(work, tmp_path / "work.emseg")
        with h5py.File(path, "r+") as file:
            for name, value in change.items():
                del file[name]
                file[name] = value
        with pytest.raises(InputError, match=words):
            load_session(path)

    def test_a_claim_of_a_petabyte_is_refused(self, work: Work, tmp_path: Path) -> None:
        path = save(work, tmp_path / "work.emseg")
        with h5py.File(path, "r+") as file:
            del file["boundary/data"]
            file["boundary"].create_dataset("data", (10**3, 10**6, 10**6), "f4", chunks=(1, 64, 64))
        with pytest.raises(InputError, match="more memory than there is"):
            load_session(path)

    def test_another_hdf5_file_is_no_session(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "other.emseg", "w") as file:
            file["raw"] = [1]
        with pytest.raises(InputError, match="is no session file"):
            load_session(tmp_path / "other.emseg")

    def test_a_newer_file_asks_for_an_update(self, work: Work, tmp_path: Path) -> None:
        path = save(work, tmp_path / "work.emseg")
        with h5py.File(path, "r+") as file:
            file.attrs["version"] = 99
        with pytest.raises(InputError, match="newer napari-emseg"):
            load_session(path)

    def test_a_missing_file_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no session file"):
            load_session(tmp_path / "nothing.emseg")
