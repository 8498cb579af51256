"""N and P walk through the errors while there are any; afterwards the keys are free again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

_STEPS = {"N": 1, "P": -1}


class ErrorKeys:
    """Binds the keys at run time, to the window and to the layer that shows the errors.

    Labels layers take P for their brush before the window sees it, so the layer of
    errors, which nobody paints in, needs the keys of its own.

    Parameters
    ----------
    viewer : Viewer
    step : callable
        Called with 1 for the next error, -1 for the one before.
    """

    def __init__(self, viewer: Viewer, step: Callable[[int], None]) -> None:
        self._viewer, self._step = viewer, step
        self._before: dict[str, Any] | None = None

    def hold(self, layer: Layer | None = None) -> None:
        """Bind the keys; those of `layer` too."""
        if self._before is None:
            self._before = {}
            for key, by in _STEPS.items():
                self._before[key] = self._viewer.bind_key(key, self._walk(by), overwrite=True)
        if layer is not None:
            for key, by in _STEPS.items():
                layer.bind_key(key, self._walk(by), overwrite=True)

    def release(self) -> None:
        """Give the keys back."""
        if self._before is None:
            return
        for key, before in self._before.items():
            self._viewer.bind_key(key, before, overwrite=True)
        self._before = None

    def _walk(self, by: int) -> Callable[[Any], None]:
        def walk(_: Any) -> None:
            self._step(by)

        return walk
