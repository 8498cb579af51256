"""Where anything is known of sections of which most is not, so that patches are drawn there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_emseg.training.pairs import TrainingPair, make_target
from napari_emseg.training.targets import Target

_MOST_PIXELS = 2**19
"""Of either kind; of more, some are left out evenly."""

Pixels = npt.NDArray[np.int32]


@dataclass(frozen=True)
class KnownPixels:
    """Pixels of either kind, to choose among.

    Attributes
    ----------
    inside, boundary : int32 array, (N, 3)
        Their z, y, x in a stack.
    """

    inside: Pixels
    boundary: Pixels

    def __len__(self) -> int:
        return len(self.inside) + len(self.boundary)

    def draw(self, rng: np.random.Generator, wanted: int | None = None) -> tuple[int, int, int]:
        """Choose a pixel: each kind equally often, each of a kind as likely as the others.

        Parameters
        ----------
        rng : numpy.random.Generator
        wanted : {0, 1}, optional
            Inside or boundary; where there is none of it, the other.
        """
        coin, share = rng.random(2)
        is_boundary = coin < 0.5 if wanted is None else wanted == 1
        first, second = (
            (self.boundary, self.inside) if is_boundary else (self.inside, self.boundary)
        )
        pixels = first if len(first) else second
        z, y, x = pixels[int(share * len(pixels))].tolist()
        return z, y, x

    def turned(self, first: int, last: int, order: tuple[int, int, int]) -> KnownPixels:
        """Keep those of some sections, counted from the first, their axes in another order."""

        def turn(pixels: Pixels) -> Pixels:
            kept = pixels[(pixels[:, 0] >= first) & (pixels[:, 0] <= last)]
            return (kept - np.array([first, 0, 0], np.int32))[:, order]

        return KnownPixels(turn(self.inside), turn(self.boundary))


def find_known(targets: Mapping[int, Target]) -> KnownPixels:
    """Find what is known.

    Parameters
    ----------
    targets : mapping
        By section its target, (Y, X): 1 = boundary, 0 = inside, 255 = not known.

    Examples
    --------
    >>> known = find_known({4: np.array([[255, 1], [255, 0]], np.uint8)})
    >>> known.boundary.tolist(), known.inside.tolist()
    ([[4, 0, 1]], [[4, 1, 1]])
    """
    share = _MOST_PIXELS // max(1, len(targets))
    return KnownPixels(*(_pixels_of(targets, value, share) for value in (0, 1)))


def _pixels_of(targets: Mapping[int, Target], value: int, most: int) -> Pixels:
    parts = [np.zeros((0, 3), np.int32)]
    for z, target in targets.items():
        at = np.flatnonzero(target == value)
        if len(at) > most:
            at = at[np.linspace(0, len(at) - 1, most).astype(np.int64)]
        y, x = np.unravel_index(at, target.shape)
        parts.append(np.stack([np.full(len(at), z), y, x], axis=1).astype(np.int32))
    return np.concatenate(parts)


def count_known(pairs: Sequence[TrainingPair], *, boundary_px: int = 1) -> tuple[int, int]:
    """Count the pixels to train on that are membrane, and those that are inside of cells.

    Reads all sections to train on.

    Examples
    --------
    >>> from napari_emseg.volume import Volume
    >>> paint = Volume(np.array([[[0, 1, 1], [2, 2, 2]]]), kind="labels")
    >>> raw = Volume(np.zeros((1, 2, 3)))
    >>> count_known([TrainingPair(raw, paint, "painted", (0,))])
    (2, 3)
    """
    membrane = inside = 0
    for pair in pairs:
        for z in pair.train_sections:
            target = make_target(pair, z, boundary_px=boundary_px)
            membrane += int((target == 1).sum())
            inside += int((target == 0).sum())
    return membrane, inside
