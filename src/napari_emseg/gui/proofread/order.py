"""The list of suspicious places as somebody walks through it, which never jumps under the hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import log2
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_emseg.proofreading.guidance import Site
    from napari_emseg.proofreading.state import State

Key = tuple[str, int, int]
Pair = tuple[int, int]


class Order:
    """Places in the order in which they are walked through, and the one looked at.

    Attributes
    ----------
    sites : list of Site
        Those up to the present one stay where they are; after it, the best comes first, and
        what was put off comes last.
    at : int
        Row of the present one; -1 where there is none.
    """

    def __init__(self) -> None:
        self.sites: list[Site] = []
        self.at = -1
        self._late: dict[Key, None] = {}
        self._gone: dict[Key, tuple[Site, int]] = {}
        self._at_stake: dict[Key, int] = {}

    def at_stake(self, site: Site) -> int:
        """Return the voxels of the smaller side."""
        return self._at_stake.get(key_of(site), 0)

    @property
    def current(self) -> Site | None:
        """The place that is looked at."""
        return self.sites[self.at] if 0 <= self.at < len(self.sites) else None

    def is_late(self, site: Site) -> bool:
        """Whether a place was put off."""
        return key_of(site) in self._late

    def renew(self, found: Sequence[Site], state: State) -> None:
        """Take a new list, best first; what was walked through keeps its row."""
        new: dict[Key, Site] = {}
        for site in found:
            new.setdefault(key_of(site), site)
        passed = [new.get(key_of(site), site) for site in self.sites[: self.at + 1]]
        known = {key_of(site) for site in passed}
        rest = [site for key, site in new.items() if key not in known and key not in self._late]
        old = {key_of(site): site for site in self.sites}
        late = [new.get(k) or old.get(k) for k in self._late if k not in known]
        self.sites = [*passed, *rest, *(site for site in late if site is not None)]
        self.sites = [self._measured(site, state) for site in self.sites]
        if self.at < 0 and self.sites:
            self.at = 0

    def go(self, row: int) -> None:
        """Look at the place of a row."""
        if 0 <= row < len(self.sites):
            self.at = row

    def step(self, by: int) -> None:
        """Go some rows on or back; after the last comes the first."""
        if self.sites:
            self.at = (self.at + by) % len(self.sites)

    def put_off(self) -> None:
        """Put the present place last; the next one takes its row."""
        site = self.current
        if site is None:
            return
        self._late.pop(key_of(site), None)
        self._late[key_of(site)] = None
        self.sites.append(self.sites.pop(self.at))

    def follow(
        self, state: State, decided: Iterable[Pair], touched: Iterable[int] | None = None
    ) -> bool:
        """Leave out what is settled now, and bring back what no longer is.

        Parameters
        ----------
        state : State
        decided : iterable of (int, int)
            Pairs of fragments at whose contact was decided.
        touched : iterable of int, optional
            Segments that changed; by default all may have.

        Returns
        -------
        bool
            Whether a place came back; it is the present one.
        """
        settled = {_ascending(pair) for pair in decided}
        changed = None if touched is None else set(touched)
        sites: list[Site] = []
        at = self.at
        for row, site in enumerate(self.sites):
            if is_open(site, state, settled):
                is_same = changed is not None and changed.isdisjoint(site.segments)
                sites.append(site if is_same else self._measured(site, state))
                continue
            self._gone[key_of(site)] = (site, len(sites))
            at -= row < self.at
        self.sites, self.at = sites, min(at, len(sites) - 1)
        return self._bring_back(state, settled)

    def _measured(self, site: Site, state: State) -> Site:
        """Return a place with the segments its fragments are in now, the larger one first."""
        found = {int(state.segment_of[f]) for f in site.fragments}
        sizes = {segment: state.size(segment) for segment in found}
        segments = tuple(sorted(found, key=lambda s: (-sizes[s], s)))
        if len(segments) > 1:
            smaller = sizes[segments[-1]]
        else:
            n_voxels = int(state.extents.size[1 : state.next_fragment].sum())
            smaller = smaller_part(site.bits * n_voxels, sizes[segments[0]])
        self._at_stake[key_of(site)] = smaller
        return site if segments == site.segments else replace(site, segments=segments)

    def _bring_back(self, state: State, settled: set[Pair]) -> bool:
        is_back = False
        for key, (site, row) in list(self._gone.items()):
            if is_open(site, state, settled):
                del self._gone[key]
                if all(key_of(other) != key for other in self.sites):
                    self.at = min(row, len(self.sites))
                    self.sites.insert(self.at, self._measured(site, state))
                    is_back = True
        return is_back


def smaller_part(gain: float, whole: int) -> int:
    """Return the voxels of the smaller of two parts, of whose parting so much is gained.

    Parameters
    ----------
    gain : float
        Bits of variation of information, times all voxels.
    whole : int
        Voxels of both parts.

    Examples
    --------
    >>> import math
    >>> gain = 40 * math.log2(40) - 10 * math.log2(10) - 30 * math.log2(30)
    >>> smaller_part(gain, 40)
    10
    """

    def gained(part: float) -> float:
        rest = whole - part
        return whole * log2(whole) - part * log2(part) - rest * log2(rest)

    low, high = 1.0, max(1.0, whole / 2)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if gained(middle) < gain else (low, middle)
    return round(high)


def key_of(site: Site) -> Key:
    """Return by what a place is known again."""
    return (site.kind, *_ascending(site.fragments))


def is_open(site: Site, state: State, settled: set[Pair]) -> bool:
    """Whether there is still something to decide at a place."""
    if _ascending(site.fragments) in settled:
        return False
    if any(state.extents.size[f] == 0 for f in site.fragments):
        return False
    one, two = (int(state.segment_of[f]) for f in site.fragments)
    if not one or not two or {one, two} & (state.done | state.set_aside):
        return False
    return (one != two) == (site.kind == "merge")


def _ascending(pair: Sequence[int]) -> Pair:
    return min(pair), max(pair)
