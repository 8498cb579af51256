"""A stored hierarchy that would lead the loops astray is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_emseg.errors import InputError
from napari_emseg.segmentation import Hierarchy, build_hierarchy


@pytest.mark.parametrize("what", ["hierarchy", "partitions"])
@pytest.mark.parametrize("mode", ["2d", "3d"])
def test_no_damage_crashes_the_process(tmp_path: Path, what: str, mode: str) -> None:
    """In a process of its own: reading out of bounds ends it, a circle never ends."""
    program = Path(__file__).with_name("fuzz_storage.py")
    arguments = [sys.executable, str(program), str(tmp_path), what, mode, "100"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 50


def _circle(file: h5py.File) -> None:
    inside, outside = file["forest/inside"][...], file["forest/outside"][...]
    one, two = file["forest/order"][:2]
    inside[one], outside[one], inside[two], outside[two] = one, two, two, one
    file["forest/inside"][...], file["forest/outside"][...] = inside, outside


def _end_of_the_last(file: h5py.File) -> None:
    never = np.flatnonzero(file["forest/outside"][...] == 0)[-1]
    file["forest/height"][never] = 0.5


def _twice(file: h5py.File) -> None:
    file["forest/order"][0] = file["forest/order"][1]


def _next_section(file: h5py.File) -> None:
    first_of_last = file["section_starts"][-2]
    file["forest/inside"][file["forest/order"][0]] = first_of_last


def _shifted_start(file: h5py.File) -> None:
    file["section_starts"][1] += 1


def _id_of_nothing(file: h5py.File) -> None:
    file["fragments"][0, 0, 0] = 2**32 - 1


def _size(file: h5py.File) -> None:
    file["fragment_sizes_voxels"][1] += 1


def _beyond_one(file: h5py.File) -> None:
    file["smoothed"][0, 0, 0] = 65535  # 1 is 65280


def _mode(file: h5py.File) -> None:
    file.attrs["mode"] = "3d"


def _sigma(file: h5py.File) -> None:
    file.attrs["sigma_px"] = np.inf


def _kind(file: h5py.File) -> None:
    about = file["fragments"].attrs["volume"]
    file["fragments"].attrs["volume"] = about.replace('"fragments"', '"labels"')


@pytest.mark.parametrize(
    "damage",
    [
        _circle,
        _end_of_the_last,
        _twice,
        _next_section,
        _shifted_start,
        _id_of_nothing,
        _size,
        _beyond_one,
        _mode,
        _sigma,
        _kind,
    ],
)
def test_each_rule(tmp_path: Path, damage: Callable[[h5py.File], None]) -> None:
    hierarchy = build_hierarchy(np.random.default_rng(0).random((3, 9, 8)), sigma_px=0.5)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        hierarchy.write(file)
        assert Hierarchy.read(file).n_fragments == hierarchy.n_fragments
        damage(file)
        with pytest.raises(InputError, match="damaged"):
            Hierarchy.read(file)


def test_flipped_bits_are_noticed(tmp_path: Path) -> None:
    hierarchy = build_hierarchy(np.random.default_rng(0).random((3, 30, 40)))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        hierarchy.write(file)
        places = [file[name].id.get_chunk_info(0) for name in ("smoothed", "minimum", "fragments")]
        places.append(file["forest/saddle"].id.get_chunk_info(0))
    sound = (tmp_path / "a.h5").read_bytes()
    for place in places:
        content = bytearray(sound)
        content[place.byte_offset + place.size // 2] ^= 16
        (tmp_path / "b.h5").write_bytes(content)
        with h5py.File(tmp_path / "b.h5") as file, pytest.raises(InputError, match="damaged"):
            Hierarchy.read(file)
