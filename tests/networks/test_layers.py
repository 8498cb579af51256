"""What networks are made of."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from napari_emseg.networks.layers import ConvBlock

_STEPS_OF_SEVERAL_THREADS = """
import torch
from napari_emseg.networks.layers import ConvBlock
torch.set_num_threads(2)
block = ConvBlock(4, 8, (1, 1), stride=2, normalise=False).to(memory_format=torch.channels_last)
for _ in range(30):
    x = torch.randn(1, 4, 24, 24, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = block(x.contiguous(memory_format=torch.channels_last))
    y.float().pow(2).mean().backward()
"""


@pytest.mark.parametrize("size", [(8, 10), (7, 9)])
def test_a_stride_leaves_out_pixels(size):
    block = ConvBlock(3, 5, (1, 1), stride=2, normalise=False, activation="none")
    x = torch.randn(2, 3, *size)
    expected = functional.conv2d(x, block.conv.weight, block.conv.bias, stride=2)
    assert torch.allclose(block(x), expected, atol=1e-6)


def test_a_stride_leaves_the_memory_alone():
    """In a process of its own: torch's way of it kills the process."""
    done = subprocess.run(
        [sys.executable, "-c", _STEPS_OF_SEVERAL_THREADS], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr[-300:]
