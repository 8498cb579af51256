"""What runs in the process of a training; see :mod:`napari_emseg.training.process`.

The main thread trains. Another one listens to the parent: to Stop, to which section is
looked at, and to the end of the pipe, which is the end of the parent.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emseg.errors import InputError
from napari_emseg.networks.info import ModelInfo
from napari_emseg.progress import Cancelled
from napari_emseg.training.kept_sections import KeptFile
from napari_emseg.training.outlines import PairOutline, further_sections
from napari_emseg.training.pairs import TrainingPair
from napari_emseg.training.params import TrainParams
from napari_emseg.training.watch import View, Watch
from napari_emseg.volume import ZYX

if TYPE_CHECKING:
    from napari_emseg.training.hooks import Hook
    from napari_emseg.training.result import TrainResult

REPORT_INTERVAL_S = 0.1
STATE_INTERVAL_S = 0.25
_ORPHAN_PATIENCE_S = 5.0

Files = dict[str, list[KeptFile]]
"""By volume of a pair, what is kept of it."""


@dataclass(frozen=True)
class Work:
    """What to train on what.

    Attributes
    ----------
    pairs : sequence of PairOutline
    files : sequence of dict
        For each pair, the sections there are.
    out_path : Path
    params : TrainParams
    info : ModelInfo or None
    voxel_size_nm : (z, y, x) or None
        Of the model.
    resume : bool
    is_watched : bool
    """

    pairs: Sequence[PairOutline]
    files: Sequence[Files]
    out_path: Path
    params: TrainParams
    info: ModelInfo | None
    voxel_size_nm: ZYX | None
    resume: bool
    is_watched: bool


def serve(pipe: Connection, folder: str, niceness: int) -> None:
    """Train as the parent asks and tell it how it goes.

    Parameters
    ----------
    pipe : Connection
    folder : str
        Where the sections are; removed if the parent is gone.
    niceness : int
        How far to step back behind other programs, as Unix counts it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C concerns the parent, which says stop
    _step_back(niceness)
    # Threads that wait for each other by spinning stand still where a core is taken from one
    # of them: 10 steps on two busy cores took 7 s waiting like this, and minutes spinning.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    link = Link(pipe, folder)
    try:
        import napari_emseg.training.trainer  # noqa: F401  (while the parent reads the sections)

        _leave_a_core()
        link.send("done", _train(link))
    except Cancelled:
        link.send("cancelled")
    except KeyboardInterrupt:
        link.send("terminated")
    except InputError as error:
        link.send("refused", str(error))
    except BaseException as error:
        link.send("failed", f"{type(error).__name__}: {error}", traceback.format_exc())
    finally:
        link.tidy_up()


class Link:
    """The pipe to the parent, with a thread that listens.

    Parameters
    ----------
    pipe : Connection
    folder : str
    """

    def __init__(self, pipe: Connection, folder: str) -> None:
        self.watch = _ToldWatch(self)
        self.is_stopping = threading.Event()
        self._pipe = pipe
        self._folder = folder
        self._is_orphaned = False
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._reported_at = 0.0
        threading.Thread(target=self._listen, name="parent", daemon=True).start()

    def send(self, *message: Any) -> None:
        """Tell the parent, if it is still there."""
        with suppress(OSError):
            self._pipe.send(message)

    def receive(self) -> Any:
        """Wait for an answer of the parent.

        Raises
        ------
        Cancelled
            If it says stop, or is gone.
        """
        answer = self._answers.get()
        if answer is None:
            raise Cancelled
        return answer

    def update(self, done: int, total: int, message: str = "") -> None:
        """Report progress.

        Raises
        ------
        Cancelled
            If the parent says stop, or is gone.
        """
        if self.is_stopping.is_set():
            raise Cancelled
        now = time.monotonic()
        if now - self._reported_at >= REPORT_INTERVAL_S or done >= total:
            self._reported_at = now
            self.send("report", done, total, message)

    def _listen(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                self._take(*self._pipe.recv())
        self._is_orphaned = True
        self._stop()
        time.sleep(_ORPHAN_PATIENCE_S)  # the main thread saves and ends meanwhile
        self.tidy_up()
        os._exit(1)

    def tidy_up(self) -> None:
        """Remove what a parent that is gone cannot remove any more."""
        if self._is_orphaned:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _take(self, word: str, *content: Any) -> None:
        if word == "stop":
            self._stop()
        elif word == "look":
            number, outline, sections, at = content
            self.watch.show(View(outline.fill(sections), at, number))
        else:
            self._answers.put(content[0])

    def _stop(self) -> None:
        self.is_stopping.set()
        self._answers.put(None)


class _ToldWatch(Watch):
    """A watch whose state the parent is told now and then."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link
        self._told_at = 0.0

    def tell(self, **changes: Any) -> None:
        super().tell(**changes)
        now = time.monotonic()
        is_news = "map" in changes or "validations" in changes
        if is_news or now - self._told_at >= STATE_INTERVAL_S:
            self._told_at = now
            self.flush(with_map="map" in changes)

    def flush(self, *, with_map: bool = False) -> None:
        """Tell the parent the present state."""
        content = dict(vars(self.state()))
        view = content.pop("view")
        found = {key: content.pop(key) for key in ("map", "map_step", "section")}
        self._link.send("state", content)
        if with_map and view is not None:
            self._link.send("map", view.number, found)


def _train(link: Link) -> TrainResult:
    from napari_emseg.training.trainer import train
    from napari_emseg.training.watching import Begun, Watching

    work: Work = link.receive()
    pairs = _open_pairs(link, work)
    hooks: list[Hook] = [Begun(lambda: link.send("begun"))]
    if work.is_watched:
        hooks.append(Watching(link.watch, work.params, work.voxel_size_nm))
    try:
        return train(
            pairs,
            work.out_path,
            params=work.params,
            info=work.info,
            progress=link,
            resume=work.resume,
            hooks=hooks,
        )
    finally:
        link.watch.flush()


def _open_pairs(link: Link, work: Work) -> list[TrainingPair]:
    """Ask for what the network looks at besides, and return the pairs with all that is needed."""
    from napari_emseg.training.input_spec import describe_input
    from napari_emseg.training.start import make_blueprint

    network, beside = make_blueprint(work.params)
    spec = describe_input(network)
    around = beside + (network.receptive_field_px[0] if network.dimensions == 3 else 0) // 2
    asked = []
    for outline, files in zip(work.pairs, work.files, strict=True):
        pair = outline.fill(files)
        asked.append(
            {name: further_sections(pair, name, work.params, spec, around) for name in files}
        )
    link.send("need", asked, beside)
    more: Sequence[Files] = link.receive()
    return [
        outline.fill({name: [*files[name], *added[name]] for name in files})
        for outline, files, added in zip(work.pairs, work.files, more, strict=True)
    ]


def _step_back(niceness: int) -> None:
    """Let all other programs, and the window, go first."""
    with suppress(OSError):
        if sys.platform == "win32" and niceness:
            import psutil

            psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        elif sys.platform != "win32":
            os.nice(niceness)


def _leave_a_core() -> None:
    """Leave one core to the window where there are more than two."""
    import torch

    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if count and count > 2:
        torch.set_num_threads(min(torch.get_num_threads(), count - 1))
