"""A look at one section of what is made of whole volumes: affinities, or all three axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_emseg.gui.context import Context
from napari_emseg.gui.layers import add_volume, free_name
from napari_emseg.gui.maps import how_of
from napari_emseg.progress import Progress
from napari_emseg.steps.predict import PredictParams
from napari_emseg.volume import Volume

if TYPE_CHECKING:
    from napari.layers import Layer

REACH = 8
"""Sections on either side that the network is shown; near enough to the whole for a look."""


class Looks:
    """Sections looked at, in a layer of their own: no boundary map, nothing goes on with it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._layer: Layer | None = None
        self._of: tuple[Layer, dict[str, object]] | None = None

    def show(
        self,
        source: Layer,
        raw: Volume,
        params: PredictParams,
        section: int,
        made: npt.NDArray[np.float32],
    ) -> None:
        """Show a section of `source`, beside those looked at with the same parameters."""
        viewer = self._context.viewer
        if source not in viewer.layers:
            return
        if self._layer not in viewer.layers or self._of != (source, how_of(params)):
            self.clear()
            empty = np.zeros(raw.shape, np.float32)
            look = raw.derive(empty, kind="boundary", unfinished=how_of(params))
            name = free_name(viewer, f"{raw.name} preview")
            with self._context.choosing():
                self._layer = add_volume(viewer, look, like=source, name=name)
            self._of = source, how_of(params)
            # Made of nothing known, so that Predict all does not go on with it.
            self._context.maps.begin(self._layer, how_of(params), None)
        layer, done = self._layer, self._context.maps.done(self._layer)
        assert layer is not None
        assert done is not None
        layer.data[section], done[section] = made, True
        layer.refresh(extent=False)
        self._context.show_result(layer)

    def clear(self) -> None:
        """Take the layer away: the whole map has come, or other parameters."""
        if self._layer is not None and self._layer in self._context.viewer.layers:
            self._context.viewer.layers.remove(self._layer)
        self._layer = self._of = None


def look_at_section(
    raw: Volume, section: int, params: PredictParams, progress: Progress
) -> npt.NDArray[np.float32]:
    """Predict the boundaries of one section, along z; of affinities, what they amount to.

    The network is shown the section with its neighbours, not the whole volume.
    """
    from napari_emseg.inference import threads_for
    from napari_emseg.segmentation.affinity_view import boundary_of
    from napari_emseg.steps.predict import open_predictor

    first, last = max(0, section - REACH), min(raw.shape[0], section + REACH + 1)
    part = raw.derive(raw.read(slice(first, last)), kind="raw")
    # Entries of the table of bad sections count from the first section of the whole.
    params = params.model_copy(update={"bad_sections": (), "axes": "z"})
    with open_predictor(params, n_threads=threads_for(background=True)) as predictor:
        found = predictor.predict_section(
            part,
            section - first,
            tta=params.tta,
            resample=params.resample,
            progress=progress,
        )
        offsets = [list(offset) for offset in predictor.info.offsets]
    if not offsets:
        return found
    # A first section has nothing behind it, so another one stands before where there is one.
    stack = np.stack([found, found], axis=1)
    affinities = part.derive(stack, kind="affinities", offsets=offsets)
    return boundary_of(affinities).read(min(section, 1))
