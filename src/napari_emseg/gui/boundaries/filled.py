"""A map that is being written, and which of its sections are."""

from __future__ import annotations

from typing import Any

import numpy as np


class Filled:
    """Takes sections for an array and notes which were written, whoever writes them.

    Parameters
    ----------
    data : (z, y, x) array
        Filled one section at a time.
    """

    def __init__(self, data: Any) -> None:
        self._data = data
        self.shape, self.dtype = tuple(data.shape), np.dtype(data.dtype)
        self.sections: list[int] = []

    def __setitem__(self, key: Any, value: Any) -> None:
        self._data[key] = value
        parts = key if isinstance(key, tuple) else (key,)
        self.sections.append(int(next(part for part in parts if part is not ...)))

    def __getitem__(self, key: Any) -> Any:
        return self._data[key]
