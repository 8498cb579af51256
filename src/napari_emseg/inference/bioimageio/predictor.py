"""A model of the BioImage.IO collection, ready to predict."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.inference.bioimageio.example import read_example
from napari_emseg.inference.bioimageio.mapper import PackageMapper, split_steps
from napari_emseg.inference.bioimageio.processing import Stat
from napari_emseg.inference.bioimageio.reader import PackageReader
from napari_emseg.inference.bioimageio.runner import FinalRange, PackageNetwork, PackageRunner
from napari_emseg.inference.bioimageio.weights import MOST_BYTES, load_weights
from napari_emseg.inference.checks import check_block_shape, check_sections
from napari_emseg.inference.device import choose_device
from napari_emseg.inference.flat import Report
from napari_emseg.inference.predictor import Predictor
from napari_emseg.inference.protocol import Resample
from napari_emseg.inference.sections import FloatArray, SectionReader, check_raw, voxel_size_ratio
from napari_emseg.networks.bioimageio import describe_package
from napari_emseg.networks.bioimageio_archive import Archive
from napari_emseg.networks.bioimageio_model import PackageModel
from napari_emseg.networks.bioimageio_read import read_model
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import Volume

_BOUNDED = ("sigmoid", "softmax", "binarize", "clip", "scale_range")
_ROUNDING = 1e-3
_ANY_PX = 2**20


class PackagePredictor(Predictor):
    """A model of a BioImage.IO package ready to predict; use it as a context manager.

    The volume is cut into tiles of sizes that the network takes, with the halo that the
    package declares, so that it may be of any size. A network that normalises what it
    sees as a whole gives a slightly different map for other tiles.

    Parameters
    ----------
    path : path
        A zip file, or a folder.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to compute.
    block_shape_px : int, ([z,] y, x) or None
        Largest size of what a tile gives; None takes what fits into memory.
    n_threads : int, optional
        CPU cores to use at most; by default all.
    channel : int, optional
        The output channel that is the boundary map; by default the one whose name
        speaks of membranes or boundaries, else the first.

    Attributes
    ----------
    info : ModelInfo
    device : str
    weights : str
        Which form of the weights is used: "torchscript" or "pytorch_state_dict".

    Raises
    ------
    InputError
        If it is no package, is damaged, or needs what this program does not do: code of
        the package, a step that is not known, several images.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        device: str = "auto",
        block_shape_px: int | tuple[int, ...] | None = None,
        n_threads: int | None = None,
        channel: int | None = None,
    ) -> None:
        self.device = choose_device(device)
        block = check_block_shape(block_shape_px)
        path = Path(path)
        with Archive(path) as archive:
            model = _with_channel(read_model(archive), channel)
            point_steps, late_steps = split_steps(model)
            module, weights = load_weights(archive, model)
            final_range = _final_range(archive, model)
            description = archive.read(archive.description, most_bytes=MOST_BYTES)
        self.info = describe_package(model, path)
        self.weights = weights.kind
        self._model = model
        self._notes = [*model.notes, *_words_on(final_range)]
        sha256 = hashlib.sha256(description + weights.file.sha256.encode()).hexdigest()
        self._checksum = cache(lambda: sha256)
        self._precision = "auto"
        self._earlier = None
        runner = PackageRunner(
            PackageNetwork(model, module),
            self.device,
            name=self.info.name,
            n_threads=n_threads,
            point_steps=point_steps,
            final_range=final_range,
        )
        self._runner = runner
        self._solid = PackageMapper(runner, model, late_steps, block)
        # one section is had for the price of the thinnest slab around it
        thin = (1, *(block[-2:] if block else (_ANY_PX, _ANY_PX)))
        self._thin = PackageMapper(runner, model, late_steps, thin)
        self._measured: _Measured | None = None

    def predict_section(
        self,
        raw: Any,
        z: int,
        *,
        tta: bool = False,
        resample: Resample = "auto",
        progress: Progress = NO_PROGRESS,
    ) -> FloatArray:
        """Predict one section, as :meth:`Predictor.predict_section`."""
        volume = check_raw(raw)
        wanted = check_sections([z], volume.shape[0])
        reader = self._reader_for(volume, resample)

        def report(block: str) -> None:
            progress.update(0, 1, block)

        return next(made for _, made in self._thin.maps(reader, wanted, tta=tta, report=report))

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
        volume = check_raw(raw)
        made = super().predict(
            volume, tta=tta, out=out, sections=sections, resample=resample, progress=progress
        )
        record = {**made.provenance["predict"], "weights": self.weights}
        notes = [
            *made.provenance.get("notes", []),
            *self._notes,
            *_words_on_range(volume, self._model),
        ]
        return made.derive(made.data, kind=made.kind, predict=record, notes=notes)

    def _maps(
        self, reader: SectionReader, wanted: Sequence[int], tta: bool, report: Report
    ) -> Iterator[tuple[int, FloatArray]]:
        return self._solid.maps(reader, wanted, tta=tta, report=report)

    def _reader_for(self, raw: Volume, resample: Resample) -> SectionReader:
        plain = super()._reader_for(raw, resample)  # checks what is asked for
        ratio = None
        if plain.is_resampling:
            ratio = voxel_size_ratio(raw.voxel_size_nm, self.info.voxel_size_nm)
        return PackageReader(raw, self._model, ratio, self._known(raw, ratio))

    def _known(self, raw: Volume, ratio: tuple[float, float] | None) -> dict[int, Stat]:
        """Return what was measured of a stack already, so that looking around in it is quick."""
        last = self._measured
        if last is not None and last.data() is raw.data and last.ratio == ratio:
            return last.stats
        stats: dict[int, Stat] = {}
        with suppress(TypeError):  # not all that is like an array can be referred to weakly
            self._measured = _Measured(weakref.ref(raw.data), ratio, stats)
        return stats


@dataclass(frozen=True)
class _Measured:
    """The statistics of the stack that was seen last."""

    data: weakref.ref[Any]
    ratio: tuple[float, float] | None
    stats: dict[int, Stat]


def _with_channel(model: PackageModel, channel: int | None) -> PackageModel:
    if channel is None:
        return model
    if not 0 <= channel < model.output.channels:
        raise InputError(
            f"There is no channel {channel}; the model gives {model.output.channels}, counted "
            "from 0."
        )
    return replace(model, channel=channel, offsets=(), affinity_is_boundary=False, notes=())


def _final_range(archive: Archive, model: PackageModel) -> FinalRange:
    """Tell from the example in which range the model gives its values."""
    if any(step.name in _BOUNDED for step in model.output.steps):
        return "probability"
    _, promised = read_example(archive, model)
    if promised is None or not promised.size:
        return "probability"
    low, high = float(promised.min()), float(promised.max())
    if low >= -_ROUNDING and high <= 1 + _ROUNDING:
        return "probability"
    return "byte" if promised.dtype == np.uint8 else "logits"


def _words_on_range(raw: Volume, model: PackageModel) -> list[str]:
    """Say so where the model counts on grey values that the stack has not."""
    measures = any(step.axes is not None for step in model.input.steps)
    if measures or model.input.dtype != "uint8" or raw.dtype == np.uint8:
        return []
    return [
        f"The model expects grey values from 0 to 255; the data is {raw.dtype}. Bring it to 8 bit "
        "if it has others."
    ]


def _words_on(final_range: FinalRange) -> list[str]:
    if final_range == "logits":
        return ["The model gives values below 0 and above 1; a sigmoid brought them to 0 to 1."]
    return []
