"""A network of sections looks at an isotropic volume along all three axes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.inference.checks import check_out, check_sections
from napari_emseg.inference.isotropy import check_flat, check_isotropic
from napari_emseg.inference.protocol import BoundaryPredictor, Resample
from napari_emseg.inference.record import Noticed
from napari_emseg.inference.sections import FloatArray, check_raw
from napari_emseg.inference.wrapping import Share, Slab, Wrapping, store
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import ZYX, Volume

_HALO = 32  # sections around a slab that planes across it show
_SLAB_BYTES = 2 * 2**30
_ACROSS = {"y": (1, 0, 2), "x": (2, 0, 1)}


class AxesPredictor(Wrapping):
    """Averages what a 2D or 2.5D predictor sees along z, y and x.

    Along y and x it is shown planes across the sections, each standardised whole; a blank
    plane has no say, and the map of a blank section is 0. A volume whose sum over the
    axes would take more than 2 GiB is cut into slabs of sections; planes reach 32
    sections beyond the slab on both sides. So the map of a section does not depend on
    which others are asked for.

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
        """Predict one section along all three axes: as costly as its slab."""
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

        Progress counts sections by the share of the work done; all of them are finished
        at the end of their slab.

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
        options: dict[str, Any] = {"tta": tta, "resample": resample}
        nothing = Slab(volume.shape, [])
        made = self._members[0].predict(volume, out=nothing, sections=[], **options)
        noticed, done = Noticed(), 0
        noticed.add(made, self.info)
        for slab, mine in _group(volume.shape, wanted).items():
            share = Share(progress, done, len(wanted), len(mine))
            noticed.add(self._fill(volume, slab, mine, out, share, options), self.info)
            done += len(mine)
        seconds = round(time.perf_counter() - started, 3)
        record = {**made.provenance["predict"], "axes": "zyx"}
        record |= {"sections": len(wanted), "seconds": seconds}
        record["blank_sections"] = sorted(noticed.blank)
        facts = {**made.provenance, "predict": record, "notes": noticed.notes(self.info)}
        return volume.derive(out, kind="boundary", **facts)

    def _fill(
        self,
        volume: Volume,
        slab: range,
        wanted: Sequence[int],
        out: Any,
        progress: Progress,
        options: dict[str, Any],
    ) -> Volume:
        """Write the mean over the axes of some sections of a slab; return what z has given.

        A blank plane tells nothing: there the mean is that of the other axes, and a blank
        section is 0 as it is along z only.
        """
        first, last = max(0, slab.start - _HALO), min(volume.shape[0], slab.stop + _HALO)
        is_whole = last - first == volume.shape[0]
        part = volume if is_whole else volume.derive(volume.read(slice(first, last)), kind="raw")
        total, across = Slab(volume.shape, wanted), np.zeros(part.shape, np.float32)
        seen: dict[str, tuple[Volume, Sequence[int], Any]] = {"z": (volume, wanted, total)}
        for axis, order in _ACROSS.items():
            planes = range(part.shape[order[0]])
            seen[axis] = (_turn(part, order), planes, _Adding(across.transpose(order)))
        n_planes, done = sum(len(planes) for _, planes, _ in seen.values()), 0
        made: dict[str, Volume] = {}
        for axis, (stack, shown, target) in seen.items():
            share = Share(progress, done / n_planes, 1, len(shown) / n_planes, f"along {axis}")
            made[axis] = self._members[0].predict(
                stack, out=target, sections=shown, progress=share, **options
            )
            done += len(shown)
        count = np.full(part.shape[1:], 3, np.float32)
        count[_blank(made["y"])] -= 1
        count[:, _blank(made["x"])] -= 1
        for z in wanted:
            mean = (total[z] + across[z - first]) / count
            store(out, z, np.zeros_like(mean) if z in _blank(made["z"]) else mean)
        return made["z"]


def _blank(made: Volume) -> list[int]:
    return list(made.provenance["predict"].get("blank_sections", []))


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
    size = part.voxel_size_nm
    turned: ZYX | None = None if size is None else (size[order[0]], size[order[1]], size[order[2]])
    return Volume(_Turned(part.data, order), voxel_size_nm=turned, name=part.name)


def _group(shape: tuple[int, ...], wanted: Sequence[int]) -> dict[range, list[int]]:
    """Return which sections wanted lie in which slab of a volume."""
    n_z, n_y, n_x = shape
    most = _SLAB_BYTES // (4 * n_y * n_x)
    size = n_z if n_z <= most else max(_HALO, most - 2 * _HALO)
    groups: dict[range, list[int]] = {}
    for z in dict.fromkeys(wanted):
        start = z - z % size
        groups.setdefault(range(start, min(start + size, n_z)), []).append(z)
    return groups
