"""The live segmentation: what the sliders show, and the jobs that make it possible.

Moving a threshold or the minimum size cuts the visible section on the spot.
Moving sigma (or changing the mode) floods the visible section first, in 3D with
its neighbours, then all of them in the background.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_emseg.errors import InputError
from napari_emseg.gui.context import Context
from napari_emseg.gui.jobs import Report
from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.preview_labels import PreviewLabels
from napari_emseg.progress import Progress
from napari_emseg.steps.segment import FLOOD_FIELDS, SegmentParams
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_emseg.segmentation import Cuttable, Hierarchy

SETTLE_MS = 350  # after the last move of a slider the whole stack is flooded
COUNT_MS = 120
VOLUME_MS = 300  # in the 3D view every section is cut, so only once the slider rests
SLAB_REACH = 2  # sections on either side that a preview in 3D floods together
MAX_VOXELS_UNASKED = 3e8  # a larger map is segmented when a slider is touched
_PAINTING = {"paint", "fill", "erase", "polygon"}


class LivePreview(QObject):
    """Keeps the preview layer in step with the session's segment parameters."""

    counted = Signal(str)
    reported = Signal(object)
    built = Signal()

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._context = context
        self._viewer = context.viewer
        self._labels: PreviewLabels | None = None
        self._layer: Labels | None = None
        self._shown: tuple[Any, ...] = ()
        self._flooded: tuple[tuple[Any, ...], Hierarchy | None] = ((), None)
        self._section_runs = self._section_failed = False
        self._is_awake = False
        self._wants_view = False
        self._settle = self._timer(SETTLE_MS, self._build_whole)
        self._count = self._timer(COUNT_MS, self._start_count)
        self._repaint = self._timer(VOLUME_MS, self._repaint_now)
        context.layer_changed.connect(self._on_layer_changed)
        context.geometry_changed.connect(self._on_geometry_changed)
        context.boundary_started.connect(self._on_boundary_started)
        context.boundary_grew.connect(self._on_boundary_grew)
        context.session.events.segment.connect(self._on_params_changed)
        self._viewer.dims.events.current_step.connect(self._on_section_changed)
        self.restart()

    @property
    def layer(self) -> Labels | None:
        """The preview layer, if there is one."""
        return self._layer if self._layer in self._viewer.layers else None

    def restart(self) -> None:
        """Begin anew: another boundary map."""
        self._shown = ()
        self._flooded = (), None
        if self._labels is not None:
            self._labels.clear()
        self._context.jobs.stop("hierarchy")
        self._settle.stop()
        self.counted.emit("")
        layer = self._context.layer("boundary")
        if layer is None:
            self._remove_layer()
            self._labels = None
            return
        is_small = float(np.prod(layer.data.shape)) <= MAX_VOXELS_UNASKED
        self._is_awake = is_small and self._context.is_boundary_complete
        if self._is_awake:
            self._wants_view = True
            self._refresh_hierarchies()

    def set_contour(self, width_px: int) -> None:
        """Show outlines (1 or more) or filled segments (0)."""
        self._context.session.view = self._context.session.view.model_copy(
            update={"contour_px": width_px}
        )
        if self.layer is not None:
            self.layer.contour = width_px

    def adopt(self, hierarchy: Cuttable) -> None:
        """Show a hierarchy made elsewhere: restored, or built while labels were written."""
        self._wants_view = False
        self._on_whole_built(self.key(), hierarchy)

    def _timer(self, interval_ms: int, action: Any) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(interval_ms)
        timer.timeout.connect(action)
        return timer

    def key(self, fields: tuple[str, ...] = ()) -> tuple[Any, ...]:
        """Name what a hierarchy depends on: the map, and all parameters or those in `fields`."""
        params = self._context.session.segment
        fields = fields or params.hierarchy_fields
        layer = self._context.layer("boundary")
        boundary = self._context.session.boundary
        # The Gaussian of a volume is as wide in nm along z as along x.
        size = boundary.voxel_size_nm if boundary and params.mode == "3d" else None
        return (id(layer), size, *(getattr(params, name) for name in fields))

    def _on_layer_changed(self, role: str) -> None:
        if role == "boundary":
            self.restart()

    def _on_geometry_changed(self) -> None:
        if self._shown and self._shown[: len(self.key())] != self.key():
            self._refresh_hierarchies()

    def _on_boundary_started(self) -> None:
        self._is_awake = False  # the boundary map is what the user wants to see now

    def _on_boundary_grew(self, sections: list[int]) -> None:
        if self._context.is_boundary_complete:
            self._is_awake = self._wants_view = True
            self._settle.start()
        if self._context.section in sections:
            self._build_section()

    def _on_params_changed(self, new: SegmentParams, old: SegmentParams) -> None:
        was_awake, self._is_awake, self._wants_view = self._is_awake, True, True
        is_deep = any(getattr(new, name) != getattr(old, name) for name in new.hierarchy_fields)
        if is_deep or not was_awake:
            self._refresh_hierarchies()
        else:
            self._recut()
            if self._context.hierarchy is None and not self._context.jobs.is_busy("hierarchy"):
                self._settle.start()  # it was stopped

    def _on_section_changed(self, *_: Any) -> None:
        if self._labels is not None and not self._labels.has_section(self._context.section):
            self._build_section()
        self._count.start()

    def _refresh_hierarchies(self) -> None:
        self._context.set_hierarchy(None)
        self._context.jobs.stop("hierarchy")
        self._build_section()
        self._settle.start()

    def _build_section(self) -> None:
        """Flood the visible section; while one is being flooded the next waits its turn."""
        params = self._context.session.segment
        is_shown = self._shown == (*self.key(), "whole")
        if self._section_runs or is_shown or not self._is_awake:
            return
        z, done = self._context.section, self._context.done_sections
        if self._context.layer("boundary") is None or (done is not None and not done[z]):
            return
        if params.mode == "3d" and not self._context.is_boundary_complete:
            return
        try:
            boundary = self._context.volume("boundary")
        except InputError:
            return
        self._section_runs = True
        if self._labels is None:
            self.counted.emit("segmenting this section…")
        key, self._section_failed = self.key(), True
        self._context.jobs.start(
            partial(_build_section, boundary, z, params),
            title="Segmenting this section",
            key="section",
            lane="preview",
            on_result=partial(self._on_section_built, key, z),
            on_end=partial(self._on_section_ended, key, z),
        )

    def _on_section_built(self, key: tuple[Any, ...], z: int, made: tuple[Cuttable, int]) -> None:
        hierarchy, index = made
        self._section_failed = False
        if key[0] != self.key()[0] or self._shown == (*self.key(), "whole"):
            return
        labels = self._need_labels()
        labels.set_section(z, hierarchy, index=index, keep_others=self._shown == key)
        self._shown = key
        self._recut()

    def _on_section_ended(self, key: tuple[Any, ...], z: int) -> None:
        self._section_runs = False
        if self._section_failed:
            self._settle.stop()  # the whole stack would fail in the same way
            self.counted.emit("")
            return
        if (key, z) != (self.key(), self._context.section):
            self._build_section()

    def _build_whole(self) -> None:
        if self._context.layer("boundary") is None or not self._context.is_boundary_complete:
            return
        if self._shown == (*self.key(), "whole"):
            return
        try:
            boundary = self._context.volume("boundary")
        except InputError as error:
            self._context.refuse(error)
            return
        self._context.jobs.start(
            partial(_build_whole, boundary, self._context.session.segment, self._known_flood()),
            title="Segmenting the stack",
            key="hierarchy",
            on_report=self._on_report,
            on_result=partial(self._on_job_built, self.key(), self.key(FLOOD_FIELDS)),
            on_end=self.built.emit,
        )

    def _known_flood(self) -> Hierarchy | None:
        """Return the hierarchy of the flood itself, if it is known from another grouping."""
        key, flooded = self._flooded
        return flooded if key == self.key(FLOOD_FIELDS) else None

    def _on_job_built(
        self, key: tuple[Any, ...], flood_key: tuple[Any, ...], made: tuple[Hierarchy, Cuttable]
    ) -> None:
        flooded, hierarchy = made
        self._flooded = flood_key, flooded
        self._on_whole_built(key, hierarchy)

    def _on_report(self, report: Report) -> None:
        self.reported.emit(report)

    def _on_whole_built(self, key: tuple[Any, ...], hierarchy: Cuttable) -> None:
        if key != self.key() or self._context.layer("boundary") is None:
            return
        self._need_labels().set_whole(hierarchy)
        self._shown = (*key, "whole")
        self._context.set_hierarchy(hierarchy)
        self._recut()

    def _need_labels(self) -> PreviewLabels:
        layer = self._context.layer("boundary")
        assert layer is not None
        data = layer.data[0] if layer.multiscale else layer.data
        shape = data.shape if data.ndim == 3 else (1, *data.shape)
        if self._labels is None or self._labels.shape != shape:
            self._remove_layer()
            self._labels = PreviewLabels(shape)
        return self._labels

    def _recut(self) -> None:
        """Cut anew and repaint the visible section."""
        if self._labels is None:
            return
        if self._viewer.dims.ndisplay == 3 and self.layer is not None:
            self._repaint.start()
        else:
            self._repaint_now()

    def _repaint_now(self) -> None:
        if self._labels is None:
            return
        params = self._context.session.segment
        self._labels.set_cut(params.threshold, params.min_size_voxels)
        layer = self.layer
        if layer is None:
            self._add_layer(self._labels)
        elif layer.visible:
            layer.refresh(extent=False, thumbnail=False, highlight=False)
        elif self._wants_view:
            self._context.show_result(layer)
        self._wants_view = False
        self._count.start()

    def _add_layer(self, labels: PreviewLabels) -> None:
        boundary = self._context.layer("boundary")
        assert boundary is not None
        selected = self._viewer.layers.selection.active
        volume = self._context.volume("boundary").derive(labels, kind="labels")
        self._layer = add_volume(self._viewer, volume, like=boundary, name="segments (preview)")
        self._layer.contour = self._context.session.view.contour_px
        self._layer.events.mode.connect(self._on_mode_changed)
        self._context.show_result(self._layer)
        if self._context.layer("raw") is not None:
            boundary.visible = False
        if selected is not None:
            self._viewer.layers.selection.active = selected

    def _remove_layer(self) -> None:
        if self.layer is not None:
            self._viewer.layers.remove(self.layer)
        self._layer = None

    def _on_mode_changed(self, event: Any) -> None:
        layer = self.layer
        if layer is not None and str(layer.mode) in _PAINTING:
            layer.mode = "pan_zoom"
            show_info(
                "The preview follows the sliders. Press Write labels for a layer to paint in."
            )

    def _start_count(self) -> None:
        labels, hierarchy = self._labels, self._context.hierarchy
        if labels is None or not labels.has_section(self._context.section):
            self.counted.emit("")
            return
        here = labels.count(self._context.section)
        if hierarchy is None:
            self.counted.emit(f"{_segments(here)} here")
            return
        if hierarchy.mode == "3d":
            self.counted.emit(_segments(here))
            return
        params = self._context.session.segment
        self._context.jobs.start(
            partial(_count_all, hierarchy, params.threshold, params.min_size_voxels),
            title="Counting segments",
            key="count",
            lane="preview",
            on_result=lambda n: self.counted.emit(f"{_segments(here)} here, {n:,} in all"),
        )


