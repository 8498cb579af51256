"""Writing and reading trained models: one safetensors file, never a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write
from napari_emseg.networks import NETWORKS, build_network
from napari_emseg.networks.base import Network
from napari_emseg.networks.info import ModelInfo, metadata_of, read_header
from napari_emseg.networks.picture import picture_metadata
from napari_emseg.networks.rewriting import with_metadata

_EARLIER = "maps_from."
"""What the names of the weights of the earlier model begin with."""


def save_model(
    path: Path | str,
    network: Network,
    info: ModelInfo,
    *,
    half: bool = False,
    maps_from: tuple[Network, ModelInfo] | None = None,
    picture: bytes | None = None,
) -> ModelInfo:
    """Write a network and its description to one safetensors file.

    Parameters
    ----------
    path : path
        Target, ``.safetensors``; replaced only when all is written.
    network : Network
        From :func:`napari_emseg.networks.build_network`.
    info : ModelInfo
        Its description; name, params, input and output are taken from `network`.
    half : bool
        Store convolution weights as float16, which halves the file and changes a
        boundary map by less than 0.01.
    maps_from : (Network, ModelInfo), optional
        The model whose boundary maps a recursive network takes. It is put into the
        same file, so that this alone can be used.
    picture : bytes, optional
        PNG of at most 200 kB from :func:`napari_emseg.networks.picture.make_picture`.

    Returns
    -------
    ModelInfo
        As written, with name and path.

    Raises
    ------
    InputError
        If the file cannot be written, a weight is not finite, or the picture is no PNG.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "mine.safetensors"
    >>> info = ModelInfo(network="unet2d", title="My tissue", voxel_size_nm=(50, 4, 4))
    >>> save_model(path, build_network("unet2d", width=4, depth=2), info).name
    'mine'
    >>> load_model(path)[1].title
    'My tissue'
    """
    path = Path(path)
    tensors = {key: _to_stored(key, t, half=half) for key, t in _tensors_of(network).items()}
    update: dict[str, Any] = {"name": path.stem, "path": path, "problem": "", "origin": "file"}
    if maps_from is not None:
        earlier, known = maps_from
        update["maps_from"] = known.model_copy(update={"path": None, **_description_of(earlier)})
        _check_earlier(path, network, update["maps_from"])
        for key, tensor in _tensors_of(earlier).items():
            tensors[_EARLIER + key] = _to_stored(key, tensor, half=half)
    info = info.model_copy(update={**update, **_description_of(network)})
    metadata = {**metadata_of(info), **picture_metadata(picture)}
    content = with_metadata(save(tensors), metadata)
    with atomic_write(path) as temporary:
        Path(temporary).write_bytes(content)
    return info


def load_model(path: Path | str) -> tuple[Network, ModelInfo]:
    """Read a model that :func:`save_model` wrote.

    The file is treated as data from a stranger: shapes are compared before
    anything is allocated, and nothing in it is ever executed.

    Returns
    -------
    network : Network
        On the CPU, float32, in evaluation mode.
    info : ModelInfo

    Raises
    ------
    InputError
        If the file is no model, is damaged, or does not fit its own description.
    """
    path = Path(path)
    info, shapes = read_header(path)
    prefixes = (_EARLIER,) if info.maps_from else ()
    own = {key: shape for key, shape in shapes.items() if not key.startswith(prefixes)}
    return _build(path, info, own, ""), info


def load_earlier(path: Path | str) -> tuple[Network, ModelInfo] | None:
    """Read the model whose boundary maps a recursive one takes, from the latter's file.

    Returns
    -------
    (Network, ModelInfo) or None
        None where the file holds none.

    Raises
    ------
    InputError
        As :func:`load_model`.
    """
    path = Path(path)
    info, shapes = read_header(path)
    if info.maps_from is None:
        return None
    _check_earlier(path, build_network(info.network, **_as_keywords(info.params)), info.maps_from)
    found = {k.removeprefix(_EARLIER): v for k, v in shapes.items() if k.startswith(_EARLIER)}
    return _build(path, info.maps_from, found, _EARLIER), info.maps_from


def _build(path: Path, info: ModelInfo, shapes: dict[str, tuple[int, ...]], prefix: str) -> Network:
    """Make the network that `info` describes, with the weights whose names have a prefix."""
    if info.network not in NETWORKS:
        raise InputError(
            f"{path.name} needs a network named '{info.network[:80]}', which this version "
            "does not have: update napari-emseg."
        )
    _check_shapes(path, info, shapes)
    network = build_network(info.network, **_as_keywords(info.params))
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(prefix + key) for key in shapes}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path.name} is damaged: {error}.") from None
    _check_values(path, tensors)
    network.load_state_dict(tensors, strict=False)
    return network.eval()


def _check_earlier(path: Path, network: Network, earlier: ModelInfo) -> None:
    if not network.in_maps:
        raise InputError(f"{path.name}: network '{network.name}' takes no boundary maps.")
    if earlier.target != "boundary" or earlier.in_maps or earlier.dimensions != 2:
        raise InputError(
            f"{path.name}: boundary maps of sections come from a 2D model that needs none itself, "
            f"not from '{earlier.name}'."
        )


def describe_network(network: Network) -> ModelInfo:
    """Return what a network says of itself, without a file.

    Examples
    --------
    >>> describe_network(build_network("rsunet", "tiny")).target
    'affinities'
    """
    return ModelInfo(**_description_of(network))


def _description_of(network: Network) -> dict[str, Any]:
    return {
        "network": network.name,
        "params": network.params.model_dump(mode="json"),
        **_facts_of(network),
        "target": "affinities" if network.offsets else "boundary",
    }


def _facts_of(network: Network) -> dict[str, Any]:
    """Return what the description repeats of a network, so that it is known without torch."""
    return {
        "in_sections": network.in_sections,
        "dimensions": network.dimensions,
        "in_maps": network.in_maps,
        "offsets": network.offsets,
    }


def _tensors_of(network: torch.nn.Module) -> dict[str, Tensor]:
    # the batch counter of a normalisation layer is of no use after training
    return {k: v for k, v in network.state_dict().items() if v.is_floating_point()}


def _to_stored(key: str, tensor: Tensor, *, half: bool) -> Tensor:
    tensor = tensor.detach().to("cpu", torch.float32).contiguous()
    # a running variance may be too small or too large for float16; vectors are few
    stored = tensor.half() if half and tensor.ndim > 1 else tensor
    if not stored.isfinite().all():
        raise InputError(f"The model cannot be saved: weight {key} is not finite; train it again.")
    return stored


def _check_shapes(path: Path, info: ModelInfo, shapes: dict[str, tuple[int, ...]]) -> None:
    try:
        with torch.device("meta"):
            blueprint = build_network(info.network, **_as_keywords(info.params))
    except (InputError, TypeError) as error:
        raise InputError(f"{path.name} describes an impossible network. {error}") from None
    for fact, value in _facts_of(blueprint).items():
        if value != getattr(info, fact):
            raise InputError(f"{path.name} contradicts itself about the network's {fact}.")
    expected = {k: tuple(v.shape) for k, v in _tensors_of(blueprint).items()}
    for key in sorted(expected.keys() | shapes.keys()):
        if key not in shapes:
            raise InputError(f"{path.name} lacks the weights {key}.")
        if key not in expected:
            raise InputError(f"{path.name} holds weights its network has no use for: {key[:80]}.")
        if expected[key] != shapes[key]:
            raise InputError(
                f"{path.name} has weights {key} of shape {shapes[key]}; "
                f"its network needs {expected[key]}."
            )


def _as_keywords(params: Mapping[str, Any]) -> dict[str, Any]:
    if "preset" in params:
        raise InputError("A preset is no parameter.")
    return dict(params)


def _check_values(path: Path, tensors: dict[str, Tensor]) -> None:
    for key, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise InputError(f"{path.name} is unusable: weights {key} are not finite numbers.")
        if key.endswith("running_var") and (tensor < 0).any():
            raise InputError(f"{path.name} is unusable: {key} holds a negative variance.")
