"""How loops are compiled: the only place that knows of numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile at the first call, without the interpreter lock, and remember it on disk.

    Where neither the package folder nor the user's cache folder can be written
    to, the function is compiled anew in each process.
    """
    try:
        compiled: Function = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder for its cache
        compiled = numba.njit(nogil=True)(function)
    return compiled
