"""Arrays where a Volume would do, and what to say of blank ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.volume import Kind, Volume


def as_volume(data: Any, *, kind: Kind, name: str) -> Volume:
    """Return a volume as it is, and an array or nested lists as a volume of `kind`.

    Parameters
    ----------
    data : Volume, array-like or nested sequence of numbers
    kind : str
        What an array holds.
    name : str
        What messages call it.

    Raises
    ------
    InputError
        If it is no array of numbers with the axes of `kind`.

    Examples
    --------
    >>> as_volume([[[0.1, 0.9]]], kind="boundary", name="boundary map").shape
    (1, 1, 2)
    """
    if isinstance(data, Volume):
        return data
    if not hasattr(data, "shape"):
        try:
            data = np.asarray(data)
        except ValueError:  # rows of different lengths
            raise InputError(
                f"The {name} is no array: its rows differ in length; give a numpy array (z, y, x)."
            ) from None
    return Volume(data, kind=kind, name=name)


def tell_blank(blank: Sequence[int], fate: str) -> list[str]:
    """Say in one sentence which sections hold one value only.

    Parameters
    ----------
    blank : sequence of int
        The sections.
    fate : str
        What became of each, such as "one fragment".

    Examples
    --------
    >>> tell_blank([3], "one fragment")
    ['Section 3 is blank: it is one fragment.']
    >>> tell_blank([0, 3], "background")
    ['2 blank sections, each background: 0, 3.']
    """
    if len(blank) <= 1:
        return [f"Section {z} is blank: it is {fate}." for z in blank]
    which = ", ".join(map(str, blank[:10])) + (", ..." if len(blank) > 10 else "")
    return [f"{len(blank)} blank sections, each {fate}: {which}."]
