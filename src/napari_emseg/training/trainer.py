"""The training loop: step, validate, keep the best, save."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from napari_emseg.errors import InputError
from napari_emseg.inference import choose_device
from napari_emseg.io.atomic import check_file_place
from napari_emseg.networks.checkpoint import save_model
from napari_emseg.networks.info import ModelInfo
from napari_emseg.progress import NO_PROGRESS, Cancelled, Progress
from napari_emseg.training.batches import BatchSource
from napari_emseg.training.curve import set_aside_scores
from napari_emseg.training.descent import Descent, Step
from napari_emseg.training.description import describe_model, flat_scores, summarise_pair
from napari_emseg.training.held_out import describe_held_out
from napari_emseg.training.hooks import Hook
from napari_emseg.training.interrupts import HeldInterrupts
from napari_emseg.training.journal import Journal
from napari_emseg.training.learned import add_learned
from napari_emseg.training.maps import add_maps, open_earlier
from napari_emseg.training.pairs import TrainingPair
from napari_emseg.training.params import TrainParams
from napari_emseg.training.result import CURVE_SUFFIX, STATE_SUFFIX, TrainResult
from napari_emseg.training.scores import name_score
from napari_emseg.training.start import make_network
from napari_emseg.training.state import Counters, load_state, save_state
from napari_emseg.training.validation import has_time_to_validate, mean_score, validate

__all__ = ["CURVE_SUFFIX", "STATE_SUFFIX", "TrainResult", "train"]


def train(
    pairs: Sequence[TrainingPair],
    out_path: str | os.PathLike[str],
    *,
    params: TrainParams | None = None,
    info: ModelInfo | None = None,
    progress: Progress = NO_PROGRESS,
    resume: bool = False,
    hooks: Sequence[Hook] = (),
) -> TrainResult:
    """Train a network and write it as one safetensors file.

    The model is the running mean of the weights at the validation with the
    best mean V_rand over the data sets, or accuracy where all that is held out is
    paint; before the first validation, and without validation sections, the latest.
    What a training starts from is validated too, so the model is never worse on those
    sections. When stopped, the state is saved and a usable model is left.

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
        uninterrupted run of as many steps would have given.
    hooks : sequence of Hook
        What looks on, as :class:`napari_emseg.training.tensorboard.TensorBoard`.

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
        trainer = _Trainer(pairs, Path(out_path), params or TrainParams(), info, hooks)
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
        hooks: Sequence[Hook],
    ) -> None:
        self.pairs = pairs
        self.info = info or describe_model(pairs, params.network)
        self.model_path = out_path.with_suffix(".safetensors")
        self.state_path = out_path.with_suffix(STATE_SUFFIX)
        self.curve_path = out_path.with_suffix(CURVE_SUFFIX)
        network = make_network(params)
        self.earlier = open_earlier(network, params.maps_from)
        # Where the network's own number of sections was asked for, it is now known.
        self.params = params.model_copy(update={"in_sections": network.in_sections})
        self.descent = Descent(network, self.params, torch.device(choose_device(params.device)))
        self.journal = Journal(self.curve_path, self.descent, hooks)
        self.counters = Counters(learned=add_learned({}, pairs))
        self.saved_at = time.monotonic()
        self.saved_steps = (-1, -1)
        self.is_whole = True
        self.is_score_due = False
        self.saving_s = 0.0

    @property
    def networks(self) -> dict[str, Any]:
        return {"network": self.descent.network, "average": self.descent.average}

    def resume(self) -> None:
        if not self.state_path.exists():
            raise InputError(
                f"There is no {self.state_path.name} to resume from; start without resuming."
            )
        self.counters = load_state(
            self.state_path, networks=self.networks, optimiser=self.descent.optimiser
        )
        self.counters.learned = add_learned(self.counters.learned, self.pairs)
        if self.descent.start is not None and self.counters.start_seen:
            self.descent.start.seen = list(self.counters.start_seen)

    def compare_held_out(self) -> None:
        """Let scores of before count only if the same is held out, labelled as it was."""
        counters, held_out = self.counters, describe_held_out(self.pairs)
        is_new = counters.step == 0
        is_other = not is_new and held_out != counters.held_out
        if is_other:
            counters.forget_best()
            set_aside_scores(self.curve_path)
        # what is begun with may be better than all that comes
        self.is_score_due = bool(held_out) and (
            is_other or (is_new and self.params.start_from != "")
        )
        counters.held_out = held_out

    def run(self, progress: Progress) -> TrainResult:
        self.model_path.parent.mkdir(parents=True, exist_ok=True)
        for path in (self.model_path, self.state_path, self.curve_path):
            check_file_place(path)  # now, because training may take hours
        self.report(progress, "preparing the sections")
        self.compare_held_out()
        self.journal.begin(self.counters, self.earlier[0] if self.earlier else None)
        if self.earlier is not None:
            self.pairs = add_maps(
                self.pairs,
                self.descent.network,
                self.earlier[0],
                device=self.params.device,
                progress=self.within(progress),
            )
        if self.counters.step == 0:
            self.save()  # what an earlier training of this name left must not be gone on with
        first_batch = self.counters.step * self.params.accumulate_batches
        try:
            with (
                BatchSource(
                    self.pairs, self.params, self.descent.network, first_step=first_batch
                ) as source,
                HeldInterrupts(progress) as watched,
            ):
                self.loop(source, watched)
            self.save()  # before a hook can fail at the end
        except (Cancelled, KeyboardInterrupt):
            self.save()
            if not self.model_path.exists():
                self.write_model()
            raise
        finally:
            self.journal.end()
        return self.result()

    def loop(self, source: BatchSource, progress: Progress) -> None:
        step: Step | None = None
        while True:
            share = self.share_done()
            if self.is_validation_due(share):
                self.save()
                self.validate(step, progress)
            if share >= 1:
                return
            step = self.step(source, share)
            if self.is_saving_due():
                self.save()
            self.report(progress, self.describe(step.loss))

    def share_done(self) -> float:
        if self.params.minutes is None:
            return self.counters.step / self.params.steps
        # what the last validation will take belongs to the time that was asked for
        budget_s = 60 * self.params.minutes - self.counters.last_validation_s
        return self.counters.seconds / budget_s if budget_s > 0 else 1.0

    def is_validation_due(self, share: float) -> bool:
        if self.is_score_due:
            return True
        step = self.counters.step
        due = step > 0 and step % self.params.validation_interval_steps == 0
        if due and self.params.minutes is not None:
            due = has_time_to_validate(self.counters.seconds, self.counters.validating_s)
        return (due or share >= 1) and self.counters.validated_step != step

    def step(self, source: BatchSource, share: float) -> Step:
        counters, started, waited_s = self.counters, time.monotonic(), source.waited_s
        self.is_whole = False
        step = self.descent.step(source, share=share, step=counters.step)
        counters.step += 1
        if self.descent.start is not None:
            counters.start_seen = list(self.descent.start.seen)
        self.is_whole = True
        counters.seconds += time.monotonic() - started
        stepped_at = time.monotonic()
        counters.waited_s += source.waited_s - waited_s
        counters.loss_sum += step.loss
        counters.loss_count += 1
        is_validation_next = self.is_validation_due(self.share_done())
        self.journal.tell_step(step, counters, is_validation_next=is_validation_next)
        counters.seconds += time.monotonic() - stepped_at  # what looks on may take its time
        return step

    def validate(self, step: Step | None, progress: Progress) -> None:
        """Validate the averaged weights; write the model if none was better."""
        counters, started = self.counters, time.monotonic()
        scores = validate(
            self.descent.kept,
            self.pairs,
            sigma_px=self.params.validation_sigma_px,
            device=str(self.descent.device),
            maps_from=self.earlier[0] if self.earlier else None,
            progress=self.within(progress),
        )
        self.is_score_due = False
        mean = mean_score(scores)
        is_best = mean is None or mean > counters.best_score
        if is_best:
            counters.best_step = counters.step
            counters.best_score = -math.inf if mean is None else mean
            counters.scores = scores
            self.write_model()
        counters.last_validation_s = time.monotonic() - started
        counters.validating_s += counters.last_validation_s
        counters.seconds += counters.last_validation_s
        counters.validated_step = counters.step
        self.journal.tell_validation(
            step, counters, scores, is_best=is_best, saving_s=self.saving_s
        )

    def describe(self, loss: float) -> str:
        """Say how the training stands."""
        message = f"step {self.counters.step}, loss {loss:.3f}"
        if math.isfinite(self.counters.best_score):
            message += f", best {name_score(self.counters.scores)} {self.counters.best_score:.4f}"
        return message

    def report(self, progress: Progress, message: str) -> None:
        if self.params.minutes is None:
            progress.update(self.counters.step, self.params.steps, message)
        else:
            total = round(60 * self.params.minutes)
            progress.update(min(round(self.counters.seconds), total), total, message)

    def within(self, progress: Progress) -> Progress:
        """Return what passes words on, but counts the steps of the training."""
        return _Within(lambda message: self.report(progress, message))

    def write_model(self) -> None:
        scores = flat_scores(self.counters.scores)
        info = self.info.model_copy(update={"scores": scores, "training": self.summary()})
        save_model(self.model_path, self.descent.kept, info, maps_from=self.earlier)

    def summary(self) -> dict[str, Any]:
        """Say how the weights came to be, in plain values."""
        return {
            "step": self.counters.step,
            "seconds": round(self.counters.seconds),
            "data": [summarise_pair(pair) for pair in self.pairs],
            "params": self.params.model_dump(mode="json"),
        }

    def is_saving_due(self) -> bool:
        # what is saved is at most an interval old when the next save is complete
        age_s = time.monotonic() - self.saved_at
        return age_s + self.saving_s > self.params.save_interval_s

    def save(self) -> None:
        steps = (self.counters.step, self.counters.validated_step)
        # an interrupt that could not be held back may have left a step half taken
        if steps == self.saved_steps or not self.is_whole:
            return
        started = time.monotonic()
        self.keep_latest()
        save_state(
            self.state_path,
            networks=self.networks,
            optimiser=self.descent.optimiser,
            counters=self.counters,
        )
        self.saved_at, self.saved_steps = time.monotonic(), steps
        self.saving_s = self.saved_at - started
        self.counters.seconds += self.saving_s

    def keep_latest(self) -> None:
        """Write the latest as the model until a validation tells which is the best."""
        if math.isfinite(self.counters.best_score) or self.counters.step == 0:
            return
        if self.is_score_due and self.model_path.exists():
            return  # it may be the best by what was held out before
        self.counters.best_step = self.counters.step
        self.write_model()

    def result(self) -> TrainResult:
        done = self.counters
        return TrainResult(
            self.model_path,
            self.state_path,
            self.curve_path,
            done.step,
            done.seconds,
            done.best_step,
            done.scores,
            done.waited_share(),
        )


class _Within:
    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report

    def update(self, done: int, total: int, message: str = "") -> None:
        self._report(message)
