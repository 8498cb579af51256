"""Save and restore the session, export the recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_info
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QWidget

from napari_emseg.errors import InputError
from napari_emseg.gui.boundaries_step import BoundariesStep
from napari_emseg.gui.context import ROLES, Context
from napari_emseg.gui.frame import button
from napari_emseg.gui.layers import add_volume, volume_of
from napari_emseg.gui.live import live_preview_of
from napari_emseg.session import FILE_SUFFIX, SavedSession
from napari_emseg.steps.step import StepRecord, all_records
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari.layers import Layer

_HOW = ("model", "tta", "resample")  # what the sections of one map have in common
_FILES = f"Session (*{FILE_SUFFIX})"


class SessionBar(QWidget):
    """Three buttons at the foot of the workspace."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 2, 6, 4)
        layout.setSpacing(6)
        for text, action, tooltip in (
            ("Save session…", self.save, "Keep everything needed to go on another day"),
            ("Restore…", self.restore, "Go on where a saved session ended"),
            ("Export recipe…", self.export_recipe, "Write the steps as YAML for: emseg run"),
        ):
            layout.addWidget(button(text, action, tooltip))

    def save(self) -> None:
        """Ask for a file and save the session."""
        path, _ = QFileDialog.getSaveFileName(self, "Save session", "session.emseg", _FILES)
        if path:
            self.save_to(Path(path))

    def restore(self) -> None:
        """Ask for a file and restore the session."""
        path, _ = QFileDialog.getOpenFileName(self, "Restore session", "", _FILES)
        if path:
            self.restore_from(Path(path))

    def export_recipe(self) -> None:
        """Ask for a file and write the recipe."""
        path, _ = QFileDialog.getSaveFileName(self, "Export recipe", "recipe.yaml", "YAML (*.yaml)")
        if path:
            self.export_recipe_to(Path(path))

    def save_to(self, path: Path) -> None:
        """Save the session, as it is now, in the background."""
        from napari_emseg.session import save_session

        session = self.context.session
        session.view = session.view.model_copy(update={"section": self.context.section})
        volumes, others = self._volumes(), self._other_labels()
        done = None if self.context.is_boundary_complete else self.context.done_sections
        done_sections = None if done is None else done.copy()
        hierarchy = self.context.hierarchy
        snapshot = session.model_copy()
        self.context.jobs.start(
            lambda progress: save_session(
                path,
                snapshot,
                hierarchy=hierarchy,
                other_labels=others,
                done_sections=done_sections,
                progress=progress,
                **volumes,
            ),
            title="Saving the session",
            key="save",
            lane="files",
            on_result=lambda target: show_info(f"Session saved in {target}."),
        )

    def restore_from(self, path: Path) -> None:
        """Restore a session in the background; the present layers stay."""
        from napari_emseg.session import load_session

        if self._is_predicting():
            return
        self.context.jobs.start(
            lambda progress: load_session(path),
            title="Restoring the session",
            key="restore",
            lane="files",
            on_result=self._show_restored,
        )

    def export_recipe_to(self, path: Path) -> None:
        """Write the steps of this session as a recipe."""
        from napari_emseg.recipe import Recipe, save_recipe

        try:
            save_recipe(Recipe.from_records(self._steps_taken()), path)
        except InputError as error:
            self.context.refuse(error)
            return
        show_info(f"Recipe written to {path}. Repeat it with: emseg run {path.name} INPUT OUTDIR")

    def _steps_taken(self) -> list[StepRecord]:
        """Return the steps that led to the labels chosen; without labels, those of the session."""
        session, labels = self.context.session, self.context.layer("segmentation")
        made_by = all_records(labels.metadata.get("emseg", {})) if labels is not None else []
        if not made_by:
            return list(session.history)
        return made_by if session.scored is None else [*made_by, session.scored]

    def _is_predicting(self) -> bool:
        is_predicting = self.context.jobs.is_busy("predict")
        if is_predicting:
            self.context.refuse(
                InputError("A prediction is running: press Stop first, then restore the session.")
            )
        return is_predicting

    def _volumes(self) -> dict[str, Any]:
        names = {role: "labels" if role == "segmentation" else role for role in ROLES}
        volumes = {
            name: self.context.volume(role)
            for role, name in names.items()
            if self.context.layer(role) is not None
        }
        for name in {"labels", "ground_truth"} & volumes.keys():
            volumes[name] = _snapshot(volumes[name])
        if not self.context.is_boundary_complete:
            volumes["boundary"] = self._unfinished(volumes["boundary"])
        return volumes

    def _unfinished(self, boundary: Volume) -> Volume:
        """Copy the sections that are done, and say how the others are to be made."""
        done = self.context.done_sections
        data = np.zeros(boundary.shape, boundary.dtype)
        data[done] = boundary.read(done)
        raw = id(self.context.layer("raw"))
        known = [step._made for step in self._boundaries_steps() if step._made[:1] == (raw,)]
        how = dict(zip(_HOW, known[0][1:], strict=True)) if known else True
        return boundary.derive(data, kind="boundary", unfinished=how)

    def _other_labels(self) -> list[Volume]:
        chosen = [self.context.layer(role) for role in ROLES]
        found = []
        for layer in self.context.viewer.layers:
            is_preview = layer.metadata.get("emseg", {}).get("preview")
            if type(layer).__name__ != "Labels" or is_preview or layer in chosen:
                continue
            try:
                found.append(_snapshot(volume_of(layer, "labels")))
            except InputError as error:
                self.context.refuse(InputError(f"'{layer.name}' is not saved. {error}"))
        return found

    def _boundaries_steps(self) -> list[BoundariesStep]:
        docks = self.context.docks
        return [step for dock in docks for step in dock.findChildren(BoundariesStep)]

    def _show_restored(self, saved: SavedSession) -> None:
        if self._is_predicting():  # begun while the file was read
            return
        context, session = self.context, self.context.session
        for name in ("predict", "segment", "evaluate", "history", "scores", "scored", "view"):
            setattr(session, name, getattr(saved.session, name))
        self._show_role("raw", saved.raw)
        for volume in saved.other_labels:  # below the labels worked on, which are seen
            add_volume(context.viewer, volume, like=context.layer("raw"), visible=False)
        if saved.done_sections is None:
            self._show_role("boundary", saved.boundary)
        else:
            self._show_unfinished(saved)
        self._show_role("ground_truth", saved.ground_truth)
        self._show_role("segmentation", saved.labels)
        if saved.ground_truth is None:
            context.set_layer("ground_truth", None)  # other labels may have been taken for it
        session.evaluate = saved.session.evaluate
        if saved.hierarchy is not None:
            live_preview_of(context).adopt(saved.hierarchy)
        self._show_section(saved.session.view.section)
        for note in saved.notes:
            show_info(note)

    def _show_role(self, role: str, volume: Volume | None, *, is_unfinished: bool = False) -> None:
        context = self.context
        context.set_layer(role, None)
        if volume is not None:
            layer = add_volume(context.viewer, volume, like=context.layer("raw"))
            context.set_layer(role, layer, is_unfinished=is_unfinished)

    def _show_unfinished(self, saved: SavedSession) -> None:
        """Show the sections that are done; Predict all goes on if the raw is the same."""
        context = self.context
        self._show_role("boundary", saved.boundary, is_unfinished=True)
        done = context.done_sections
        if done is not None and saved.done_sections is not None:
            done[:] = saved.done_sections
        raw, raw_before = context.session.raw, saved.session.raw
        how = saved.boundary.provenance.get("unfinished") if saved.boundary else None
        if raw and raw_before and raw.fingerprint == raw_before.fingerprint and how is not None:
            made = _made(context.layer("raw"), how)
            for step in self._boundaries_steps():
                step._made = made
        context.plan_changed.emit()

    def _show_section(self, section: int) -> None:
        viewer = self.context.viewer
        layer = self.context.layer("raw") or self.context.layer("boundary")
        if layer is not None and layer.ndim == 3:
            viewer.dims.set_point(0, layer.data_to_world((section, 0, 0))[0])


def _snapshot(volume: Volume) -> Volume:
    """Copy voxels in memory, which can be painted while the file is written."""
    if not isinstance(volume.data, np.ndarray):
        return volume
    return volume.derive(np.array(volume.data), kind=volume.kind)


def _made(raw: Layer | None, how: Any) -> tuple[Any, ...]:
    """Say as step 2 does what a map was made of."""
    return (id(raw), *(how[name] for name in _HOW)) if isinstance(how, dict) else ()
