"""What networks are made of."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from napari_emseg.networks.layers import ConvBlock, ThinConv3d

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


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("kernel", [(3, 3, 3), (1, 3, 3), (5, 3, 1)])
def test_a_convolution_of_thin_volumes_is_the_usual_one(depth, kernel):
    padding = tuple(size // 2 for size in kernel)
    thin = ThinConv3d(2, 3, kernel, padding=padding)
    x = torch.randn(1, 2, depth, 7, 9)
    usual = functional.conv3d(x, thin.weight, thin.bias, padding=padding)
    torch.testing.assert_close(thin(x), usual)


def test_the_gradient_of_two_sections_takes_in_no_memory_that_nobody_wrote():
    conv = ThinConv3d(24, 8, 3, padding=1, bias=False)
    for _ in range(30):
        left = [torch.full((length,), torch.nan) for length in range(100, 20_000, 500)]
        del left  # what comes next may lie there
        conv.zero_grad()
        x = torch.randn(1, 24, 2, 16, 16, requires_grad=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = conv(x)
        y.float().square().mean().backward()
        assert torch.isfinite(conv.weight.grad).all()
