"""A folder of numbered section images, or a single section image."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.io.lazy import PlaneArray
from napari_emseg.io.source import Source

IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")
_TIFF_SUFFIXES = (".tif", ".tiff")
_PILLOW_DTYPES = {"1": "bool", "L": "uint8", "I;16": "uint16", "I": "int32", "F": "float32"}
_pillow_limit = Lock()


def read_sections(path: Path, inside: str = "") -> Source:
    """Read a folder of section images as one stack, in the order of their numbers.

    Parameters
    ----------
    path : Path
        The folder.
    inside : str
        Not used.

    Returns
    -------
    Source
        Lazy: a section's file is read when its voxels are asked for.

    Raises
    ------
    InputError
        If there are no images, or one differs in size or type from the first.
    """
    files, notes = _find_images(path)
    first = _image_header(files[0])
    for file in files[1:]:
        header = _image_header(file)
        if header != first:
            raise InputError(
                f"{file} is {_describe(header)}, but {files[0].name} is {_describe(first)}; "
                "all sections of a stack must be alike, so crop or pad it, or move it away."
            )
    shape, dtype = first
    data = PlaneArray(
        (len(files), *shape), dtype, lambda number: _read_image(files[number]), source=str(path)
    )
    return Source(data=data, axes="ZYX", format="folder of sections", notes=tuple(notes))


def read_image(path: Path, inside: str = "") -> Source:
    """Read one PNG, JPEG or BMP image as a stack of one section.

    Parameters
    ----------
    path : Path
        The image.
    inside : str
        Not used.

    Returns
    -------
    Source

    Raises
    ------
    InputError
        If it is no grey image.
    """
    shape, dtype = _image_header(path)
    data = PlaneArray(shape, dtype, lambda _: _read_image(path), source=str(path))
    return Source(data=data, axes="YX", format="image")


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts ``z9.tif`` before ``z10.tif``.

    Parameters
    ----------
    name : str
        A file name.

    Examples
    --------
    >>> sorted(["z10.tif", "z9.tif"], key=natural_key)
    ['z9.tif', 'z10.tif']
    """
    parts = re.split(r"(\d+)", name.lower())
    return [(int(part), part) if part.isdigit() else (-1, part) for part in parts]


def find_gaps(names: Sequence[str]) -> list[int]:
    """Return the numbers missing from the numbering of some section images.

    Parameters
    ----------
    names : sequence of str
        File names without suffix. The last number in them that changes counts the
        sections; a constant step (0, 10, 20) is no gap.

    Examples
    --------
    >>> find_gaps(["cell2_z1", "cell2_z2", "cell2_z5"])
    [3, 4]
    """
    numbers = [[int(n) for n in re.findall(r"\d+", name)] for name in names]
    lengths = {len(row) for row in numbers}
    if len(names) < 2 or len(lengths) != 1 or lengths == {0}:
        return []
    changing = [column for column in zip(*numbers, strict=True) if len(set(column)) > 1]
    if not changing:
        return []
    counter = sorted(changing[-1])
    if len(set(counter)) != len(counter):
        return []
    step = int(np.gcd.reduce(np.diff(counter)))
    return sorted(set(range(counter[0], counter[-1], step)) - set(counter))


def has_images(folder: Path) -> bool:
    """Whether a folder holds at least one file that looks like a section image."""
    return next(_images(folder), None) is not None


def _images(folder: Path) -> Iterator[Path]:
    return (
        file
        for file in folder.iterdir()
        if file.suffix.lower() in IMAGE_SUFFIXES and file.name[0] != "." and file.is_file()
    )


def _find_images(folder: Path) -> tuple[list[Path], list[str]]:
    files = list(_images(folder))
    if not files:
        raise InputError(
            f"{folder} holds no section images ({', '.join(IMAGE_SUFFIXES)}); "
            "choose the folder that holds them, or a single file."
        )
    suffix, n_files = Counter(file.suffix.lower() for file in files).most_common(1)[0]
    notes = []
    if n_files < len(files):
        notes.append(f"{len(files) - n_files} images that are no {suffix} files were left out.")
        files = [file for file in files if file.suffix.lower() == suffix]
    files.sort(key=lambda file: natural_key(file.name))
    gaps = find_gaps([file.stem for file in files])
    if gaps:
        shown = _ranges(gaps)
        notes.append(
            f"The numbering of the sections has gaps: {shown} missing; the sections on either "
            "side are treated as neighbours."
        )
    return files, notes


def _ranges(numbers: Sequence[int], limit: int = 8) -> str:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    shown = ", ".join("-".join(map(str, run)) for run in runs[:limit])
    return f"{shown} and more" if len(runs) > limit else shown


Header = tuple[tuple[int, int], np.dtype[Any]]


def _describe(header: Header) -> str:
    (y, x), dtype = header
    return f"{x} x {y} pixels of {dtype}"


def _image_header(file: Path) -> Header:
    try:
        header = _tiff_header(file) if file.suffix.lower() in _TIFF_SUFFIXES else _header(file)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{file} is no readable image; get a fresh copy of it or move it away."
        ) from error
    return header


def _tiff_header(file: Path) -> Header:
    import tifffile

    with tifffile.TiffFile(file) as tiff:
        if len(tiff.pages) > 1:
            raise InputError(
                f"{file} holds {len(tiff.pages)} sections by itself; open that file instead."
            )
        page = tiff.pages.first
        if page.samplesperpixel > 1:
            raise _colour(file)
        return (page.imagelength, page.imagewidth), np.dtype(page.dtype)


def _header(file: Path) -> Header:
    from PIL import Image

    with _any_size(), Image.open(file) as image:
        if image.mode not in _PILLOW_DTYPES:
            raise _colour(file)
        return (image.height, image.width), np.dtype(_PILLOW_DTYPES[image.mode])


def _colour(file: Path) -> InputError:
    return InputError(
        f"{file} is a colour image; convert it to grey first (in Fiji: Image > Type > 8-bit)."
    )


def _read_image(file: Path) -> npt.NDArray[Any]:
    if file.suffix.lower() in _TIFF_SUFFIXES:
        import tifffile

        return np.asarray(tifffile.imread(file, key=0))
    from PIL import Image

    with _any_size(), Image.open(file) as image:
        return np.asarray(image)


@contextmanager
def _any_size() -> Iterator[None]:
    """Let Pillow open sections of any size: it takes 180 megapixels for an attack."""
    from PIL import Image

    with _pillow_limit:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit
