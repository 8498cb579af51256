"""BioImage.IO packages to try, laid out as those of the collection."""

from __future__ import annotations

import hashlib
import io
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest
import torch
import yaml
from torch import Tensor, nn

POISON = """
from pathlib import Path
Path({marker!r}).write_text("run")
class AnisotropicUNet: pass
"""
"""What a package of a bad person would hold: it is found out if it is ever run."""


class Shrimp(nn.Module):
    """The architecture of impartial-shrimp, spelled out: its names, its order of layers."""

    def __init__(
        self, width: int = 2, factors: Sequence[Sequence[int]] = (), activation: str = "Sigmoid"
    ) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(len(factors) + 1)]
        self.factors = [tuple(f) for f in factors]
        self.encoder, self.decoder = nn.Module(), nn.Module()
        self.encoder.blocks = nn.ModuleList(
            double(a, b) for a, b in zip([1, *widths[:-2]], widths[:-1], strict=True)
        )
        self.base = double(widths[-2], widths[-1])
        self.decoder.blocks = nn.ModuleList(double(2 * w, w) for w in widths[-2::-1])
        self.decoder.samplers = nn.ModuleList(Up(2 * w, w) for w in widths[-2::-1])
        self.out_conv = nn.Conv3d(widths[0], 1, 1)
        self.activation = getattr(nn, activation)()

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for factor, block in zip(self.factors, self.encoder.blocks, strict=True):
            skips.append(block.block(x))
            x = torch.nn.functional.max_pool3d(skips[-1], factor)
        x = self.base.block(x)
        for factor, block, up in zip(
            self.factors[::-1], self.decoder.blocks, self.decoder.samplers, strict=True
        ):
            sizes = [float(n) for n in factor]
            x = nn.functional.interpolate(x, scale_factor=sizes, mode="trilinear")
            x = block.block(torch.cat([up.conv(x), skips.pop()], 1))
        return self.activation(self.out_conv(x))


