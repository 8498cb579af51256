"""What a training would be like, said before it starts: how long, and from how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_emseg.errors import InputError
from napari_emseg.gui.context import Context
from napari_emseg.gui.jobs import format_seconds
from napari_emseg.gui.train.material import Material, make_pairs
from napari_emseg.gui.train.wishes import wishes_of
from napari_emseg.progress import Progress
from napari_emseg.steps.train import TrainChoice, params_of
from napari_emseg.training.pairs import TrainingPair

_KEY = "train outlook"
_SETTLE_MS = 200


@dataclass(frozen=True)
class Outlook:
    """One sentence, and whether a training can start."""

    words: str
    is_ready: bool


class TrainOutlook(QObject):
    """Looks at what is wished for in the background, a moment after the last change.

    Signals: `changed` with an `Outlook`.
    """

    changed = Signal(object)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._context = context
        self.now = Outlook(" ", is_ready=False)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SETTLE_MS)
        self._soon.timeout.connect(self.refresh)

    def refresh_soon(self, *_: object) -> None:
        """Look once nothing changes any more."""
        self._soon.start()

    def refresh(self) -> None:
        """Look now."""
        wishes = wishes_of(self._context)
        try:
            materials, choice = wishes.materials(), wishes.full_choice()
        except InputError as error:
            self._context.jobs.stop(_KEY)
            self._tell(Outlook(str(error), is_ready=False))
            return
        self._context.jobs.start(
            partial(look_ahead, materials, choice),
            title="Looking at what is to be learned",
            key=_KEY,
            lane="look",
            on_result=self._tell,
        )

    def _tell(self, outlook: Outlook) -> None:
        self.now = outlook
        self.changed.emit(outlook)


def look_ahead(materials: list[Material], choice: TrainChoice, progress: Progress) -> Outlook:
    """Say how long a training takes and from how many sections it learns, or why it cannot."""
    from napari_emseg.training.estimate import expected_seconds, seconds_per_step

    try:
        pairs = make_pairs(materials, keep=False)
        params = params_of(choice, pairs)
        a_step = 0.0 if params.minutes else seconds_per_step(params, progress=progress)
        seconds = expected_seconds(params, pairs, a_step)
    except InputError as error:
        return Outlook(str(error), is_ready=False)
    words = f"About {format_seconds(seconds)}; {describe_pairs(pairs)}."
    return Outlook(words, is_ready=True)


def describe_pairs(pairs: Sequence[TrainingPair]) -> str:
    """Say how many sections are learned from and held out.

    Examples
    --------
    >>> describe_pairs([])
    'learns from 0 sections, none held out'
    """
    learned = sum(len(pair.train_sections) for pair in pairs)
    held = sum(len(pair.validation_sections) for pair in pairs)
    stacks = f" of {len(pairs)} stacks" if len(pairs) > 1 else ""
    noun = "section" if learned == 1 else "sections"
    out = f"{held} held out" if held else "none held out"
    return f"learns from {learned} {noun}{stacks}, {out}"


def outlook_of(context: Context) -> TrainOutlook:
    """Return the one outlook of a context, made when first asked for."""
    found = context.findChild(TrainOutlook)
    return found if found is not None else TrainOutlook(context)
