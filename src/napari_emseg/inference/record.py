"""What a prediction says of itself: how it was made, and what was noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from napari_emseg import __version__
from napari_emseg.inference.sections import voxel_size_ratio
from napari_emseg.networks.info import ModelInfo
from napari_emseg.volume import Volume


def describe_prediction(
    info: ModelInfo,
    *,
    tta: bool,
    device: str,
    n_sections: int,
    seconds: float,
    sha256: str | None = None,
    blank: Iterable[int] = (),
) -> dict[str, Any]:
    """Return how a map was made, in plain values; by default with the checksum of the file."""
    return {
        "model": info.name,
        "model_sha256": sha256 or sha256_of(info.path),
        "tta": tta,
        "device": device,
        "version": __version__,
        "sections": n_sections,
        "seconds": round(seconds, 3),
        "blank_sections": sorted(blank),
    }


def notes_on(raw: Volume, info: ModelInfo, *, is_resampling: bool) -> Iterator[str]:
    """Say in sentences what may matter for the map of a stack.

    Parameters
    ----------
    raw : Volume
    info : ModelInfo
    is_resampling : bool
        Whether sections were brought to the model's pixel size.
    """
    ours, theirs = info.voxel_size_nm, raw.voxel_size_nm
    if ours is not None and theirs is None:
        yield (
            f"The voxel size of the data is not known; the model was trained at "
            f"{ours[1]:g} x {ours[2]:g} nm."
        )
    if ours and theirs and voxel_size_ratio(theirs, ours):
        done = (
            "each section was resampled to the model's and the map back"
            if is_resampling
            else "without resampling, the map may be poor"
        )
        yield (
            f"The data has pixels of {theirs[1]:g} x {theirs[2]:g} nm (y, x), "
            f"the model was trained at {ours[1]:g} x {ours[2]:g} nm: {done}."
        )


def note_on_blank(blank: Iterable[int], info: ModelInfo) -> list[str]:
    """Say which sections hold nothing, if there are such.

    Examples
    --------
    >>> note_on_blank([7, 2], ModelInfo(network="unet2d"))
    ['Blank sections, whose boundary map was set to 0: 2, 7.']
    """
    what = "boundary map was" if info.target == "boundary" else "affinities were"
    listed = ", ".join(map(str, sorted(blank)))
    return [f"Blank sections, whose {what} set to 0: {listed}."] if listed else []


class Noticed:
    """What several predictions of parts of one stack noticed, each thing told once."""

    def __init__(self) -> None:
        self.blank: set[int] = set()
        self._notes: dict[str, None] = {}

    def add(self, made: Volume, info: ModelInfo) -> None:
        """Take what `made`, predicted by a model with this `info`, says."""
        blank = made.provenance["predict"].get("blank_sections", [])
        said = note_on_blank(blank, info)
        self._notes.update(
            (note, None) for note in made.provenance.get("notes", []) if note not in said
        )
        self.blank.update(blank)

    def notes(self, info: ModelInfo) -> list[str]:
        """Return it as sentences."""
        return [*self._notes, *note_on_blank(self.blank, info)]


def sha256_of(path: Path | None) -> str | None:
    """Return the checksum of a model's file."""
    return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
