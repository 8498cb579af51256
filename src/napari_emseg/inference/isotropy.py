"""Whether averaging over the three axes makes sense; known without torch."""

from __future__ import annotations

from napari_emseg.errors import InputError
from napari_emseg.networks.info import ModelInfo
from napari_emseg.volume import ZYX

LARGEST_RATIO = 1.5


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
