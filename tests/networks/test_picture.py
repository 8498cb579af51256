"""Pictures in model files: small PNGs, and nothing that pretends to be one."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_emseg.errors import InputError
from napari_emseg.networks import build_network
from napari_emseg.networks.checkpoint import load_model, save_model
from napari_emseg.networks.info import ModelInfo, read_info
from napari_emseg.networks.library import bundled_folder
from napari_emseg.networks.picture import (
    MAX_BYTES,
    PICTURE_KEY,
    make_picture,
    read_picture,
    write_picture,
)
from napari_emseg.networks.rewriting import rewrite_metadata


def pixels(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(picture)).convert("L"))


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    save_model(path, build_network("unet2d", "tiny"), ModelInfo(network="unet2d", title="Mine"))
    return path


def test_raw_is_on_the_left_and_membranes_are_dark_on_the_right() -> None:
    """A dark line in both halves: raw values near 200 are stretched, a map of 1 is drawn black."""
    raw = np.full((20, 30), 200.0)
    boundary = np.zeros((20, 30))
    raw[10], boundary[10] = 190, 1
    grey = pixels(make_picture(raw, boundary))
    assert grey.shape == (20, 30 + 4 + 30)
    left, gap, right = np.split(grey, [30, 34], axis=1)
    for half in (left, gap, right):
        assert np.all(half[[0, -1]] == 255)
    assert np.all(left[10] == 0)
    assert np.all(right[10] == 0)


def test_the_middle_of_a_large_section_is_shown() -> None:
    raw = np.zeros((1001, 700), np.uint16)
    raw[500, 350] = 40_000  # one bright pixel, beyond the percentiles, in the very middle
    boundary = np.zeros(raw.shape, np.float32)
    boundary[500, 350] = 1
    grey = pixels(make_picture(raw, boundary))
    assert grey.shape == (238, 480)
    (y,), (x,) = np.nonzero(grey[:, 242:] == 0)
    assert abs(int(y) - 119) <= 1
    assert abs(int(x) - 119) <= 1


@pytest.mark.parametrize("value", [0, np.nan])
def test_a_blank_section_has_a_picture_too(value: float) -> None:
    blank = np.full((8, 9), value)
    assert pixels(make_picture(blank, blank)).shape == (8, 22)


def test_noise_is_small_enough() -> None:
    noise = np.random.default_rng(0).random((300, 300))
    assert len(make_picture(noise, noise)) <= MAX_BYTES


@pytest.mark.parametrize(
    ("raw", "boundary"),
    [(np.zeros((4, 5)), np.zeros((5, 4))), (np.zeros((2, 4, 5)),) * 2, (np.zeros((0, 5)),) * 2],
)
def test_what_is_no_section_is_refused(raw: np.ndarray, boundary: np.ndarray) -> None:
    with pytest.raises(InputError, match="of the same size"):
        make_picture(raw, boundary)


def test_a_picture_is_put_in_and_taken_out_without_touching_the_rest(model_file: Path) -> None:
    before, info = load_model(model_file)
    assert read_picture(model_file) is None
    picture = make_picture(np.eye(9), np.eye(9))
    write_picture(model_file, picture)
    assert read_picture(model_file) == picture
    after, same = load_model(model_file)
    assert same == info
    for key, tensor in before.state_dict().items():
        assert tensor.equal(after.state_dict()[key])
    write_picture(model_file, None)
    assert read_picture(model_file) is None
    assert read_info(model_file) == info


def test_a_model_is_saved_with_its_picture_always_in_the_same_bytes(tmp_path: Path) -> None:
    network, picture = build_network("unet2d", "tiny"), make_picture(np.eye(9), np.eye(9))
    contents = set()
    for number in range(4):
        path = tmp_path / f"{number}.safetensors"
        save_model(path, network, ModelInfo(network="unet2d"), picture=picture)
        assert read_picture(path) == picture
        contents.add(path.read_bytes())
    assert len(contents) == 1


def png(size: tuple[int, int]) -> bytes:
    out = BytesIO()
    Image.new("L", size).save(out, "PNG")
    return out.getvalue()


def jpeg() -> bytes:
    out = BytesIO()
    Image.new("L", (9, 9)).save(out, "JPEG")
    return out.getvalue()


BAD = {
    "no image": b"GIF89a, or what else",
    "another format": jpeg(),
    "cut off": make_picture(np.random.default_rng(0).random((99, 99)), np.zeros((99, 99)))[:-300],
    "too wide": png((481, 10)),
    "far too large when unpacked": png((20_000, 20_000)),
    "too many bytes": png((9, 9)) + bytes(MAX_BYTES),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_no_bad_picture_is_saved_or_shown(bad: bytes, model_file: Path) -> None:
    content = model_file.read_bytes()
    with pytest.raises(InputError, match="picture"):
        write_picture(model_file, bad)
    assert model_file.read_bytes() == content
    rewrite_metadata(model_file, {PICTURE_KEY: base64.b64encode(bad).decode()})
    assert read_picture(model_file) is None
    load_model(model_file)  # a bad picture makes no bad model


def test_what_is_no_base64_is_no_picture(model_file: Path) -> None:
    rewrite_metadata(model_file, {PICTURE_KEY: "µ"})
    assert read_picture(model_file) is None


@pytest.mark.parametrize("path", sorted(bundled_folder().glob("*.safetensors")), ids=str)
def test_bundled_models_have_a_picture(path: Path) -> None:
    picture = read_picture(path)
    assert picture is not None
    grey = pixels(picture)
    assert grey.shape == (238, 480)
    assert grey[:, :238].std() > 20
    assert grey[:, 242:].std() > 20
