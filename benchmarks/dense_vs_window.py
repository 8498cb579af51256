"""Seconds for a section by the dense N4 and VD2D, beside sliding their window over it.

The window is slid as the paper did: layers without padding and pooling by its own
stride, computed anew for each pixel, a batch of windows at a time. A whole section
that way takes too long, so it is timed on pixels drawn at random and scaled up by
their number; the outputs of those pixels are compared. Floor: 100 times.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import torch
from torch import Tensor

from napari_emseg.networks import build_network
from napari_emseg.networks.padding import mirror
from napari_emseg.networks.window import WindowNetwork


def _read_windows(network: WindowNetwork, section: Tensor, positions: Tensor) -> Tensor:
    margins, side = (network.margin_px,) * 2, network.window_px
    padded = mirror(section, margins, margins)[0]
    return torch.stack([padded[:, y : y + side, x : x + side] for y, x in positions.tolist()])


def measure(name: str, size: int, pixels: int, batch: int, repeats: int) -> dict[str, Any]:
    network = build_network(name, preset="paper").eval().to(memory_format=torch.channels_last)
    assert isinstance(network, WindowNetwork)
    section = torch.randn(1, 1, size, size)
    positions = torch.randint(size, (pixels, 2))
    batches = _read_windows(network, section, positions).split(batch)
    dense_s, window_s = [], []
    with torch.inference_mode():
        network(section[..., :64, :64])
        for _ in range(repeats):
            started = time.perf_counter()
            dense = network(section)
            dense_s.append(time.perf_counter() - started)
            started = time.perf_counter()
            windows = torch.cat([network.classify(part) for part in batches])
            window_s.append(time.perf_counter() - started)
    dense = dense[0, 0, positions[:, 0], positions[:, 1]]
    whole_s = min(window_s) / pixels * size**2
    return {
        "dense_seconds": round(min(dense_s), 3),
        "window_seconds_extrapolated": round(whole_s, 1),
        "window_seconds_per_pixel": round(min(window_s) / pixels, 6),
        "window_over_dense": round(whole_s / min(dense_s), 1),
        "largest_difference_of_logits": float((dense - windows).abs().max()),
        "spread_of_logits": round(float(windows.std()), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--pixels", type=int, default=512)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    torch.manual_seed(0)
    result: dict[str, Any] = {
        "size_px": options.size,
        "threads": torch.get_num_threads(),
        "peer": "the same network slid over the section window by window, by torch",
        "window_is_extrapolated_from_pixels": options.pixels,
        "window_batch": options.batch,
    }
    for name in ("n4", "vd2d"):
        result[name] = measure(name, options.size, options.pixels, options.batch, options.repeats)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
