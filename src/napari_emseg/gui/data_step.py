"""Step 1, Data: which stack, how large its voxels are, what was noticed while reading."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QDoubleSpinBox, QFileDialog, QHBoxLayout, QMenu, QPushButton, QWidget

from napari_emseg.errors import InputError
from napari_emseg.gui.context import Context
from napari_emseg.gui.frame import ElidedLabel, Fold, button, column, row
from napari_emseg.gui.layers import set_voxel_size, voxel_size_of
from napari_emseg.gui.opening import open_into
from napari_emseg.gui.roles import ROLES
from napari_emseg.gui.step_widget import StepWidget
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari.layers import Layer

FILES = "EM stacks (*.tif *.tiff *.h5 *.hdf5 *.hdf *.zarr *.png *.jpg);;All files (*)"


class DataStep(StepWidget):
    """Chooses the raw stack and asks for its voxel size where no file says it."""

    title, name = "1 Data", "data"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._typed_size: tuple[float, ...] | None = None
        self.raw = self.combo("raw", "The grey-value sections to segment")
        self.open_button = QPushButton("Open…")
        self.open_button.setToolTip("Open a file or a folder of sections; or drop it on the canvas")
        menu = QMenu(self.open_button)
        menu.addAction("File…", self.open_file)
        menu.addAction("Folder of sections, or Zarr…", self.open_folder)
        self.open_button.setMenu(menu)
        self.rows.addLayout(row("Raw layer", self.raw, self.open_button))
        self.rows.addLayout(self._make_size_row())
        self.notes = ElidedLabel()
        self.notes.setProperty("role", "quiet")
        self.rows.addWidget(self.notes)
        self.rows.addWidget(self._make_extras())
        context.layer_changed.connect(self._on_layer_changed)
        context.geometry_changed.connect(self._on_geometry_changed)
        self._show_layer()

    def open_file(self) -> None:
        """Ask for a file and open it."""
        paths, _ = QFileDialog.getOpenFileNames(self, "Open EM stacks", "", FILES)
        self.open_paths(paths)

    def open_folder(self) -> None:
        """Ask for a folder and open it."""
        path = QFileDialog.getExistingDirectory(self, "Open a folder of sections, or a Zarr")
        self.open_paths([path] if path else [])

    def open_paths(self, paths: list[str]) -> None:
        """Open files as layers; what cannot be opened is said in words."""
        for path in paths:
            self.try_to(open_into, self.viewer, Path(path))

    def apply_voxel_size(self) -> None:
        """Give the raw layer, and layers lying on it without a size, the size typed."""
        size = tuple(box.value() for box in self.size_boxes)
        raw = self.context.layer("raw") or self.context.layer("boundary")
        if raw is None:
            self.context.refuse(InputError("Open a stack first, then give its voxel size."))
            return
        if min(size) <= 0:
            self.context.refuse(InputError("Type the voxel size in nm for z, y and x, then Set."))
            return
        self._typed_size = size
        old, grid = voxel_size_of(raw), grid_of(raw)
        for layer in list(self.viewer.layers):
            same_size = voxel_size_of(layer) in (None, old)
            if layer is raw or (grid_of(layer) == grid and same_size):
                set_voxel_size(layer, (size[0], size[1], size[2]))
        for role in ROLES:
            self.context.refresh_reference(role)
        self.context.geometry_changed.emit()
        self.viewer.reset_view()

    def flip_boundary(self) -> None:
        """Turn the chosen map round: membranes become bright (1), insides dark (0)."""
        self.try_to(self._start_flipping)

    def _start_flipping(self) -> None:
        volume = self.context.volume("boundary")
        layer = self.context.layer("boundary")
        if self.context.jobs.is_busy("predict") or not self.context.is_boundary_complete:
            raise InputError("This map is not finished: predict all its sections, then flip it.")
        if layer is not None and layer.multiscale:
            raise InputError(
                "This map is shown as a pyramid, which cannot be flipped here: save it flipped "
                "first, with 'emseg segment --invert' or in another program."
            )
        self.context.jobs.start(
            lambda progress: flip(volume),
            title="Flipping the map",
            key="flip",
            on_result=lambda flipped: self._show_flipped(layer, flipped),
        )

    def _show_flipped(self, layer: Layer | None, flipped: Volume) -> None:
        if layer is None or layer not in self.viewer.layers:
            return
        self.context.maps.forget(layer)
        layer.data = flipped.data
        layer.metadata = {**layer.metadata, "emseg": {**flipped.provenance, "kind": "boundary"}}
        self.context.set_layer("boundary", None)
        self.context.set_layer("boundary", layer)

    def _make_size_row(self) -> QHBoxLayout:
        self.size_boxes = [self._make_size_box(axis) for axis in "zyx"]
        self.set_button = button("Set", self.apply_voxel_size, "Use this voxel size for the stack")
        self.set_button.setFixedWidth(52)
        layout = row("Voxel size", *self.size_boxes, self.set_button)
        for index in range(1, 4):
            layout.setStretch(index, 1)
        return layout

    def _make_size_box(self, axis: str) -> QDoubleSpinBox:
        box = QDoubleSpinBox()
        box.setRange(0, 1e6)
        box.setPrefix(f"{axis} ")
        box.setSuffix(" nm")
        box.setSpecialValueText(f"{axis} ? nm")
        box.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        box.setAlignment(Qt.AlignmentFlag.AlignCenter)
        box.setToolTip(f"Distance between voxels along {axis}, in nanometres")
        box.setAccessibleName(f"voxel size {axis} in nm")
        box.setDecimals(1)
        box.valueChanged.connect(self._on_size_edited)
        return box

    def _make_extras(self) -> Fold:
        content = QWidget()
        rows = column(content)
        self.boundary = self.combo("boundary", "A boundary map you already have")
        self.flip_button = button(
            "Flip",
            self.flip_boundary,
            "Membranes must be bright: press if they are dark in the map",
        )
        rows.addLayout(row("Boundaries", self.boundary, self.flip_button))
        truth = self.combo("ground_truth", "Labels or membranes drawn by hand, to compare with")
        rows.addLayout(row("Truth", truth))
        return Fold("Boundary map or ground truth from elsewhere", content)

    def _on_size_edited(self, _value: float) -> None:
        raw = self.context.layer("raw")
        typed = tuple(box.value() for box in self.size_boxes)
        known = voxel_size_of(raw) if raw is not None else None
        differs = raw is not None and typed != tuple(round(v, 1) for v in known or (0, 0, 0))
        self.set_button.setEnabled(differs or known is None)

    def _on_layer_changed(self, role: str) -> None:
        if role in ("raw", "boundary"):
            self._show_layer()
            self.context.plan_changed.emit()

    def _on_geometry_changed(self) -> None:
        self._show_layer()
        self.context.plan_changed.emit()

    def _show_layer(self) -> None:
        layer = self.context.layer("raw") or self.context.layer("boundary")
        self.main_button = self.open_button if layer is None else self.set_button
        size = voxel_size_of(layer) if layer is not None else None
        shown = size or (self._typed_size if layer is not None else None) or (0, 0, 0)
        for box, value in zip(self.size_boxes, shown, strict=True):
            with QSignalBlocker(box):
                box.setValue(value)
        self._on_size_edited(0)
        notes = layer.metadata.get("emseg", {}).get("notes", []) if layer is not None else []
        self.notes.setText("  ".join(notes) or describe_layer(layer))


def grid_of(layer: Layer) -> tuple[int, ...]:
    """Return the shape of a layer at full resolution; () where it has no voxels."""
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return tuple(getattr(data, "shape", ()))


def describe_layer(layer: Layer | None) -> str:
    """Say what a layer is in one line."""
    if layer is None:
        return "Open a stack, or drop one on the canvas."
    data = layer.data[0] if layer.multiscale else layer.data
    return f"{' × '.join(map(str, grid_of(layer)))} voxels, {data.dtype}"


def flip(boundary: Volume) -> Volume:
    """Return the map with dark and bright exchanged, and say so in its notes."""
    data = boundary.read()
    flipped = ~data if data.dtype.kind in "bu" else 1 - data
    notes = [*boundary.provenance.get("notes", []), "Dark and bright were exchanged by hand."]
    # No step makes this map again, so it counts as one from elsewhere.
    known = {key: value for key, value in boundary.provenance.items() if key != "steps"}
    return replace(boundary, data=flipped, provenance={**known, "notes": notes})