class Up(nn.Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(n_in, n_out, 1)


def double(n_in: int, n_out: int) -> nn.Module:
    module = nn.Module()
    module.block = nn.Sequential(
        nn.InstanceNorm3d(n_in),
        nn.Conv3d(n_in, n_out, 3, padding=1),
        nn.ReLU(),
        nn.InstanceNorm3d(n_out),
        nn.Conv3d(n_out, n_out, 3, padding=1),
        nn.ReLU(),
    )
    return module


SHRIMP_FACTORS = [[1, 3, 3], [1, 3, 3], [2, 2, 2], [2, 2, 2], [2, 2, 2]]


def trace(module: nn.Module, shape: Sequence[int]) -> bytes:
    """Return the module as TorchScript."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made: Any = torch.jit.trace(module.eval(), torch.randn(*shape), check_trace=False)
        torch.jit.save(made, buffer)
    return buffer.getvalue()


def script(module: nn.Module) -> bytes:
    """Return the module as TorchScript, branches and all."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module.eval()), buffer)
    return buffer.getvalue()


def state_of(module: nn.Module) -> bytes:
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    return buffer.getvalue()


def official() -> None:
    """Skip a test where the official library is not there, or cannot work."""
    pytest.importorskip("bioimageio.core", reason="the extra 'bioimageio' is not installed")
    if tuple(map(int, pydantic.VERSION.split(".")[:2])) >= (2, 14):
        pytest.skip("the official library does not work with this pydantic; see the extra")


def npy(values: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def write_zip(path: Path, files: Mapping[str, bytes], prefix: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(prefix + name, content)
    return path


def standardised(values: Any) -> Any:
    wide = np.asarray(values, np.float64)
    return ((wide - wide.mean()) / (wide.std() + 1e-6)).astype(np.float32)


def shrimp(marker: Path, *, network: nn.Module | None = None) -> dict[str, bytes]:
    """Return the files of a package as impartial-shrimp has them, with a small network."""
    torch.manual_seed(0)
    network = (network or Shrimp(2, SHRIMP_FACTORS)).eval()
    given = np.random.default_rng(3).integers(0, 256, (1, 1, 16, 144, 144)).astype(np.uint8)
    with torch.no_grad():
        promised = network(torch.from_numpy(standardised(given))).numpy()
    files = {
        "weights.pt": state_of(network),
        "weights-torchscript.pt": trace(network, (1, 1, 16, 144, 144)),
        "unet.py": POISON.format(marker=str(marker)).encode(),
        "test_input_0.npy": npy(given),
        "test_output_0.npy": npy(promised),
        "documentation.md": b"# Neuron segmentation",
        "zero_mean_unit_variance.ijm": b"// of Fiji",
    }
    files["rdf.yaml"] = yaml.safe_dump(shrimp_description(files), sort_keys=False).encode()
    return files


def shrimp_description(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return what its rdf.yaml says, but for people and places."""
    return {
        "attachments": {"files": ["zero_mean_unit_variance.ijm"]},
        "authors": [{"name": "Somebody"}],
        "cite": [{"text": "data", "url": "https://cremi.org"}],
        "config": {"bioimageio": {"nickname": "impartial-shrimp"}, "deepimagej": {}},
        "covers": ["cover.png"],
        "description": "Neuron segmentation in EM, trained on the CREMI challenge data.",
        "documentation": "documentation.md",
        "format_version": "0.4.5",
        "inputs": [
            {
                "axes": "bczyx",
                "data_range": [0.0, 255.0],
                "data_type": "uint8",
                "name": "input0",
                "preprocessing": [
                    {
                        "kwargs": {"axes": "czyx", "mode": "per_sample"},
                        "name": "zero_mean_unit_variance",
                    }
                ],
                "shape": {"min": [1, 1, 16, 144, 144], "step": [0, 0, 8, 72, 72]},
            }
        ],
        "license": "CC-BY-4.0",
        "name": "Neuron Segmentation in EM (Membrane Prediction)",
        "outputs": [
            {
                "axes": "bczyx",
                "data_range": [float("-inf"), float("inf")],
                "data_type": "float32",
                "halo": [0, 0, 4, 36, 36],
                "name": "output0",
                "shape": {
                    "offset": [0.0] * 5,
                    "reference_tensor": "input0",
                    "scale": [1.0] * 5,
                },
            }
        ],
        "sample_inputs": ["sample_input_0.tif"],
        "sample_outputs": ["sample_output_0.tif"],
        "tags": ["unet", "neurons", "electron-microscopy", "cremi", "3d", "affinity-prediction"],
        "test_inputs": ["test_input_0.npy"],
        "test_outputs": ["test_output_0.npy"],
        "timestamp": "2022-01-15T20:27:01.644120",
        "training_data": {"id": "ilastik/cremi_training_data"},
        "type": "model",
        "version": "0.1.0",
        "weights": {
            "pytorch_state_dict": {
                "architecture": "unet.py:AnisotropicUNet",
                "architecture_sha256": sha256(files["unet.py"]),
                "kwargs": {
                    "anisotropic_kernel": False,
                    "final_activation": "Sigmoid",
                    "gain": 2,
                    "in_channels": 1,
                    "initial_features": 2,
                    "out_channels": 1,
                    "postprocessing": None,
                    "return_side_outputs": False,
                    "scale_factors": SHRIMP_FACTORS,
                },
                "sha256": sha256(files["weights.pt"]),
                "source": "weights.pt",
            },
            "torchscript": {
                "sha256": sha256(files["weights-torchscript.pt"]),
                "source": "./weights-torchscript.pt",
            },
        },
    }


def space(name: str, size: Any, **more: Any) -> dict[str, Any]:
    return {"type": "space", "id": name, "size": size, **more}


def package_5(
    module: nn.Module,
    *,
    axes: str = "bczyx",
    least: Sequence[int] = (4, 8, 8),
    step: Sequence[int] = (1, 1, 1),
    halo: Sequence[int] = (0, 0, 0),
    shrink: Sequence[int] = (0, 0, 0),
    preprocessing: Sequence[Mapping[str, Any]] = (),
    postprocessing: Sequence[Mapping[str, Any]] = (),
    channels: Sequence[str] = ("out",),
    change: Callable[[dict[str, Any]], None] = lambda description: None,
    weights: bytes | None = None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, bytes]:
    """Return the files of a package of format 0.5."""
    sizes = dict(zip("zyx", least, strict=True))
    steps = dict(zip("zyx", step, strict=True))
    shape = [1 if axis in "bc" else sizes[axis] for axis in axes]
    halos, less = dict(zip("zyx", halo, strict=True)), dict(zip("zyx", shrink, strict=True))
    content = trace(module, shape) if weights is None else weights
    description: dict[str, Any] = {
        "type": "model",
        "format_version": "0.5.4",
        "name": "Made for a test",
        "inputs": [
            {
                "id": "raw",
                "axes": [
                    {
                        "b": {"type": "batch"},
                        "c": {"type": "channel", "channel_names": ["grey"]},
                    }.get(axis)
                    or space(
                        axis,
                        {"min": sizes[axis], "step": steps[axis]} if steps[axis] else sizes[axis],
                        **(more or {}).get(axis, {}),
                    )
                    for axis in axes
                ],
                "preprocessing": list(preprocessing),
            }
        ],
        "outputs": [
            {
                "id": "out",
                "axes": [
                    {
                        "b": {"type": "batch"},
                        "c": {"type": "channel", "channel_names": list(channels)},
                    }.get(axis)
                    or space(
                        axis,
                        {"tensor_id": "raw", "axis_id": axis, "offset": -less[axis]}
                        if steps[axis]
                        else sizes[axis] - less[axis],
                        halo=halos[axis],
                        **(more or {}).get(axis, {}),
                    )
                    for axis in axes
                ],
                "postprocessing": list(postprocessing),
            }
        ],
        "weights": {"torchscript": {"source": "weights.pt", "sha256": sha256(content)}},
    }
    change(description)
    text = yaml.safe_dump(description, sort_keys=False)
    return {"bioimageio.yaml": text.encode(), "weights.pt": content}
