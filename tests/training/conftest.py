"""Tiny stacks of square cells, quick enough to train on in a second."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emseg.training import TrainingPair, TrainParams
from napari_emseg.volume import Volume


@pytest.fixture(scope="session")
def tiny() -> TrainParams:
    return TrainParams(
        width=4,
        depth=2,
        steps=8,
        batch_size=2,
        patch_px=32,
        validation_interval_steps=4,
        precision="float32",
        device="cpu",
    )


def make_cells(n_sections: int = 5, shape_yx: tuple[int, int] = (47, 61)) -> np.ndarray:
    """Ids of square cells 12 px wide that drift a pixel per section."""
    z, y, x = np.indices((n_sections, *shape_yx))
    return ((y + z) // 12 * 100 + (x + z) // 12 + 1).astype(np.uint32)


@pytest.fixture
def cells() -> TrainingPair:
    ids = make_cells()
    edge = np.zeros(ids.shape, bool)
    edge[:, :-1] |= ids[:, :-1] != ids[:, 1:]
    edge[:, :, :-1] |= ids[:, :, :-1] != ids[:, :, 1:]
    noise = np.random.default_rng(0).normal(0, 10, ids.shape)
    raw = np.clip(180 - 120 * edge + noise, 0, 255).astype(np.uint8)
    return TrainingPair(
        Volume(raw, voxel_size_nm=(50, 4, 4)),
        Volume(ids, kind="labels", voxel_size_nm=(50, 4, 4)),
        "labels",
        train_sections=(0, 1, 2),
        validation_sections=(3, 4),
        name="cells",
    )
