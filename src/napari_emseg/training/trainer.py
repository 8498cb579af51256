"""The training loop: sample, augment, step, average, validate, keep the best."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_emseg.errors import InputError
from napari_emseg.inference import choose_device
from napari_emseg.inference.device import is_out_of_memory
from napari_emseg.inference.sections import SectionReader
from napari_emseg.networks import build_network
from napari_emseg.networks.base import Network
from napari_emseg.networks.checkpoint import save_model
from napari_emseg.networks.info import ModelInfo
from napari_emseg.progress import NO_PROGRESS, Cancelled, Progress
from napari_emseg.training.augment import change_brightness, choose_index, draw_fields, look_up
from napari_emseg.training.dataset import IGNORED, TrainingPair, make_target
from napari_emseg.training.params import TrainParams
from napari_emseg.training.state import Counters, load_state, save_state
from napari_emseg.training.validation import validate

STATE_SUFFIX = ".training"
CURVE_SUFFIX = ".curve.jsonl"


@dataclass(frozen=True)
class TrainResult:
    """What a training left.

    Attributes
    ----------
    model_path, state_path, curve_path : Path
        The model; what resuming needs; loss and validation as JSON lines.
    steps, seconds : int, float
        Done in all, over all resumptions.
    best_step : int
        Step of the checkpoint that is the model.
    scores : dict
        Validation scores of the model by data set.
    """

    model_path: Path
    state_path: Path
    curve_path: Path
    steps: int
    seconds: float
    best_step: int
    scores: dict[str, dict[str, float]]


def train(
    pairs: Sequence[TrainingPair],
    out_path: str | os.PathLike[str],
    *,
    params: TrainParams | None = None,
    info: ModelInfo | None = None,
    progress: Progress = NO_PROGRESS,
    resume: bool = False,
) -> TrainResult:
    """Train a network and write it as one safetensors file.

    The model is the running mean of the weights at the validation with the
    best mean V_rand over the data sets; without validation sections, the
    latest. When stopped, the state is saved and a usable model is left.

    Parameters
    ----------
    pairs : sequence of TrainingPair
        At least one; see :func:`napari_emseg.training.hold_out` and
        :func:`napari_emseg.training.load_training_set`.
    out_path : path
        The model, ``.safetensors``. Beside it: ``NAME.training`` for resuming
        and ``NAME.curve.jsonl``.
    params : TrainParams, optional
    info : ModelInfo, optional
        Title, licence and so on of the model; by default made from the data.
    progress : Progress
        Told after every step.
    resume : bool
        Go on from ``NAME.training``; on a CPU in float32 bit for bit what an
        uninterrupted run would have given.

    Raises
    ------
    InputError
        If there is no data or nothing fitting to resume from, memory does not suffice,
        or the loss is no number any more.
    Cancelled
        If `progress` asks to stop, after saving.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from napari_emseg.samples import make_synthetic
    >>> from napari_emseg.training import hold_out
    >>> pair = hold_out(*make_synthetic((3, 96, 96)))
    >>> params = TrainParams(steps=2, batch_size=1, patch_px=64, depth=2)
    >>> with TemporaryDirectory() as folder:
    ...     train([pair], f"{folder}/mine.safetensors", params=params).steps
    2
    """
    if not pairs:
        raise InputError("There is nothing to train on: give raw sections and their labels.")
    # Dropout and initial weights use torch's global generator; give it back as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed((params or TrainParams()).seed)
        trainer = _Trainer(pairs, Path(out_path), params or TrainParams(), info)
        if resume:
            trainer.resume()
        return trainer.run(progress)


class _Trainer:
    def __init__(
        self,
        pairs: Sequence[TrainingPair],
        out_path: Path,
        params: TrainParams,
        info: ModelInfo | None,
    ) -> None:
        self.pairs = pairs
        self.info = info or describe_model(pairs, params.network)
        self.model_path = out_path.with_suffix(".safetensors")
        self.state_path = out_path.with_suffix(STATE_SUFFIX)
        self.curve_path = out_path.with_suffix(CURVE_SUFFIX)
        self.device = torch.device(choose_device(params.device))
        network = build_network(params.network, params.preset, **params.network_params())
        self.network = _channels_last(network.to(self.device))
        # Where the network's own number of sections was asked for, it is now known.
        self.params = params.model_copy(update={"in_sections": network.in_sections})
        self.average = copy.deepcopy(self.network).eval()
        self.optimiser = _make_optimiser(self.network, params)
        self.generator = torch.Generator().manual_seed(params.seed)
        self.sampler = _Sampler(pairs, self.params, network.in_sections)
        self.counters = Counters()
        self.losses: list[float] = []

    def resume(self) -> None:
        if not self.state_path.exists():
            raise InputError(
                f"There is no {self.state_path.name} to resume from; start without resuming."
            )
        self.counters = load_state(
            self.state_path,
            networks={"network": self.network, "average": self.average},
            optimiser=self.optimiser,
            generator=self.generator,
            params=self.params.model_dump(mode="json"),
        )
        _truncate_curve(self.curve_path, self.counters.step)

    def run(self, progress: Progress) -> TrainResult:
        if self.counters.step == 0:
            self.curve_path.unlink(missing_ok=True)
        saved = started = time.monotonic()
        try:
            while True:
                share = self.share_done()
                if self.is_validation_due(share):
                    self.keep_if_best(progress)
                    started = time.monotonic()
                if share >= 1:
                    break
                loss = self.step(share)
                now = time.monotonic()
                self.counters.seconds += now - started
                started = now
                if now - saved > self.params.save_interval_s:
                    self.save()
                    saved = started = time.monotonic()
                self.report(progress, loss)
        except (Cancelled, KeyboardInterrupt):
            self.save()
            if self.counters.best_step < 0:
                self.write_model()
            raise
        self.save()
        done = self.counters
        return TrainResult(
            self.model_path,
            self.state_path,
            self.curve_path,
            done.step,
            done.seconds,
            done.best_step,
            done.scores,
        )

    def is_validation_due(self, share: float) -> bool:
        step = self.counters.step
        due = share >= 1 or (step > 0 and step % self.params.validation_interval_steps == 0)
        return due and self.counters.validated_step != step

    def share_done(self) -> float:
        if self.params.minutes is not None:
            return self.counters.seconds / (60 * self.params.minutes)
        return self.counters.step / self.params.steps

    def report(self, progress: Progress, loss: float) -> None:
        best = self.counters.best_score
        message = f"step {self.counters.step}, loss {loss:.3f}"
        if math.isfinite(best):
            message += f", best V_rand {best:.4f}"
        if self.params.minutes is None:
            progress.update(self.counters.step, self.params.steps, message)
        else:
            total = round(60 * self.params.minutes)
            progress.update(min(round(self.counters.seconds), total), total, message)

    def step(self, share: float) -> float:
        """Take one step of the optimiser and return its loss."""
        try:
            loss = self.descend(share)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise InputError(
                f"The memory of device {self.device.type} does not suffice for "
                f"{self.params.batch_size} patches of {self.params.patch_px} x "
                f"{self.params.patch_px} pixels: take a smaller batch size or patch size."
            ) from error
        if not math.isfinite(loss):
            raise InputError(
                f"The training came off the rails in step {self.counters.step}: its loss is no "
                "number any more. Try a lower learning rate."
            )
        self.losses.append(loss)
        return loss

    def descend(self, share: float) -> float:
        self.network.train()
        rate = learning_rate(share, self.params)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        images, targets = self.sampler.draw(self.generator)
        images = images.to(self.device, memory_format=torch.channels_last)
        with _autocast(self.device, self.params.precision):
            logits = self.network(images)
        loss = boundary_loss(logits.float(), targets.to(self.device), self.params.dice_weight)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.params.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.params.gradient_clip)
        self.optimiser.step()
        self.counters.step += 1
        _update_average(self.average, self.network, self.params.ema_decay, self.counters.step)
        return float(loss.detach())

    def keep_if_best(self, progress: Progress) -> None:
        """Validate the averaged weights; write the model if none was better."""
        started = time.monotonic()
        scores = validate(
            self.average,
            self.pairs,
            sigma_px=self.params.validation_sigma_px,
            device=str(self.device),
            progress=progress,
        )
        mean = float(np.mean([s["v_rand"] for s in scores.values()])) if scores else None
        if mean is None or mean > self.counters.best_score:
            self.counters.best_step = self.counters.step
            self.counters.best_score = -math.inf if mean is None else mean
            self.counters.scores = scores
            self.write_model()
        _append_line(
            self.curve_path,
            {
                "step": self.counters.step,
                "seconds": round(self.counters.seconds, 1),
                "loss": round(float(np.mean(self.losses)), 5) if self.losses else None,
                "learning_rate": learning_rate(min(self.share_done(), 1), self.params),
                "validation_seconds": round(time.monotonic() - started, 1),
                "scores": scores,
            },
        )
        self.losses.clear()
        self.counters.validated_step = self.counters.step

    def write_model(self) -> None:
        self.model_path.parent.mkdir(parents=True, exist_ok=True)
        info = self.info.model_copy(
            update={"scores": flat_scores(self.counters.scores), "training": self.summary()}
        )
        save_model(self.model_path, self.average, info)

    def summary(self) -> dict[str, Any]:
        """Say how the weights came to be, in plain values."""
        return {
            "step": self.counters.step,
            "seconds": round(self.counters.seconds),
            "data": [summarise_pair(pair) for pair in self.pairs],
            "params": self.params.model_dump(mode="json"),
        }

    def save(self) -> None:
        self.state_path.parent.mkdir(parents=True, exist_ok=True)
        save_state(
            self.state_path,
            networks={"network": self.network, "average": self.average},
            optimiser=self.optimiser,
            generator=self.generator,
            counters=self.counters,
            params=self.params.model_dump(mode="json"),
        )


class _Sampler:
    """Draws augmented batches from all pairs, all training sections held in memory."""

    def __init__(
        self, pairs: Sequence[TrainingPair], params: TrainParams, in_sections: int
    ) -> None:
        self.params = params
        self.weights = [pair.weight for pair in pairs]
        self.sections = [_read_sections(pair, params, in_sections) for pair in pairs]

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw images (N, C, H, W) float32 and targets (N, 1, H, W) uint8."""
        params = self.params
        fields = draw_fields(generator, params.batch_size, params.patch_px, params.augment)
        images, targets = [], []
        for field in fields:
            sections = self.sections[choose_index(generator, self.weights)]
            image, target = sections[int(torch.randint(len(sections), (), generator=generator))]
            extent = torch.tensor(image.shape[-2:], dtype=torch.float32) - 1
            # Centres keep a third of a patch from the edge: the rest would be mirror image.
            margin = torch.minimum(extent / 2, torch.tensor(params.patch_px / 3))
            centre = margin + (extent - 2 * margin) * torch.rand(2, generator=generator)
            images.append(look_up(image, field, centre, "bilinear"))
            targets.append(look_up(target.float(), field, centre, "nearest").to(torch.uint8))
        batch = change_brightness(generator, torch.stack(images), params.augment)
        return batch, torch.stack(targets)


