"""Networks that turn raw sections into boundary logits, and the files that hold them.

Importing this package does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_emseg.registry import resolve

if TYPE_CHECKING:
    from napari_emseg.networks.base import Network

NETWORKS: dict[str, str] = {
    "cumedvision": "napari_emseg.networks.cumedvision:build",
    "deepem3d": "napari_emseg.networks.deepem3d:build",
    "fusionnet": "napari_emseg.networks.fusionnet:build",
    "n3": "napari_emseg.networks.n3:build",
    "n4": "napari_emseg.networks.n4:build",
    "pdeepem3d": "napari_emseg.networks.deepem3d:build_plain",
    "rdn": "napari_emseg.networks.rdn:build",
    "rsunet": "napari_emseg.networks.rsunet:build",
    "unet": "napari_emseg.networks.unet:build",
    "unet2d": "napari_emseg.networks.unet2d:build",
    "unet3d": "napari_emseg.networks.unet3d:build",
    "vd2d": "napari_emseg.networks.vd2d:build",
    "vd2d3d": "napari_emseg.networks.vd2d3d:build",
}

__all__ = ["NETWORKS", "build_network"]


def build_network(name: str, preset: str | None = None, **params: Any) -> Network:
    """Make a network with fresh random weights.

    Parameters
    ----------
    name : str
        A key of ``NETWORKS``.
    preset : str, optional
        A named set of parameters of that network.
    **params
        Parameters that replace those of the preset.

    Returns
    -------
    torch.nn.Module
        Maps float32 sections (N, in_sections, Y, X) to logits (N, 1, Y, X); also
        has ``params``, ``receptive_field_px`` (z, y, x) and what else
        :class:`napari_emseg.networks.base.Network` lists.

    Raises
    ------
    InputError
        If the name or the preset is unknown or a parameter is out of range.

    Examples
    --------
    >>> build_network("unet2d", width=4, depth=2).receptive_field_px
    (1, 21, 21)
    """
    network: Network = resolve(NETWORKS, name, "network")(preset, **params)
    return network
