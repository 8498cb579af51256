"""Model files: what is written comes back, and no file can do harm."""

from __future__ import annotations

import json
import os
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_emseg.errors import InputError
from napari_emseg.networks import build_network
from napari_emseg.networks.base import Network
from napari_emseg.networks.checkpoint import load_model, save_model
from napari_emseg.networks.info import METADATA_KEY, ModelInfo, read_info


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return build_network("unet2d", preset="tiny")


@pytest.fixture
def model_file(network: Network, tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    save_model(path, network, ModelInfo(network="unet2d", title="Mine"))
    return path


def rewrite(
    path: Path, *, tensors: dict[str, Any] | None = None, info: dict[str, Any] | None = None
) -> None:
    """Save the model again with some tensors and some of its description replaced."""
    description = read_info(path).model_dump(mode="json", exclude={"name", "path", "problem"})
    description = {"format_version": 1, **description, **(info or {})}
    content = {k: v for k, v in {**load_file(path), **(tensors or {})}.items() if v is not None}
    save_file(content, path, {METADATA_KEY: json.dumps(description)})


def rewrite_header(path: Path, change: Any) -> None:
    """Change the JSON header and leave the numbers as they are."""
    content = path.read_bytes()
    stop = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:stop])
    change(header)
    new = json.dumps(header).encode()
    path.write_bytes(len(new).to_bytes(8, "little") + new + content[stop:])


def test_the_description_comes_back(network: Network, tmp_path: Path) -> None:
    info = ModelInfo(
        network="unet2d",
        title="Fly, 4 nm",
        voxel_size_nm=(50, 4, 4),
        trained_on="20 sections",
        training={"steps": 10, "loss": [0.5, 0.25]},
        scores={"v_rand": 0.98},
        licence="CC-BY-4.0",
        summary="Tested on µm and 神経.",
        default=True,
    )
    saved = save_model(tmp_path / "fly.safetensors", network, info)
    assert read_info(tmp_path / "fly.safetensors") == saved
    assert saved.name == "fly"
    assert saved.params == {"width": 4, "depth": 3, "in_sections": 1, "dropout": 0.0}
    assert saved.model_copy(update={"name": "", "path": None, "params": {}}) == info


def test_what_goes_in_and_comes_out_is_known_without_the_network(tmp_path: Path) -> None:
    for name in ("rsunet", "vd2d3d"):
        preset = "tiny_recursive" if name == "vd2d3d" else "tiny"
        network = build_network(name, preset)
        info = save_model(tmp_path / f"{name}.safetensors", network, ModelInfo(network=name))
        assert read_info(tmp_path / f"{name}.safetensors") == info
        assert (info.dimensions, info.in_maps) == (network.dimensions, network.in_maps)
        assert info.offsets == network.offsets
        assert info.target == ("affinities" if name == "rsunet" else "boundary")


def test_half_precision_halves_the_file_and_hardly_changes_the_map(
    network: Network, model_file: Path
) -> None:
    small = model_file.with_name("small.safetensors")
    save_model(small, network, ModelInfo(network="unet2d"), half=True)
    assert small.stat().st_size < 0.7 * model_file.stat().st_size
    image = torch.randn(1, 1, 64, 64)
    full, half = (load_model(path)[0](image).sigmoid() for path in (model_file, small))
    assert (full - half).abs().max() < 0.01


def test_renaming_the_file_renames_the_model(model_file: Path) -> None:
    assert read_info(model_file.rename(model_file.with_name("other.safetensors"))).name == "other"


def test_a_model_that_diverged_is_not_saved(network: Network, tmp_path: Path) -> None:
    target = tmp_path / "mine.safetensors"
    target.write_bytes(b"before")
    with torch.no_grad():
        network.get_parameter("head.weight").fill_(torch.nan)
    with pytest.raises(InputError, match=r"head\.weight is not finite"):
        save_model(target, network, ModelInfo(network="unet2d"))
    assert [p.name for p in tmp_path.iterdir()] == ["mine.safetensors"]
    assert target.read_bytes() == b"before"


