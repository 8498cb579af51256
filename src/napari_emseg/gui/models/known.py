"""The models of the library as every dock sees them: one list, and a signal when it changes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import (  # type: ignore[attr-defined]
    QFileSystemWatcher,
    QObject,
    QTimer,
    Signal,
)

from napari_emseg.gui.context import Context
from napari_emseg.progress import Progress

if TYPE_CHECKING:
    from napari_emseg.networks.info import ModelInfo

_SETTLE_MS = 150  # a folder reports each step of writing a file


class KnownModels(QObject):
    """The models found, of which folder ever; `changed` when it is no longer the same list.

    The user's folder is watched, so that a model which a training or the command line has
    just written is seen. Folders of the lab may lie on a slow server: they are read in the
    background, when the window opens, when asked, and while the library is looked at.
    """

    changed = Signal()

    def __init__(self, context: Context) -> None:
        from napari_emseg.networks.library import lab_folders, list_models

        super().__init__(context)
        self._context = context
        self._models = tuple(list_models(with_lab=False))
        self._reachable: frozenset[Path] = frozenset()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SETTLE_MS)
        self._soon.timeout.connect(self.refresh)
        self._watcher = QFileSystemWatcher(self)
        self._watcher.directoryChanged.connect(self._on_folder_changed)
        self._watch()
        context.closed.connect(self._stop)
        if lab_folders():
            self._refresh_lab()

    @property
    def all(self) -> tuple[ModelInfo, ...]:
        """All models, also those that cannot be used; the default is the first."""
        return self._models

    @property
    def usable(self) -> tuple[ModelInfo, ...]:
        """The models that can be used; the default is the first."""
        return tuple(info for info in self._models if not info.problem)

    def find(self, name: str) -> ModelInfo | None:
        """Return the model of this name, if there is one."""
        return next((info for info in self._models if info.name == name), None)

    def label(self, info: ModelInfo) -> str:
        """Return what a model is called in lists: its title, and its name if two share that."""
        title = info.title or info.name
        shared = Counter(other.title for other in self._models)[info.title] > 1
        return f"{title} ({info.name})" if shared and info.title else title

    def is_reachable(self, folder: Path) -> bool:
        """Whether a folder of the lab was there when it was last looked for."""
        return folder in self._reachable

    def refresh(self) -> None:
        """Look into the folders again: those of this computer at once, the lab's in a moment."""
        from napari_emseg.networks.library import lab_folders, list_models

        self._watch()
        local = list_models(with_lab=False)
        names = {info.name for info in local}
        folders = lab_folders()
        lab = [info for info in self._models if info.origin == "lab" and info.name not in names]
        self._take([*local, *(info for info in lab if folders)])
        if folders:
            self._refresh_lab()

    def _refresh_lab(self) -> None:
        self._context.jobs.start(
            _look_everywhere,
            title="Looking for models",
            key="models",
            lane="models",
            on_result=self._on_looked,
        )

    def _on_looked(self, found: tuple[list[ModelInfo], frozenset[Path]]) -> None:
        models, reachable = found
        is_other = reachable != self._reachable
        self._reachable = reachable
        if not self._take(models) and is_other:
            self.changed.emit()

    def _take(self, models: list[ModelInfo]) -> bool:
        is_other = tuple(models) != self._models
        if is_other:
            self._models = tuple(models)
            self.changed.emit()
        return is_other

    def _watch(self) -> None:
        """Watch the user's folder, which may have been made meanwhile."""
        from napari_emseg.networks.library import user_folder

        folder = user_folder()
        if str(folder) not in self._watcher.directories() and folder.is_dir():
            self._watcher.addPath(str(folder))

    def _stop(self) -> None:
        self._soon.blockSignals(True)  # a folder may still report a change

    def _on_folder_changed(self, _path: str) -> None:
        if not self._soon.isActive():
            self._soon.start()


def _look_everywhere(_progress: Progress) -> tuple[list[ModelInfo], frozenset[Path]]:
    from napari_emseg.networks.library import lab_folders, list_models

    return list_models(), frozenset(folder for folder in lab_folders() if folder.is_dir())


def known_models_of(context: Context) -> KnownModels:
    """Return the one list of models of a context, made when first asked for."""
    found = context.findChild(KnownModels)
    return found if found is not None else KnownModels(context)
