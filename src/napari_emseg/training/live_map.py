"""The boundary map of a watched section, made beside a training at little cost."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from napari_emseg.inference import choose_device
from napari_emseg.inference.flat import SectionMapper
from napari_emseg.inference.orientations import UPRIGHT
from napari_emseg.inference.recursion import MapReader
from napari_emseg.inference.runner import Runner
from napari_emseg.inference.sections import Reader, SectionReader, resize, voxel_size_ratio
from napari_emseg.inference.solid import VolumeMapper
from napari_emseg.inference.tiling import SectionTiling
from napari_emseg.networks.base import Network
from napari_emseg.segmentation.affinity_view import boundary_of
from napari_emseg.training.budget import Budget
from napari_emseg.training.hooks import Moment
from napari_emseg.training.start import SLAB_SECTIONS
from napari_emseg.training.watch import View, Watch
from napari_emseg.volume import ZYX, Volume

Map = npt.NDArray[np.float32]
logger = logging.getLogger(__name__)

_BLOCK_PX = 512
_SLID_BLOCK_PX = 32


class LiveMap:
    """Makes maps of the section that a watch looks at, with the averaged network.

    A map is made in parts, one after a step of the training when there is time for
    it; all parts of a map come from the same weights.

    Parameters
    ----------
    watch : Watch
    device : str
    voxel_size_nm : (z, y, x) or None
        Of what is trained on.
    """

    def __init__(self, watch: Watch, device: str, voxel_size_nm: ZYX | None) -> None:
        self._watch = watch
        self._device = choose_device(device)
        self._voxel_size_nm = voxel_size_nm
        self._earlier: Network | None = None
        self._budget = Budget()
        self._number = -1  # of the view whose map is being made
        self._seen = -1  # of the view whose map was made last
        self._step = -1
        self._parts: Iterator[Map | None] | None = None

    def begin(self, earlier: Network | None) -> None:
        """Start counting the time; `earlier` makes the maps a recursive network takes."""
        self._earlier = earlier
        self._budget.begin(time.monotonic())

    def go_on(self, moment: Moment) -> None:
        """Make a part of a map if one is due."""
        view = self._watch.view()
        if view is None or view.section >= view.raw.shape[0]:
            return
        started = time.monotonic()
        is_first = view.number != self._seen
        if not self._budget.allows(started, is_urgent=is_first, is_begun=bool(self._parts)):
            return
        if self._parts is None or view.number != self._number:
            self._number, self._step = view.number, moment.step
            self._parts = self._make(view, moment.average)
        done = self._next_part()
        self._budget.spend(started, time.monotonic())
        if done is not None:
            self._watch.tell(map=done, section=view.section, map_step=self._step, view=view)
        if self._parts is None:
            self._seen = view.number

    def _next_part(self) -> Map | None:
        """Go on with the map; return it when it is finished."""
        assert self._parts is not None
        try:
            done = next(self._parts)
        except Exception:
            # a look must never end hours of training: it is tried again after a while
            logger.exception("The map of the watched section failed")
            self._parts = None
            return None
        if done is not None:
            self._parts = None
        return done

    def _make(self, view: View, network: Network) -> Iterator[Map | None]:
        runner = Runner(network, self._device, name="training")
        ratio = None
        if not network.offsets:
            ratio = voxel_size_ratio(view.raw.voxel_size_nm, self._voxel_size_nm)
        if network.dimensions == 3:
            return _solid_parts(view, runner, ratio)
        return _flat_parts(view, runner, ratio, self._earlier)


def _flat_parts(
    view: View,
    runner: Runner,
    ratio: tuple[float, float] | None,
    earlier: Network | None,
) -> Iterator[Map | None]:
    """Map a section block by block: None after each, the map at the end."""
    network = runner.network
    sections = SectionReader(view.raw, network.in_sections, ratio)
    reader: Reader = sections
    if earlier is not None:
        mapper = SectionMapper(Runner(earlier, runner.device))
        reader = MapReader(sections, mapper, sections.beside(earlier.in_sections), lambda _: None)
    section = reader.read(view.section)
    if section is None:
        yield np.zeros(reader.full_shape_px, np.float32)
        return
    tiling = SectionTiling(network, section.shape[1:])
    rimmed = tiling.add_rim(section)
    boundary = np.empty(tiling.shape_px, np.float32)
    side = _SLID_BLOCK_PX if network.is_slid else _BLOCK_PX
    yield None
    for block in tiling.iter_blocks((side, side)):
        with runner.computing():
            mean = runner.average(torch.from_numpy(rimmed[:, *block.outer]), UPRIGHT)
        boundary[block.inner] = mean[0][block.inner_in_outer].cpu().numpy()
        yield None
    if boundary.shape != reader.full_shape_px:
        boundary = resize(boundary, reader.full_shape_px).clip(0, 1)
    yield boundary


def _solid_parts(
    view: View, runner: Runner, ratio: tuple[float, float] | None
) -> Iterator[Map | None]:
    """Map a section with a 3D network that sees a thin slab around it."""
    reach = min(SLAB_SECTIONS, runner.network.receptive_field_px[0] // 2)
    first = max(0, view.section - reach)
    stop = min(view.raw.shape[0], view.section + reach + 1)
    slab = view.raw.derive(view.raw.read(slice(first, stop)), kind="raw")
    reader = SectionReader(slab, runner.network.in_sections, ratio)
    at = view.section - first
    maps = VolumeMapper(runner).maps(reader, [at], tta=False, report=lambda _: None)
    values = next(found for _, found in maps)
    if runner.network.offsets:
        values = _as_boundary(values, runner.network)
    yield values


def _as_boundary(affinities: Map, network: Network) -> Map:
    """Turn the affinities of a section, (C, Y, X), into a boundary map."""
    twice = np.stack([affinities, affinities], axis=1)  # a first section has none before it
    offsets = [list(offset) for offset in network.offsets]
    volume = Volume(twice, kind="affinities", provenance={"offsets": offsets})
    return boundary_of(volume).read(1)
