"""Predicting boundary maps section by section, with one loaded network."""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from torch import Tensor

from napari_emseg import __version__
from napari_emseg.errors import InputError
from napari_emseg.inference.device import (
    choose_device,
    is_out_of_memory,
    limit_threads,
    memory_budget_bytes,
    release_memory,
)
from napari_emseg.inference.sections import (
    FloatArray,
    SectionReader,
    check_raw,
    resize,
    voxel_size_ratio,
)
from napari_emseg.inference.tiling import (
    add_rim,
    choose_block_shape,
    halve_block,
    iter_section_blocks,
)
from napari_emseg.networks.base import Network
from napari_emseg.networks.checkpoint import load_model
from napari_emseg.networks.info import ModelInfo
from napari_emseg.networks.library import find_model
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import Volume

Resample = Literal["auto", "never"]
_SMALLEST_BLOCK_PX = 32

Orientations = list[tuple[int, bool]]  # quarter turns, mirrored
_UPRIGHT: Orientations = [(0, False)]
_ORIENTATIONS: Orientations = [(turns, flip) for flip in (False, True) for turns in range(4)]


class Predictor:
    """A trained network ready to predict; use it as a context manager.

    Parameters
    ----------
    model : str, path, ModelInfo or Network
        Name from the library, "default", a model file, or a network in memory
        (which is copied and left as it is).
    device : {"auto", "cpu", "cuda", "mps"}
        Where to compute.
    block_shape_px : int, (y, x) or None
        Size of the blocks a section is cut into; None takes the largest that
        fits into memory. The result does not depend on it.
    n_threads : int, optional
        CPU cores to use at most; by default all.

    Attributes
    ----------
    info : ModelInfo
    device : str

    Raises
    ------
    InputError
        If there is no such model or device.

    Examples
    --------
    >>> from napari_emseg.networks import build_network
    >>> with Predictor(build_network("unet2d", preset="tiny"), device="cpu") as predictor:
    ...     predictor.predict_section(np.random.default_rng(0).random((3, 40, 50)), 1).shape
    (40, 50)
    """

    def __init__(
        self,
        model: str | Path | ModelInfo | Network = "default",
        *,
        device: str = "auto",
        block_shape_px: int | tuple[int, int] | None = None,
        n_threads: int | None = None,
    ) -> None:
        self.device = choose_device(device)
        self.n_threads = n_threads
        self._block_shape_px = _check_block_shape(block_shape_px)
        if isinstance(model, Network):
            self.info = ModelInfo(network=model.name, in_sections=model.in_sections)
            network = copy.deepcopy(model)
        else:
            path = (model if isinstance(model, ModelInfo) else find_model(model)).path
            if path is None:
                raise InputError("This model has not been saved to a file yet.")
            network, self.info = load_model(path)
        network = network.eval().requires_grad_(False)
        network.fuse()
        network.to(memory_format=torch.channels_last)
        self._network: Network | None = network.to(self.device)
        self._half = self.device.startswith("cuda")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget the network and give its memory back."""
        self._network = None
        release_memory(self.device)

    def predict_section(
        self,
        raw: Any,
        z: int,
        *,
        tta: bool = False,
        resample: Resample = "auto",
        progress: Progress = NO_PROGRESS,
    ) -> FloatArray:
        """Predict the boundary map of one section, for a quick look.

        Parameters
        ----------
        raw : Volume or (Z, Y, X) array
            Grey values.
        z : int
            The section wanted.
        tta : bool
            Average over 8 orientations.
        resample : {"auto", "never"}
            As in :func:`predict`.
        progress : Progress, optional
            Told after each block.

        Returns
        -------
        (Y, X) float32 in [0, 1], 1 = membrane

        Raises
        ------
        InputError
            As :func:`predict`.
        """
        volume = check_raw(raw)
        (z,) = _check_sections([z], volume.shape[0])
        reader = self._reader_for(volume, resample)
        return self._section(reader, z, tta, lambda block: progress.update(0, 1, block))

    def predict(
        self,
        raw: Any,
        *,
        tta: bool = True,
        out: Any = None,
        sections: Iterable[int] | None = None,
        resample: Resample = "auto",
        progress: Progress = NO_PROGRESS,
    ) -> Volume:
        """Predict a boundary map; the parameters are those of :func:`predict`."""
        started = time.perf_counter()
        volume = check_raw(raw)
        wanted = _check_sections(sections, volume.shape[0])
        out = np.zeros(volume.shape, np.float32) if out is None else _check_out(out, volume.shape)
        reader = self._reader_for(volume, resample)
        for done, z in enumerate(wanted):
            _fill(out, z, self._section(reader, z, tta, _reporter(progress, done, len(wanted))))
            progress.update(done + 1, len(wanted), f"{done + 1} of {len(wanted)} sections")
        record = {
            "model": self.info.name,
            "model_sha256": _sha256(self.info.path),
            "tta": tta,
            "device": self.device,
            "version": __version__,
            "sections": len(wanted),
            "seconds": round(time.perf_counter() - started, 3),
        }
        notes = [*volume.provenance.get("notes", []), *self._notes(volume, reader)]
        return volume.derive(out, kind="boundary", predict=record, notes=notes)

    @property
    def _loaded(self) -> Network:
        if self._network is None:
            raise RuntimeError("this predictor is closed")
        return self._network

    def _reader_for(self, raw: Volume, resample: Resample) -> SectionReader:
        if resample not in get_args(Resample):
            raise InputError(f"Resample is 'auto' or 'never', not '{resample}'.")
        ratio = voxel_size_ratio(raw.voxel_size_nm, self.info.voxel_size_nm)
        return SectionReader(raw, self.info.in_sections, ratio if resample == "auto" else None)

    def _section(
        self, reader: SectionReader, z: int, tta: bool, report: Callable[[str], None]
    ) -> FloatArray:
        section = reader.read(z)
        if section is None:
            return np.zeros(reader.full_shape_px, np.float32)
        with limit_threads(self.n_threads), torch.inference_mode():
            boundary = self._largest_blocks(section, _ORIENTATIONS if tta else _UPRIGHT, report)
        if boundary.shape != reader.full_shape_px:
            boundary = resize(boundary, reader.full_shape_px).clip(0, 1)
        return boundary

    def _largest_blocks(
        self, section: FloatArray, orientations: Orientations, report: Callable[[str], None]
    ) -> FloatArray:
        network = self._loaded
        shape_px = section.shape[1:]
        rimmed = add_rim(section, network.size_multiple_px)
        block_shape_px = self._block_shape_px or choose_block_shape(
            shape_px,
            network.receptive_field_px[1:],
            network.memory_bytes_per_px,
            memory_budget_bytes(self.device),
        )
        while True:
            try:
                return self._blocks(rimmed, shape_px, block_shape_px, orientations, report)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            release_memory(self.device)
            block_shape_px = self._smaller(block_shape_px, shape_px)

    def _smaller(
        self, block_shape_px: tuple[int, int], shape_px: tuple[int, ...]
    ) -> tuple[int, int]:
        y, x = (min(block, size) for block, size in zip(block_shape_px, shape_px, strict=True))
        if max(y, x) <= _SMALLEST_BLOCK_PX:
            remedy = "close other programs" if self.device == "cpu" else "choose the CPU"
            raise InputError(
                f"The memory of device {self.device} does not suffice, "
                f"not even for blocks of {y}x{x} pixels: {remedy}."
            )
        self._block_shape_px = halve_block((y, x))
        return self._block_shape_px

    def _blocks(
        self,
        rimmed: FloatArray,
        shape_px: tuple[int, ...],
        block_shape_px: tuple[int, int],
        orientations: Orientations,
        report: Callable[[str], None],
    ) -> FloatArray:
        network = self._loaded
        boundary = np.zeros(shape_px, np.float32)
        blocks = list(
            iter_section_blocks(
                shape_px,
                block_shape_px,
                network.receptive_field_px[1:],
                network.size_multiple_px,
            )
        )
        for number, block in enumerate(blocks, 1):
            pixels = torch.from_numpy(rimmed[:, *block.outer]).to(self.device)
            for turns, flip in orientations:
                probability = self._forward(pixels, turns, flip)[block.inner_in_outer]
                boundary[block.inner] += probability.cpu().numpy() / len(orientations)
                report(f"block {number} of {len(blocks)}" if len(blocks) > 1 else "")
        return boundary

    def _forward(self, pixels: Tensor, turns: int, flip: bool) -> Tensor:
        x = torch.rot90(pixels.flip(-1) if flip else pixels, turns, (-2, -1))[None]
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.partition(":")[0], torch.float16, enabled=self._half):
            logits = self._loaded(x)[0, 0].float()
        if not logits.isfinite().all():
            if not self._half:
                raise InputError(
                    f"Model '{self.info.name}' gives values that are not numbers: "
                    "choose another one or train it again."
                )
            self._half = False  # half precision overflows: compute in full from here on
            return self._forward(pixels, turns, flip)
        y = torch.rot90(torch.sigmoid(logits), -turns, (-2, -1))
        return y.flip(-1) if flip else y

    def _notes(self, raw: Volume, reader: SectionReader) -> Iterator[str]:
        ours, theirs = self.info.voxel_size_nm, raw.voxel_size_nm
        if ours is not None and theirs is None:
            yield (
                f"The voxel size of the data is not known; the model was trained at "
                f"{ours[1]:g} x {ours[2]:g} nm."
            )
        if ours and theirs and voxel_size_ratio(theirs, ours):
            done = (
                "each section was resampled to the model's and the map back"
                if reader.is_resampling
                else "without resampling, the map may be poor"
            )
            yield (
                f"The data has pixels of {theirs[1]:g} x {theirs[2]:g} nm (y, x), "
                f"the model was trained at {ours[1]:g} x {ours[2]:g} nm: {done}."
            )
        if reader.blank:
            listed = ", ".join(map(str, sorted(reader.blank)))
            yield f"Blank sections, whose boundary map was set to 0: {listed}."


def predict(
    raw: Any,
    *,
    model: str | Path | ModelInfo | Network | Predictor = "default",
    tta: bool = True,
    device: str = "auto",
    block_shape_px: int | tuple[int, int] | None = None,
    out: Any = None,
    sections: Iterable[int] | None = None,
    resample: Resample = "auto",
    n_threads: int | None = None,
    progress: Progress = NO_PROGRESS,
) -> Volume:
    """Predict the boundary map of a stack, section by section.

    Parameters
    ----------
    raw : Volume or (Z, Y, X) array
        Grey values, membranes dark or bright as in the model's training data.
    model : str, path, ModelInfo, Network or Predictor
        Name from the library, "default", a model file, or one already loaded.
        A Predictor brings its own device, blocks and threads.
    tta : bool
        Average over 8 orientations: better, 8 times slower.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to compute; "auto" takes a graphics card that works.
    block_shape_px : int, (y, x) or None
        Size of the blocks a section is cut into; None takes the largest that
        fits into memory. The result does not depend on it.
    out : array-like (Z, Y, X), optional
        float32, or uint8 meaning value / 255; filled section by section, so what
        is finished stays when the user stops.
    sections : iterable of int, optional
        Sections wanted, in this order; others are left as they are (0 without `out`).
    resample : {"auto", "never"}
        "auto": where the pixel size is more than 1.5 times off the model's,
        bring the section to the model's and the map back.
    n_threads : int, optional
        CPU cores to use at most; by default all.
    progress : Progress, optional
        Told the sections done, at least once per block.

    Returns
    -------
    Volume
        Kind "boundary", 1 = membrane, same grid as `raw`. ``provenance["predict"]``
        holds model, device and seconds, ``provenance["notes"]`` what was noticed.

    Raises
    ------
    InputError
        If the input is no raw volume or has values that are not numbers, or
        there is no such model, section or device.
    Cancelled
        If `progress` asks to stop.

    Examples
    --------
    >>> from napari_emseg.networks import build_network
    >>> network = build_network("unet2d", preset="tiny")
    >>> raw = np.random.default_rng(0).integers(0, 255, (2, 40, 50), np.uint8)
    >>> predict(raw, model=network, device="cpu").kind
    'boundary'
    """
    options: dict[str, Any] = {
        "tta": tta,
        "out": out,
        "sections": sections,
        "resample": resample,
        "progress": progress,
    }
    if isinstance(model, Predictor):
        return model.predict(raw, **options)
    check_raw(raw)
    with Predictor(
        model, device=device, block_shape_px=block_shape_px, n_threads=n_threads
    ) as predictor:
        return predictor.predict(raw, **options)


def predict_section(
    raw: Any,
    z: int,
    *,
    model: str | Path | ModelInfo | Network | Predictor = "default",
    tta: bool = False,
    device: str = "auto",
    resample: Resample = "auto",
    progress: Progress = NO_PROGRESS,
) -> FloatArray:
    """Predict the boundary map of one section, for a quick look.

    Parameters are those of :func:`predict`; hand over a :class:`Predictor` to
    load the model only once.

    Returns
    -------
    (Y, X) float32 in [0, 1], 1 = membrane

    Raises
    ------
    InputError
        As :func:`predict`.

    Examples
    --------
    >>> from napari_emseg.networks import build_network
    >>> network = build_network("unet2d", preset="tiny")
    >>> raw = np.random.default_rng(0).integers(0, 255, (2, 40, 50), np.uint8)
    >>> predict_section(raw, 1, model=network, device="cpu").shape
    (40, 50)
    """
    if isinstance(model, Predictor):
        return model.predict_section(raw, z, tta=tta, resample=resample, progress=progress)
    check_raw(raw)
    with Predictor(model, device=device) as predictor:
        return predictor.predict_section(raw, z, tta=tta, resample=resample, progress=progress)


def _reporter(progress: Progress, done: int, total: int) -> Callable[[str], None]:
    def report(block: str) -> None:
        where = f"section {done + 1} of {total}"
        progress.update(done, total, f"{where}, {block}" if block else where)

    return report


def _fill(out: Any, z: int, boundary: FloatArray) -> None:
    out[z] = np.rint(boundary * 255).astype(np.uint8) if out.dtype == np.uint8 else boundary


def _check_sections(sections: Iterable[int] | None, n_sections: int) -> list[int]:
    wanted = list(range(n_sections)) if sections is None else [int(z) for z in sections]
    for z in wanted:
        if not 0 <= z < n_sections:
            raise InputError(
                f"There is no section {z}; the stack has sections 0 to {n_sections - 1}."
            )
    return wanted


def _check_out(out: Any, shape: tuple[int, ...]) -> Any:
    if tuple(out.shape) != shape:
        raise InputError(f"The target has shape {tuple(out.shape)}, the input {shape}.")
    if np.dtype(out.dtype).kind != "f" and out.dtype != np.uint8:
        raise InputError(f"A boundary map is float32 or uint8; the target has type {out.dtype}.")
    return out


def _check_block_shape(shape_px: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if shape_px is None:
        return None
    y, x = (shape_px, shape_px) if isinstance(shape_px, int) else shape_px
    if min(y, x) < 1:
        raise InputError(f"A block needs at least 1x1 pixels, not {y}x{x}.")
    return y, x


def _sha256(path: Path | None) -> str | None:
    return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
