from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_emseg.io import can_open, open_volume
from napari_emseg.io.sections import find_gaps

_GREY = np.random.default_rng(0).integers(0, 255, (12, 21, 33)).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".PNG"])
def test_sections_come_in_the_order_of_their_numbers(tmp_path: Path, suffix: str) -> None:
    for z in range(12):
        Image.fromarray(_GREY[z]).save(tmp_path / f"cell3_z{z}{suffix}")
    volume = open_volume(tmp_path)
    np.testing.assert_array_equal(volume.read(), _GREY)
    assert volume.name == tmp_path.name
    assert volume.voxel_size_nm is None
    assert volume.provenance["notes"] == []


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_png_keeps_its_depth(tmp_path: Path, dtype: str) -> None:
    values = (_GREY.astype(np.uint16) * (1 if dtype == "uint8" else 257)).astype(dtype)
    for z in range(2):
        Image.fromarray(values[z]).save(tmp_path / f"{z}.png")
    volume = open_volume(tmp_path)
    assert volume.dtype == dtype
    np.testing.assert_array_equal(volume.read(), values[:2])


def test_gaps_and_left_out_files_are_told(tmp_path: Path) -> None:
    for z in (1, 2, 5, 9):
        tifffile.imwrite(tmp_path / f"s{z:03}.tif", _GREY[z])
    Image.fromarray(_GREY[0]).save(tmp_path / "overview.png")
    (tmp_path / ".hidden.tif").touch()
    (tmp_path / "notes.txt").touch()
    volume = open_volume(tmp_path)
    assert volume.shape == (4, 21, 33)
    assert volume.provenance["notes"] == [
        "1 images that are no .tif files were left out.",
        "The numbering of the sections has gaps: 3-4, 6-8 missing; the sections on either side "
        "are treated as neighbours.",
    ]


@pytest.mark.parametrize(
    ("names", "gaps"),
    [
        (["z0", "z10", "z20"], []),
        (["z0", "z10", "z30"], [20]),
        (["a", "b"], []),
        (["z1"], []),
        (["2024-01_s1", "2024-01_s3", "2024-02_s4"], [2]),
        (["s1_t1", "s1_t2", "s2_t1", "s2_t2"], []),
    ],
)
def test_what_counts_as_a_gap(names: list[str], gaps: list[int]) -> None:
    assert find_gaps(names) == gaps


def test_a_single_image_is_one_section(tmp_path: Path) -> None:
    Image.fromarray(_GREY[0]).save(tmp_path / "a.png")
    assert open_volume(tmp_path / "a.png").shape == (1, 21, 33)


def test_a_section_larger_than_pillow_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(_GREY[0]).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9)
    np.testing.assert_array_equal(open_volume(tmp_path / "a.png").read(0), _GREY[0])
    assert Image.MAX_IMAGE_PIXELS == 9


def test_which_paths_we_try(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "empty").mkdir()
    assert can_open(tmp_path / "a.zarr")
    assert can_open("x.TIF")
    assert can_open("x.h5:/raw")
    assert not can_open(tmp_path / "empty")
    assert not can_open("x.docx")
    assert not can_open("https://example.org/x.tif")
