"""Predicting boundary maps or affinities of whole stacks, with one loaded network."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, get_args

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.inference.checks import check_block_shape, check_out, check_sections
from napari_emseg.inference.device import choose_device
from napari_emseg.inference.flat import Report, SectionMapper
from napari_emseg.inference.loading import Model, load
from napari_emseg.inference.protocol import Resample
from napari_emseg.inference.record import describe_prediction, note_on_blank, notes_on
from napari_emseg.inference.recursion import MapReader
from napari_emseg.inference.runner import Precision, Runner
from napari_emseg.inference.sections import (
    FloatArray,
    Reader,
    SectionReader,
    check_raw,
    voxel_size_ratio,
)
from napari_emseg.inference.solid import VolumeMapper
from napari_emseg.networks.base import Network
from napari_emseg.networks.info import ModelInfo
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import Volume


class Predictor:
    """A trained network ready to predict; use it as a context manager.

    Parameters
    ----------
    model : str, path, ModelInfo or Network
        Name from the library, "default", a model file, or a network in memory
        (which is copied and left as it is).
    device : {"auto", "cpu", "cuda", "mps"}
        Where to compute.
    block_shape_px : int, ([z,] y, x) or None
        Size of the blocks a section or volume is cut into; None takes the largest
        that fits into memory.
    n_threads : int, optional
        CPU cores to use at most; by default all.
    maps_from : str, path, ModelInfo or Network, optional
        The model whose boundary maps a recursive network takes, instead of the one in
        its own file.
    precision : {"auto", "float32", "bfloat16"}
        "auto": float16 on a CUDA card, else float32. A CPU that computes with bfloat16
        is twice as fast with it, and the map differs by up to 0.02.

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
        model: Model = "default",
        *,
        device: str = "auto",
        block_shape_px: int | tuple[int, ...] | None = None,
        n_threads: int | None = None,
        maps_from: Model | None = None,
        precision: Precision = "auto",
    ) -> None:
        self.device = choose_device(device)
        block = check_block_shape(block_shape_px)
        loaded = load(model, maps_from)
        self.info = loaded.info
        self._checksum = loaded.checksum()
        self._precision = precision

        def run(network: Network, info: ModelInfo) -> Runner:
            return Runner(
                network, self.device, name=info.name, n_threads=n_threads, precision=precision
            )

        self._runner = run(loaded.network, loaded.info)
        self._flat = SectionMapper(self._runner, block)
        self._solid = VolumeMapper(self._runner, block)
        self._earlier: tuple[SectionMapper, int] | None = None
        if loaded.earlier is not None:
            runner = run(*loaded.earlier)
            self._earlier = (SectionMapper(runner, block), runner.network.in_sections)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def sha256(self) -> str | None:
        """Checksum of the model's file, or of weights that are in none."""
        return self._checksum()

    def close(self) -> None:
        """Forget the network and give its memory back."""
        self._earlier = None
        self._runner.close()

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
            Average over 8 orientations, 16 for 3D networks.
        resample : {"auto", "never"}
            As in :func:`napari_emseg.inference.predict`.
        progress : Progress, optional
            Told after each block.

        Returns
        -------
        (Y, X) float32 in [0, 1], 1 = membrane; (C, Y, X) for affinities

        Raises
        ------
        InputError
            As :func:`napari_emseg.inference.predict`.
        """
        volume = check_raw(raw)
        wanted = check_sections([z], volume.shape[0])
        reader = self._reader_for(volume, resample)
        maps = self._maps(reader, wanted, tta, lambda block: progress.update(0, 1, block))
        return next(boundary for _, boundary in maps)

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
        """Predict a stack; the parameters are those of :func:`napari_emseg.inference.predict`."""
        started = time.perf_counter()
        volume = check_raw(raw)
        wanted = check_sections(sections, volume.shape[0])
        shape = (*self._channels, *volume.shape)
        out = np.zeros(shape, np.float32) if out is None else check_out(out, shape)
        reader = self._reader_for(volume, resample)
        self._fill(out, reader, wanted, tta, progress)
        record = describe_prediction(
            self.info,
            tta=tta,
            device=self.device,
            n_sections=len(wanted),
            seconds=time.perf_counter() - started,
            sha256=self.sha256,
            blank=reader.blank,
        )
        if self._precision != "auto":
            record["precision"] = self._precision
        notes = [
            *volume.provenance.get("notes", []),
            *notes_on(volume, self.info, is_resampling=reader.is_resampling),
            *note_on_blank(reader.blank, self.info),
        ]
        facts: dict[str, Any] = {"predict": record, "notes": notes}
        if self.info.offsets:
            facts["offsets"] = [list(offset) for offset in self.info.offsets]
        return volume.derive(out, kind=self.info.target, **facts)

    @property
    def _channels(self) -> tuple[int, ...]:
        """The first axis of the map, of affinities only."""
        return (len(self.info.offsets),) if self.info.offsets else ()

    def _fill(
        self,
        out: Any,
        reader: SectionReader,
        wanted: Sequence[int],
        tta: bool,
        progress: Progress,
    ) -> None:
        total, done = len(wanted), 0

        def report(block: str) -> None:
            section = f"section {done + 1} of {total}" if self.info.dimensions == 2 else ""
            progress.update(done, total, ", ".join(filter(None, (section, block))))

        for z, boundary in self._maps(reader, wanted, tta, report):
            out[(..., z, slice(None), slice(None))] = _as_type(boundary, out.dtype)
            done += 1
            progress.update(done, total, f"{done} of {total} sections")

    def _maps(
        self, reader: SectionReader, wanted: Sequence[int], tta: bool, report: Report
    ) -> Iterator[tuple[int, FloatArray]]:
        if self.info.dimensions == 3:
            return self._solid.maps(reader, wanted, tta=tta, report=report)
        source: Reader = reader
        if self._earlier is not None:
            mapper, in_sections = self._earlier
            source = MapReader(reader, mapper, reader.beside(in_sections), report)
        elif self.info.in_maps:
            raise InputError(
                f"Model '{self.info.name}' also takes the boundary maps of an earlier model, and "
                "its file holds none: name that one (maps_from), or train it anew."
            )
        return self._flat.maps(source, wanted, tta=tta, report=report)

    def _reader_for(self, raw: Volume, resample: Resample) -> SectionReader:
        if resample not in get_args(Resample):
            raise InputError(f"Resample is 'auto' or 'never', not '{resample}'.")
        ratio = None
        if resample == "auto" and self.info.target == "boundary":  # offsets count voxels
            ratio = voxel_size_ratio(raw.voxel_size_nm, self.info.voxel_size_nm)
        return SectionReader(raw, self.info.in_sections, ratio)


def _as_type(values: FloatArray, dtype: Any) -> Any:
    return np.rint(values * 255).astype(np.uint8) if dtype == np.uint8 else values
