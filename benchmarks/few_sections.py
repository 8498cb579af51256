"""What a few labelled sections of unseen tissue are worth: the tables of docs/few-sections.md.

For each data set left out: V_rand of a model that has never seen its like, then of preset Quick
on 1, 2 and 4 sections of it, from nothing and from that model, with dense labels and with strokes
on 5 % of the pixels. Each run appends one JSON line to the lines there are; what stands there is
not run again. The budget is seconds of the processor on one thread, so that other work on the
machine does not count.

    python benchmarks/few_sections.py --data DATA --bases                # trains the models first
    python benchmarks/few_sections.py --data DATA --run                  # most telling first
    python benchmarks/few_sections.py --data DATA --run --sets vnc2013 --sections 2
    python benchmarks/few_sections.py --data DATA --candidates all --sets vnc2013,fib25
    python benchmarks/few_sections.py --page                             # only write the page

Without arguments it prints the lines there are. `--data` is the folder with isbi2012, vnc2013,
fib25 and gala_fib; EMSEG_DATA by default. Models stay in `--work`.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from _budget import seconds_per_step
from _few_pages import WEAK_START, WEAKLY_STARTED, read_lines, write_page
from _few_sets import DATA_SETS, ROOT, Labels, choose_sections, label_few, open_pair, score

from napari_emseg.networks.library import find_model
from napari_emseg.training import TrainingPair, TrainParams, load_training_set, train
from napari_emseg.training.augment_params import AugmentParams
from napari_emseg.training.description import describe_model
from napari_emseg.training.pairs import make_target
from napari_emseg.training.presets import preset_params
from napari_emseg.training.resampled import at_voxel_size
from napari_emseg.training.targets import IGNORED
from napari_emseg.training.training_set import read_training_set

QUICK = "quick"
CANDIDATES: dict[str, dict[str, Any]] = {
    QUICK: {},
    "none of the start kept": {"start_share": 0.0},
    "a quarter of the start kept": {"start_share": 0.25},
    "half of the start kept": {"start_share": 0.5},
    "none kept, rate 4e-4": {"start_share": 0.0, "learning_rate": 4e-4},
    "none kept, rate 4e-3": {"start_share": 0.0, "learning_rate": 4e-3},
    "none kept, not resampled": {"start_share": 0.0, "is_native": True},
    "rate 4e-3": {"learning_rate": 4e-3},
    "changed as for hours": {"augment": AugmentParams().model_dump()},
    "balanced": {"class_balance": True},
    "not balanced": {"class_balance": False},
    "patches of 256": {"patch_px": 256, "batch_size": 2},
    "patches of 128": {"patch_px": 128, "batch_size": 8},
    "not resampled": {"is_native": True},
    "boundary of 3": {"boundary_px": 3},
}
"""What is changed of the preset Quick, in trying out what it should be."""
KEYS = ("set", "start", "labels", "sections", "candidate", "base")
_NEVER = {"validation_interval_steps": 10**9, "save_interval_s": 10**9, "workers": 0}


@dataclass(frozen=True)
class Cell:
    """A cell of the table; no sections: the model that has never seen the data."""

    data: str
    start: str
    labels: str
    sections: int
    candidate: str = QUICK
    base: str = ""

    def is_in(self, lines: list[dict[str, Any]]) -> bool:
        mine = (self.data, self.start, self.labels, self.sections, self.candidate, self.base)
        return mine in {tuple(line[key] for key in KEYS) for line in lines}


def main() -> None:
    options = parse_arguments()
    torch.set_num_threads(1)
    if (options.bases or options.run or options.candidates) and options.data is None:
        raise SystemExit("Say --data FOLDER or set EMSEG_DATA.")
    if options.bases:
        for name in options.sets:
            train_base(name, options)
    cells = choose_cells(options)
    for cell in cells:
        if not cell.is_in(read_lines(options.results)):
            add_line(options.results, run(cell, options))
            write_page(read_lines(options.results))
    if options.page:
        write_page(read_lines(options.results))
    elif not (cells or options.bases):
        for line in read_lines(options.results):
            print(json.dumps(line))


def parse_arguments() -> argparse.Namespace:
    def names(text: str) -> list[str]:
        return text.split(",")

    def counts(text: str) -> list[int]:
        return [int(count) for count in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("EMSEG_DATA"))
    parser.add_argument("--results", type=Path, default=ROOT / "docs" / "few_sections.jsonl")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache/emseg-few-sections")
    parser.add_argument("--bases", action="store_true", help="train what has not seen each set")
    parser.add_argument("--run", action="store_true", help="run the cells not in the lines yet")
    parser.add_argument("--candidates", type=names, help="all, or some names, for the preset")
    parser.add_argument("--base", help="name of a model to start candidates from instead")
    parser.add_argument("--minutes", type=float, help="instead of those of the preset")
    parser.add_argument("--sets", type=names, default=list(DATA_SETS))
    parser.add_argument("--starts", type=names, default=["fine-tuned", "scratch"])
    parser.add_argument("--labels", type=names, default=["sparse", "dense"])
    parser.add_argument("--sections", type=counts, default=[2, 1, 4])
    parser.add_argument("--page", action="store_true")
    return parser.parse_args()


def choose_cells(options: argparse.Namespace) -> list[Cell]:
    """List what is asked for, most telling first."""
    if options.candidates:
        names = list(CANDIDATES) if options.candidates == ["all"] else options.candidates
        return [
            Cell(data, start, labels, sections, name, options.base or f"leave_{data}")
            for name in names
            for sections in options.sections
            for start in options.starts
            for data in options.sets
            for labels in options.labels
        ]
    if not options.run:
        return []
    before = [
        Cell(data, "base", "", 0, base=base)
        for data in options.sets
        for base in (f"leave_{data}", DATA_SETS[data].seen_by)
    ]
    weak = [
        Cell(data, "fine-tuned" if labels else "base", labels, 2 if labels else 0, base=WEAK_START)
        for data in WEAKLY_STARTED
        for labels in ("", *options.labels)
    ]
    return (
        before
        + weak
        + [
            Cell(data, start, labels, sections, base=f"leave_{data}")
            for counts in ([n for n in options.sections if n == 2], options.sections)
            for start in options.starts
            for sections in counts
            for labels in options.labels
            for data in options.sets
        ]
    )


def base_path(name: str, options: argparse.Namespace) -> Path:
    """Return the file of a model that was trained for this, or of one of the library."""
    own = Path(options.work) / f"{name}.safetensors"
    return own if name.startswith("leave_") else find_model(name).path or own


def train_base(name: str, options: argparse.Namespace) -> None:
    """Train the model that never sees a data set, as its file in scripts/ says."""
    out = base_path(f"leave_{name}", options)
    if out.exists():
        return
    file = ROOT / "scripts" / f"training_set_{out.stem}.yaml"
    content = read_training_set(file)
    pairs = load_training_set(file, data_folder=options.data)
    described = describe_model(pairs, content.params["network"])
    info = described.model_copy(
        update={**content.model, "voxel_size_nm": tuple(content.model["voxel_size_nm"])}
    )
    train(pairs, out, params=TrainParams(**content.params, workers=0), info=info)


def run(cell: Cell, options: argparse.Namespace) -> dict[str, Any]:
    """Train and score one cell of the table."""
    data = DATA_SETS[cell.data]
    pair, base = open_pair(data, options.data), base_path(cell.base, options)
    line: dict[str, Any] = {
        "set": cell.data,
        "start": cell.start,
        "labels": cell.labels,
        "sections": cell.sections,
        "candidate": cell.candidate,
        "base": cell.base,
    }
    if not cell.sections:
        return line | score(base, data, pair)
    kind: Labels = "sparse" if cell.labels == "sparse" else "dense"
    numbers = choose_sections(data, cell.sections)
    few = label_few(data, pair, kind, numbers)
    known = sum(int((make_target(few, z) != IGNORED).sum()) for z in numbers)
    start_from = str(base) if cell.start == "fine-tuned" else ""
    out = model_path(cell, options)
    trained = train_quick(cell, few, start_from, out, options.minutes)
    return line | {"numbers": numbers, "labelled_px": known} | trained | score(out, data, pair)


def model_path(cell: Cell, options: argparse.Namespace) -> Path:
    named = (cell.data, cell.start, cell.labels, cell.sections, cell.candidate, cell.base)
    return Path(options.work) / f"{'_'.join(map(str, named)).replace(' ', '_')}.safetensors"


def train_quick(
    cell: Cell, pair: TrainingPair, start_from: str, out: Path, minutes: float | None
) -> dict[str, Any]:
    """Train by the preset for its minutes, of the processor."""
    started, wall = time.process_time(), time.perf_counter()
    changes = dict(CANDIDATES[cell.candidate])
    params = preset_params(
        "quick",
        start_from=start_from,
        minutes=minutes,
        device="cpu",
        is_painted=pair.labels_kind == "painted",
    )
    is_native = changes.pop("is_native", False)
    budget_s = 60 * (params.minutes or 0)
    augment = params.augment.model_copy(update=changes.pop("augment", {}))
    params = params.model_copy(update={"minutes": None, **_NEVER, "augment": augment, **changes})
    if start_from and not is_native:
        pair = at_voxel_size(pair, find_model(start_from).voxel_size_nm)
    prepared_s = time.process_time() - started
    step_s = _step_seconds(pair, out, params)
    params = params.model_copy(update={"steps": max(2, round(budget_s / step_s))})
    started = time.process_time()
    train([pair], out, params=params)
    return {
        "minutes": budget_s / 60,
        "learning_rate": params.learning_rate,
        "steps": params.steps,
        "training_s": time.process_time() - started,
        "total_s": time.process_time() - started + prepared_s,
        "wall_s": time.perf_counter() - wall,
    }


_seconds: dict[tuple[int, int], float] = {}


def _step_seconds(pair: TrainingPair, out: Path, params: TrainParams) -> float:
    """Time steps once for each size of batch, so that all cells take as many."""
    size = params.patch_px, params.batch_size
    if size not in _seconds:
        _seconds[size] = seconds_per_step(pair, out, params, time.process_time)
    return _seconds[size]


def add_line(path: Path, line: dict[str, Any]) -> None:
    tidy = {k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in line.items()}
    with path.open("a") as file:
        file.write(json.dumps(tidy) + "\n")
    print(json.dumps(tidy), flush=True)


if __name__ == "__main__":
    main()
