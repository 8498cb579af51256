"""What every network is: a torch module that knows its parameters and its reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from torch import nn

from napari_emseg.errors import InputError

P = TypeVar("P", bound=BaseModel)


class Network(nn.Module):
    """Base class of the networks in ``NETWORKS``.

    Attributes
    ----------
    name : str
        Key in ``NETWORKS``.
    params : pydantic.BaseModel
        The parameters it was built from.
    in_sections : int
        Neighbouring sections the input channels hold, the middle one predicted.
    receptive_field_px : (z, y, x)
        Size in voxels of the box, centred on an output voxel, outside of which
        no input has any influence on it.
    size_multiple_px : int
        Where the network pools, its output depends on positions modulo this.
    """

    name: str
    params: BaseModel
    in_sections: int
    receptive_field_px: tuple[int, int, int]
    size_multiple_px: int


def make_params(
    model: type[P],
    presets: Mapping[str, Mapping[str, Any]],
    preset: str | None,
    params: Mapping[str, Any],
) -> P:
    """Fill a params model from a preset and single values.

    Raises
    ------
    InputError
        If the preset is unknown or a value is out of range.
    """
    if preset is not None and preset not in presets:
        known = ", ".join(sorted(presets)) or "none"
        raise InputError(f"There is no preset '{preset}'; there are: {known}.")
    values = {**(presets[preset] if preset else {}), **params}
    try:
        return model(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "parameters"
        raise InputError(f"Network parameter {where}: {first['msg']}.") from None
