"""What the library does with models: in the background, one thing at a time, and said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_emseg.gui.context import Context
from napari_emseg.gui.jobs import FILES, Work
from napari_emseg.gui.models.known import known_models_of
from napari_emseg.progress import Progress

if TYPE_CHECKING:
    from napari_emseg.networks.info import ModelInfo
    from napari_emseg.networks.upkeep import Deleted

_KEY = "model library"


class ModelActions(QObject):
    """Adds, renames, deletes, shares and exports.

    Signals: `said` with what was done, or is being done; `found` with the name of the model
    that an action led to; `ended` when an action is over, in whatever way.
    """

    said = Signal(str)
    found = Signal(str)
    ended = Signal()

    def __init__(self, context: Context, parent: QObject) -> None:
        super().__init__(parent)
        self._context = context
        self._known = known_models_of(context)
        self._deleted: Deleted | None = None

    @property
    def is_busy(self) -> bool:
        """Whether an action waits or runs."""
        return self._context.jobs.is_busy(_KEY)

    @property
    def can_undo(self) -> bool:
        """Whether the last action was to delete a model."""
        return self._deleted is not None

    def rename(self, info: ModelInfo, new: str) -> None:
        """Give a model another name, in the session too."""
        from napari_emseg.networks.upkeep import rename_model

        work = partial(rename_model, info.name, new)
        self._do(work, "Renaming a model", partial(self._on_renamed, info))

    def delete(self, info: ModelInfo) -> None:
        """Delete a model."""
        from napari_emseg.networks.upkeep import delete_model

        self._do(partial(delete_model, info.name), "Deleting a model", self._on_deleted)

    def undo(self) -> None:
        """Bring back what was deleted last."""
        from napari_emseg.networks.upkeep import restore_model

        if self._deleted is not None:
            work = partial(restore_model, self._deleted)
            self._do(work, "Bringing a model back", partial(self._on_there, "{} is back."))

    def share(self, info: ModelInfo, path: Path) -> None:
        """Write a model to one file; that it may be replaced was asked."""
        from napari_emseg.networks.upkeep import export_model

        work = partial(export_model, info.name, path, overwrite=True)
        self._do(work, "Sharing a model", self._on_written)

    def export_package(self, info: ModelInfo, path: Path) -> None:
        """Write a model as a BioImage.IO package."""
        target = path if path.suffix.lower() == ".zip" else path.with_name(f"{path.name}.zip")
        work = partial(_export_package, info.name, target)
        self._start(work, "Exporting a BioImage.IO package", self._on_written)

    def add(self, paths: Sequence[Path]) -> None:
        """Copy models into the user's folder, after they were tried."""
        if paths:
            self._start(partial(_adopt, paths), "Adding models", self._on_added)

    def fetch(self, address: str) -> None:
        """Download a model of the BioImage.IO collection into the user's folder."""
        if address:
            title = f"Getting {address}"
            self._start(partial(_fetch, address), title, self._on_added, lane="download")

    def add_folder(self, path: Path) -> None:
        """List the models of a folder of the lab from now on."""
        from napari_emseg.networks.library import add_lab_folder

        said = f"The models in '{path.name}' are listed from now on."
        self._do(partial(add_lab_folder, path), "Adding a folder", lambda _: self._say(said))

    def forget_folder(self, path: Path) -> None:
        """List the models of a folder of the lab no more."""
        from napari_emseg.networks.library import remove_lab_folder

        said = f"'{path.name}' is not looked through any more; its files stay."
        self._do(partial(remove_lab_folder, path), "Forgetting a folder", lambda _: self._say(said))

    def _do(self, work: Callable[[], Any], title: str, on_result: Callable[[Any], None]) -> None:
        self._start(lambda _progress: work(), title, on_result)

    def _start(
        self, work: Work, title: str, on_result: Callable[[Any], None], *, lane: str = FILES
    ) -> None:
        self._deleted = None
        self._say(f"{title}…")
        self._context.jobs.start(
            work,
            title=title,
            key=_KEY,
            lane=lane,
            on_result=partial(self._on_result, on_result),
            on_report=lambda report: self._say(f"{title}: {report.describe_share()}…"),
            on_end=self.ended.emit,
        )

    def _on_result(self, on_result: Callable[[Any], None], result: Any) -> None:
        self._known.refresh()
        on_result(result)

    def _say(self, words: str) -> None:
        self.said.emit(words)

    def _on_renamed(self, before: ModelInfo, info: ModelInfo) -> None:
        predict = self._context.session.predict
        names = {"model": predict.model, "substitute": predict.substitute}
        changes: dict[str, Any] = {k: info.name for k, name in names.items() if name == before.name}
        if before.name in predict.others:
            changes["others"] = tuple(
                info.name if name == before.name else name for name in predict.others
            )
        if changes:
            self._context.session.change("predict", **changes)
        self.found.emit(info.name)
        self._say(f"'{before.title or before.name}' is now called '{info.name}'.")

    def _on_deleted(self, deleted: Deleted) -> None:
        self._deleted = deleted
        self._say(f"Deleted '{deleted.title}'.")

    def _on_there(self, words: str, info: ModelInfo) -> None:
        self.found.emit(info.name)
        self._say(words.format(f"'{info.title or info.name}'"))

    def _on_added(self, infos: list[ModelInfo]) -> None:
        self.found.emit(infos[-1].name)
        names = ", ".join(f"'{info.title or info.name}'" for info in infos)
        self._say(f"Added {names}.")

    def _on_written(self, path: Path) -> None:
        self._say(f"Written to {path}.")


def _adopt(paths: Sequence[Path], progress: Progress) -> list[ModelInfo]:
    from napari_emseg.inference.bioimageio.own import adopt

    return [adopt(path, progress=progress)[0] for path in paths]


def _fetch(address: str, progress: Progress) -> list[ModelInfo]:
    from napari_emseg.inference.bioimageio import fetch_package

    with TemporaryDirectory() as folder:
        path = fetch_package(address, folder, progress)
        return _adopt([path], progress)


def _export_package(name: str, path: Path, progress: Progress) -> Path:
    from napari_emseg.inference.bioimageio import export_package

    return export_package(name, path, progress=progress)
