"""Seconds per section of `predict`, for every network, beside two peers in the same run.

The first line is about the default network, unet2d, and what one writes first: a U-Net
of width 24 with concatenated skips and batch normalisation, one forward pass over the
section, nothing else. Then comes a line for each network and preset, with the ratio to
unet2d, timed in turn with it in the same process; where the computer has other things to
do, the seconds of its processor tell more than those of the clock. The paper of
DeepEM3D-Net has 5 s for a section of 1024x1024 on its graphics card. Networks that take
minutes for a section are timed on a part of it, and that is said: seconds are
proportional to pixels.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_emseg.inference import Predictor
from napari_emseg.networks import NETWORKS, build_network

_SECTIONS = 8  # of the volume that 3D networks are timed on
_HEAVY = {  # of paper presets: side of the part of the section
    "fusionnet": 256,
    "unet": 512,
    "unet3d": 128,
    "rsunet": 256,
    "n3": 512,
    "n4": 512,
    "vd2d": 512,
    "vd2d3d": 256,
    "rdn": 512,
    "cumedvision": 512,
}
_DEEPEM3D_SECONDS = 5.0


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


def _seconds(function: Callable[[], object]) -> tuple[float, float]:
    """Return seconds by the clock and of the processor's cores, summed."""
    clock, cores = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - clock, time.process_time() - cores


def _time_in_turn(
    runs: dict[str, Callable[[], object]], repeats: int
) -> dict[str, list[tuple[float, float]]]:
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, function in runs.items():
            times[name].append(_seconds(function))
    return times


def _compare_with_plain(size_px: int, repeats: int, device: str) -> dict[str, Any]:
    raw = _make_raw(1, size_px)
    pixels = torch.from_numpy(raw[None].astype(np.float32)).to(device)
    peer = PlainUNet().eval().to(device)
    predictor = Predictor(build_network("unet2d"), device=device)

    def run_peer() -> None:
        with torch.inference_mode():
            peer(pixels).cpu()

    runs: dict[str, Callable[[], object]] = {
        "plain": run_peer,
        "single": lambda: predictor.predict_section(raw, 0),
        "averaged": lambda: predictor.predict_section(raw, 0, tta=True),
    }
    for function in runs.values():
        function()
    found = _time_in_turn(runs, repeats)
    times = {name: [clock for clock, _ in values] for name, values in found.items()}
    best = {name: min(values) for name, values in times.items()}
    return {
        "network": "unet2d",
        "preset": "modern",
        "size_px": size_px,
        "device": device,
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


def _time_network(
    name: str, preset: str, size_px: int, repeats: int, device: str, precision: Any
) -> dict[str, Any]:
    network = build_network(name, preset)
    part_px = size_px if device != "cpu" or preset != "paper" else _HEAVY.get(name, size_px)
    part_px = min(part_px, size_px)
    depth = _SECTIONS if network.dimensions == 3 else 1
    raw, whole = _make_raw(depth, part_px), _make_raw(1, size_px)
    ours = Predictor(network, device=device, precision=precision)
    peer = Predictor(build_network("unet2d"), device=device, precision=precision)
    maps = network.in_maps  # two passes: the first through a network that costs little
    if maps:
        earlier = build_network("unet2d", "tiny")
        ours = Predictor(network, device=device, precision=precision, maps_from=earlier)
    small = _make_raw(depth, 64)
    ours.predict(small, tta=False)
    peer.predict(small, tta=False)
    runs: dict[str, Callable[[], object]] = {
        "peer": lambda: peer.predict_section(whole, 0),
        "ours": lambda: ours.predict(raw, tta=False),
    }
    times = _time_in_turn(runs, repeats)
    best = {key: [min(kind) for kind in zip(*pairs, strict=True)] for key, pairs in times.items()}
    scale = (size_px / part_px) ** 2 / depth
    seconds, cpu_seconds = (scale * value for value in best["ours"])
    result = {
        "network": name,
        "preset": preset,
        "size_px": size_px,
        "timed_on": f"{depth}x{part_px}x{part_px}",
        "device": device,
        "precision": precision,
        "parameters": sum(p.numel() for p in network.parameters()),
        "seconds_per_section": seconds,
        "cpu_seconds_per_section": cpu_seconds,
        "seconds_over_unet2d": seconds / best["peer"][0],
        "cpu_seconds_over_unet2d": cpu_seconds / best["peer"][1],
    }
    if name == "deepem3d" and preset == "paper":
        result["paper_seconds_over_ours"] = _DEEPEM3D_SECONDS / seconds * (size_px / 1024) ** 2
    return result


def _make_raw(n_sections: int, size_px: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    shape = (n_sections, size_px, size_px)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _results(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    yield _compare_with_plain(512, options.repeats, options.device)
    for name in options.networks or NETWORKS:
        for preset in ("paper", "modern"):
            if (name, preset) != ("unet2d", "paper"):
                yield _time_network(
                    name,
                    preset,
                    options.size,
                    options.repeats,
                    options.device,
                    options.precision,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--networks", nargs="*", choices=list(NETWORKS))
    options = parser.parse_args()
    torch.manual_seed(0)
    for result in _results(options):
        rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in result.items()}
        print(json.dumps(rounded), flush=True)


if __name__ == "__main__":
    main()
