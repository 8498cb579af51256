"""Which numbers a training computes with."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from napari_emseg.training.params import Precision


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    """Compute in bfloat16 within the block where that is wanted, or is an advantage.

    Examples
    --------
    >>> with autocast(torch.device("cpu"), "bfloat16"):
    ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    torch.bfloat16
    """
    if precision == "float32" or (precision == "auto" and not _computes_bfloat16(device)):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def _computes_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # Without the instruction, bfloat16 on a CPU is emulated and slower than float32.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and supported is not None and bool(supported())