def _read_sections(
    pair: TrainingPair, params: TrainParams, in_sections: int
) -> list[tuple[Tensor, Tensor]]:
    reader = SectionReader(pair.raw, in_sections, None)
    sections = []
    for z in pair.train_sections:
        image = reader.read(z)
        if image is None:  # a blank section teaches nothing
            continue
        target = make_target(
            pair,
            z,
            boundary_px=params.boundary_px,
            membrane_reach_px=params.membrane_reach_px,
        )
        sections.append((torch.from_numpy(image), torch.from_numpy(target)[None]))
    if not sections:
        raise InputError(f"{pair.name}: all training sections are blank.")
    return sections


def learning_rate(share: float, params: TrainParams) -> float:
    """One-cycle schedule: cosine up to the peak, cosine down to almost nothing."""
    peak, warmup = params.learning_rate, params.warmup_fraction
    if share < warmup:
        low, done = peak / 25, share / warmup
        return low + (peak - low) * (1 - math.cos(math.pi * done)) / 2
    done = (share - warmup) / (1 - warmup)
    return peak * (1e-3 + (1 - 1e-3) * (1 + math.cos(math.pi * done)) / 2)


def boundary_loss(logits: Tensor, targets: Tensor, dice_weight: float) -> Tensor:
    """Binary cross-entropy plus weighted soft Dice over the pixels that are known.

    Parameters
    ----------
    logits : Tensor, float32, (N, 1, H, W)
    targets : Tensor, uint8, same shape
        1 = boundary, 0 = inside, 255 = not known.
    dice_weight : float
        0 for cross-entropy alone.
    """
    known = targets != IGNORED
    if not known.any():
        return logits.sum() * 0
    logits, truth = logits[known], targets[known].float()
    loss = functional.binary_cross_entropy_with_logits(logits, truth)
    if dice_weight:
        chance = logits.sigmoid()
        overlap = 2 * (chance * truth).sum() + 1
        loss = loss + dice_weight * (1 - overlap / (chance.sum() + truth.sum() + 1))
    return loss


