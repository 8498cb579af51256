"""Training in a process of its own, so that a window never waits for it.

The window's Python thread shares nothing with it; its memory, also that of a graphics
card, is given back when it ends; and if it is ended for want of memory, only what was
learned since the last save is lost.

Only the sections that are needed go there, through files in a temporary folder. The
process hangs on a pipe of this one: it ends, after saving, when this one does, however.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import get_context, util
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emseg.errors import InputError
from napari_emseg.progress import NO_PROGRESS, Cancelled, Progress
from napari_emseg.training.kept_sections import keep_sections, read_section
from napari_emseg.training.outlines import PairOutline, VolumeOutline, first_sections
from napari_emseg.training.pairs import TrainingPair
from napari_emseg.training.params import TrainParams
from napari_emseg.training.process_child import Files, Work, serve
from napari_emseg.training.result import STATE_SUFFIX, TrainResult
from napari_emseg.training.saved import saved_step
from napari_emseg.training.spawning import start_process
from napari_emseg.training.watch import View, Watch

if TYPE_CHECKING:
    from napari_emseg.networks.info import ModelInfo

__all__ = ["train_in_process"]

NICENESS = 10
"""How far the process steps back behind others."""
_TICK_S = 0.1
_PATIENCE_S = 20.0
"""How long a training may take to save when it is stopped."""
_LOOK_AFTER_S = 0.2
"""How long a section must be looked at before it is sent."""
_REMEMBERED = 8

# Python waits for other processes when it ends; what is registered later is done before.
assert util is not None


def train_in_process(
    pairs: Sequence[TrainingPair],
    out_path: str | os.PathLike[str],
    *,
    params: TrainParams | None = None,
    info: ModelInfo | None = None,
    watch: Watch | None = None,
    progress: Progress = NO_PROGRESS,
    resume: bool = False,
) -> TrainResult:
    """Train as :func:`napari_emseg.training.train`, in another process.

    It steps back behind all other programs and leaves one processor core free where there
    are more than two. The labels are taken as they are now.

    Parameters
    ----------
    pairs, out_path, params, info
        As of :func:`napari_emseg.training.train`.
    watch : Watch, optional
        Told how the training stands; the map of the section it looks at is made over there.
    progress, resume
        As of :func:`napari_emseg.training.train`. A stop is answered after the step,
        and at once before the first one.

    Raises
    ------
    InputError
        As :func:`napari_emseg.training.train`; or if the process was ended from outside,
        as for want of memory: then it says what is saved.
    Cancelled
        If `progress` asks to stop, after saving.

    Examples
    --------
    >>> from napari_emseg.samples import make_synthetic
    >>> from napari_emseg.training import hold_out
    >>> pair = hold_out(*make_synthetic((3, 96, 96)))
    >>> params = TrainParams(steps=2, batch_size=1, patch_px=64, depth=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     train_in_process([pair], f"{folder}/mine.safetensors", params=params).steps
    2
    """
    if not pairs:
        raise InputError("There is nothing to train on: give raw sections and their labels.")
    folder = Path(tempfile.mkdtemp(prefix="emseg-training-"))
    try:
        training = _Training(folder, Path(out_path), watch, progress)
        try:
            training.begin(pairs, params or TrainParams(), info, resume=resume)
            return training.follow()
        except (Cancelled, KeyboardInterrupt):
            training.stop()
            raise
        finally:
            training.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Training:
    """The process, and what it tells."""

    def __init__(
        self, folder: Path, out_path: Path, watch: Watch | None, progress: Progress
    ) -> None:
        self._folder = folder
        self._out_path = out_path
        self._watch = watch
        self._progress = progress
        self._report: tuple[int, int, str] = (0, 1, "starting")
        self._has_begun = False
        self._pairs: Sequence[TrainingPair] = ()
        self._looks = _Looks(watch) if watch is not None else None
        self._pipe, far_end = get_context("spawn").Pipe()
        self._process = start_process(
            serve, (far_end, str(folder), NICENESS), name="training", daemon=False
        )
        far_end.close()  # so that the end of the process is seen at this end
        self._is_left = False
        atexit.register(self._leave)

    def begin(
        self,
        pairs: Sequence[TrainingPair],
        params: TrainParams,
        info: ModelInfo | None,
        *,
        resume: bool,
    ) -> None:
        """Read the sections, while the process loads its libraries, and hand them over."""
        self._progress.update(*self._report)
        self._pairs = pairs
        outlines = [PairOutline.of(pair) for pair in pairs]
        wanted = [
            {name: first_sections(p) for name in o.volumes}
            for p, o in zip(pairs, outlines, strict=True)
        ]
        work = Work(
            pairs=outlines,
            files=self._keep(wanted, "first"),
            out_path=self._out_path.absolute(),
            params=params,
            info=info,
            voxel_size_nm=(info.voxel_size_nm if info else pairs[0].raw.voxel_size_nm),
            resume=resume,
            is_watched=self._watch is not None,
        )
        self._send("work", work)

    def follow(self) -> TrainResult:
        """Pass on what the process tells until it ends.

        Raises
        ------
        InputError, Cancelled, RuntimeError
            As the training did, or if the process was ended.
        """
        while True:
            if (result := self._hear(_TICK_S)) is not None:
                return result
            if self._looks is not None:
                self._looks.send_to(self._pipe)
            self._progress.update(*self._report)

    def stop(self) -> None:
        """Let it save; before the first step there is nothing to save."""
        if not self._has_begun:
            self._process.kill()
            return
        self._send("stop")
        deadline = time.monotonic() + _PATIENCE_S
        with suppress(Cancelled, InputError, RuntimeError):
            while time.monotonic() < deadline and self._hear(_TICK_S) is None:
                pass

    def close(self) -> None:
        """End the process, if it has not ended by itself."""
        atexit.unregister(self._leave)
        self._pipe.close()  # tells it to save and end
        if self._has_begun:
            self._process.join(_PATIENCE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _leave(self) -> None:
        """End the process as the program ends, which would else wait for it."""
        self._is_left = True
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _keep(self, wanted: Sequence[Mapping[str, set[int]]], name: str) -> list[Files]:
        """Copy sections of the volumes of each pair, as they are now, into files."""
        kept: list[Files] = []
        for number, (pair, sections) in enumerate(zip(self._pairs, wanted, strict=True)):
            kept.append({})
            for volume, chosen in sections.items():
                path = self._folder / f"{name}-{number}-{volume}.npy"
                data = getattr(pair, volume)
                kept[-1][volume] = (
                    [keep_sections(data, chosen, path, progress=self)] if chosen else []
                )
        return kept

    def update(self, done: int, total: int, message: str = "") -> None:
        """Pass on that sections are read, of which nobody knows what share of the whole it is."""
        self._progress.update(0, 1, f"{message}: {done} of {total} sections")

    def _send(self, *message: Any) -> None:
        with suppress(OSError):  # that it has ended is heard from the pipe
            self._pipe.send(message)

    def _hear(self, timeout_s: float) -> TrainResult | None:
        try:
            if not self._pipe.poll(timeout_s):
                return None
            word, *content = self._pipe.recv()
        except Exception as error:
            if self._is_left:  # the pipe was closed meanwhile
                raise Cancelled from None
            if not isinstance(error, EOFError | OSError):
                raise
            raise self._explain_end() from None
        return self._take(word, content)

    def _take(self, word: str, content: list[Any]) -> TrainResult | None:
        match word:
            case "report":
                self._report = (content[0], content[1], content[2])
            case "begun":
                self._has_begun = True
            case "need":
                self._send("more", self._keep(content[0], "more"))
                if self._looks is not None:
                    self._looks.reach = content[1]
            case "state":
                self._tell(**content[0])
            case "map":
                self._tell(**content[1], view=self._looks and self._looks.sent.get(content[0]))
            case "done":
                result: TrainResult = content[0]
                return result
            case _:
                raise self._explain(word, *content)
        return None

    def _tell(self, **changes: Any) -> None:
        if self._watch is not None:
            self._watch.tell(**changes)

    def _explain(self, word: str, message: str = "", trace: str = "") -> Exception:
        """Return the exception that ended the training over there."""
        if word == "cancelled":
            return Cancelled()
        if word == "refused":
            return InputError(message)
        if word == "terminated":
            return self._explain_end("by the system or another program")
        error = RuntimeError(message)
        error.add_note(trace)
        return error

    def _explain_end(self, by: str = "") -> InputError:
        """Return the error that says that the process was ended, and what is saved."""
        self._process.join(_PATIENCE_S)
        code = self._process.exitcode
        if not by:
            is_killed = code is not None and code == -getattr(signal, "SIGKILL", 9)
            by = "probably for want of memory" if is_killed else f"unexpectedly (exit code {code})"
        step = saved_step(self._out_path.with_suffix(STATE_SUFFIX)) if self._has_begun else None
        if not step:
            return InputError(
                f"The training was ended {by}, before anything was saved: close other programs, or "
                "take a smaller batch or patch size, and start again."
            )
        return InputError(
            f"The training was ended {by}. What was learned up to step {step} is saved, and Resume "
            "goes on from there; close other programs before."
        )


class _Looks:
    """Sends the sections that a watch looks at.

    Attributes
    ----------
    reach : int or None
        How many sections around one are needed; None until that is known.
    sent : dict
        The last views, by number.
    """

    def __init__(self, watch: Watch) -> None:
        self.reach: int | None = None
        self.sent: dict[int, View] = {}
        self._watch = watch
        self._seen: View | None = None
        self._seen_at = 0.0

    def send_to(self, pipe: Connection) -> None:
        """Send the section looked at, if it is another one and looked at for a moment."""
        view = self._watch.view()
        if view is None or self.reach is None or view.number in self.sent:
            return
        if view is not self._seen:  # somebody who leafs through is not waited on
            self._seen, self._seen_at = view, time.monotonic()
        if time.monotonic() - self._seen_at < _LOOK_AFTER_S:
            return
        self.sent = dict([*self.sent.items(), (view.number, view)][-_REMEMBERED:])
        first, last = view.section - self.reach, view.section + self.reach
        around = range(max(0, first), min(view.raw.shape[0], last + 1))
        # a section that cannot be read is told of where somebody predicts it, not here
        with suppress(InputError, OSError):
            sections = {z: read_section(view.raw, z) for z in around}
            pipe.send(("look", view.number, VolumeOutline.of(view.raw), sections, view.section))
