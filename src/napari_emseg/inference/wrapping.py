"""What predictors made of others share."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from napari_emseg.inference.predictor import Predictor
from napari_emseg.inference.protocol import BoundaryPredictor
from napari_emseg.inference.record import sha256_of
from napari_emseg.networks.info import ModelInfo
from napari_emseg.progress import Progress


class Wrapping:
    """A predictor that uses other predictors, and closes them with itself.

    Parameters
    ----------
    info : ModelInfo
        What it says of itself.
    members : sequence of BoundaryPredictor
        Those it uses.
    """

    def __init__(self, info: ModelInfo, members: Sequence[BoundaryPredictor]) -> None:
        self.info = info
        self.device = members[0].device
        self._members = tuple(members)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget the networks and give their memory back."""
        for member in self._members:
            member.close()


class Slab:
    """Takes the place of a whole target and keeps only some of its sections.

    Parameters
    ----------
    shape : tuple of int
        Of the whole: ([C,] Z, Y, X).
    sections : sequence of int
        Those kept.
    """

    def __init__(self, shape: tuple[int, ...], sections: Sequence[int]) -> None:
        self.shape = shape
        self.dtype = np.dtype(np.float32)
        self._at = {z: index for index, z in enumerate(sections)}
        self.data: npt.NDArray[np.float32] = np.zeros(
            (*shape[:-3], len(self._at), *shape[-2:]), np.float32
        )

    def __setitem__(self, key: Any, value: Any) -> None:
        self.data[..., self._at[_section_of(key)], :, :] = value

    def __getitem__(self, key: Any) -> npt.NDArray[np.float32]:
        section: npt.NDArray[np.float32] = self.data[..., self._at[_section_of(key)], :, :]
        return section


def _section_of(key: Any) -> int:
    return int(next(part for part in key if part is not ...) if isinstance(key, tuple) else key)


class Share:
    """Reports part of a longer computation as the whole of it.

    Parameters
    ----------
    progress : Progress
        Told.
    done, total : float
        In what the whole is counted in: what is done before this part, and all.
    part : float
        What this part amounts to.
    noun : str
        Put before each message.
    """

    def __init__(
        self, progress: Progress, done: float, total: int, part: float = 1.0, noun: str = ""
    ) -> None:
        self._progress, self._done, self._total = progress, done, total
        self._part, self._noun = part, noun

    def update(self, done: int, total: int, message: str = "") -> None:
        """Pass a report on."""
        self._tell(done / max(total, 1), message)

    def _tell(self, share: float, message: str) -> None:
        reached = self._done + self._part * share
        words = f"{self._noun}, {message}" if self._noun and message else self._noun or message
        if isinstance(self._progress, Share):  # which need not be told in whole numbers
            self._progress._tell(reached / max(self._total, 1), words)
        else:
            self._progress.update(int(reached + 1e-6), self._total, words)


def checksum_of(member: BoundaryPredictor) -> str | None:
    """Return the checksum of a predictor's model; None for a network that is in no file."""
    if member.info.path is None:
        return None
    return member.sha256 if isinstance(member, Predictor) else sha256_of(member.info.path)


def store(out: Any, z: int, section: npt.NDArray[np.float32]) -> None:
    """Write one section of a map to a target of floats or of bytes."""
    values: Any = np.rint(section * 255).astype(np.uint8) if out.dtype == np.uint8 else section
    out[(..., z, slice(None), slice(None))] = values
