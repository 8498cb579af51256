"""Paint on disk that is in no layer: left by a crash, or deleted by hand a moment ago."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_emseg.gui.context import Context
from napari_emseg.gui.layers import free_name
from napari_emseg.gui.painting.journal import About, PaintingJournal, take_left
from napari_emseg.gui.painting.layer import dress
from napari_emseg.gui.painting.sparse import make_blank
from napari_emseg.gui.train.paint_keeper import LANE, painting_keeper_of
from napari_emseg.gui.train.wishes import wishes_of
from napari_emseg.progress import Progress
from napari_emseg.steps.fingerprint import has_changed

if TYPE_CHECKING:
    from napari.layers import Labels

KEPT_S = 600.0
"""How long paint stays that somebody has deleted or thrown away."""

_SETTLE_MS = 300
_LOOK = "look for paint"
_CLOSING_S = 10.0  # layers that go so shortly before the window were not deleted by hand
Sections = dict[int, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Offer:
    """Paint that can be taken back."""

    journal: PaintingJournal
    deleted: float | None = None  # when, by the clock of the program
    is_unwanted: bool = False  # it was offered after a crash, and thrown away

    def describe(self) -> str:
        """Say in one sentence what it is."""
        about, n = self.journal.about, len(self.journal.sections)
        paint = f"paint in {n} {'section' if n == 1 else 'sections'}"
        if self.is_unwanted:
            return f"'{about.layer}' was thrown away: {paint}."
        if self.deleted is not None:
            return f"'{about.layer}' was deleted: {paint}."
        when = time.strftime("%d %b %H:%M", time.localtime(self.journal.last_stroke))
        return f"'{about.layer}' was not saved: {paint}, last painted {when}."


class PaintingOffers(QObject):
    """What can be taken back in one viewer.

    Signals: `changed` when it is other than before.
    """

    changed = Signal()

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._context, self._keeper = context, painting_keeper_of(context)
        self._left: list[Offer] = []
        self._deleted: list[Offer] = []
        self._soon = self._timer(_SETTLE_MS, self._look)
        self._expiry = self._timer(round(1000 * KEPT_S), self._expire)
        self._keeper.deleted.connect(self._on_deleted)
        context.session.events.raw.connect(self._on_raw_changed)
        context.closed.connect(self._close)
        self._soon.start()

    @property
    def present(self) -> list[Offer]:
        """The offers of the stack in sight: what was deleted here, then the newest first."""
        return [*reversed(self._deleted), *filter(self._is_of_this_stack, self._left)]

    def take_back(self, offer: Offer) -> None:
        """Put paint into a layer again, in a moment."""
        self._forget(offer)
        self._context.jobs.start(
            partial(_read, offer.journal),
            title="Taking paint back",
            key=f"take back {offer.journal.folder.name}",
            lane=LANE,
            on_result=partial(self._on_read, offer.journal),
        )

    def throw_away(self, offer: Offer) -> None:
        """Remove paint; what a crash had left can be taken back for a while."""
        self._forget(offer)
        if offer.deleted is not None:
            offer.journal.remove()
        else:
            self._keep_a_while(Offer(offer.journal, time.monotonic(), is_unwanted=True))

    def _timer(self, interval_ms: int, slot: Any) -> QTimer:
        made = QTimer(self)
        made.setSingleShot(True)
        made.setInterval(interval_ms)
        made.timeout.connect(slot)
        return made

    def _look(self) -> None:
        if self._context.session.raw is not None:
            self._context.jobs.start(
                _take_left,
                title="Looking for paint that was not saved",
                key=_LOOK,
                lane=LANE,
                on_result=self._on_looked,
            )

    def _on_looked(self, found: list[PaintingJournal]) -> None:
        self._left += map(Offer, found)
        self._left.sort(key=lambda offer: -offer.journal.last_stroke)
        self.changed.emit()

    def _on_raw_changed(self, *_: object) -> None:
        self._soon.start()
        self.changed.emit()

    def _is_of_this_stack(self, offer: Offer) -> bool:
        raw = self._context.session.raw
        return raw is not None and is_same(offer.journal.about.fingerprint, raw.fingerprint)

    def _on_deleted(self, journal: PaintingJournal) -> None:
        self._keep_a_while(Offer(journal, time.monotonic()))

    def _keep_a_while(self, offer: Offer) -> None:
        self._deleted.append(offer)
        self._expiry.start()
        self.changed.emit()

    def _forget(self, offer: Offer) -> None:
        self._left = [one for one in self._left if one is not offer]
        self._deleted = [one for one in self._deleted if one is not offer]
        self.changed.emit()

    def _expire(self) -> None:
        for offer in self._deleted:
            offer.journal.remove()
        self._deleted.clear()
        self.changed.emit()

    def _on_read(self, journal: PaintingJournal, read: tuple[Sections, tuple[int, ...]]) -> None:
        sections, damaged = read
        layer = self._paint_over(journal.about, sections) or self._add(journal.about, sections)
        self._keeper.adopt(layer, journal)
        wishes_of(self._context).set_layer("labels", layer)
        if damaged:
            numbers = ", ".join(map(str, damaged))
            show_info(f"Sections {numbers} of '{layer.name}' cannot be read: paint them again.")

    def _paint_over(self, about: About, sections: Sections) -> Labels | None:
        """Put sections into the labels that were painted over, if they are open again."""
        if about.is_painting:
            return None
        for layer in self._context.viewer.layers:
            is_it = type(layer).__name__ == "Labels" and layer.name == about.layer
            if is_it and layer.data.shape == about.shape and not self._keeper.journal_of(layer):
                for z, section in sections.items():
                    where = np.nonzero(_section(layer.data, z) != section)
                    places = where if layer.ndim == 2 else (np.full(where[0].size, z), *where)
                    layer.data_setitem(places, section[where])
                return layer
        return None

    def _add(self, about: About, sections: Sections) -> Labels:
        data = make_blank(about.shape, about.dtype)
        for z, section in sections.items():
            data[z if data.ndim == 3 else ...] = section
        known = {"scale": about.scale, "translate": about.translate, "units": about.units}
        layer = self._context.viewer.add_labels(
            data,
            name=free_name(self._context.viewer, about.layer),
            axis_labels=about.axes or None,
            **{name: value for name, value in known.items() if value},
        )
        if about.is_painting:
            dress(layer)
        return layer

    def _close(self) -> None:
        for timer in (self._soon, self._expiry):
            timer.stop()
        now = time.monotonic()
        for offer in (*self._left, *self._deleted):
            is_by_hand = offer.deleted is not None and now - offer.deleted > _CLOSING_S
            if is_by_hand or offer.is_unwanted:
                offer.journal.remove()
            else:
                offer.journal.release()
        self._left, self._deleted = [], []


def is_same(before: str, now: str) -> bool:
    """Whether two fingerprints are of the same sections, as far as both tell.

    Examples
    --------
    >>> is_same("2-00aa-", "2-00aa-01ff"), is_same("2-00aa-02", "2-00aa-01"), is_same("", "")
    (True, False, False)
    """
    both = before.split("-"), now.split("-")
    is_known = all(len(parts) == 3 for parts in both) and both[0][0] == both[1][0]
    return is_known and not has_changed(before, now)


def _section(data: Any, z: int) -> npt.NDArray[Any]:
    section: npt.NDArray[Any] = data if data.ndim == 2 else data[z]
    return section


def _take_left(_progress: Progress) -> list[PaintingJournal]:
    return take_left()


def _read(journal: PaintingJournal, _progress: Progress) -> tuple[Sections, tuple[int, ...]]:
    return journal.read()


def painting_offers_of(context: Context) -> PaintingOffers:
    """Return the offers of a context, made when first asked for."""
    found = context.findChild(PaintingOffers)
    return found if found is not None else PaintingOffers(context)
