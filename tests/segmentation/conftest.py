from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile


@pytest.fixture(scope="session")
def fib_boundary(shared_data: Path) -> np.ndarray:
    """A network's boundary map of isotropic FIB-SEM, (12, 100, 200) float32."""
    return tifffile.imread(shared_data / "gala_fib" / "train_boundary.tif")[:12]


@pytest.fixture(scope="session")
def fib_neurons(shared_data: Path) -> np.ndarray:
    """True ids in 3D of the same block, 0 = boundary."""
    return tifffile.imread(shared_data / "gala_fib" / "train_neurons.tif")[:12].astype(np.int64)


@pytest.fixture(scope="session")
def noisy_boundary(shared_data: Path) -> np.ndarray:
    """Raw ssTEM sections, inverted, as a map full of shallow minima; (2, 200, 301) uint8."""
    raw = tifffile.imread(shared_data / "isbi2012" / "train_raw.tif", key=range(2))
    return 255 - raw[:, :200, :301]
