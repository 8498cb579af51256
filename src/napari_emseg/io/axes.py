"""The axes of a file, whatever it calls them, brought to ZYX."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.io.lazy import AxesView
from napari_emseg.io.source import Source


def to_zyx(source: Source, kind: str | None, where: str, notes: list[str]) -> Any:
    """Bring any axes to ZYX, or CZYX for affinities.

    Parameters
    ----------
    source : Source
        What the file holds.
    kind : str or None
        What it is taken as.
    where : str
        The file, for messages.
    notes : list of str
        Receives what was done.

    Returns
    -------
    array-like
        As lazy as that of `source`.

    Raises
    ------
    InputError
        If there are more axes than those.
    """
    axes, shape = _distinct(source.axes), tuple(source.data.shape)
    if kind == "affinities":
        axes = _name_channels(axes, notes)
    size = dict(zip(axes, shape, strict=True))
    if size.get("S", 1) > 1:
        raise InputError(
            f"{where} is a colour image; convert it to grey first (in Fiji: Image > Type > 8-bit)."
        )
    wanted = "CZYX" if kind == "affinities" else "ZYX"
    extra = [axis for axis in axes if axis not in wanted and size[axis] != 1]
    as_sections = "Z"
    if len(extra) == 1 and size.get("Z", 1) == 1 and _may_count_sections(extra[0], size):
        as_sections = extra.pop()
        if as_sections in "TC":
            noun = {"T": "time points", "C": "channels"}[as_sections]
            notes.append(f"The file's {size[as_sections]} {noun} were opened as sections.")
    if extra:
        named = getattr(source.data, "source", "") if source.format == "HDF5" else ""
        raise InputError(_too_many_axes(extra, axes, size, where, named))
    if len(axes) > len(wanted) and as_sections == "Z":
        notes.append(f"Axes of length 1 were dropped: {source.axes} {shape} is now ZYX.")
    if "Z" not in axes and as_sections == "Z" and not source.ours:
        notes.append("The file holds a single section.")
    picked = [as_sections if axis == "Z" else axis for axis in wanted]
    order = [axes.index(axis) if axis in axes else None for axis in picked]
    if order == list(range(len(axes))):
        return source.data
    if isinstance(source.data, np.ndarray):
        return _view(source.data, order)
    return AxesView(source.data, order, source=where)


def _name_channels(axes: str, notes: list[str]) -> str:
    """Name the channels and sections of four axes that end in YX, whatever the file calls them."""
    if len(axes) != 4 or axes[2:] != "YX" or {*axes[:2]} == {*"CZ"}:
        return axes
    if "Z" in axes:
        return "CZYX" if axes[1] == "Z" else "ZCYX"
    if axes[1] == "C":
        return "ZCYX"
    if axes[0] != "C":
        notes.append("The file does not name its axes; they were taken as channel, z, y, x.")
    return "CZYX"


def _may_count_sections(axis: str, size: dict[str, int]) -> bool:
    return axis != "C" or size["C"] > 4


def _distinct(axes: str) -> str:
    """Give axes that share a letter, such as the Q of unknown ones, letters of their own."""
    spare = (letter for letter in ascii_lowercase if letter not in axes)
    return "".join(next(spare) if letter in axes[:at] else letter for at, letter in enumerate(axes))


def _too_many_axes(
    extra: Sequence[str], axes: str, size: dict[str, int], where: str, named: str
) -> str:
    noun = {"C": "channels", "T": "time points"}
    what = " and ".join(
        f"{size[axis]} {noun.get(axis, f'along axis {axes.index(axis) + 1}')}" for axis in extra
    )
    hint = "save the one to segment as a stack of its own"
    if extra == ["C"] and named:
        hint = f"choose one by its number, such as {named}/0"
    if extra == ["C"] or (len(axes) == 4 and axes.endswith("YX")):
        hint += ", or open it as affinities if that is what it holds"
    return f"{where} has {what} besides z, y and x; {hint}."


def _view(array: npt.NDArray[Any], order: Sequence[int | None]) -> npt.NDArray[Any]:
    kept = [axis for axis in order if axis is not None]
    left_out = [axis for axis in range(array.ndim) if axis not in kept]
    array = array.transpose(left_out + kept)[(0,) * len(left_out)]
    new = [at for at, axis in enumerate(order) if axis is None]
    return np.expand_dims(array, tuple(new))
