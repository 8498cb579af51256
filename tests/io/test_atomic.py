from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_emseg.errors import InputError
from napari_emseg.io import atomic_write
from napari_emseg.progress import Cancelled


def _write_half(target: Path, failure: BaseException) -> None:
    with atomic_write(target) as temporary:
        temporary.write_text("half")
        raise failure


def test_the_result_replaces_the_old_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with atomic_write(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, Cancelled, ZeroDivisionError, InputError])
def test_any_failure_leaves_the_old_file(tmp_path: Path, failure: type[BaseException]) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(failure):
        _write_half(target, failure())
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_replaces_a_folder(tmp_path: Path) -> None:
    target = tmp_path / "a.zarr"
    (target / "old").mkdir(parents=True)
    with atomic_write(target) as temporary:
        (temporary / "new").mkdir(parents=True)
    assert os.listdir(target) == ["new"]
    assert os.listdir(tmp_path) == ["a.zarr"]


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.zarr"
    (target / "old").mkdir(parents=True)
    rename = os.rename

    def refuse_new(source: Path, destination: Path) -> None:
        if Path(destination) == target and not str(source).endswith(".old"):
            raise OSError(errno.EIO, "broken")
        rename(source, destination)

    monkeypatch.setattr(os, "rename", refuse_new)
    with pytest.raises(InputError, match="disk reported an error"), atomic_write(target) as tmp:
        tmp.mkdir()
    assert os.listdir(target) == ["old"]
    assert os.listdir(tmp_path) == ["a.zarr"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    with atomic_write(tmp_path / "link.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "real.txt").read_text() == "new"
    assert (tmp_path / "link.txt").is_symlink()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "not permitted"),
        (errno.EMFILE, "try another folder"),
    ],
)
def test_the_systems_errors_become_one_sentence(tmp_path: Path, number: int, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        _write_half(tmp_path / "a", OSError(number, os.strerror(number)))
    assert str(caught.value).count(". ") == 0
    assert os.listdir(tmp_path) == []


def test_hdf5_reports_a_full_disk_as_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="disk is full"), atomic_write(tmp_path / "a"):
        raise RuntimeError("Can't decrement id ref count (errno = 28, No space left on device)")


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(TypeError), atomic_write(tmp_path / "a"):
        raise TypeError


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"), atomic_write(tmp_path / "no" / "a"):
        pass


def test_a_folder_has_the_name(tmp_path: Path) -> None:
    (tmp_path / "a.tif").mkdir()
    with (
        pytest.raises(InputError, match="a folder has that name"),
        atomic_write(tmp_path / "a.tif") as temporary,
    ):
        temporary.write_text("new")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_folder_without_write_rights(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="not permitted"), atomic_write(tmp_path / "a"):
        pass


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """Folder on a disk of its own of 64 kB, where the system lets us mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except OSError:
        done = False
    if not done:
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=False, timeout=10)


def test_a_disk_that_is_really_full(tiny_disk: Path) -> None:
    target = tiny_disk / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(InputError, match="disk is full"), atomic_write(target) as temporary:
        temporary.write_bytes(bytes(200_000))
    assert target.read_bytes() == b"old"
    assert os.listdir(tiny_disk) == ["a.bin"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_or_device_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    for target in (tmp_path / "a.csv", Path(os.devnull)):
        with pytest.raises(InputError, match="it is a device or pipe"), atomic_write(target):
            pass
    assert not (tmp_path / "a.csv").is_file()


def test_a_name_too_long_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="the name is too long"),
        atomic_write(tmp_path / ("a" * 300)) as temporary,
    ):
        temporary.write_text("x")
