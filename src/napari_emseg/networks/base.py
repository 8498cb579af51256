"""What every network is: a torch module that knows its parameters and its reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self, TypeVar

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_emseg.errors import InputError

P = TypeVar("P", bound=BaseModel)


Offset = tuple[int, int, int]


class Network(nn.Module):
    """Base class of the networks in ``NETWORKS``.

    A 2D network maps float32 sections (N, in_sections + in_maps, Y, X) of any
    size to boundary logits (N, 1, Y, X); a 3D one maps volumes (N, 1, Z, Y, X)
    to (N, channels, Z, Y, X). Where it sees past the edge, it sees a mirror image.

    Attributes
    ----------
    name : str
        Key in ``NETWORKS``.
    params : pydantic.BaseModel
        The parameters it was built from.
    in_sections : int
        Neighbouring sections the input channels hold, the middle one predicted;
        1 for 3D networks.
    receptive_field_px : (z, y, x)
        Size in voxels of the box, centred on an output voxel, outside of which
        no input has any influence on it.
    size_multiple_px : int
        Where the network pools, its output depends on positions in a section
        modulo this.
    memory_bytes_per_px : int
        About how much working memory a forward pass takes per pixel, float32.
    dimensions : {2, 3}
        Whether it takes sections or volumes.
    in_maps : int
        Boundary maps it takes as further channels behind the sections, one for
        each, in the same order: what an earlier network gave, 0 to 1.
    margin_px : int
        Without padding the output is smaller than the input by this much on each
        side of a section; 0 where the network pads. See :meth:`forward_valid`.
    valid_remainder_px : int
        Sizes that :meth:`forward_valid` need not fill up are multiples of
        `size_multiple_px` and this.
    is_slid : bool
        Whether it has to compute a window for each pixel: minutes for a section.
    offsets : tuple of (z, y, x)
        What the channels mean: the affinity of each voxel with the one at this
        offset from it. Empty: one boundary channel.
    size_multiple_sections : int
        As `size_multiple_px`, along Z; for 3D networks.
    """

    name: str
    params: BaseModel
    in_sections: Literal[1, 3, 5]
    receptive_field_px: tuple[int, int, int]
    size_multiple_px: int
    memory_bytes_per_px: int
    dimensions: Literal[2, 3] = 2
    in_maps: int = 0
    margin_px: int = 0
    valid_remainder_px: int = 0
    is_slid: bool = False
    offsets: tuple[Offset, ...] = ()
    size_multiple_sections: int = 1

    def to(
        self, *args: Any, memory_format: torch.memory_format | None = None, **kwargs: Any
    ) -> Self:
        """Move or convert as :meth:`torch.nn.Module.to`.

        ``memory_format`` concerns weights with as many axes as it has, 5 for
        ``channels_last_3d`` and else 4; torch itself fails on others.
        """
        super().to(*args, **kwargs)
        if memory_format is not None:
            axes = 5 if memory_format == torch.channels_last_3d else 4
            for parameter in self.parameters():
                if parameter.ndim == axes:
                    parameter.data = parameter.data.contiguous(memory_format=memory_format)
        return self

    def forward_valid(self, sections: Tensor) -> Tensor:
        """Compute only what no padding has any part in, `margin_px` less on each side.

        For training on patches that bring their surroundings. A network that
        pads has no such part and gives all.
        """
        logits: Tensor = self(sections)
        return logits

    def forward_training(self, sections: Tensor) -> tuple[Tensor, ...]:
        """Return the logits, then those of auxiliary classifiers, all of one shape."""
        return (self(sections),)

    def check_input(self, x: Tensor) -> None:
        """Refuse an input of the wrong shape in one sentence.

        Raises
        ------
        InputError
            If `x` has not the axes or channels the network takes.
        """
        if x.ndim != self.dimensions + 2:
            raise InputError(_explain_dimensions(self))
        channels = self.in_sections + self.in_maps
        if x.shape[1] == channels:
            return
        if self.in_maps and x.shape[1] == self.in_sections:
            raise InputError(
                f"Network '{self.name}' with recursive input also takes the boundary maps of its "
                f"{self.in_maps} sections, which are not given here: choose preset 'recursive', "
                "which makes them, or 'modern', which needs none."
            )
        raise InputError(
            f"Network '{self.name}' takes {channels} channels, but {x.shape[1]} are given."
        )

    def fuse(self) -> None:
        """Fold normalisation layers into convolutions where that is faster.

        For inference only: call it on a copy in evaluation mode. The output
        stays the same; the weights no longer fit a model file.
        """
        for module in self.modules():
            if isinstance(module, Fusible):
                module.fuse()


class Fusible(nn.Module):
    """A part of a network that knows how to fold its normalisation."""

    def fuse(self) -> None:
        """Fold normalisation into the convolution before it."""
        raise NotImplementedError


def _explain_dimensions(network: Network) -> str:
    if network.dimensions == 3:
        return (
            f"Network '{network.name}' takes whole volumes, but sections are given one by one: "
            "choose a 2D network such as unet2d."
        )
    return f"Network '{network.name}' takes sections (N, channels, Y, X), not a volume."


def fold(conv: nn.Module, norm: nn.Module) -> nn.Conv2d | nn.Conv3d:
    """Return one convolution that does what `conv` and then batch `norm` do."""
    if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
        return fuse_conv_bn_eval(conv, norm)
    if isinstance(conv, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d):
        return fuse_conv_bn_eval(conv, norm)
    raise TypeError(f"cannot fold {type(norm).__name__} into {type(conv).__name__}")


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
        if first["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields)
            raise InputError(
                f"This network has no parameter {where}: leave it out; there are {known}."
            ) from None
        raise InputError(f"Network parameter {where}: {first['msg']}.") from None
