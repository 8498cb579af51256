"""Boundary maps made here: which sections are done, and how the others are to be made."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_emseg.steps.predict import PredictParams

if TYPE_CHECKING:
    from napari.layers import Layer

_NOT_HOW = {"device"}  # what the sections of one map need not have in common


@dataclass
class _Map:
    done: npt.NDArray[np.bool_]
    how: dict[str, Any]
    raw: weakref.ref[Layer] | None


class Maps:
    """What is known of the boundary layers that were predicted in one viewer."""

    def __init__(self) -> None:
        self._maps: weakref.WeakKeyDictionary[Layer, _Map] = weakref.WeakKeyDictionary()

    def begin(self, layer: Layer, how: Mapping[str, Any], raw: Layer | None) -> None:
        """Follow `layer`, of which no section is done yet; `raw` is what it is made of."""
        done = np.zeros(layer.data.shape[0], bool)
        self._maps[layer] = _Map(
            done, how_of(PredictParams(**how)), None if raw is None else weakref.ref(raw)
        )

    def forget(self, layer: Layer) -> None:
        """Take `layer` for one from elsewhere: its voxels were changed."""
        self._maps.pop(layer, None)

    def done(self, layer: Layer | None) -> npt.NDArray[np.bool_] | None:
        """Which sections of `layer` are predicted; None for a map that came whole."""
        found = self._maps.get(layer) if layer is not None else None
        return found.done if found is not None else None

    def how(self, layer: Layer | None) -> dict[str, Any]:
        """How the sections of `layer` are made; empty for a map that came whole."""
        found = self._maps.get(layer) if layer is not None else None
        return dict(found.how) if found is not None else {}

    def raw(self, layer: Layer | None) -> Layer | None:
        """Return what the map in `layer` is made of, as far as that is known."""
        found = self._maps.get(layer) if layer is not None else None
        return found.raw() if found is not None and found.raw is not None else None

    def is_complete(self, layer: Layer | None) -> bool:
        """Whether every section is predicted, or the map came whole."""
        done = self.done(layer)
        return done is None or bool(done.all())

    def find(self, layers: Iterable[Layer], params: PredictParams, raw: Layer) -> Layer | None:
        """Return the first of `layers` that `params` make of `raw`."""
        how = how_of(params)
        for layer in layers:
            known = self._maps.get(layer)
            if known and known.how == how and known.raw is not None and known.raw() is raw:
                return layer
        return None


def how_of(params: PredictParams) -> dict[str, Any]:
    """Return those parameters that all sections of a map must have in common."""
    how: dict[str, Any] = params.model_dump(mode="json", exclude=_NOT_HOW)
    return how
