"""The data of training pairs, made ready to cut patches from, in any process."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.training.input_spec import InputSpec
from napari_emseg.training.known import KnownPixels, find_known
from napari_emseg.training.painting import paint_target
from napari_emseg.training.pairs import (
    LARGEST_ANISOTROPY,
    TrainingPair,
    longest_run,
    make_target,
    read_paint,
    runs_of,
)
from napari_emseg.training.params import TrainParams
from napari_emseg.training.stacks import (
    SECTIONS,
    HeldStack,
    Order,
    ReadStack,
    SparseStack,
    Stack,
    Values,
    as_grey,
    as_ids,
)
from napari_emseg.training.targets import IGNORED
from napari_emseg.training.tones import Tones
from napari_emseg.volume import Volume

MEMORY_BYTES = 2 * 1024**3
"""Data sets larger than this together are read from their files, patch by patch."""

_ORDERS: dict[str, tuple[Order, ...]] = {
    "z": (SECTIONS,),
    "zyx": (SECTIONS, (1, 0, 2), (2, 0, 1)),
}


@dataclass(frozen=True)
class Source:
    """One pair, sliced along one axis. All its stacks start with the same section.

    Attributes
    ----------
    name : str
    weight : float
        Share of the patches.
    raw : Stack
        Grey values.
    truth : Stack
        Ids, or where `is_target` 1 = boundary, 0 = inside, 255 = not known; ids of
        paint where `known` is given.
    is_target : bool
    ignored : Stack or None
        Classes, or what is not 0 where they are to be ignored.
    ignore_values : tuple of int
    maps : Stack or None
        Boundary maps of an earlier network.
    map_scale : float
        What brings the maps to 0 ... 1.
    sections : int64 array
        The slices to train on, counted in the stack.
    runs : tuple of (first, last)
        Those without a gap, both included; of paint those that may be shown with it.
    is_cubic : bool
        Whether voxels are cubes, so that no direction is special.
    tones : Tones
    known : KnownPixels or None
        Where anything is painted; None: patches are drawn anywhere.
    """

    name: str
    weight: float
    raw: Stack
    truth: Stack
    is_target: bool
    ignored: Stack | None
    ignore_values: tuple[int, ...]
    maps: Stack | None
    map_scale: float
    sections: npt.NDArray[np.int64]
    runs: tuple[tuple[int, int], ...]
    is_cubic: bool
    tones: Tones = field(repr=False)
    known: KnownPixels | None = None

    @property
    def is_paint(self) -> bool:
        """Whether the truth is paint, of which most is 0."""
        return self.known is not None

    def run_of(self, section: int) -> tuple[int, int]:
        """Return the run that holds a section to train on."""
        return next(run for run in self.runs if run[0] <= section <= run[1])


def open_sources(
    pairs: Sequence[TrainingPair],
    params: TrainParams,
    spec: InputSpec,
    *,
    memory_bytes: int = MEMORY_BYTES,
) -> list[Source]:
    """Read what is needed of training pairs, or prepare to read it patch by patch.

    Parameters
    ----------
    pairs : sequence of TrainingPair
    params : TrainParams
    spec : InputSpec
        What the network takes.
    memory_bytes : int
        How much may be held in memory. Beyond that, everything that is not in memory
        anyway stays in its file.

    Raises
    ------
    InputError
        If a target cannot be made from the labels, or the sections are all blank.
    """
    for pair in pairs:
        _check_target(pair, params, spec)
    is_held = sum(_needed_bytes(pair, params, spec) for pair in pairs) <= memory_bytes
    return [source for pair in pairs for source in _open_pair(pair, params, spec, is_held=is_held)]


def _check_target(pair: TrainingPair, params: TrainParams, spec: InputSpec) -> None:
    if spec.in_maps and pair.maps is None:
        raise InputError(
            f"{pair.name}: the network takes the boundary maps of an earlier one as its second "
            "input, but there are none; say which model makes them (maps_from)."
        )
    if pair.labels_kind != "membranes":
        return
    if spec.offsets:
        raise InputError(
            f"{pair.name}: affinities are learned from ids of neurons, but the labels are an image "
            "of membranes; choose a network that predicts boundaries, such as unet2d."
        )
    if params.boundary_kernel != "faces":
        raise InputError(
            f"{pair.name}: boundary kernel {params.boundary_kernel} is drawn around ids of "
            "neurons, but the labels are an image of membranes; leave it at faces."
        )


def _needed_bytes(pair: TrainingPair, params: TrainParams, spec: InputSpec) -> int:
    volumes = [v for v in (pair.raw, pair.labels, pair.ignore, pair.maps) if v is not None]
    stored = [v for v in volumes if not isinstance(v.data, np.ndarray)]
    share = len(needed_sections(pair, params, spec)) / pair.raw.shape[0]
    return round(share * sum(v.dtype.itemsize * math.prod(v.shape) for v in stored))


def needed_sections(pair: TrainingPair, params: TrainParams, spec: InputSpec) -> range | list[int]:
    """Return the sections of the raw data that may be shown."""
    depth, wanted = pair.raw.shape[0], sorted(set(pair.train_sections))
    reach = spec.in_sections // 2
    if pair.labels_kind != "painted":
        return range(max(0, wanted[0] - reach), min(depth, wanted[-1] + reach + 1))
    # around a painted section others may be looked at, of which nothing is known
    if spec.dimensions == 3:
        reach = params.patch_sections
    elif pair.axes == "zyx":
        reach = params.patch_px
    near = {n for z in wanted for n in range(z - reach, z + reach + 1)}
    return sorted(near & set(range(depth)))


def _open_pair(
    pair: TrainingPair, params: TrainParams, spec: InputSpec, *, is_held: bool
) -> list[Source]:
    opener = _Opener(pair, params, needed_sections(pair, params, spec), is_held=is_held)
    whole = opener.open()
    if spec.dimensions == 3:
        return [_check_not_blank(whole, of_run=True)]
    orders = _ORDERS[pair.axes]
    whole = replace(whole, weight=pair.weight / len(orders))
    turned = [_turned(whole, order, opener.start) for order in orders[1:]]
    return [_check_not_blank(whole), *turned]


class _Opener:
    """Makes the stacks of a pair."""

    def __init__(
        self,
        pair: TrainingPair,
        params: TrainParams,
        needed: range | list[int],
        *,
        is_held: bool,
    ) -> None:
        self.pair, self.params = pair, params
        self.needed = needed
        self.start, self.stop = needed[0], needed[-1] + 1
        self.is_held = is_held

    def open(self) -> Source:
        pair = self.pair
        raw = self.stack(pair.raw, as_grey)
        size = pair.raw.voxel_size_nm
        sections = np.unique(np.array(pair.train_sections, np.int64)) - self.start
        source = Source(
            name=pair.name,
            weight=pair.weight,
            raw=raw,
            truth=raw,
            is_target=pair.labels_kind == "membranes",
            ignored=None,
            ignore_values=_classes_as_ids(pair.ignore_values, pair.ignore),
            maps=None if pair.maps is None else self.stack(pair.maps, as_grey),
            map_scale=1 / 255 if pair.maps is not None and pair.maps.dtype == np.uint8 else 1.0,
            sections=sections,
            runs=runs_of(sections.tolist()),
            is_cubic=pair.axes == "zyx"
            or (size is not None and max(size) <= LARGEST_ANISOTROPY * min(size)),
            tones=Tones(raw, pair.name),
        )
        match pair.labels_kind:
            case "painted":
                return self.with_paint(source)
            case "membranes":
                return replace(source, truth=self.drawn())
        truth = self.stack(pair.labels, as_ids, only_labelled=True)
        if pair.ignore is None:
            return replace(source, truth=truth)
        return replace(
            source, truth=truth, ignored=self.stack(pair.ignore, as_ids, only_labelled=True)
        )

    def stack(
        self, volume: Volume, convert: Callable[[Values], Values], *, only_labelled: bool = False
    ) -> Stack:
        size = (volume.shape[1], volume.shape[2])
        stop = min(self.stop, volume.shape[0]) if only_labelled else self.stop
        if isinstance(volume.data, np.ndarray):
            array = convert(volume.data[self.start : stop])
        elif not self.is_held:
            return ReadStack(self.start, self.stop, size, SECTIONS, volume.data, convert is as_ids)
        elif len(self.needed) < self.stop - self.start:
            kept = {z: convert(volume.read(z)) for z in self.needed}
            return SparseStack(self.start, self.stop, size, SECTIONS, kept)
        else:
            array = convert(volume.read(slice(self.start, stop)))
        return HeldStack(self.start, self.stop, size, SECTIONS, array, self.start)

    def drawn(self) -> Stack:
        """Make the targets of an image of membranes."""
        pair, params = self.pair, self.params
        data = _Drawn(pair, params.membrane_reach_px)
        size = (pair.raw.shape[1], pair.raw.shape[2])
        if not self.is_held and not isinstance(pair.labels.data, np.ndarray):
            return ReadStack(self.start, self.stop, size, SECTIONS, data, holds_ids=True)
        array = np.full((self.stop - self.start, *size), IGNORED, np.uint8)
        for z in pair.train_sections:
            array[z - self.start] = data[z]
        return HeldStack(self.start, self.stop, size, SECTIONS, array, self.start)

    def with_paint(self, source: Source) -> Source:
        """Give a source the paint of its sections, those in which there is any."""
        paint = {}
        for z in sorted(set(self.pair.train_sections)):
            section = as_ids(read_paint(self.pair, z))
            if section.any():
                paint[z] = section
        if not paint:
            raise InputError(f"{source.name}: nothing is painted in the sections to train on.")
        targets = {
            z - self.start: paint_target(section, self.params.boundary_px)
            for z, section in paint.items()
        }
        size = (self.pair.raw.shape[1], self.pair.raw.shape[2])
        return replace(
            source,
            truth=SparseStack(self.start, self.stop, size, SECTIONS, paint),
            sections=np.array(list(targets), np.int64),
            runs=runs_of([z - self.start for z in self.needed]),
            known=find_known(targets),
        )


@dataclass(frozen=True)
class _Drawn:
    """The targets of a pair as an array that is made where it is read."""

    pair: TrainingPair
    membrane_reach_px: float

    def __getitem__(self, key: Any) -> Values:
        if isinstance(key, int):
            return make_target(self.pair, key, membrane_reach_px=self.membrane_reach_px)
        z, y, x = key
        # whole sections: which grey value is membrane is told by all of one
        return np.stack([self[section][y, x] for section in range(z.start, z.stop)])


def _classes_as_ids(classes: tuple[int, ...], volume: Volume | None) -> tuple[int, ...]:
    """Return what classes are in a volume that :func:`as_ids` looks at."""
    if volume is None or volume.dtype == bool:
        return classes
    limits = np.iinfo(volume.dtype)
    possible = [c for c in classes if limits.min <= c <= limits.max]
    return tuple(as_ids(np.array(possible, volume.dtype)).tolist())


def _turned(source: Source, order: Order, start: int) -> Source:
    """Slice the longest run of sections along another axis."""
    first, last = _longest(source)

    def turn(stack: Stack) -> Stack:
        return stack.narrowed(start + first, start + last + 1).turned(order)

    raw = turn(source.raw)
    sections = np.arange(raw.shape[0])
    return replace(
        source,
        raw=raw,
        truth=turn(source.truth),
        ignored=None if source.ignored is None else turn(source.ignored),
        maps=None if source.maps is None else turn(source.maps),
        sections=sections,
        runs=runs_of(sections.tolist()),
        tones=Tones(raw, source.name),
        known=source.known and source.known.turned(first, last, order),
    )


def _longest(source: Source) -> tuple[int, int]:
    """Return first and last of the longest run; of paint, of those with the most of it."""
    if source.known is None:
        return longest_run(source.sections.tolist())
    painted = source.sections.tolist()
    return max(source.runs, key=lambda run: sum(run[0] <= z <= run[1] for z in painted))


def _check_not_blank(source: Source, *, of_run: bool = False) -> Source:
    """Leave out blank sections, which teach nothing; others are met when they are drawn."""
    if isinstance(source.raw, ReadStack):
        return source
    shown = [z for z in source.sections.tolist() if not source.tones.is_blank(z)]
    if not shown:
        raise InputError(f"{source.name}: all training sections are blank.")
    return source if of_run else replace(source, sections=np.array(shown, np.int64))
