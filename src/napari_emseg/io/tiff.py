"""TIFF stacks: plain, ImageJ and OME.

Written files are ordinary multi-page TIFFs, zlib-compressed. ``.tif`` carries an
ImageJ description, so that Fiji shows the right voxel size when the file is
dropped on it, ids of 32 bits included; ``.ome.tif`` carries OME-XML for
Bio-Formats and OMERO. Either also holds one line of JSON with what these
have no place for: kind, name, offset and provenance.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write
from napari_emseg.io.lazy import PlaneArray, StoredArray
from napari_emseg.io.source import UNKNOWN, Size, Source, describe_volume, parse_ours
from napari_emseg.io.units import to_nm
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import Volume

_NAMESPACE = "napari-emseg"
_BIGTIFF_BYTES = 4_000_000_000


def read_tiff(path: Path, inside: str = "") -> Source:
    """Read the first series of a TIFF file.

    Parameters
    ----------
    path : Path
        The file.
    inside : str
        Not used; a TIFF has nothing inside.

    Returns
    -------
    Source
        Memory-mapped where the voxels lie in one piece, else read section by section.

    Raises
    ------
    InputError
        If the file is no TIFF, truncated or a colour image.
    """
    import tifffile

    _check_complete(path)
    try:
        tiff = tifffile.TiffFile(path)
    except Exception as error:
        raise _damaged(path) from error
    with tiff:
        try:
            return _first_series(path, tiff)
        except InputError:
            raise
        except Exception as error:
            raise _damaged(path) from error


def _damaged(path: Path) -> InputError:
    return InputError(f"{path} is no readable TIFF file; get a fresh copy of it or export it anew.")


def _first_series(path: Path, tiff: Any) -> Source:
    if not tiff.series:
        raise _damaged(path)
    series = tiff.series[0]
    notes = []
    if len(tiff.series) > 1:
        notes.append(
            f"The file holds {len(tiff.series)} image series; the first, of shape "
            f"{tuple(series.shape)}, was opened."
        )
    missing = sum(page is None for page in series.pages)
    if missing:
        notes.append(f"{missing} sections are missing in the file and read as zero.")
    if series.keyframe.photometric == 0:
        notes.append(
            "The file says that 0 is white, as in a negative; its values were taken as they are, "
            "so invert it first where membranes then look bright."
        )
    axes = series.axes
    if axes == "SYX":
        # Writers take a stack of 3 or 4 sections for the colour planes of one picture.
        axes = "ZYX"
        notes.append(f"The file's {series.shape[0]} colour planes were read as sections.")
    size, offset, ours = _metadata(tiff)
    return Source(
        data=_lazy_series(path, tiff, series),
        axes=axes,
        format="OME-TIFF" if tiff.is_ome else "ImageJ TIFF" if tiff.is_imagej else "TIFF",
        size_nm=size,
        offset_nm=offset,
        ours=ours,
        notes=tuple(notes),
    )


def _lazy_series(path: Path, tiff: Any, series: Any) -> Any:
    if series.dataoffset is not None and not series.is_multifile:
        return _memory_map(path, series, tiff.byteorder)
    pages = list(series.pages)
    plane_shape = tuple(series.shape[-2:])
    n_planes = int(np.prod(series.shape[:-2], dtype=np.int64))
    _check_data(path, tiff, pages)
    if n_planes == len(pages) and tuple(series.keyframe.shape) == plane_shape:
        reader = _PageReader(pages, plane_shape, series.dtype)
        return PlaneArray(series.shape, series.dtype, reader, source=str(path))
    # Colour, volumetric tiles and other rarities: small enough in practice to read at once.
    return series.asarray()


def _memory_map(path: Path, series: Any, byte_order: str) -> Any:
    end = series.dataoffset + series.nbytes
    if end > path.stat().st_size:
        raise _truncated(path)
    array = np.memmap(
        path,
        dtype=np.dtype(series.dtype).newbyteorder(byte_order),
        # Copy-on-write: callers may change what they read, the file stays as it is.
        mode="c",
        offset=series.dataoffset,
        shape=tuple(series.shape),
    )
    if array.dtype.isnative:
        return array
    return StoredArray(array, source=str(path))


class _PageReader:
    """Decodes one page; the file is open only meanwhile, so others may replace it."""

    def __init__(self, pages: list[Any], shape: tuple[int, ...], dtype: Any) -> None:
        self._pages = pages
        self._shape = shape
        self._dtype = dtype
        self._lock = threading.Lock()

    def __call__(self, number: int) -> npt.NDArray[Any]:
        page = self._pages[number]
        if page is None:
            return np.zeros(self._shape, self._dtype)
        file = page.parent.filehandle
        with self._lock:
            file.open()
            try:
                return np.asarray(page.asarray())
            finally:
                file.close()


def _check_complete(path: Path) -> None:
    """Follow the chain of pages to its end; libraries read a broken one as a shorter stack."""
    size = path.stat().st_size
    if size == 0:
        raise InputError(f"{path} is empty; get a fresh copy of it.")
    with open(path, "rb") as file:
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        version = struct.unpack(f"{order}H", head[2:4])[0] if order and len(head) >= 8 else 0
        if version not in (42, 43):
            raise _damaged(path)
        count_code, entry_bytes, offset_code = (
            (f"{order}H", 12, f"{order}I") if version == 42 else (f"{order}Q", 20, f"{order}Q")
        )
        file.seek(4 if version == 42 else 8)
        seen: set[int] = set()
        try:
            while offset := _unpack(file, offset_code):
                if offset in seen:
                    raise _damaged(path)
                seen.add(offset)
                file.seek(offset)
                file.seek(_unpack(file, count_code) * entry_bytes, os.SEEK_CUR)
        except struct.error as error:
            raise _truncated(path) from error


def _unpack(file: Any, code: str) -> int:
    return int(struct.unpack(code, file.read(struct.calcsize(code)))[0])


def _check_data(path: Path, tiff: Any, pages: list[Any]) -> None:
    size = tiff.filehandle.size
    for page in pages:
        if page is None or page.parent is not tiff:
            continue
        ends = map(sum, zip(page.dataoffsets, page.databytecounts, strict=False))
        if max(ends, default=0) > size:
            raise _truncated(path)


def _truncated(path: Path) -> InputError:
    return InputError(
        f"{path} is incomplete: it ends after {path.stat().st_size} bytes in the middle of the "
        "stack; copy it again."
    )


def _metadata(tiff: Any) -> tuple[Size, tuple[float, float, float], dict[str, Any]]:
    if tiff.is_ome:
        return _ome_metadata(tiff.ome_metadata)
    tags: Mapping[str, Any] = tiff.imagej_metadata or (tiff.shaped_metadata or ({},))[0] or {}
    size = _tag_size(tiff.pages[0], tags)
    return size, _imagej_offset(tags, size), parse_ours(tags.get("emseg"))


def _tag_size(page: Any, tags: Mapping[str, Any]) -> Size:
    """Voxel size from the resolution tags, and `spacing` and `unit` of ImageJ."""
    unit = tags.get("unit")
    if unit is None:
        unit = {2: "inch", 3: "cm"}.get(int(page.tags.valueof("ResolutionUnit", 1)))
    y, x = (
        to_nm(_pixel_length(page.tags.valueof(name)), unit)
        for name in ("YResolution", "XResolution")
    )
    z = to_nm(_number(tags.get("spacing")), unit)
    if unit in ("inch", "cm") and z is None and x is not None and x > 1e4:
        # 72 or 300 dots per inch is a printer's habit, not a microscope's scale.
        return UNKNOWN
    return (abs(z) if z else None, y, x)


def _pixel_length(resolution: Any) -> float | None:
    if resolution is None:
        return None
    numerator, denominator = resolution
    return denominator / numerator if numerator and denominator else None


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _imagej_offset(tags: Mapping[str, Any], size: Size) -> tuple[float, float, float]:
    """ImageJ tells which pixel is at 0, we tell where the first voxel is."""
    origin = (_number(tags.get(f"{axis}origin")) for axis in "zyx")
    z, y, x = (-(at or 0.0) * (step or 0.0) + 0.0 for at, step in zip(origin, size, strict=True))
    return (z, y, x)


def _ome_metadata(xml: str) -> tuple[Size, tuple[float, float, float], dict[str, Any]]:
    root = ElementTree.fromstring(xml)
    pixels = next(element for element in root.iter() if _tag(element) == "Pixels")
    z, y, x = (
        to_nm(
            _number(pixels.get(f"PhysicalSize{axis}")),
            pixels.get(f"PhysicalSize{axis}Unit", "µm"),
        )
        for axis in "ZYX"
    )
    ours: dict[str, Any] = {}
    for element in root.iter():
        if _tag(element) == "M" and element.get("K") == "emseg":
            ours = parse_ours(element.text)
    return (z or None, y or None, x or None), (0.0, 0.0, 0.0), ours


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def write_tiff(
    volume: Volume, path: Path, inside: str = "", *, progress: Progress = NO_PROGRESS
) -> None:
    """Write a volume as a compressed multi-page TIFF, one section at a time.

    A writer: `napari_emseg.io.volumes.save_volume` says what the parameters are. A TIFF
    has nothing inside; ``.ome.tif`` in the name makes it OME-TIFF, and affinities become
    channels.

    Raises
    ------
    InputError
        If OME-TIFF cannot hold the type of the voxels, or the disk is full or not
        writable; what was there before stays.
    """
    import tifffile

    is_ome = path.name.lower().endswith((".ome.tif", ".ome.tiff"))
    if is_ome and volume.dtype.itemsize == 8 and volume.dtype.kind in "ui":
        raise InputError(
            f"OME-TIFF holds no 64-bit ids, and {volume.name or 'this volume'} has them; "
            "save it as .tif, .h5 or .zarr."
        )
    size = volume.voxel_size_nm
    options: dict[str, Any] = _ome_options(volume) if is_ome else _imagej_options(volume)
    bigtiff = _n_bytes(volume) > _BIGTIFF_BYTES
    with (
        atomic_write(path) as temporary,
        tifffile.TiffWriter(temporary, bigtiff=bigtiff, ome=is_ome, shaped=False) as writer,
    ):
        writer.write(
            _planes(volume, progress, channels_first=is_ome),
            dtype=volume.dtype,
            compression="zlib",
            photometric="minisblack",
            resolution=None if size is None else (1 / size[2], 1 / size[1]),
            resolutionunit="NONE",
            software=_NAMESPACE,
            **options,
        )


def _n_bytes(volume: Volume) -> int:
    return int(np.prod(volume.shape, dtype=np.int64)) * volume.dtype.itemsize


def _planes(
    volume: Volume, progress: Progress, *, channels_first: bool
) -> Iterator[npt.NDArray[Any]]:
    shape = volume.shape
    order: list[tuple[int, ...]]
    if len(shape) == 3:
        order = [(z,) for z in range(shape[0])]
    elif channels_first:
        order = [(c, z) for c in range(shape[0]) for z in range(shape[1])]
    else:
        order = [(c, z) for z in range(shape[1]) for c in range(shape[0])]
    for done, key in enumerate(order):
        progress.update(done, len(order), "Writing sections")
        yield np.ascontiguousarray(volume.read(key))
    progress.update(len(order), len(order), "Writing sections")


def _imagej_options(volume: Volume) -> dict[str, Any]:
    shape = volume.shape
    n_sections = shape[-3]
    lines = ["ImageJ=1.54f", f"images={int(np.prod(shape[:-2]))}"]
    if len(shape) == 4:
        lines += [f"channels={shape[0]}", f"slices={n_sections}", "hyperstack=true"]
    else:
        lines += [f"slices={n_sections}"]
    if volume.voxel_size_nm is not None:
        lines += ["unit=nm", f"spacing={volume.voxel_size_nm[0]!r}"]
        for axis, at, step in zip("zyx", volume.offset_nm, volume.voxel_size_nm, strict=True):
            lines += [f"{axis}origin={-at / step!r}"] if at else []
    lines += ["loop=false", f"emseg={describe_volume(volume)}", ""]
    planes = (n_sections * shape[0],) if len(shape) == 4 else (n_sections,)
    return {
        "shape": planes + shape[-2:],
        "description": "\n".join(lines),
        "metadata": None,
    }


def _ome_options(volume: Volume) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "axes": "CZYX" if len(volume.shape) == 4 else "ZYX",
        "Name": "".join(letter for letter in volume.name if letter.isprintable()),
        "MapAnnotation": {"Namespace": _NAMESPACE, "emseg": describe_volume(volume)},
    }
    if volume.voxel_size_nm is not None:
        for axis, step in zip("ZYX", volume.voxel_size_nm, strict=True):
            metadata[f"PhysicalSize{axis}"] = step
            metadata[f"PhysicalSize{axis}Unit"] = "nm"
    return {"shape": volume.shape, "metadata": metadata}