def describe_model(pairs: Sequence[TrainingPair], network: str) -> ModelInfo:
    """Describe a model by the data it was trained on."""
    data = ", ".join(f"{p.name} sections {format_sections(p.train_sections)}" for p in pairs)
    return ModelInfo(
        network=network,
        title="Trained on " + ", ".join(pair.name for pair in pairs),
        trained_on=data,
        voxel_size_nm=pairs[0].raw.voxel_size_nm,
    )


def summarise_pair(pair: TrainingPair) -> dict[str, Any]:
    """Say what of a pair was used for what, in plain values."""
    size = pair.raw.voxel_size_nm
    return {
        "name": pair.name,
        "train_sections": format_sections(pair.train_sections),
        "validation_sections": format_sections(pair.validation_sections),
        "voxel_size_nm": None if size is None else list(size),
        "weight": pair.weight,
    }


def format_sections(sections: Sequence[int]) -> str:
    """Write section numbers with runs shortened.

    Examples
    --------
    >>> format_sections([0, 1, 2, 5, 7, 8])
    '0-2, 5, 7-8'
    """
    runs: list[list[int]] = []
    for z in sorted(sections):
        if runs and z == runs[-1][-1] + 1:
            runs[-1].append(z)
        else:
            runs.append([z])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def flat_scores(scores: dict[str, dict[str, float]]) -> dict[str, float]:
    """Name scores of several data sets in one flat dict."""
    return {
        f"{name} {key}": round(value, 5)
        for name, values in scores.items()
        for key, value in values.items()
    }


def _make_optimiser(network: nn.Module, params: TrainParams) -> torch.optim.Optimizer:
    # Biases and normalisation are few and must not shrink.
    decayed = [p for p in network.parameters() if p.ndim > 1]
    free = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": params.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=params.learning_rate)


@torch.no_grad()
def _update_average(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    # Early on the mean must follow quickly, or it stays full of random weights.
    keep = min(decay, (1 + step) / (10 + step))
    mean, current = average.state_dict(), network.state_dict()
    floats = [key for key, value in mean.items() if value.is_floating_point()]
    torch._foreach_lerp_([mean[k] for k in floats], [current[k] for k in floats], 1 - keep)


def _channels_last(network: Network) -> Network:
    network.to(memory_format=torch.channels_last)
    return network


def _autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    if precision == "float32" or (precision == "auto" and not _computes_bfloat16(device)):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def _computes_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # Without the instruction, bfloat16 on a CPU is emulated and slower than float32.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and supported is not None and bool(supported())


def _append_line(path: Path, record: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def _truncate_curve(path: Path, step: int) -> None:
    """Drop what an interrupted run wrote after its last saved state."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if _step_of(line) <= step), encoding="utf-8")


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # torn when the power went
        return math.inf
