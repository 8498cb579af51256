"""Previews that take longer than a frame are computed in another thread."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_emseg.errors import InputError
from napari_emseg.progress import Progress

if TYPE_CHECKING:
    from napari_emseg.gui.proofread.proofreading import Proofreading
    from napari_emseg.proofreading import Preview, Proofreader
    from napari_emseg.proofreading.guidance import Site


_JOB = "proofread preview"


class Proposing:
    """The preview that is being computed, if one is; the newest only.

    Parameters
    ----------
    proofreading : Proofreading
        Shows it.
    """

    def __init__(self, proofreading: Proofreading) -> None:
        self._proofreading, self._jobs = proofreading, proofreading.context.jobs

    @property
    def is_busy(self) -> bool:
        """Whether a preview is being computed."""
        return self._jobs.is_busy(_JOB)

    def stop(self) -> None:
        """Propose nothing any more."""
        self._jobs.stop(_JOB)

    def start(self, operation: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        """Compute what an operation would do, and show it."""
        proofreading = self._proofreading
        assert proofreading.editor is not None
        self._jobs.start(
            partial(compute_preview, proofreading.editor, operation, arguments, options),
            title="Looking for the best cut",
            key=_JOB,
            lane=_JOB,
            on_result=self._on_proposed,
            on_end=proofreading.hinted.emit,
        )
        proofreading.hinted.emit()

    def _on_proposed(self, made: Preview | InputError | None) -> None:
        proofreading = self._proofreading
        if isinstance(made, InputError):
            proofreading.refuse(made)
            if proofreading.hand.is_pending:
                proofreading.hand.take_back()
        elif made is not None and proofreading.editor is not None:
            proofreading.show_preview(made)


def takes_long(editor: Proofreader, operation: str, arguments: tuple[Any, ...]) -> bool:
    """Whether voxels have to be cut for a preview, which the window should not wait for."""
    if operation == "split_by_line":
        return True
    if operation != "split":
        return False
    if not editor.state.has_contacts:
        return True
    seen: dict[int, int] = {}
    for k, group in enumerate(arguments[0]):
        for point in group:
            try:
                fragment = editor.state.fragment_at(tuple(round(float(p)) for p in point))  # type: ignore[arg-type]
            except InputError:
                return False  # told when it is proposed
            if seen.setdefault(fragment, k) != k:
                return True
    return False


def takes_long_at(editor: Proofreader, site: Site) -> bool:
    """Whether voxels have to be cut to split at a suspicious place."""
    from napari_emseg.proofreading.guidance import cut_ends

    return takes_long(editor, "split", (cut_ends(editor.state, site),))


def compute_preview(
    editor: Proofreader,
    operation: str,
    arguments: tuple[Any, ...],
    options: Mapping[str, Any],
    progress: Progress,
) -> Preview | InputError | None:
    """Return a preview, why there is none, or None where something was edited meanwhile."""
    version = editor.version
    try:
        made = editor.preview(operation, *arguments, **options)
    except InputError as error:
        return error if editor.version == version else None
    except Exception:
        if editor.version == version:
            raise
        return None  # what was read changed under it
    return made if editor.version == version else None
