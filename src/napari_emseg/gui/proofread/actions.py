"""Everything that can be done while proofreading, each with one key.

The left hand is on the keys, the right one on the mouse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_emseg.gui.proofread.keymap import Named

if TYPE_CHECKING:
    from napari_emseg.gui.proofread.proofreading import Proofreading

HELP_KEY = "?"


@dataclass(frozen=True)
class Action(Named):
    """One thing to do.

    Attributes
    ----------
    id, title, key : str
        For the program; on the screen; the usual key.
    group : str
        Under which heading it stands in the cheat sheet.
    run : callable
        Does it.
    """

    group: str
    run: Callable[[Proofreading], None]


class Requests(QObject):
    """What a key asks of a panel: `asked` with the action's id."""

    asked = Signal(str)


def requests_of(proofreading: Proofreading) -> Requests:
    """Return the requests of a proofreading, made when first asked for."""
    found = proofreading.findChild(Requests)
    if found is None:
        found = Requests()
        found.setParent(proofreading)
    return found


def ask(what: str) -> Callable[[Proofreading], None]:
    """Return what passes an action on to the panel that knows how."""

    def run(proofreading: Proofreading) -> None:
        requests_of(proofreading).asked.emit(what)

    return run


def _mode(name: str) -> Callable[[Proofreading], None]:
    def run(proofreading: Proofreading) -> None:
        proofreading.set_mode(name)

    return run


def _drop(proofreading: Proofreading) -> None:
    """Drop the preview and what was clicked for it; then the mode; then the selection."""
    is_pending = proofreading.hand.is_pending or proofreading.is_proposing
    if proofreading.preview is not None or is_pending:
        proofreading.drop()
    elif proofreading.mode != "look":
        proofreading.set_mode("look")
    else:
        proofreading.select(())


def _decide(decision: str) -> Callable[[Proofreading], None]:
    def run(proofreading: Proofreading) -> None:
        from napari_emseg.gui.proofread.sites import queue_of

        queue_of(proofreading).decide(decision)

    return run


def _step(by: int) -> Callable[[Proofreading], None]:
    def run(proofreading: Proofreading) -> None:
        from napari_emseg.gui.proofread.sites import queue_of

        queue_of(proofreading).step(by)

    return run


def _show_place(proofreading: Proofreading) -> None:
    from napari_emseg.gui.proofread.sites import queue_of

    queue_of(proofreading).show()


def _toggle(operation: str, flag: str) -> Callable[[Proofreading], None]:
    """Note something of the selected segments, or take it back where all have it."""

    def run(proofreading: Proofreading) -> None:
        editor, chosen = proofreading.editor, proofreading.selection
        if editor is None or not _has_selection(proofreading):
            return
        has_it = all(editor.state.flag(segment, flag) for segment in chosen)
        proofreading.edit(operation, chosen, not has_it)

    return run


def _delete(proofreading: Proofreading) -> None:
    if proofreading.editor is not None and _has_selection(proofreading):
        proofreading.edit("delete", proofreading.selection)


def _fragment(operation: str) -> Callable[[Proofreading], None]:
    """Show what becomes of the fragment under the mouse."""

    def run(proofreading: Proofreading) -> None:
        editor, layer = proofreading.editor, proofreading.layer
        if editor is None or layer is None:
            return
        target: tuple[int, ...] = ()
        if operation == "absorb":
            if not _has_selection(proofreading):
                return
            target = proofreading.selection[:1]
        voxel = layer.world_to_data(proofreading.viewer.cursor.position)
        z, y, x = (round(float(v)) for v in voxel)
        if proofreading.viewer.dims.ndisplay != 2 or not proofreading.segment_at((z, y, x)):
            proofreading.said.emit("Point at a segment first: the mouse is over none.")
            return
        fragment = editor.state.fragment_at((z, y, x))
        proofreading.propose(operation, [fragment], *target, positions=[(z, y, x)])

    return run


