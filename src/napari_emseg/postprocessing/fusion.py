"""Several boundary maps of one stack become one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.postprocessing.sections import check_boundary, check_same_grid, map_sections
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.segmentation.smoothing import Map, read_section
from napari_emseg.volume import Volume

How = Literal["max", "mean", "weighted"]


def fuse_maps(
    maps: Sequence[Volume],
    *,
    how: How = "mean",
    weights: Sequence[float] | None = None,
    progress: Progress = NO_PROGRESS,
) -> Volume:
    """Combine boundary maps of the same stack, made by several networks.

    Parameters
    ----------
    maps : sequence of Volume
        Two or more of kind "boundary", all of one shape; read section by section.
    how : {"max", "mean", "weighted"}
        ``max``: a voxel is as much boundary as the surest map says (DeepEM3D, so that
        a membrane missed by one net still separates). ``mean``: the average (IDSIA).
        ``weighted``: the average with `weights`.
    weights : sequence of float, optional
        One for each map, none negative; only their ratios matter.
    progress : Progress
        Called once per section.

    Returns
    -------
    Volume
        Kind "boundary", float32, on the grid of the first map.

    Raises
    ------
    InputError
        If there are fewer than two maps, their shapes differ, or the weights do not fit.

    References
    ----------
    Maximum: T. Zeng, B. Wu, S. Ji, Bioinformatics 33, 2017,
    doi:10.1093/bioinformatics/btx188. Mean: D. Ciresan et al., NIPS 2012.

    Examples
    --------
    >>> a, b = (Volume(np.full((1, 1, 2), v, np.float32), kind="boundary") for v in (0.2, 0.6))
    >>> [round(float(fuse_maps([a, b], how=how).data[0, 0, 0]), 3) for how in ("max", "mean")]
    [0.6, 0.4]
    """
    factors = _factors(len(maps), how, weights)
    check_same_grid(maps)
    for volume in maps:
        check_boundary(volume)
    others = maps[1:]

    def fuse(z: int, section: Map) -> Map:
        if how == "max":
            for other in others:
                np.maximum(section, read_section(other, z), out=section)
            return section
        # Summed in double precision, so that the order of the maps does not matter.
        total = section * factors[0]
        for other, factor in zip(others, factors[1:], strict=True):
            total += read_section(other, z) * factor
        return total.astype(np.float32)

    history: dict[str, Any] = {"how": how, "maps": [volume.name for volume in maps]}
    if how == "weighted":
        history["weights"] = [float(factor) for factor in factors]
    return map_sections(maps[0], fuse, message="Fusing maps", progress=progress, fused=history)


def _factors(n_maps: int, how: How, weights: Sequence[float] | None) -> list[np.float64]:
    if n_maps < 2:
        raise InputError(f"Two or more maps are needed to fuse, not {n_maps}.")
    if how not in get_args(How):
        raise InputError(f"Maps are fused by {', '.join(get_args(How))}, not by '{how}'.")
    if how != "weighted":
        if weights is not None:
            raise InputError(f"Weights are for how = weighted only, not for {how}.")
        return [np.float64(1 / n_maps)] * n_maps
    given = np.asarray(weights if weights is not None else (), np.float64)
    if given.shape != (n_maps,):
        raise InputError(f"{n_maps} maps need {n_maps} weights, not {given.size}.")
    if not np.isfinite(given).all() or given.min() < 0 or given.sum() == 0:
        raise InputError(
            f"Weights must be 0 or more and not all 0, not {', '.join(f'{w:g}' for w in given)}."
        )
    return list(given / given.sum())
