"""Step 3, Segment: sliders that answer while they are dragged, and the labels."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QButtonGroup, QCheckBox, QFileDialog, QRadioButton, QWidget

from napari_emseg.errors import InputError
from napari_emseg.gui.context import Context
from napari_emseg.gui.forms import NumberRow, make_check, make_choice
from napari_emseg.gui.frame import Fold, ProgressRow, button, column, row
from napari_emseg.gui.grouping_names import GROUPING_NAMES
from napari_emseg.gui.jobs import Report
from napari_emseg.gui.layers import add_volume, free_name
from napari_emseg.gui.live import live_preview_of
from napari_emseg.gui.step_widget import StepWidget
from napari_emseg.progress import Progress
from napari_emseg.session import View
from napari_emseg.steps.fields import describe_fields
from napari_emseg.steps.segment import SegmentParams
from napari_emseg.steps.step import last_record
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari_emseg.segmentation import Cuttable

_SLIDER_MAXIMA = {
    "sigma_px": 5.0,
    "h": 0.5,
    "merge_threshold": 1.0,
    "min_size_voxels": 1000,
    "min_sections": 10,
    "prior_faces": 200,
    "wall_quantile": 1.0,
    "floor": 0.1,
    "certain_boundary": 1.0,
}
_SHORT_TITLES = {
    "merge_threshold": "Threshold",
    "min_sections": "Min depth",
    "prior_faces": "Prior",
    "wall_quantile": "Quantile",
    "certain_boundary": "Refill from",
}
_WATERSHEDS = {
    "fine": "keep every basin",
    "zlateski_seung": "as Zlateski and Seung",
    "deepseg": "as DeepSeg",
    "deepseg_fragments": "as DeepSeg before joining",
    "deepseg_cli": "as DeepSeg's command line",
}
_SHORT = {"join": "join the neighbour they touch most", "drop": "are dropped (0)"}


class SegmentStep(StepWidget):
    """Tunes the segmentation on the visible section and writes the labels."""

    title, name = "3 Segment", "segment"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.live = live_preview_of(context)
        fields = {field.name: field for field in describe_fields(SegmentParams)}
        self.numbers = {
            name: NumberRow(
                fields[name],
                slider_maximum=_SLIDER_MAXIMA[name],
                equivalent=getattr(self, f"_{name}_in_nm", None),
            )
            for name in _SLIDER_MAXIMA
        }
        for name, words in _SHORT_TITLES.items():
            self.numbers[name].set_label(words)
        # The cut of the sections that are then linked: apart, so that the sliders stay in place.
        self.section_h = NumberRow(fields["h"], slider_maximum=_SLIDER_MAXIMA["h"])
        self.section_h.set_label("Section h")
        self.section_h.changed.connect(partial(self._on_number_changed, "h"))
        for name, number in self.numbers.items():
            number.changed.connect(partial(self._on_number_changed, name))
        self.rows.addWidget(self.numbers["sigma_px"])
        self.grouping = make_choice(fields["grouping"], GROUPING_NAMES)
        self.grouping.currentIndexChanged.connect(self._on_grouping_chosen)
        self.rows.addLayout(row("Join by", self.grouping))
        for name in ("h", "merge_threshold", "min_size_voxels"):
            self.rows.addWidget(self.numbers[name])
        self.outlines = QCheckBox("Outlines")
        self.outlines.setToolTip("Show the borders of the segments instead of filling them")
        self.outlines.setChecked(context.session.view.contour_px > 0)
        self.outlines.toggled.connect(lambda on: self.live.set_contour(1 if on else 0))
        self._add_mode_row(fields["mode"].description)
        self._count = " "
        self.write_button = button(
            "Write labels",
            self.write_labels,
            "Make a labels layer of the whole stack that can be painted in and saved",
        )
        self.rows.addWidget(self.write_button)
        self.progress = ProgressRow(self.stop)
        self.rows.addWidget(self.progress)
        self.exact = make_check(fields["exact_borders"])
        self.exact.toggled.connect(lambda on: self._change(exact_borders=on))
        self.choice_rows: dict[str, QWidget] = {}
        self.fill_holes = make_check(fields["fill_holes"])
        self.fill_holes.toggled.connect(lambda on: self._change(fill_holes=on))
        self.short_segments = make_choice(fields["short_segments"], _SHORT)
        self.short_segments.currentIndexChanged.connect(self._on_short_chosen)
        self.certain_map = button("", self.choose_certain_map, fields["certain_map"].description)
        self.watershed = make_choice(fields["affinity_thresholds"], _WATERSHEDS)
        self.watershed.currentIndexChanged.connect(self._on_watershed_chosen)
        self.rows.addWidget(self._make_advanced())
        self.main_button = self.write_button
        self._connect()
        self._show_params(context.session.segment)
        self._enable()

    def write_labels(self) -> None:
        """Write the segmentation of the whole stack into a new labels layer."""
        self.try_to(self._start_writing)

    def choose_certain_map(self) -> None:
        """Choose another map that tells what is certain boundary; cancelling takes this one."""
        patterns = "Boundary maps (*.tif *.tiff *.h5 *.hdf5 *.npy);;All files (*)"
        path, _ = QFileDialog.getOpenFileName(self, "Map of what is certain", "", patterns)
        self._change(certain_map=path)

    def stop(self) -> None:
        """Stop writing labels, or segmenting the other sections."""
        self._count = "stopped: move a slider to go on"
        for job in ("write", "hierarchy"):
            self.context.jobs.stop(job)

    def _start_writing(self) -> None:
        boundary = self.context.volume("boundary")
        done = self.context.done_sections
        if done is not None and not done.all():
            raise InputError(
                f"Only {int(done.sum())} of {done.size} sections have a boundary map: press "
                "Predict all first."
            )
        params, hierarchy = self.context.session.segment, self.context.hierarchy
        self.context.jobs.start(
            partial(_write, hierarchy, boundary, params),
            title="Writing labels",
            key="write",
            on_report=self._on_report,
            on_result=partial(self._on_written, boundary, self.live.key()),
            on_end=self._on_work_ended,
        )
        self.progress.show_report(0, 0, "writing labels…")

    def _on_written(
        self, boundary: Volume, key: tuple[Any, ...], made: tuple[Volume, Cuttable]
    ) -> None:
        labels, hierarchy = made
        base = boundary.name.removesuffix(" boundaries")
        name = free_name(self.viewer, f"{base} labels")
        layer = add_volume(self.viewer, labels, like=self.context.layer("boundary"), name=name)
        layer.contour = self.context.session.view.contour_px
        self.context.show_result(layer)
        self.viewer.layers.selection.active = layer
        record = last_record(labels.provenance)
        if record is not None:
            self.context.session.remember(record)
        self.context.set_layer("segmentation", layer)
        if self.context.hierarchy is None and key == self.live.key():
            self.live.adopt(hierarchy)

    def _on_report(self, report: Report) -> None:
        self.progress.show_report(report.done, report.total, report.describe("sections"))

    def _on_work_ended(self) -> None:
        self.progress.idle(self._count)
        self.context.plan_changed.emit()

    def _on_counted(self, words: str) -> None:
        self._count = words or " "
        if not self.progress.bar.isVisible():
            self.progress.idle(self._count)

    def _add_mode_row(self, tooltip: str) -> None:
        self.each = QRadioButton("each section")
        self.volume = QRadioButton("3D")
        group = QButtonGroup(self)
        for radio in (self.each, self.volume):
            radio.setToolTip(tooltip)
            group.addButton(radio)
        self.volume.toggled.connect(lambda on: self._change(mode="3d" if on else "2d"))
        self.rows.addLayout(row("Segment", self.each, self.volume, self.outlines, stretch=2))

    def _make_advanced(self) -> Fold:
        content = QWidget()
        rows = column(content)
        self.boundary = self.combo("boundary", "The boundary map to segment")
        rows.addLayout(row("Map", self.boundary))
        rows.addWidget(self.section_h)
        rows.addWidget(self.numbers["floor"])
        for name in ("prior_faces", "wall_quantile", "min_sections"):
            rows.addWidget(self.numbers[name])
        for name, words, choice in (
            ("short_segments", "Short ones", self.short_segments),
            ("affinity_thresholds", "Affinities", self.watershed),
        ):
            rows.addWidget(self._rare_row(name, words, choice))
        rows.addWidget(self.numbers["certain_boundary"])
        rows.addWidget(self._rare_row("certain_map", "by", self.certain_map))
        rows.addLayout(row("", self.exact, self.fill_holes))
        return Fold("Advanced", content)

    def _rare_row(self, name: str, words: str, widget: QWidget) -> QWidget:
        """Make a row that is seen only while its parameter makes a difference."""
        self.choice_rows[name] = holder = QWidget()
        layout = row(words, widget)
        layout.setContentsMargins(0, 0, 0, 0)
        holder.setLayout(layout)
        return holder

    def _connect(self) -> None:
        self.context.session.events.segment.connect(self._show_params)
        self.context.session.events.view.connect(self._show_view)
        self.context.layer_changed.connect(self._on_layer_changed)
        self.context.geometry_changed.connect(self._refresh_equivalents)
        self.context.plan_changed.connect(self._enable)
        self.live.counted.connect(self._on_counted)
        self.live.reported.connect(self._on_build_reported)
        self.live.built.connect(self._on_work_ended)

    def _on_build_reported(self, report: Report) -> None:
        boundary = self.context.session.boundary
        is_sections = boundary is not None and report.total == boundary.shape[0]
        how_far = report.describe("sections") if is_sections else report.describe_share()
        words = f"segmenting the other sections: {how_far}"
        self.progress.show_report(report.done, report.total, words)

    def _on_number_changed(self, name: str, value: Any) -> None:
        self._change(**{name: value})

    def _on_grouping_chosen(self, _index: int) -> None:
        grouping = self.grouping.currentData()
        # In single sections there is nothing to link.
        self._change(grouping=grouping, **({"mode": "3d"} if grouping == "linking" else {}))

    def _on_watershed_chosen(self, _index: int) -> None:
        self._change(affinity_thresholds=self.watershed.currentData())

    def _on_short_chosen(self, _index: int) -> None:
        self._change(short_segments=self.short_segments.currentData())

    def _change(self, **changes: Any) -> None:
        current = self.context.session.segment
        if any(getattr(current, name) != value for name, value in changes.items()):
            self.try_to(partial(self.context.session.change, "segment", **changes))

    def _show_params(self, params: SegmentParams, *_: Any) -> None:
        for name, number in self.numbers.items():
            value = getattr(params, name)
            if number.value != value:
                number.set_value(value)
        if self.section_h.value != params.h:
            self.section_h.set_value(params.h)
        for name in ("h", "merge_threshold"):
            self.numbers[name].setVisible(name == params.threshold_name)
        is_idle = "h" in params.idle_fields
        self.section_h.setVisible(not is_idle and params.threshold_name != "h")
        for combo, value in (
            (self.grouping, params.grouping),
            (self.short_segments, params.short_segments),
            (self.watershed, params.affinity_thresholds),
        ):
            with QSignalBlocker(combo):
                combo.setCurrentIndex(max(0, combo.findData(value)))
        for toggle, is_on in (
            (self.each, params.mode == "2d"),
            (self.volume, params.mode == "3d"),
            (self.exact, params.exact_borders),
            (self.fill_holes, params.fill_holes),
        ):
            with QSignalBlocker(toggle):
                toggle.setChecked(is_on)
        self.certain_map.setText(Path(params.certain_map).name or "the map itself")
        self.exact.setEnabled("exact_borders" not in params.idle_fields)
        rare: dict[str, QWidget] = {
            name: self.numbers[name] for name in ("prior_faces", "wall_quantile", "min_sections")
        }
        for name, widget in {**rare, **self.choice_rows}.items():
            widget.setVisible(name not in params.idle_fields)
        self._refresh_equivalents()

    def _show_view(self, view: View, *_: Any) -> None:
        self.outlines.setChecked(view.contour_px > 0)

    def _on_layer_changed(self, role: str) -> None:
        if role in ("raw", "boundary"):
            self._refresh_equivalents()
        self._enable()

    def _refresh_equivalents(self) -> None:
        for number in self.numbers.values():
            number.refresh_equivalent()

    def _enable(self) -> None:
        has_map = self.context.layer("boundary") is not None
        is_writing = self.context.jobs.is_busy("write")
        self.write_button.setEnabled(has_map and not is_writing)

    def _voxel_size(self) -> tuple[float, float, float] | None:
        reference = self.context.session.boundary or self.context.session.raw
        return reference.voxel_size_nm if reference is not None else None

    def _sigma_px_in_nm(self, value: float) -> str:
        size = self._voxel_size()
        return f"= {value * size[2]:.3g} nm" if size else ""

    def _min_size_voxels_in_nm(self, value: float) -> str:
        size = self._voxel_size()
        if size is None:
            return "voxels"
        if self.context.session.segment.mode == "2d":
            return f"= ({(value * size[1] * size[2]) ** (1 / 2):.0f} nm)²"
        return f"= ({(value * size[0] * size[1] * size[2]) ** (1 / 3):.0f} nm)³"


def _write(
    hierarchy: Cuttable | None, boundary: Volume, params: SegmentParams, progress: Progress
) -> tuple[Volume, Cuttable]:
    from napari_emseg.steps.segment import build, check_certain_map, write

    check_certain_map(boundary, params)
    if hierarchy is None:  # else it is that of the present parameters
        hierarchy = build(boundary, params=params, progress=progress)
    labels = write(hierarchy, boundary, params=params, progress=progress)
    # The hierarchy may be older than the voxel size.
    size, offset = boundary.voxel_size_nm, boundary.offset_nm
    return replace(labels, voxel_size_nm=size, offset_nm=offset), hierarchy