def _segments(count: int) -> str:
    return "1 segment" if count == 1 else f"{count:,} segments"


def _build_section(
    boundary: Volume, z: int, params: SegmentParams, progress: Progress
) -> tuple[Cuttable, int]:
    """Return a small hierarchy that shows what section `z` will be, and which of its sections."""
    from napari_emseg.segmentation.affinity_view import sections_of
    from napari_emseg.steps.segment import build, build_section

    if params.mode == "2d":
        hierarchy, index = build_section(boundary, z, params=params), 0
    else:
        first = max(0, z - SLAB_REACH)
        slab = sections_of(boundary, slice(first, z + SLAB_REACH + 1))
        hierarchy, index = build(slab, params=params, progress=progress), z - first
    # Compile here, not in the window.
    hierarchy.cut_section(index, params.threshold, params.min_size_voxels)
    return hierarchy, index


def _build_whole(
    boundary: Volume, params: SegmentParams, flooded: Hierarchy | None, progress: Progress
) -> tuple[Hierarchy, Cuttable]:
    """Return the hierarchy of the flood, and that of the grouping wanted."""
    from napari_emseg.segmentation import SegmentView
    from napari_emseg.steps.segment import build, flood

    if flooded is None:
        flooded = flood(boundary, params=params, progress=progress)
    hierarchy = build(boundary, params=params, flooded=flooded, progress=progress)
    table = hierarchy.cut_section(0, params.threshold, params.min_size_voxels)
    SegmentView(hierarchy.fragments.data, table)[0]  # compile here, not in the window
    return flooded, hierarchy


def _count_all(
    hierarchy: Cuttable, threshold: float, min_size_voxels: int, progress: Progress
) -> int:
    table = hierarchy.cut(threshold, min_size_voxels).segment_of
    return int(np.count_nonzero(table[1:] == np.arange(1, table.size)))


def live_preview_of(context: Context) -> LivePreview:
    """Return the one live preview of a context, made when first asked for."""
    found = context.findChild(LivePreview)
    return found if found is not None else LivePreview(context)
