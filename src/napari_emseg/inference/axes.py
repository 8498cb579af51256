"""A network of sections looks at an isotropic volume along all three axes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.inference.checks import check_out, check_sections
from napari_emseg.inference.protocol import BoundaryPredictor, Resample
from napari_emseg.inference.sections import FloatArray, check_raw
from napari_emseg.inference.wrapping import Share, Slab, Wrapping, store
from napari_emseg.networks.info import ModelInfo
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import ZYX, Volume

LARGEST_RATIO = 1.5
_HALO = 32  # sections around those wanted that planes across them show
_ORDERS = {"z": (0, 1, 2), "y": (1, 0, 2), "x": (2, 0, 1)}


class AxesPredictor(Wrapping):
    """Averages what a 2D or 2.5D predictor sees along z, y and x.

    Along y and x it is shown planes across the sections; a plane is standardised
    whole, so it depends on the sections asked for: where those are not all,
    planes reach 32 sections farther on both sides.

    Parameters
    ----------
    predictor : BoundaryPredictor
        Of sections; closed with this one.

    Raises
    ------
    InputError
        If the predictor takes volumes.

    References
    ----------
    Averaging over the axes of isotropic volumes is common for 2D networks, as in
    micro-sam and Cellpose ("2.5D"); not from the boundary papers.

    Examples
    --------
    >>> from napari_emseg.inference import Predictor
    >>> from napari_emseg.networks import build_network
    >>> raw = Volume(np.random.default_rng(0).random((9, 20, 24)), voxel_size_nm=(8, 8, 8))
    >>> with AxesPredictor(Predictor(build_network("unet2d", preset="tiny"))) as predictor:
    ...     predictor.predict(raw, tta=False).shape
    (9, 20, 24)
    """

    def __init__(self, predictor: BoundaryPredictor) -> None:
        check_flat(predictor.info)
        super().__init__(predictor.info, [predictor])

    def predict_section(
        self,
        raw: Any,
        z: int,
        *,
        tta: bool = False,
        resample: Resample = "auto",
        progress: Progress = NO_PROGRESS,
    ) -> FloatArray:
        """Predict one section along all three axes: as costly as 65 sections."""
        volume = check_raw(raw)
        (z,) = check_sections([z], volume.shape[0])
        out = Slab(volume.shape, [z])
        self.predict(volume, tta=tta, out=out, sections=[z], resample=resample, progress=progress)
        return out[z]

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
        """Predict a stack; the parameters are those of :func:`napari_emseg.inference.predict`.

        Progress counts planes along the three axes. A section is finished at the end.

        Raises
        ------
        InputError
            If the voxels are not isotropic, or their size is not known.
        """
        started = time.perf_counter()
        volume = check_raw(raw)
        check_isotropic(volume.voxel_size_nm)
        wanted = check_sections(sections, volume.shape[0])
        out = np.zeros(volume.shape, np.float32) if out is None else check_out(out, volume.shape)
        if wanted:
            made = self._average(volume, wanted, out, tta, resample, progress)
            facts = dict(made.provenance)
        else:
            facts = dict(volume.provenance)
        seconds = round(time.perf_counter() - started, 3)
        of_model = {**facts.get("predict", {}), "sections": len(wanted), "seconds": seconds}
        return volume.derive(
            out, kind="boundary", **{**facts, "predict": {**of_model, "axes": "zyx"}}
        )

    def _average(
        self,
        volume: Volume,
        wanted: Sequence[int],
        out: Any,
        tta: bool,
        resample: Resample,
        progress: Progress,
    ) -> Volume:
        """Fill `out` with the mean over the axes; return the map along z for its history."""
        part, first = _part(volume, wanted)
        rows = sorted({z - first for z in wanted})
        n_planes = len(rows) + sum(part.shape[1:])
        total: npt.NDArray[np.float32] = np.zeros(part.shape, np.float32)
        done, made = 0, None
        for axis, order in _ORDERS.items():
            planes = rows if axis == "z" else list(range(part.shape[order[0]]))
            seen = _turn(part, order)
            result = self._members[0].predict(
                seen,
                tta=tta,
                out=_Adding(total.transpose(order)),
                sections=planes,
                resample=resample,
                progress=Share(progress, done, n_planes, len(planes), f"along {axis}"),
            )
            made = made or result
            done += len(planes)
        total /= len(_ORDERS)
        for z in wanted:
            store(out, z, total[z - first])
        assert made is not None
        return made


def check_flat(info: ModelInfo) -> None:
    """Refuse a network that sees all three axes anyway.

    Raises
    ------
    InputError
        Saying so.
    """
    if info.dimensions == 3:
        raise InputError(
            f"Model '{info.name}' is a 3D network, which sees all three axes at once: "
            "predict along z only."
        )
    if info.target != "boundary":
        raise InputError(
            f"Model '{info.name}' gives affinities, which depend on the direction: "
            "predict along z only."
        )


def check_isotropic(voxel_size_nm: ZYX | None) -> None:
    """Refuse voxels that are not about as long as they are wide.

    Raises
    ------
    InputError
        If the longest side is more than 1.5 times the shortest, or not known.

    Examples
    --------
    >>> check_isotropic((10, 8, 8))
    """
    if voxel_size_nm is None:
        raise InputError(
            "Averaging over the three axes needs isotropic voxels, but the voxel size is not "
            "known: give it, or predict along z only."
        )
    ratio = max(voxel_size_nm) / min(voxel_size_nm)
    if ratio > LARGEST_RATIO:
        size = " x ".join(f"{length:g}" for length in voxel_size_nm)
        raise InputError(
            f"Averaging over the three axes needs isotropic voxels; these measure {size} nm "
            f"(z, y, x), {ratio:.3g} times as long as wide: predict along z only."
        )


class _Adding:
    """A target that adds what is written to it."""

    def __init__(self, total: npt.NDArray[np.float32]) -> None:
        self._total = total
        self.shape, self.dtype = total.shape, total.dtype

    def __setitem__(self, key: Any, value: Any) -> None:
        self._total[key] += value


class _Turned:
    """A volume seen along another axis, read plane by plane."""

    def __init__(self, data: Any, order: tuple[int, int, int]) -> None:
        self._data, self._axis = data, order[0]
        self.shape = tuple(int(data.shape[axis]) for axis in order)
        self.dtype = np.dtype(data.dtype)
        self.ndim = 3

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        plane, *rest = key if isinstance(key, tuple) else (key,)
        where: list[Any] = [slice(None)] * 3
        where[self._axis] = plane
        found = np.asarray(self._data[tuple(where)])
        if not isinstance(plane, int | np.integer):
            found = np.moveaxis(found, self._axis, 0)
            rest = [slice(None), *rest]
        plane_or_planes: npt.NDArray[Any] = found[tuple(rest)]
        return plane_or_planes


def _turn(part: Volume, order: tuple[int, int, int]) -> Volume:
    """Return the volume with `order[0]` as the axis along which planes are stacked."""
    if order == (0, 1, 2):
        return part
    size = part.voxel_size_nm
    turned: ZYX | None = None if size is None else (size[order[0]], size[order[1]], size[order[2]])
    return Volume(_Turned(part.data, order), voxel_size_nm=turned, name=part.name)


def _part(volume: Volume, wanted: Sequence[int]) -> tuple[Volume, int]:
    """Return what holds the sections wanted and those around them, and where it begins."""
    n_z = volume.shape[0]
    if len(set(wanted)) == n_z:
        return volume, 0
    first, last = max(0, min(wanted) - _HALO), min(n_z, max(wanted) + _HALO + 1)
    return volume.derive(volume.read(slice(first, last)), kind="raw"), first
