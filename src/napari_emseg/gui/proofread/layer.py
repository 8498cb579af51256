"""The labels layer under correction: every stroke and undo of napari's is the editor's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels

from napari_emseg.errors import InputError
from napari_emseg.gui.proofread.colours import SegmentColormap, segment_colormap
from napari_emseg.gui.proofread.data import EditedLabels, Stroke
from napari_emseg.gui.proofread.decor import Decor, Voxel
from napari_emseg.proofreading.shading import Special, shade

if TYPE_CHECKING:
    from napari_emseg.proofreading import Preview, Proofreader

_POINT_PX = 6  # on the screen
_MOST_LABELS = 32  # written at once by other plugins


class ProofreadLabels(Labels):  # type: ignore[misc]
    """Labels of an editor, drawn with what is selected, locked and previewed.

    Parameters
    ----------
    editor : Proofreader
    on_strokes : callable
        Called with the layer and the strokes that were painted.
    on_undo, on_redo : callable
        Called instead of napari's own undo and redo.
    on_refused : callable
        Called with an `InputError` where something cannot be done in this layer.
    **attributes
        Of a `Labels` layer.
    """

    def __init__(
        self,
        editor: Proofreader,
        *,
        on_strokes: Callable[[ProofreadLabels, list[Stroke]], object],
        on_undo: Callable[[], object],
        on_redo: Callable[[], object],
        on_refused: Callable[[InputError], object],
        **attributes: Any,
    ) -> None:
        self._editor = editor
        self._on_strokes, self._on_refused = on_strokes, on_refused
        self._on_undo, self._on_redo = on_undo, on_redo
        self._chosen: tuple[int, ...] = ()
        self._preview: Preview | None = None
        self._decor = Decor()
        self.zoom = 1.0  # of the camera, told from outside
        super().__init__(EditedLabels(editor), **attributes)
        self.colormap = segment_colormap()
        self._edited.on_write = self._on_write

    @property
    def scale_factor_of_view(self) -> float:
        """Pixels of the screen for one voxel along x."""
        return self.zoom * float(abs(self.scale[-1]))

    @property
    def _type_string(self) -> str:
        return "labels"

    @property
    def next_segment(self) -> int:
        """The id that a new segment gets."""
        return int(self._editor.state.next_segment)

    @property
    def _edited(self) -> EditedLabels:
        edited = self._data
        assert isinstance(edited, EditedLabels)
        return edited

    def show(
        self, *, selection: tuple[int, ...] | None = None, preview: Preview | None = None
    ) -> None:
        """Draw these segments as selected, and a preview over them, from now on."""
        if selection is not None:
            self._chosen = selection
        self._preview = preview
        self.repaint()

    def draw_path(self, corners: Sequence[Voxel]) -> None:
        """Draw a line, as far as it is drawn by hand."""
        self._decor.path = tuple(corners)
        self.repaint()

    def mark(self, voxel: Voxel | None) -> None:
        """Draw a ring around a place, until another is marked."""
        self._decor.place = voxel
        self.repaint()

    def show_points(self, points: Sequence[tuple[Voxel, int]]) -> None:
        """Draw points that were clicked, each in the colour of its group."""
        self._decor.points = tuple(points)

    def repaint(self) -> None:
        """Draw the visible section again: something was edited."""
        self.refresh(extent=False, thumbnail=False, highlight=False)

    def undo(self) -> None:
        """Take the last edit back."""
        self._on_undo()

    def redo(self) -> None:
        """Make the edit that was undone last again."""
        self._on_redo()

    def new_colormap(self, seed: int | None = None) -> None:
        """Shuffle the colours."""
        part = np.random.default_rng(seed).random()
        self.colormap = segment_colormap(float(part))

    @property
    def data(self) -> Any:
        """The labels; assigning others is an edit."""
        return self._data

    @data.setter
    def data(self, data: Any) -> None:
        try:
            self._replace(np.asarray(data))
        except InputError as error:
            self._on_refused(error)

    def _replace(self, labels: npt.NDArray[Any]) -> None:
        if labels.shape != self._edited.shape:
            raise InputError(
                f"Labels of {labels.shape} voxels cannot replace these of {self._edited.shape}: "
                "open them as a layer of their own."
            )
        self._begin_stroke()
        for z in range(labels.shape[0]):
            if (labels[z] != self._edited[z]).any():
                self._edited[z] = labels[z]
        self._block_history = False
        self._take_draft()

    def _on_write(self) -> None:
        if not self._block_history:  # another plugin wrote voxels, which no stroke holds together
            self._take_draft()

    def _append_to_undo_history(self, item: Any) -> None:
        self._take_draft()
        self.events.paint(value=item)

    def _abort_stroke(self) -> None:
        self._edited.forget()
        self._staged_history: list[Any] = []
        self._block_history = False
        self.refresh()

    def _take_draft(self) -> None:
        strokes = self._edited.take()
        if not strokes:  # what is drawn is what there is
            return
        if len(strokes) > _MOST_LABELS:
            self._on_refused(
                InputError(
                    f"{len(strokes)} labels at once are no stroke: open those labels as a layer "
                    "of their own, and proofread that."
                )
            )
        else:
            self._on_strokes(self, strokes)
        self.repaint()

    def _raw_to_displayed(
        self, raw: npt.NDArray[Any], data_slice: tuple[slice, ...] | None = None
    ) -> npt.NDArray[Any]:
        if not isinstance(self.colormap, SegmentColormap):  # somebody chose other colours
            shown: npt.NDArray[Any] = super()._raw_to_displayed(raw, data_slice)
            return shown
        whole = data_slice or tuple(slice(0, n) for n in raw.shape)
        after = self._after(raw)[whole] if self._can_preview(raw) else None
        outlined = None if after is not None else self._calculate_contour(raw, whole)
        labels = raw[whole] if outlined is None else outlined
        if self.colormap.use_selection:
            labels = np.where(labels == self.colormap.selection, labels, 0)
        preview = self._preview if after is not None else None
        shades = shade(
            labels,
            self._special(),
            after,
            () if preview is None else _groups(preview),
            with_edges=labels.ndim == 2,
        )
        if self._is_section(raw) and data_slice is None:
            rows, columns = (int(axis == 2) for axis in self._slice_input.displayed)
            upright = shades if (rows, columns) == (0, 1) else shades.T
            self._decor.draw(upright, self._visible_section(), self._point_px())
        return shades

    def _can_preview(self, raw: npt.NDArray[Any]) -> bool:
        preview = self._preview
        is_now = preview is not None and preview.version == self._editor.version
        return is_now and self._is_section(raw)

    def _is_section(self, raw: npt.NDArray[Any]) -> bool:
        return raw.ndim == 2 and list(self._slice_input.not_displayed) == [0]

    def _point_px(self) -> int:
        """Radius of a point, in voxels: so wide that it is seen at this zoom."""
        return max(2, round(_POINT_PX / max(self.scale_factor_of_view, 1e-9)))

    def _after(self, raw: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
        assert self._preview is not None
        after = self._preview.section_view(self._visible_section())
        return after if after.shape == raw.shape else after.T

    def _visible_section(self) -> int:
        point = self.world_to_data(self._slice_input.world_slice.point)
        return int(np.clip(round(float(point[0])), 0, len(self._edited) - 1))

    def _special(self) -> Special:
        state, preview = self._editor.state, self._preview
        return Special.of(
            locked=state.done,
            aside=state.set_aside,
            selected=() if preview is not None else self._chosen,
            previewed=() if preview is None else preview.edit.before,
        )


def _groups(preview: Preview) -> tuple[int, ...]:
    """Parts in the order of the groups of points, where something is split."""
    return preview.edit.after if preview.edit.operation.startswith("split") else ()


def take_new_segment(layer: ProofreadLabels) -> None:
    """Paint a new segment from now on."""
    layer.selected_label = layer.next_segment


ProofreadLabels.bind_key("M", take_new_segment, overwrite=True)
