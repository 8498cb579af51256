"""Which model suits the voxels of a stack, looking along which axes; known without torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, Protocol

from napari_emseg.errors import InputError
from napari_emseg.inference.isotropy import check_flat, check_isotropic
from napari_emseg.networks.info import ModelInfo
from napari_emseg.volume import ZYX

Axes = Literal["z", "zyx"]
DEFAULT = "default"
"""What stands for the model that suits the voxels."""
CUBES_MODEL = "drosophila_fibsem"
_CUBES_NM = (5.0, 16.0)
_FAMILIES = {CUBES_MODEL: "FIB-SEM"}


class HasVoxelSize(Protocol):
    """A volume, or a reference to one."""

    @property
    def voxel_size_nm(self) -> ZYX | None: ...


class Recommendation(NamedTuple):
    """A model to take where the user names none.

    Attributes
    ----------
    model : str
        Its name; "default" where no model is installed.
    axes : {"z", "zyx"}
        Along which to look.
    reason : str
        Why, in one sentence; blank for the model that is taken when nothing is known.
    """

    model: str
    axes: Axes
    reason: str


def recommended(raw: HasVoxelSize, models: Sequence[ModelInfo]) -> Recommendation:
    """Choose a model by the voxels: serial sections, or cubes of a FIB-SEM.

    Parameters
    ----------
    raw : Volume or Reference
        Only its voxel size counts; where that is not known, sections are assumed.
    models : sequence of ModelInfo
        Those installed.

    Returns
    -------
    Recommendation

    Examples
    --------
    >>> from napari_emseg.volume import Volume
    >>> import numpy as np
    >>> stack = Volume(np.zeros((1, 1, 1)), voxel_size_nm=(10, 10, 10))
    >>> fibsem = ModelInfo(name="drosophila_fibsem", network="unet2d", voxel_size_nm=(10, 10, 10))
    >>> recommended(stack, [fibsem]).reason
    'Voxels are 10 nm cubes: the FIB-SEM model is used, averaged over all three axes.'
    """
    usable = [info for info in models if not info.problem]
    size = raw.voxel_size_nm
    for info in usable:
        if info.name == CUBES_MODEL and _are_cubes(size):
            axes = axes_for(size, [info])
            averaged = ", averaged over all three axes" if axes == "zyx" else ""
            reason = f"Voxels are {_words(size)}: the {_FAMILIES[info.name]} model is used"
            return Recommendation(info.name, axes, f"{reason}{averaged}.")
    name = next((info.name for info in usable if info.default), DEFAULT)
    return Recommendation(name, "z", "")


def axes_for(voxel_size_nm: ZYX | None, models: Iterable[ModelInfo]) -> Axes:
    """Choose along which axes some models look: all three where they and the data suit it.

    That is where a network of sections has learned from cubes and is shown cubes.

    Examples
    --------
    >>> cubes = ModelInfo(network="unet2d", voxel_size_nm=(8, 8, 8))
    >>> axes_for((10, 10, 10), [cubes]), axes_for((50, 4, 4), [cubes])
    ('zyx', 'z')
    """
    infos = list(models)
    try:
        check_isotropic(voxel_size_nm)
        for info in infos:
            check_flat(info)
            check_isotropic(info.voxel_size_nm)
    except InputError:
        return "z"
    return "zyx" if infos else "z"


def _are_cubes(voxel_size_nm: ZYX | None) -> bool:
    """Whether voxels are about cubes, of the size that a FIB-SEM makes."""
    try:
        check_isotropic(voxel_size_nm)
    except InputError:
        return False
    low, high = _CUBES_NM
    return voxel_size_nm is not None and low <= min(voxel_size_nm) <= max(voxel_size_nm) <= high


def _words(voxel_size_nm: ZYX | None) -> str:
    assert voxel_size_nm is not None
    lengths = list(dict.fromkeys(f"{length:g}" for length in voxel_size_nm))
    if len(lengths) == 1:
        return f"{lengths[0]} nm cubes"
    return f"about cubes ({' x '.join(f'{length:g}' for length in voxel_size_nm)} nm)"
