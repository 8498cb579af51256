"""A stack, or one section of it, through a model in one call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from napari_emseg.inference.axes import AxesPredictor
from napari_emseg.inference.choice import DEFAULT, axes_for, recommended
from napari_emseg.inference.loading import Model
from napari_emseg.inference.opening import open_model
from napari_emseg.inference.predictor import Predictor
from napari_emseg.inference.protocol import BoundaryPredictor, Resample
from napari_emseg.inference.sections import FloatArray, check_raw
from napari_emseg.networks.base import Network
from napari_emseg.networks.library import list_models
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import Volume

AxesWanted = Literal["auto", "z", "zyx"]


def predict(
    raw: Any,
    *,
    model: Model | BoundaryPredictor = "default",
    tta: bool = True,
    axes: AxesWanted = "auto",
    device: str = "auto",
    block_shape_px: int | tuple[int, ...] | None = None,
    out: Any = None,
    sections: Iterable[int] | None = None,
    resample: Resample = "auto",
    n_threads: int | None = None,
    progress: Progress = NO_PROGRESS,
) -> Volume:
    """Predict the boundary map, or the affinities, of a stack.

    A 2D network maps section by section; the result does not depend on the blocks. A 3D
    one maps slabs of blocks, which overlap and are blended where not all that the
    network sees around them fits into memory.

    Parameters
    ----------
    raw : Volume or (Z, Y, X) array
        Grey values, membranes dark or bright as in the model's training data.
    model : str, path, ModelInfo, Network or BoundaryPredictor
        Name from the library, a model file or package, or one already loaded, such as a Predictor
        or an Ensemble, which brings its own axes, device, blocks and threads. "default"
        takes the bundled one that suits the voxel size:
        :func:`napari_emseg.inference.choice.recommended`.
    tta : bool
        Average over 8 orientations, 16 for 3D networks: better, as many times slower.
    axes : {"auto", "z", "zyx"}
        "zyx": average what a 2D network sees along all three axes; "auto": so where it
        has learned from isotropic voxels and is shown such.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to compute; "auto" takes a graphics card that works.
    block_shape_px : int, ([z,] y, x) or None
        Size of the blocks a section or volume is cut into; None takes the largest
        that fits into memory.
    out : array-like ([C,] Z, Y, X), optional
        float32, or uint8 meaning value / 255; filled section by section, so what
        is finished stays when the user stops.
    sections : iterable of int, optional
        Sections wanted, in this order; others are left as they are (0 without `out`).
    resample : {"auto", "never"}
        "auto": where the pixel size is more than 1.5 times off the model's,
        bring the section to the model's and the map back; not for affinities, whose
        offsets count pixels.
    n_threads : int, optional
        CPU cores to use at most; by default all.
    progress : Progress, optional
        Told the sections done, at least once per block.

    Returns
    -------
    Volume
        Kind "boundary", 1 = membrane, or kind "affinities", 1 = same neuron, with
        ``provenance["offsets"]``; same grid as `raw`. ``provenance["predict"]`` holds
        model, device and seconds, ``provenance["notes"]`` what was noticed.

    Raises
    ------
    InputError
        If the input is no raw volume or has values that are not numbers, or
        there is no such model, section or device.
    Cancelled
        If `progress` asks to stop.

    Examples
    --------
    >>> import numpy as np
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
    if isinstance(model, BoundaryPredictor):
        return model.predict(raw, **options)
    volume = check_raw(raw)
    model, axes, reason = _settle(volume, model, axes)
    if reason:
        notes = [*volume.provenance.get("notes", []), reason]
        volume = volume.derive(volume.data, kind="raw", notes=notes)
    how: dict[str, Any] = {"device": device, "n_threads": n_threads}
    with _open(model, block_shape_px=block_shape_px, **how) as one:
        if axes == "auto":
            axes = axes_for(volume.voxel_size_nm, [one.info])
        seen: BoundaryPredictor = AxesPredictor(one) if axes == "zyx" else one
        return seen.predict(volume, **options)


def predict_section(
    raw: Any,
    z: int,
    *,
    model: Model | BoundaryPredictor = "default",
    tta: bool = False,
    device: str = "auto",
    resample: Resample = "auto",
    progress: Progress = NO_PROGRESS,
) -> FloatArray:
    """Predict the boundary map of one section, for a quick look.

    Parameters are those of :func:`predict`; along z only. Hand over a
    :class:`~napari_emseg.inference.Predictor` to load the model only once.

    Returns
    -------
    (Y, X) float32 in [0, 1], 1 = membrane; (C, Y, X) for affinities

    Raises
    ------
    InputError
        As :func:`predict`.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_emseg.networks import build_network
    >>> network = build_network("unet2d", preset="tiny")
    >>> raw = np.random.default_rng(0).integers(0, 255, (2, 40, 50), np.uint8)
    >>> predict_section(raw, 1, model=network, device="cpu").shape
    (40, 50)
    """
    if isinstance(model, BoundaryPredictor):
        return model.predict_section(raw, z, tta=tta, resample=resample, progress=progress)
    model, _, _ = _settle(check_raw(raw), model, "z")
    with _open(model, device=device) as predictor:
        return predictor.predict_section(raw, z, tta=tta, resample=resample, progress=progress)


def _settle(volume: Volume, model: Model, axes: AxesWanted) -> tuple[Model, AxesWanted, str]:
    """Name the model and the axes that suit the voxels, and say why, where that is asked for."""
    if model != DEFAULT:
        return model, axes, ""
    found = recommended(volume, list_models())
    is_as_said = axes in ("auto", found.axes)
    return found.model, found.axes if is_as_said else axes, found.reason if is_as_said else ""


def _open(model: Model, **how: Any) -> BoundaryPredictor:
    return Predictor(model, **how) if isinstance(model, Network) else open_model(model, **how)
