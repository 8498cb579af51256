"""Save and restore the session, export the recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from napari.utils.notifications import show_info
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QMessageBox, QWidget

from napari_emseg.errors import InputError
from napari_emseg.gui.boundaries.proposing import proposing_of
from napari_emseg.gui.context import Context
from napari_emseg.gui.frame import button
from napari_emseg.gui.layers import add_volume, volume_of
from napari_emseg.gui.live import live_preview_of
from napari_emseg.gui.preview_labels import is_preview
from napari_emseg.gui.proofread.proofreading import proofreading_of
from napari_emseg.gui.roles import ROLES
from napari_emseg.gui.train.paint_keeper import painting_keeper_of
from napari_emseg.session import FILE_SUFFIX, SavedSession
from napari_emseg.steps.fingerprint import has_changed
from napari_emseg.steps.step import StepRecord, all_records
from napari_emseg.volume import Volume

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
        from napari_emseg.session.proofreads import pack_folder

        session = self.context.session
        session.view = session.view.model_copy(update={"section": self.context.section})
        volumes, others = self._volumes(), self._other_labels()
        done = None if self.context.is_boundary_complete else self.context.done_sections
        done_sections = None if done is None else done.copy()
        hierarchy = self.context.hierarchy
        snapshot = session.model_copy()
        folder = proofreading_of(self.context).folder
        keeper = painting_keeper_of(self.context)
        noted = keeper.note_saving()

        def tell(target: Path) -> None:
            keeper.note_saved(noted)
            show_info(f"Session saved in {target}.")

        self.context.jobs.start(
            lambda progress: save_session(
                path,
                snapshot,
                hierarchy=hierarchy,
                other_labels=others,
                done_sections=done_sections,
                proofreading=None if folder is None else pack_folder(folder),
                progress=progress,
                **volumes,
            ),
            title="Saving the session",
            key="save",
            lane="files",
            on_result=tell,
        )

    def restore_from(self, path: Path, *, is_sure: bool = False) -> None:
        """Restore a session in the background; the present layers stay.

        Asks first where settings and scores of work done would be replaced.
        """
        from napari_emseg.session import load_session

        if self._is_predicting() or not (is_sure or self._may_replace()):
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

    def _may_replace(self) -> bool:
        if not self.context.session.history:
            return True
        answer = QMessageBox.question(
            self,
            "Restore session",
            "Restoring replaces the settings and scores of the present work; its layers stay. "
            "Restore?",
        )
        return answer == QMessageBox.StandardButton.Yes

    def _volumes(self) -> dict[str, Any]:
        from napari_emseg.segmentation.affinity_view import affinities_of

        names = {role: "labels" if role == "segmentation" else role for role in ROLES}
        volumes = {
            name: self.context.volume(role)
            for role, name in names.items()
            if self.context.layer(role) is not None
        }
        for name in {"labels", "ground_truth"} & volumes.keys():
            volumes[name] = _snapshot(volumes[name])
        boundary = volumes.get("boundary")
        if boundary is not None and not self.context.is_boundary_complete:
            volumes["boundary"] = self._unfinished(boundary)
        elif boundary is not None:
            volumes["boundary"] = affinities_of(boundary) or boundary
        return volumes

    def _unfinished(self, boundary: Volume) -> Volume:
        """Copy the sections that are done, and say how the others are to be made."""
        done = self.context.done_sections
        data = np.zeros(boundary.shape, boundary.dtype)
        data[done] = boundary.read(done)
        how = self.context.maps.how(self.context.layer("boundary"))
        return boundary.derive(data, kind="boundary", unfinished=how)

    def _other_labels(self) -> list[Volume]:
        chosen = [self.context.layer(role) for role in ROLES]
        found = []
        for layer in self.context.viewer.layers:
            if type(layer).__name__ != "Labels" or is_preview(layer) or layer in chosen:
                continue
            try:
                found.append(_snapshot(volume_of(layer, "labels")))
            except InputError as error:
                self.context.refuse(InputError(f"'{layer.name}' is not saved. {error}"))
        return found

    def _show_restored(self, saved: SavedSession) -> None:
        if self._is_predicting():  # begun while the file was read
            return
        context, session = self.context, self.context.session
        proposing_of(context).keep()  # what was saved, whatever stack comes with it
        for name in ("predict", "segment", "evaluate", "history", "view"):
            setattr(session, name, getattr(saved.session, name))
        with context.choosing():  # what the file has no layer for has none
            self._show_role("raw", saved.raw)
            for volume in saved.other_labels:  # below the labels worked on, which are seen
                add_volume(context.viewer, volume, like=context.layer("raw"), visible=False)
            self._show_boundary(saved)
            self._show_role("ground_truth", saved.ground_truth)
            self._show_role("segmentation", saved.labels)
        for name in ("evaluate", "scores", "scored"):  # new layers have changed them
            setattr(session, name, getattr(saved.session, name))
        if saved.hierarchy is not None:
            live_preview_of(context).adopt(saved.hierarchy)
        self._show_section(saved.session.view.section)
        if saved.proofreading is not None:
            proofreading_of(context).resume_packed(saved.proofreading)
        for note in saved.notes:
            show_info(note)

    def _show_role(self, role: str, volume: Volume | None) -> None:
        context = self.context
        context.set_layer(role, None)
        if volume is not None:
            context.set_layer(role, add_volume(context.viewer, volume, like=context.layer("raw")))

    def _show_boundary(self, saved: SavedSession) -> None:
        """Show the map; of an unfinished one the sections that are done."""
        context, done = self.context, saved.done_sections
        if saved.boundary is None or done is None:
            self._show_role("boundary", saved.boundary)
            return
        layer = add_volume(context.viewer, saved.boundary, like=context.layer("raw"))
        raw, raw_before = context.session.raw, saved.session.raw
        is_same = raw and raw_before and not has_changed(raw_before.fingerprint, raw.fingerprint)
        how = saved.boundary.provenance.get("unfinished")
        # Predict all goes on with this map only if it would make it of the same raw sections.
        context.maps.begin(
            layer,
            how if isinstance(how, dict) else {},
            context.layer("raw") if is_same else None,
        )
        context.maps.done(layer)[:] = done  # type: ignore[index]
        context.set_layer("boundary", layer)
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
