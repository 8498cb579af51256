"""Every network on the same sections with the same budget: the table of docs/results.md.

Trains each network for a number of minutes of processor time (those of the
process, so that other work on the machine does not count), predicts the later
sections, scores them, and appends one JSON line to the results file; what stands
there is not trained again. Then writes the tables of docs/results.md and
docs/networks from the lines.

    python benchmarks/networks.py --data DATA --cpu-minutes 4 --networks unet2d,fusionnet
    python benchmarks/networks.py --data DATA --networks all
    python benchmarks/networks.py --speed            # untrained, in the sizes of the papers
    python benchmarks/networks.py --recipes --cpu-minutes 1    # of the papers, shortened
    python benchmarks/networks.py --pages            # only write the pages

Without arguments it prints the lines there are. `--data` is the folder with
isbi2012 and fib25; EMSEG_DATA by default. Trained models stay in `--work`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _budget import seconds_per_step
from _network_pages import read_lines, write_pages
from _recipes import SHORTENED, run_shortened
from _runs import RUNS, SPLITS, Run, open_pair, score

from napari_emseg import Volume
from napari_emseg.inference import Predictor
from napari_emseg.networks import build_network
from napari_emseg.networks.layers import count_parameters
from napari_emseg.training import TrainParams, train

ROOT = Path(__file__).resolve().parents[1]
PAPER_SIZES = (
    ("n4", "paper"),
    ("n3", "n1"),
    ("vd2d", "paper"),
    ("vd2d3d", "paper"),
    ("cumedvision", "paper"),
    ("fusionnet", "paper"),
    ("fusionnet", "author"),
    ("deepem3d", "paper"),
    ("pdeepem3d", "paper"),
    ("rdn", "paper"),
    ("unet", "paper"),
    ("unet2d", "modern"),
)


def main() -> None:
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    lines = read_lines(options.results)
    if (options.networks or options.recipes) and options.data is None:
        raise SystemExit("Say --data FOLDER or set EMSEG_DATA.")
    if options.speed:
        measure_speed(options, lines)
    elif options.recipes:
        for name in SHORTENED:
            if name not in {line.get("recipe") for line in lines}:
                line = run_shortened(name, options.data, options.work, options.cpu_minutes)
                lines.append(add_line(options.results, line))
                write_pages(lines)
    elif options.networks:
        names = RUNS if options.networks == "all" else options.networks.split(",")
        for name in names:
            if not is_done(lines, name, options):
                lines.append(add_line(options.results, run(RUNS[name], options)))
                write_pages(lines)
    elif options.pages:
        write_pages(lines)
    else:
        for line in lines:
            print(json.dumps(line))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("EMSEG_DATA"))
    parser.add_argument("--results", type=Path, default=ROOT / "docs" / "results.jsonl")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "emseg-results")
    parser.add_argument("--cpu-minutes", type=float, default=4.0, metavar="N")
    parser.add_argument("--networks", metavar="A,B", help=f"all, or some of {', '.join(RUNS)}")
    parser.add_argument(
        "--device", default="cpu", help="on another than cpu, minutes are wall time"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--recipes", action="store_true")
    parser.add_argument("--pages", action="store_true")
    return parser.parse_args()


def add_line(path: Path, line: dict[str, Any]) -> dict[str, Any]:
    tidy = {k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in line.items()}
    tidy = {
        k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in tidy.items()
    }
    with path.open("a") as file:
        file.write(json.dumps(tidy) + "\n")
    print(json.dumps(tidy), flush=True)
    return tidy


def is_done(lines: list[dict[str, Any]], name: str, options: argparse.Namespace) -> bool:
    key = (name, options.cpu_minutes, options.device)
    return key in {(r.get("run"), r.get("minutes"), r.get("device")) for r in lines}


def run(row: Run, options: argparse.Namespace) -> dict[str, Any]:
    """Train, predict and score one network."""
    pair = open_pair(row.data, options.data)
    clock = time.process_time if options.device == "cpu" else time.perf_counter
    budget_s = 60 * options.cpu_minutes
    out = options.work / f"{row.name}_{options.cpu_minutes:g}_{options.device}.safetensors"
    out.parent.mkdir(parents=True, exist_ok=True)
    params = make_params(row, options.device)
    step_s = seconds_per_step(pair, out, params, clock)
    params = params.model_copy(update={"steps": max(2, round(budget_s / step_s))})
    started, wall = clock(), time.perf_counter()
    result = train([pair], out, params=params)
    trained_s, wall_s = clock() - started, time.perf_counter() - wall
    later = SPLITS[row.data][1]
    with Predictor(out, device=options.device) as predictor:
        part = pair.raw.derive(pair.raw.read(slice(later.start - 2, later.stop + 2)), kind="raw")
        predicted = predictor.predict(part, tta=False)
        inner = predicted.derive(
            np.asarray(predicted.data)[..., 2 : 2 + len(later), :, :], kind=predicted.kind
        )
        speed = section_seconds(predictor, pair.raw, clock)
    return {
        "run": row.name,
        "network": row.network,
        "preset": row.preset,
        "data": row.data,
        "minutes": options.cpu_minutes,
        "device": options.device,
        "threads": options.threads,
        "parameters": count_parameters(build(row, params)),
        "steps": result.steps,
        "images": result.steps * params.batch_size,
        "patch_px": params.patch_px,
        "training_s": trained_s,
        "training_wall_s": wall_s,
        **speed,
        **score(row.data, inner, pair.labels),
    }


def make_params(row: Run, device: str) -> TrainParams:
    """Fill in the training: the modern default, batches made in this process."""
    chosen = {"network": row.network, "preset": row.preset, "device": device, **row.params}
    drawn = {"membrane_reach_px": 6} if row.data == "isbi2012" else {}
    never = {"validation_interval_steps": 10**9, "save_interval_s": 10**9, "workers": 0}
    return TrainParams(**{"steps": 10**6, **never, **drawn, **chosen})


def build(row: Run, params: TrainParams) -> torch.nn.Module:
    with torch.device("meta"):
        return build_network(row.network, row.preset, **params.network_params())


def section_seconds(
    predictor: Predictor, raw: Volume, clock: Callable[[], float]
) -> dict[str, float]:
    """Time a section of 512 x 512; a volume counts by its voxels."""
    if predictor.info.dimensions == 3:
        block = raw.derive(raw.read(slice(0, 32))[:, :128, :128], kind="raw")
        sections = block.data.size / 512**2
        return {"section_s": _best(lambda: predictor.predict(block, tta=False), clock) / sections}
    part = np.resize(raw.read(slice(0, 5)), (5, 512, 512))
    block = Volume(np.ascontiguousarray(part))
    times = {"section_s": _best(lambda: predictor.predict_section(block, 2), clock)}
    if "deepem3d" in predictor.info.network:
        large = Volume(np.tile(part, (1, 2, 2)))
        times["section_1024_s"] = _best(lambda: predictor.predict_section(large, 2), clock)
    return times


def _best(function: Callable[[], object], clock: Callable[[], float], repeats: int = 3) -> float:
    times: list[float] = []
    for _ in range(repeats):
        started = clock()
        function()
        times.append(clock() - started)
        if times[0] > 20:
            break
    return min(times)


def measure_speed(options: argparse.Namespace, lines: list[dict[str, Any]]) -> None:
    """Time networks of the papers' sizes with fresh weights; weights change no times."""
    clock = time.process_time if options.device == "cpu" else time.perf_counter
    raw = Volume(np.random.default_rng(0).integers(0, 256, (5, 512, 512), np.uint8))
    done = {(line.get("speed"), line["preset"], line["device"]) for line in lines}
    for name, preset in PAPER_SIZES:
        if (name, preset, options.device) in done:
            continue
        network = build_network(name, preset)
        line: dict[str, Any] = {"speed": name, "preset": preset, "device": options.device}
        line |= {"threads": options.threads, "parameters": count_parameters(network)}
        if network.in_maps:
            raw_maps = np.zeros((1, network.in_sections + network.in_maps, 512, 512), np.float32)
            pixels = torch.from_numpy(raw_maps)
            network.eval()
            with torch.inference_mode():
                line["section_s"] = _best(lambda n=network, p=pixels: n(p), clock)
        else:
            with Predictor(network, device=options.device) as predictor:
                line |= section_seconds(predictor, raw, clock)
        lines.append(add_line(options.results, line))
        write_pages(lines)


if __name__ == "__main__":
    sys.exit(main())
