"""Save and restore the session, export the recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.utils.notifications import show_info
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QWidget

from napari_emseg.errors import InputError
from napari_emseg.gui.context import ROLES, Context
from napari_emseg.gui.frame import button
from napari_emseg.gui.layers import add_volume
from napari_emseg.gui.live import live_preview_of
from napari_emseg.session import FILE_SUFFIX, SavedSession

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
        """Save the session in the background."""
        from napari_emseg.session import save_session

        session = self.context.session
        session.view = session.view.model_copy(update={"section": self.context.section})
        volumes = self._volumes()
        hierarchy = self.context.hierarchy
        snapshot = session.model_copy()
        self.context.jobs.start(
            lambda progress: save_session(
                path, snapshot, hierarchy=hierarchy, progress=progress, **volumes
            ),
            title="Saving the session",
            key="save",
            lane="files",
            on_result=lambda target: show_info(f"Session saved in {target}."),
        )

    def restore_from(self, path: Path) -> None:
        """Restore a session in the background; the present layers stay."""
        from napari_emseg.session import load_session

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
            save_recipe(Recipe.from_records(self.context.session.history), path)
        except InputError as error:
            self.context.refuse(error)
            return
        show_info(f"Recipe written to {path}. Repeat it with: emseg run {path.name} INPUT OUTDIR")

    def _volumes(self) -> dict[str, Any]:
        names = {role: "labels" if role == "segmentation" else role for role in ROLES}
        return {
            name: self.context.volume(role)
            for role, name in names.items()
            if self.context.layer(role) is not None
            and (role != "boundary" or self.context.is_boundary_complete)
        }

    def _show_restored(self, saved: SavedSession) -> None:
        context, session = self.context, self.context.session
        for name in ("predict", "segment", "evaluate", "history", "scores", "scored", "view"):
            setattr(session, name, getattr(saved.session, name))
        volumes = (saved.raw, saved.boundary, saved.ground_truth, saved.labels)
        roles = ("raw", "boundary", "ground_truth", "segmentation")
        for role, volume in zip(roles, volumes, strict=True):
            context.set_layer(role, None)
            if volume is not None:
                like = context.layer("raw")
                layer = add_volume(context.viewer, volume, like=like)
                context.set_layer(role, layer)
        session.evaluate = saved.session.evaluate
        if saved.hierarchy is not None:
            live_preview_of(context).adopt(saved.hierarchy)
        self._show_section(saved.session.view.section)
        for note in saved.notes:
            show_info(note)

    def _show_section(self, section: int) -> None:
        viewer = self.context.viewer
        layer = self.context.layer("raw") or self.context.layer("boundary")
        if layer is not None and layer.ndim == 3:
            viewer.dims.set_point(0, layer.data_to_world((section, 0, 0))[0])
