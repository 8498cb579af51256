"""Predicting to a Zarr store on disk, block after block, going on after an interruption."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.inference.protocol import BoundaryPredictor, Resample
from napari_emseg.inference.sections import check_raw
from napari_emseg.io import open_volume
from napari_emseg.io.atomic import atomic_write, check_place, explain_failure
from napari_emseg.io.zarr import check_zarr
from napari_emseg.io.zarr_image import ZarrImage, create_image, open_image
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import Volume

_FINISHED = ".finished-sections"
"""A file in the store: a line for each block that is safely on the disk."""
_SETTINGS = "emseg_predict"
"""An attribute of the store: what its blocks were made from and with."""
_SAMPLED_SECTIONS = 5
_WORDS = {
    "raw": "of other raw data",
    "dtype": "with another type of values",
    "tta": "with another choice of averaging",
    "resample": "with another choice of resampling",
    "version": "by another version of napari-emseg",
}


def predict_to_zarr(
    predictor: BoundaryPredictor,
    raw: Any,
    path: str | os.PathLike[str],
    *,
    tta: bool = True,
    dtype: Literal["uint8", "float32"] = "uint8",
    resample: Resample = "auto",
    resume: bool = True,
    progress: Progress = NO_PROGRESS,
) -> Volume:
    """Predict a stack of any size to an OME-Zarr store.

    Neither the stack nor the map is ever whole in memory. Blocks of sections are
    written as soon as they are computed; when the computation is stopped, even by
    switching the computer off, the same call goes on after the last finished block,
    and the result is the same as without the interruption.

    Parameters
    ----------
    predictor : BoundaryPredictor
        A :class:`~napari_emseg.inference.Predictor`, or several combined.
    raw : Volume or (Z, Y, X) array
        Grey values; read section by section.
    path : path-like
        The store, ``.zarr``.
    tta : bool
        Average over orientations.
    dtype : {"uint8", "float32"}
        Of the map; uint8 means value / 255 and takes a quarter of the space.
    resample : {"auto", "never"}
        As for :func:`napari_emseg.inference.predict`.
    resume : bool
        Whether to go on with what is at `path`; otherwise an earlier map there is
        replaced.
    progress : Progress, optional
        Told the sections done, those of earlier runs included.

    Returns
    -------
    Volume
        The map, read from the store when it is used.

    Raises
    ------
    InputError
        If what is at `path` was made from other data, with another model or other
        settings; if the disk is full or not writable (finished blocks stay); or as
        :func:`napari_emseg.inference.predict`.
    Cancelled
        If `progress` asks to stop; finished blocks stay.

    Examples
    --------
    >>> import tempfile
    >>> from napari_emseg.inference import Predictor
    >>> from napari_emseg.networks import build_network
    >>> path = Path(tempfile.mkdtemp()) / "boundary.zarr"
    >>> raw = np.random.default_rng(0).integers(0, 255, (2, 40, 50), np.uint8)
    >>> with Predictor(build_network("unet2d", preset="tiny"), device="cpu") as predictor:
    ...     predict_to_zarr(predictor, raw, path, tta=False).dtype
    dtype('uint8')
    """
    volume, path = check_raw(raw), Path(path)
    empty = _Sections((*_channels(predictor), *volume.shape), np.dtype(dtype))
    # predicting no section says how one would be predicted
    draft = predictor.predict(volume, tta=tta, out=empty, sections=[], resample=resample)
    settings = _describe_settings(draft, volume, dtype, resample)
    with _explained(path):
        stream = _open_stream(path, draft, settings, resume=resume)
        left = [z for z in range(volume.shape[0]) if z not in stream.finished]
        made = draft
        if left:
            done = _Onwards(progress, volume.shape[0] - len(left), volume.shape[0])
            made = predictor.predict(
                volume, tta=tta, out=stream, sections=left, resample=resample, progress=done
            )
            stream.finish(made, settings)
    stored = open_volume(path)  # which tells what was noticed when it was opened
    seen = [*stored.provenance.get("notes", []), *made.provenance.get("notes", [])]
    return stored.derive(stored.data, kind=stored.kind, notes=list(dict.fromkeys(seen)))


def is_unfinished(path: str | os.PathLike[str]) -> bool:
    """Whether there is a map that :func:`predict_to_zarr` began and did not finish.

    Examples
    --------
    >>> is_unfinished("there-is-none.zarr")
    False
    """
    found = _settings_at(Path(path))
    return found is not None and not found["complete"]


class _Sections:
    """The shape of a map without its values, which writes nothing."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype
        self.ndim = len(shape)

    def __getitem__(self, key: Any) -> Any:
        return np.broadcast_to(self.dtype.type(0), self.shape)[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        for z, part in self._sections_of(key):
            section = np.asarray(value[part] if part else value, self.dtype)
            self.put(z, np.broadcast_to(section, (*self.shape[:-3], *self.shape[-2:])))

    def put(self, z: int, section: npt.NDArray[Any]) -> None:
        """Take a section ([C,] Y, X)."""

    def _sections_of(self, key: Any) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yield each section that `key` means, and where it is in the value."""
        parts = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in parts:
            at = parts.index(Ellipsis)
            parts[at : at + 1] = [slice(None)] * (self.ndim - len(parts) + 1)
        parts += [slice(None)] * (self.ndim - len(parts))
        *leading, z, rows, columns = parts
        if any(part != slice(None) for part in (*leading, rows, columns)):
            raise IndexError("only whole sections can be written")
        if not isinstance(z, slice):
            yield int(z), ()
            return
        for index, section in enumerate(range(self.shape[-3])[z]):
            yield section, (..., index, slice(None), slice(None))


class _Stream(_Sections):
    """Takes sections, and writes those stored together once it has them all."""

    def __init__(self, path: Path, draft: Volume, image: ZarrImage) -> None:
        super().__init__(draft.shape, draft.dtype)
        self._path = path
        self._image = image
        self._waiting: dict[int, npt.NDArray[Any]] = {}
        self.finished: set[int] = set()
        for start in _read_journal(path / _FINISHED):
            self.finished.update(self._block(start))

    def __getitem__(self, key: Any) -> Any:
        return self._image.data[key]

    def put(self, z: int, section: npt.NDArray[Any]) -> None:
        """Take a section; write its block if that is complete."""
        self._waiting[z] = section.copy()
        block = self._block(z - z % self._image.chunk_sections)
        if any(near not in self._waiting for near in block):
            return
        values = np.stack([self._waiting.pop(near) for near in block], axis=-3)
        self._image.write(block.start, values)
        self._image.flush(block.start)
        with (self._path / _FINISHED).open("a", encoding="ascii") as journal:
            journal.write(f"{block.start}\n")
            journal.flush()
            os.fsync(journal.fileno())
        self.finished.update(block)

    def finish(self, made: Volume, settings: Mapping[str, Any]) -> None:
        """Write down how all of it was made."""
        record = {**made.provenance["predict"], "sections": self.shape[-3]}
        provenance = {**made.provenance, "predict": record}
        whole = made.derive(self, kind=made.kind, **provenance)
        self._image.describe(whole, **{_SETTINGS: {**settings, "complete": True}})
        (self._path / _FINISHED).unlink()

    def _block(self, start: int) -> range:
        return range(start, min(start + self._image.chunk_sections, self.shape[-3]))


class _Onwards:
    """Counts the sections of earlier runs too."""

    def __init__(self, progress: Progress, before: int, total: int) -> None:
        self._progress = progress
        self._before = before
        self._total = total

    def update(self, done: int, total: int, message: str = "") -> None:
        """Pass on a report; words that count the sections of this run only are replaced."""
        done += self._before
        words = f"{done} of {self._total} sections" if self._before else message
        self._progress.update(done, self._total, words)


def _open_stream(path: Path, draft: Volume, settings: dict[str, Any], *, resume: bool) -> _Stream:
    check_place(path)
    found = _settings_at(path)
    if found is not None and resume:
        is_complete = found.pop("complete")
        _check_same(path, found, settings)
        stream = _Stream(path, draft, open_image(draft, path))
        if is_complete:
            stream.finished.update(range(draft.shape[-3]))
        return stream
    if found is None or found["complete"]:
        check_zarr(path, "", draft.kind)
    begun = draft.derive(draft.data, kind=draft.kind, unfinished=True)
    with atomic_write(path) as temporary:
        create_image(begun, temporary, **{_SETTINGS: {**settings, "complete": False}})
    return _Stream(path, draft, open_image(draft, path))


def _settings_at(path: Path) -> dict[str, Any] | None:
    """Return what a store was made with by :func:`predict_to_zarr`, if it was."""
    import zarr

    try:
        found = zarr.open_group(path, mode="r").attrs.get(_SETTINGS)
    except Exception:  # nothing there, or something else
        return None
    return dict(found) if isinstance(found, Mapping) and "complete" in found else None


def _check_same(path: Path, found: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    differing = sorted(
        key for key in found.keys() | settings.keys() if found.get(key) != settings.get(key)
    )
    if differing:
        words = next((_WORDS[key] for key in _WORDS if key in differing), "with another model")
        raise InputError(
            f"{path} was begun {words}: choose another name, or start anew without resuming."
        )


def _describe_settings(draft: Volume, raw: Volume, dtype: str, resample: str) -> dict[str, Any]:
    record = dict(draft.provenance["predict"])
    for key in ("sections", "seconds", "device", "blank_sections"):
        record.pop(key, None)
    return {**record, "dtype": dtype, "resample": resample, "raw": _sample(raw)}


def _sample(raw: Volume) -> str:
    """Return what identifies the voxels of a stack, from a few sections."""
    digest = hashlib.sha256(repr((raw.shape, raw.dtype.name, raw.voxel_size_nm)).encode())
    for z in sorted({round(z) for z in np.linspace(0, raw.shape[0] - 1, _SAMPLED_SECTIONS)}):
        digest.update(np.ascontiguousarray(raw.read(z)).data)
    return digest.hexdigest()


def _read_journal(path: Path) -> Iterator[int]:
    """Yield what was written down whole; the last line may be torn."""
    text = path.read_text(encoding="ascii") if path.exists() else ""
    for line in text.splitlines(keepends=True):
        if line.endswith("\n") and line.strip().isdigit():
            yield int(line)


def _channels(predictor: BoundaryPredictor) -> tuple[int, ...]:
    return (len(predictor.info.offsets),) if predictor.info.offsets else ()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = explain_failure(error)
        if reason is None:
            raise
        raise InputError(
            f"Cannot write {path}: {reason}. What is finished stays: the same call goes on there."
        ) from error
