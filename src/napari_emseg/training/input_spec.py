"""What a network takes and gives, as far as making its batches needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from napari_emseg.networks.base import Network
    from napari_emseg.networks.foveation import WindowSampling


@dataclass(frozen=True)
class InputSpec:
    """What a network takes and gives; plain values that another process can be told.

    Attributes
    ----------
    dimensions : {2, 3}
    in_sections, in_maps, margin_px, offsets
        As those of :class:`napari_emseg.networks.base.Network`.
    window : WindowSampling, optional
        How a window is read that is not simply cut out.
    """

    dimensions: Literal[2, 3] = 2
    in_sections: int = 1
    in_maps: int = 0
    margin_px: int = 0
    offsets: tuple[tuple[int, int, int], ...] = ()
    window: WindowSampling | None = None

    @property
    def middle(self) -> int:
        """The section of the input that is predicted, of a 2D network."""
        return self.in_sections // 2


def describe_input(network: Network) -> InputSpec:
    """Tell what a network takes.

    Examples
    --------
    >>> from napari_emseg.networks import build_network
    >>> describe_input(build_network("unet2d", in_sections=3)).middle
    1
    """
    sampling = getattr(network, "sampling", None) if network.is_slid else None
    return InputSpec(
        dimensions=network.dimensions,
        in_sections=network.in_sections,
        in_maps=network.in_maps,
        margin_px=network.margin_px,
        offsets=tuple(network.offsets),
        window=sampling,
    )
