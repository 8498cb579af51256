"""Choosing among the arrays inside a file, and what their attributes mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.volume import ZYX

# Where common tools keep the image itself, best first.
_USUAL_NAMES = (
    "volumes/raw",
    "raw",
    "image",
    "main",
    "data",
    "exported_data",
    "predictions",
    "vol0",
)
_MIN_SECTION_PX = 16


def choose_array(
    names: Sequence[str], inside: str, *, file: str, joint: str, fallback: str = ""
) -> tuple[str, list[str]]:
    """Choose which array of a file to open.

    Parameters
    ----------
    names : sequence of str
        Those that can be a volume.
    inside : str
        A group the user named, or empty.
    file : str
        For messages.
    joint : str
        Between file and array in a path: ``":/"`` or ``"/"``.
    fallback : str
        The one to open where none has a usual name; by default none is.

    Returns
    -------
    name : str
        The only one, or the one with the most usual name.
    notes : list of str
        What else there is.

    Raises
    ------
    InputError
        If there is none, or several and none has a usual name; the message lists them.

    Examples
    --------
    >>> choose_array(["raw", "labels"], "", file="a.h5", joint=":/")[0]
    'raw'
    """
    found = [name for name in names if name.startswith(f"{inside}/")] if inside else list(names)
    if not found and inside:
        hint = _list(names, file, joint) if names else "it holds no volume at all"
        raise InputError(f"{file} has nothing to open called '{inside}'; {hint}.")
    if not found:
        raise InputError(f"{file} holds no image volume; choose another file.")
    start = f"{inside}/" if inside else ""
    usual = [start + name for name in _USUAL_NAMES if start + name in found]
    usual += [fallback] if fallback else []
    if len(found) > 1 and not usual:
        raise InputError(f"{file} holds {len(found)} volumes; {_list(found, file, joint)}.")
    name = usual[0] if usual else found[0]
    others = [other for other in found if other != name]
    if not others:
        return name, []
    return name, [f"'{name}' was opened; the file also holds {name_some(others)}."]


def _list(names: Sequence[str], file: str, joint: str) -> str:
    return f"choose one of {name_some([f'{file}{joint}{name}' for name in names])}"


def name_some(names: Sequence[str], limit: int = 10) -> str:
    """Return names in a row, and how many more there are.

    Parameters
    ----------
    names : sequence of str
        In the order to tell them.
    limit : int
        How many to tell.

    Examples
    --------
    >>> name_some(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def may_be_volume(shape: Sequence[int] | None) -> bool:
    """Whether an array of this shape can be a stack or a section, not a table or a list.

    Parameters
    ----------
    shape : sequence of int or None
        Of the array; None for one without values.
    """
    if shape is None:
        return False
    return len(shape) >= 3 or (len(shape) == 2 and min(shape) > _MIN_SECTION_PX)


def three_numbers(value: Any) -> ZYX | None:
    """Return the last three numbers of an attribute, or None if it is no such thing.

    Parameters
    ----------
    value : any
        As a file has it.
    """
    try:
        numbers = [float(v) for v in np.ravel(value)[-3:]]
    except (TypeError, ValueError):
        return None
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else None


def guess_axes(shape: Sequence[int]) -> str:
    """Return axis letters for an array that says nothing of its axes.

    Parameters
    ----------
    shape : sequence of int
        Of the array.

    Examples
    --------
    >>> guess_axes((30, 512, 512)), guess_axes((512, 512, 3)), guess_axes((3, 30, 512, 512))
    ('ZYX', 'YXS', 'CZYX')
    """
    if len(shape) >= 3 and shape[-1] in (3, 4) and min(shape[-3:-1]) > _MIN_SECTION_PX:
        return guess_axes(shape[:-1]) + "S"
    known = "TCZYX"
    unknown = "".join(chr(ord("a") + i) for i in range(len(shape) - len(known)))
    return unknown + known[max(0, len(known) - len(shape)) :]