def _centre(proofreading: Proofreading) -> None:
    from napari_emseg.gui.proofread.facts import middle_of

    editor = proofreading.editor
    if editor is not None and _has_selection(proofreading):
        proofreading.go_to(middle_of(editor.state, proofreading.selection[0]))


def _has_selection(proofreading: Proofreading) -> bool:
    if not proofreading.selection:
        proofreading.said.emit("Click a segment first: none is selected.")
    return bool(proofreading.selection)


def _next_group(proofreading: Proofreading) -> None:
    switch: Callable[[], None] | None = getattr(proofreading, "next_group", None)
    if switch is None or proofreading.mode != "split":
        proofreading.said.emit("Groups of points are for the mode Split.")
    else:
        switch()


def _open_cheat_sheet(proofreading: Proofreading) -> None:
    from napari_emseg.gui.proofread.cheat_sheet import open_cheat_sheet

    open_cheat_sheet(proofreading)


MODES, EDIT, PLACES, SEGMENT, VIEW = (
    "What a click does",
    "The change in sight",
    "Places to look at",
    "Selected segment",
    "Find and see",
)
GROUPS = (MODES, EDIT, PLACES, SEGMENT, VIEW)

ACTIONS: tuple[Action, ...] = (
    Action("merge", "Merge: click segments that are one cell", "A", MODES, _mode("merge")),
    Action("split", "Split: click points on both cells", "S", MODES, _mode("split")),
    Action("group", "Split: points of the next cell", "G", MODES, _next_group),
    Action("line", "Cut: draw a line across", "Shift+S", MODES, _mode("line")),
    Action("accept", "Accept the preview", "Enter", EDIT, lambda p: p.accept()),
    Action("accept_left", "Accept, for the left hand", "C", EDIT, lambda p: p.accept()),
    Action("drop", "Drop it; again: back to Look", "Escape", EDIT, _drop),
    Action("site_merge", "Merge: it is one cell", "Q", PLACES, _decide("merge")),
    Action("site_keep", "Keep: right as it is", "W", PLACES, _decide("keep")),
    Action("site_split", "Split: it is two cells", "R", PLACES, _decide("split")),
    Action("site_later", "Later: put it last", "T", PLACES, _decide("later")),
    Action("next_site", "Next place", "N", PLACES, _step(1)),
    Action("previous_site", "Previous place", "Shift+N", PLACES, _step(-1)),
    Action("show_site", "Back to this place", "Shift+Q", PLACES, _show_place),
    Action("done", "Done: lock it; again: unlock", "D", SEGMENT, _toggle("mark_done", "done")),
    Action(
        "set_aside",
        "Set aside; again: take back",
        "Shift+A",
        SEGMENT,
        _toggle("set_aside", "set_aside"),
    ),
    Action(
        "detach", "Break off the fragment under the mouse", "Shift+D", SEGMENT, _fragment("detach")
    ),
    Action(
        "absorb", "Give it the fragment under the mouse", "Shift+E", SEGMENT, _fragment("absorb")
    ),
    Action("rename", "Name it", "Shift+R", SEGMENT, ask("rename")),
    Action("delete", "Delete it", "Shift+X", SEGMENT, _delete),
    Action("jump", "Go to an id or a position", "Shift+G", VIEW, ask("jump")),
    Action("centre", "Centre on the selected segment", "Shift+C", VIEW, _centre),
    Action("surfaces", "Show it in 3D; again: back to sections", "Shift+T", VIEW, ask("surfaces")),
    Action("cheat_sheet", "This list of keys", HELP_KEY, VIEW, _open_cheat_sheet),
)
BY_ID = {action.id: action for action in ACTIONS}

OWN_KEYS = (
    ("Ctrl+Z", "Undo"),
    ("Ctrl+Shift+Z", "Redo"),
    ("P", "Brush"),
    ("E", "Eraser"),
    ("F", "Fill"),
    ("L", "Pick a segment"),
    ("Z", "Move the view"),
    ("[  ]", "Smaller, larger brush"),
    ("←  →", "Section before, after"),
)
"""Keys of napari that serve here too."""
