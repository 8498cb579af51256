"""Surfaces and skeletons of segments under correction, as files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_emseg.errors import InputError
from napari_emseg.gui.frame import button, column, row
from napari_emseg.gui.jobs import FILES
from napari_emseg.gui.proofread.shapes import Moment, Whereabouts
from napari_emseg.morphometry import Shapes, TileIndex
from napari_emseg.progress import Progress
from napari_emseg.volume import ZYX

if TYPE_CHECKING:
    from napari_emseg.gui.proofread.proofreading import Proofreading

_JOB = "save shapes"
_MESHES = "GLB, with colours (*.glb);;PLY (*.ply);;OBJ (*.obj);;Neuroglancer, a new folder (*)"
_SKELETONS = "SWC, a new folder or one .swc file (*);;Neuroglancer, a new folder (* )"
_Save = Callable[[Iterable[tuple[int, Any]]], int]


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is to be written.

    Attributes
    ----------
    moment : Moment
        The segmentation as it is now.
    segments : tuple of int
    where : Whereabouts
    voxel_size_nm, offset_nm : (z, y, x)
    colours : mapping
        Red, green and blue of each segment in [0, 1].
    """

    moment: Moment
    segments: tuple[int, ...]
    where: Whereabouts
    voxel_size_nm: ZYX
    offset_nm: ZYX
    colours: Mapping[int, tuple[float, float, float]]


class ShapeFiles(QWidget):
    """Two buttons that write surfaces and skeletons in the background.

    Parameters
    ----------
    proofreading : Proofreading
    wanted : callable
        Returns what is to be written, or None.
    """

    def __init__(self, proofreading: Proofreading, wanted: Callable[[], Wanted | None]) -> None:
        super().__init__()
        self._proofreading, self._wanted = proofreading, wanted
        surfaces = button(
            "Save surfaces…",
            self.save_surfaces,
            "Write them for Blender, MeshLab, ParaView (GLB, PLY, OBJ) or Neuroglancer",
        )
        skeletons = button(
            "Save skeletons…", self.save_skeletons, "Write their centre lines as SWC, for tracing"
        )
        column(self).addLayout(row("", surfaces, skeletons))

    def save_surfaces(self) -> None:
        """Ask for a file and write the surfaces there, with all their triangles."""
        if self._chosen() is None:
            return
        path, kind = QFileDialog.getSaveFileName(self, "Save surfaces", "segments.glb", _MESHES)
        if path:
            self.write_surfaces(Path(path), "precomputed" if "Neuro" in kind else None)

    def save_skeletons(self) -> None:
        """Ask for a file and write the centre lines there."""
        if self._chosen() is None:
            return
        path, kind = QFileDialog.getSaveFileName(self, "Save skeletons", "skeletons", _SKELETONS)
        if path:
            self.write_skeletons(Path(path), "precomputed" if "Neuro" in kind else "swc")

    def write_surfaces(self, path: Path, format: str | None = None) -> None:
        """Write the surfaces of the segments shown."""
        from napari_emseg.morphometry import save_meshes
        from napari_emseg.morphometry.mesh_files import check_mesh_target

        wanted = self._chosen()
        if wanted is not None:
            save = partial(save_meshes, path=path, format=format, colours=wanted.colours)
            self._write(wanted, partial(check_mesh_target, path, format), save, "surface", path)

    def write_skeletons(self, path: Path, format: str = "swc") -> None:
        """Write the skeletons of the segments shown."""
        from napari_emseg.morphometry import save_skeletons
        from napari_emseg.morphometry.skeleton_files import check_skeleton_target

        wanted = self._chosen()
        if wanted is not None:
            save = partial(save_skeletons, path=path, format=format)
            check = partial(check_skeleton_target, path, format)
            self._write(wanted, check, save, "skeleton", path)

    def _chosen(self) -> Wanted | None:
        wanted = self._wanted()
        if wanted is None:
            self._proofreading.say("Click a segment first: none is selected.")
        return wanted

    def _write(
        self, wanted: Wanted, check: Callable[[], None], save: _Save, what: str, path: Path
    ) -> None:
        try:
            check()
        except InputError as error:
            self._proofreading.context.refuse(error)
            return
        where, find = wanted.where, wanted.where.finder()

        def work(progress: Progress) -> tuple[TileIndex, int]:
            index = find(progress)
            shapes = wanted.moment.shapes(index, wanted.voxel_size_nm, wanted.offset_nm)
            return index, save(_each(shapes, wanted.segments, what, progress))

        def on_written(written: tuple[TileIndex, int]) -> None:
            where.take(written[0])
            n = written[1]
            show_info(f"{n} {what}{'' if n == 1 else 's'} written: {path}.")

        self._proofreading.context.jobs.start(
            work, title=f"Writing {what}s", key=_JOB, lane=FILES, on_result=on_written
        )


def _each(
    shapes: Shapes, segments: Sequence[int], what: str, progress: Progress
) -> Iterator[tuple[int, Any]]:
    for k, segment in enumerate(segments):
        progress.update(k, len(segments), f"Writing {what}s")
        yield segment, getattr(shapes, what)(segment)
    progress.update(len(segments), len(segments), f"Writing {what}s")
