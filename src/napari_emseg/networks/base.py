"""What every network is: a torch module that knows its parameters and its reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

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
    memory_bytes_per_px : int
        About how much working memory a forward pass takes per pixel, float32.
    """

    name: str
    params: BaseModel
    in_sections: Literal[1, 3, 5]
    receptive_field_px: tuple[int, int, int]
    size_multiple_px: int
    memory_bytes_per_px: int

    def fuse(self) -> None:
        """Fold normalisation layers into convolutions where that is faster.

        For inference only: call it on a copy in evaluation mode. The output
        stays the same; the weights no longer fit a model file.
        """


def fold(conv: nn.Module, norm: nn.Module) -> nn.Conv2d:
    """Return one convolution that does what `conv` and then batch `norm` do."""
    if not isinstance(conv, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
        raise TypeError(f"cannot fold {type(norm).__name__} into {type(conv).__name__}")
    return fuse_conv_bn_eval(conv, norm)


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