def test_a_missing_folder_is_one_sentence(network: Network, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        save_model(tmp_path / "no" / "mine.safetensors", network, ModelInfo(network="unet2d"))


class Exploit:
    """Makes a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_pickles_are_refused_and_never_run(tmp_path: Path, how: str) -> None:
    path, trap = tmp_path / "model.safetensors", tmp_path / "trap"
    if how == "torch":
        torch.save(Exploit(trap), path)
    else:
        path.write_bytes(pickle.dumps(Exploit(trap)))
    with pytest.raises(InputError, match="pickled PyTorch file"):
        load_model(path)
    assert not trap.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"abc",
        b"II*\0" + bytes(100),
        (2**62).to_bytes(8, "little") + b"{}",
        (200).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (4).to_bytes(8, "little") + b"\xff\xff\xff\xff",
        (60000).to_bytes(8, "little") + b"[" * 60000,
        (21).to_bytes(8, "little") + b'{"__metadata__":null}',
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no valid header"):
        load_model(path)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no model file"):
        load_model(tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="cannot be read"):
        load_model(tmp_path)


def test_a_header_whose_length_starts_like_a_pickle_is_read(model_file: Path) -> None:
    """The first byte of a file is the lowest of the header's length, any value."""
    content = model_file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    padding = (0x80 - length) % 256
    header = content[8 : 8 + length] + b" " * padding
    model_file.write_bytes(
        (length + padding).to_bytes(8, "little") + header + content[8 + length :]
    )
    assert model_file.read_bytes()[0] == 0x80
    assert load_model(model_file)[1].title == "Mine"


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.999])
def test_truncated_files_are_refused(model_file: Path, kept: float) -> None:
    content = model_file.read_bytes()
    model_file.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match=r"incomplete|no valid header"):
        load_model(model_file)


def test_foreign_safetensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(InputError, match="not a napari-emseg model"):
        load_model(path)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"head.weight": None}, r"lacks the weights head\.weight"),
        ({"extra": torch.zeros(1)}, "has no use for: extra"),
        ({"head.weight": torch.zeros(1, 4, 3, 3)}, r"shape \(1, 4, 3, 3\)"),
        ({"head.weight": torch.full((1, 4, 1, 1), torch.nan)}, "not finite"),
        ({"stem.1.running_var": torch.full((4,), -1.0)}, "negative variance"),
        ({"head.bias": torch.zeros(1, dtype=torch.int64)}, "makes no sense"),
    ],
)
def test_bad_weights_are_refused(model_file: Path, tensors: dict[str, Any], message: str) -> None:
    rewrite(model_file, tensors=tensors)
    with pytest.raises(InputError, match=message):
        load_model(model_file)


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"network": "skynet"}, "'skynet', which this version does not have"),
        ({"params": {"width": 10**9}}, "impossible network"),
        ({"params": {"width": 128, "depth": 7}}, "has weights"),
        ({"params": {"preset": "tiny"}}, "impossible network"),
        ({"params": {"name": "tiny"}}, "impossible network"),
        ({"params": [16]}, "bad description: params"),
        ({"in_sections": 3}, "contradicts itself"),
        ({"dimensions": 3}, "contradicts itself about the network's dimensions"),
        ({"offsets": [[0, 0, -1]]}, "contradicts itself"),
        ({"offsets": [[0, 0]]}, "bad description: offsets"),
        ({"in_sections": 2}, "bad description: in_sections"),
        ({"voxel_size_nm": [50, 4, -4]}, "bad description: voxel_size_nm"),
        ({"normalisation": "none"}, "bad description: normalisation"),
        ({"format_version": 2}, "format version 2.*update"),
        ({"format_version": None}, "format version None"),
    ],
)
def test_bad_descriptions_are_refused(model_file: Path, info: dict[str, Any], message: str) -> None:
    rewrite(model_file, info=info)
    with pytest.raises(InputError, match=message):
        load_model(model_file)


@pytest.mark.parametrize("text", ["", "[]", "3", "{", "[" * 50_000])
def test_descriptions_that_are_no_json_object_are_refused(model_file: Path, text: str) -> None:
    save_file(load_file(model_file), model_file, {METADATA_KEY: text})
    with pytest.raises(InputError, match="cannot be read"):
        load_model(model_file)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]},
        {"dtype": "F32", "shape": "1", "data_offsets": [0]},
        {"dtype": "Q7", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
        [],
        None,
    ],
)
def test_lying_headers_are_refused(model_file: Path, entry: Any) -> None:
    rewrite_header(model_file, lambda header: header.update({"head.bias": entry}))
    with pytest.raises(InputError):
        load_model(model_file)


def test_any_flipped_byte_of_the_header_is_survived(model_file: Path) -> None:
    content = model_file.read_bytes()
    stop = 8 + int.from_bytes(content[:8], "little")
    for position in range(0, stop, 101):
        damaged = bytearray(content)
        damaged[position] ^= 0x11
        model_file.write_bytes(damaged)
        with suppress(InputError):
            load_model(model_file)
