"""What counts as a predictor: one network, or anything that behaves like one."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Literal, Protocol, Self, runtime_checkable

from napari_emseg.inference.sections import FloatArray
from napari_emseg.networks.info import ModelInfo
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import Volume

Resample = Literal["auto", "never"]


@runtime_checkable
class BoundaryPredictor(Protocol):
    """Turns raw sections into a boundary map or affinities.

    :class:`napari_emseg.inference.Predictor` is one, and so is what combines or
    wraps several. A target `out` is filled one section at a time, in the order of
    `sections`, so that finished sections can be used or written meanwhile.

    Attributes
    ----------
    info : ModelInfo
    device : str
    """

    @property
    def info(self) -> ModelInfo: ...
    @property
    def device(self) -> str: ...

    def predict(
        self,
        raw: Any,
        *,
        tta: bool = True,
        out: Any = None,
        sections: Iterable[int] | None = None,
        resample: Resample = "auto",
        progress: Progress = NO_PROGRESS,
    ) -> Volume:
        """Predict a stack, or some sections of it, as :func:`napari_emseg.inference.predict`."""

    def predict_section(
        self,
        raw: Any,
        z: int,
        *,
        tta: bool = False,
        resample: Resample = "auto",
        progress: Progress = NO_PROGRESS,
    ) -> FloatArray:
        """Predict one section: (Y, X), or (C, Y, X) for affinities."""

    def close(self) -> None:
        """Give memory back."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
