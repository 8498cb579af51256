"""Making batches: against the same warp by scipy, and how long a training waits for them.

The peer does what one writes first: the nodes of the elastic field enlarged by
`scipy.ndimage.zoom`, then `map_coordinates` for the picture and the labels. `ratio`
is how many times faster than it a patch is warped here, in seconds of one
processor, in the same run on the same patches; `difference` is the largest between
both pictures in grey values of 255. `waited` is the share of the wall time in which
a training of `network` waited, by number of processes; floor: under 0.05.

    python benchmarks/augmentation.py --raw train_raw.tif --labels train_membranes.tif
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from napari_emseg.io import open_volume
from napari_emseg.networks import build_network
from napari_emseg.samples import make_synthetic
from napari_emseg.training import TrainingPair, TrainParams, hold_out
from napari_emseg.training.augment_lookup import spread
from napari_emseg.training.augment_warp import STILL, Warp, draw_warp
from napari_emseg.training.batch_arrays import make_arrays
from napari_emseg.training.batches import BatchSource
from napari_emseg.training.input_spec import describe_input
from napari_emseg.training.sources import Source, open_sources
from napari_emseg.training.warped import Place, pick_sections, read_sections


def main() -> None:
    options = parse_arguments()
    pair = open_pair(options)
    network = build_network(options.network, options.preset)
    params = TrainParams(patch_px=options.patch_px, batch_size=options.batch_size, workers=0)
    spec = describe_input(network)
    sources = open_sources([pair], params, spec)
    make_arrays(sources, params, spec, 0)  # compile
    batch_s = clock(lambda step: make_arrays(sources, params, spec, step), options.repeats)
    report = {
        "claim": "batches are made faster than they are learned from",
        "patch_px": options.patch_px,
        "batch_size": options.batch_size,
        "cores": os.cpu_count(),
        **compare(sources[0], params, options.repeats),
        "batch_ms": round(1e3 * batch_s, 2),
        "network": options.network,
        "waited": {
            workers: waited_share(pair, params, network, workers, options)
            for workers in options.workers
        },
    }
    print(json.dumps(report))


def compare(source: Source, params: TrainParams, repeats: int) -> dict[str, Any]:
    """Warp the same patches here and by scipy."""
    size_px = params.patch_px
    section, _ = source.raw.block((0, 0, 0), (1, *source.raw.shape[1:]))
    truth, _ = source.truth.block((0, 0, 0), (1, *source.truth.shape[1:]))
    sections = np.zeros(1, np.int64)

    def place(step: int) -> tuple[Place, np.ndarray]:
        rng = np.random.default_rng(step)
        still = params.augment.model_copy(update={"elastic_sigma_px": 0})
        warp = draw_warp(rng, (1, size_px, size_px), still, field_px=size_px)
        centre = np.array([0, *(n / 2 for n in section.shape[1:])])
        count = math.ceil((size_px - 1) / 24) + 1  # as many as are 24 px apart at most
        nodes = rng.standard_normal((count, count, 2), np.float32) * 5
        return Place(centre, warp, (0, 0)), nodes

    def ours(step: int) -> tuple[np.ndarray, np.ndarray]:
        found, nodes = place(step)
        warp = Warp(found.warp.matrix, spread(nodes, (size_px, size_px)), STILL[None].copy())
        warped = Place(found.centre, warp, found.run)
        picture = read_sections(source.raw, warped, sections, size_px)
        return picture[0], pick_sections(source.truth, warped, sections, size_px)[0]

    def peer(step: int, field: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        found, nodes = place(step)
        if field is None:
            scale = (size_px / nodes.shape[0], size_px / nodes.shape[1], 1)
            field = ndimage.zoom(nodes, scale, order=3, grid_mode=False)
        axis = np.arange(size_px) - (size_px - 1) / 2
        grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1) + field
        where = np.moveaxis(grid @ found.warp.matrix[1:, 1:].T + found.centre[1:], -1, 0)
        image = section[0].astype(np.float32)
        picture = ndimage.map_coordinates(image, where, order=1, mode="mirror")
        return picture, ndimage.map_coordinates(truth[0], where, order=0, mode="mirror")

    field = spread(place(0)[1], (size_px, size_px))
    difference = np.abs(ours(0)[0] - peer(0, field)[0]).max()
    ours_s, peer_s = clock(ours, repeats), clock(peer, repeats)
    return {
        "peer": "scipy.ndimage",
        "warp_ms": round(1e3 * ours_s, 2),
        "peer_warp_ms": round(1e3 * peer_s, 2),
        "ratio": round(peer_s / ours_s, 1),
        "difference": round(float(difference), 4),
    }


def clock(make: Callable[[int], object], repeats: int) -> float:
    """Return seconds of processor time a call takes."""
    make(0)
    started = time.process_time()
    for step in range(repeats):
        make(step)
    return (time.process_time() - started) / repeats


def waited_share(
    pair: TrainingPair,
    params: TrainParams,
    network: torch.nn.Module,
    workers: int,
    options: argparse.Namespace,
) -> dict[str, float]:
    """Train for some steps and return the share of the time spent waiting."""
    device = torch.device(options.device)
    network.to(device).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    with BatchSource([pair], params.model_copy(update={"workers": workers}), network) as batches:

        def step() -> None:
            batch = batches.next()
            logits = network(batch.images.to(device))
            truth = batch.targets.to(device).float().clamp(max=1)
            loss = functional.binary_cross_entropy_with_logits(logits, truth)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss.item()  # until the device has finished

        started = time.perf_counter()
        while time.perf_counter() - started < options.warm_up_s:  # processes are starting
            step()
        batches.waited_s, steps = 0.0, 0
        started = time.perf_counter()
        while time.perf_counter() - started < options.seconds:
            step()
            steps += 1
        wall_s = time.perf_counter() - started
    return {
        "share": round(batches.waited_s / wall_s, 4),
        "step_ms": round(1e3 * wall_s / steps, 1),
    }


def open_pair(options: argparse.Namespace) -> TrainingPair:
    if not options.raw:
        return hold_out(*make_synthetic((6, 512, 512)))
    raw, labels = open_volume(options.raw), open_volume(options.labels)
    return TrainingPair(raw, labels, "membranes", tuple(range(labels.shape[0])))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raw", help="sections; by default synthetic ones of 512 x 512")
    parser.add_argument("--labels", help="image of their membranes")
    parser.add_argument("--network", default="unet2d")
    parser.add_argument("--preset", default="modern")
    parser.add_argument("--patch-px", type=int, default=192)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm-up-s", type=float, default=6.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
