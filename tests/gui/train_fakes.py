"""A training without a network: it tells a watch, and leaves a model and a state."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.gui.conftest import save_untrained

from napari_emseg.gui.layers import add_volume
from napari_emseg.progress import Cancelled, Progress
from napari_emseg.steps import train as train_step
from napari_emseg.training.pairs import TrainingPair
from napari_emseg.training.result import CURVE_SUFFIX, STATE_SUFFIX, TrainResult
from napari_emseg.training.watch import Watch
from napari_emseg.volume import Volume

STEPS = 400


class FakeTraining:
    """Stands in for `napari_emseg.steps.train.run`; keeps what it was asked."""

    def __init__(self, folder: Path, *, steps: int = STEPS, pause_s: float = 0.005) -> None:
        self._model = (save_untrained(folder) / "untrained.safetensors").read_bytes()
        self.steps, self.pause_s = steps, pause_s
        self.asked: list[dict[str, Any]] = []
        self.pairs: list[Sequence[TrainingPair]] = []
        self.done = 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> FakeTraining:
        monkeypatch.setattr(train_step, "run", self.run)
        return self

    def run(
        self,
        pairs: Sequence[TrainingPair],
        *,
        out_path: Path,
        watch: Watch,
        resume: bool,
        progress: Progress,
        **asked: Any,
    ) -> TrainResult:
        self.pairs.append(pairs)
        self.asked.append({**asked, "out_path": out_path, "resume": resume})
        self.done = self.done if resume else 0
        state = out_path.with_suffix(STATE_SUFFIX)
        try:
            while self.done < self.steps:
                time.sleep(self.pause_s)
                self.done += 1
                self._tell(watch)
                progress.update(self.done, self.steps, f"step {self.done}, loss 0.3")
        except Cancelled:
            state.write_bytes(b"state")
            out_path.write_bytes(self._model)
            raise
        state.write_bytes(b"state")
        out_path.write_bytes(self._model)
        curve = out_path.with_suffix(CURVE_SUFFIX)
        return TrainResult(out_path, state, curve, self.done, 1.0, self.done, {}, 0.0)

    def _tell(self, watch: Watch) -> None:
        loss = 0.2 + 0.5 / (1 + self.done / 20)
        state, view = watch.state(), watch.view()
        validations = state.validations
        if self.done % 50 == 0:
            validations = (*validations, (self.done, {"accuracy": 1 - loss / 2}))
        told: dict[str, Any] = {
            "step": self.done,
            "samples": 4 * self.done,
            "seconds": self.done / 10,
            "loss": loss,
            "losses": (*state.losses, (self.done, loss)),
            "validations": validations,
            "best_step": self.done // 50 * 50,
        }
        if view is not None and self.done % 20 == 0:
            size = view.raw.shape[1:]
            told |= {
                "section": view.section,
                "map": np.full(size, 0.5, np.float32),
                "map_step": self.done,
            }
        watch.tell(**told)


def raw_stack(name: str = "stack", depth: int = 5) -> Volume:
    grey = np.random.default_rng(0).integers(0, 255, (depth, 60, 76), np.uint8)
    return Volume(grey, name=name, voxel_size_nm=(50, 4, 4))


def paint_some(layer: Any, *sections: int) -> None:
    """Paint a stroke of each kind, as a brush would."""
    for z in sections:
        for label, row in ((1, 10), (2, 30)):
            columns = np.arange(5, 50)
            where = (np.full(columns.size, z), np.full(columns.size, row), columns)
            layer.data_setitem(where, label)


def open_stack(step: Any) -> Any:
    """Open a stack in the viewer of a train step."""
    return add_volume(step.viewer, raw_stack())
