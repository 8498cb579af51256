"""Seconds per 512x512 section of `predict`, beside a plain U-Net run by hand.

The peer is what one writes first: a U-Net of width 24 with concatenated skips
and batch normalisation, one forward pass over the section, nothing else. Both
are timed in turn in the same process; floors: 0.2 s and, averaged, 1.5 s on two
idle cores.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

from napari_emseg.inference import Predictor
from napari_emseg.networks import build_network


class PlainUNet(nn.Module):
    """Ronneberger et al. 2015 with padding and batch normalisation."""

    def __init__(self, width: int = 24, depth: int = 5) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth)]
        self.down = nn.ModuleList(map(_double, [1, *widths[:-1]], widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in widths[:-1])
        self.merge = nn.ModuleList(_double(2 * w, w) for w in widths[:-1])
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for level, block in enumerate(self.down):
            x = block(nn.functional.max_pool2d(x, 2) if level else x)
            skips.append(x)
        x = skips.pop()
        for up, merge in zip(reversed(self.up), reversed(self.merge), strict=True):
            x = merge(torch.cat([up(x), skips.pop()], 1))
        return torch.sigmoid(self.head(x))


def _double(channels_in: int, channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for source in (channels_in, channels):
        layers += [
            nn.Conv2d(source, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def _seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", type=int, default=512)
    options = parser.parse_args()
    torch.manual_seed(0)
    shape = (1, options.size, options.size)
    raw = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    pixels = torch.from_numpy(raw[None].astype(np.float32))
    peer = PlainUNet().eval()
    predictor = Predictor(build_network("unet2d"), device="cpu")

    def run_peer() -> None:
        with torch.inference_mode():
            peer(pixels)

    runs: dict[str, Callable[[], object]] = {
        "plain": run_peer,
        "single": lambda: predictor.predict_section(raw, 0),
        "averaged": lambda: predictor.predict_section(raw, 0, tta=True),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for function in runs.values():
        function()
    for _ in range(options.repeats):
        for name, function in runs.items():
            times[name].append(_seconds(function))
    best = {name: min(values) for name, values in times.items()}
    result = {
        "size_px": options.size,
        "threads": torch.get_num_threads(),
        "seconds_per_section": best["single"],
        "seconds_per_section_averaged": best["averaged"],
        "median_seconds_per_section": median(times["single"]),
        "median_seconds_per_section_averaged": median(times["averaged"]),
        "peer": "plain U-Net, width 24, one torch forward pass",
        "peer_seconds_per_section": best["plain"],
        "peer_seconds_over_ours": best["plain"] / best["single"],
        "peer_seconds_over_ours_averaged": best["plain"] / best["averaged"],
    }
    print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in result.items()}))


if __name__ == "__main__":
    main()
