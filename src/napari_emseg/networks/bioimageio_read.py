"""From the files of a package to what it says of its model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ValidationError

from napari_emseg.errors import InputError
from napari_emseg.networks.bioimageio_archive import Archive
from napari_emseg.networks.bioimageio_formats import (
    read_input_4,
    read_input_5,
    read_output_4,
    read_output_5,
    voxel_size_5,
)
from napari_emseg.networks.bioimageio_model import (
    FileRef,
    InputTensor,
    Offset,
    OutputTensor,
    PackageModel,
    Unsupported,
)
from napari_emseg.networks.bioimageio_weights import clean_name, read_weights
from napari_emseg.networks.bioimageio_yaml import MOST_BYTES, read_yaml

CONFIG_KEY = "napari_emseg"
"""Where in ``config`` our own packages say what the format has no words for."""
_KNOWN_DATA: dict[str, tuple[str, tuple[float, float, float]]] = {
    "cremi": ("CREMI (adult fly brain)", (40.0, 4.0, 4.0)),
    "isbi2012": ("ISBI 2012 (larval fly nerve cord)", (50.0, 4.0, 4.0)),
    "snemi3d": ("SNEMI3D (mouse cortex)", (30.0, 6.0, 6.0)),
}
_SPOKEN = ("boundar", "membrane")
_MOST_OFFSETS = 64


def read_model(archive: Archive) -> PackageModel:
    """Read what a package says of its model.

    Raises
    ------
    Unsupported
        If it needs what this program does not do.
    InputError
        If it describes no model, or the description is damaged.
    """
    content = archive.read(archive.description, most_bytes=MOST_BYTES)
    found = read_yaml(content, f"{archive.description} in {archive.path.name}")
    return parse_model(found, archive.names, archive.path.name)


def parse_model(found: Mapping[str, Any], names: frozenset[str], name: str) -> PackageModel:
    """Read what a description says.

    Parameters
    ----------
    found : mapping
        The description.
    names : frozenset of str
        Of the files that are there.
    name : str
        Of the package, for messages.

    Raises
    ------
    Unsupported, InputError
        As :func:`read_model`.
    """
    try:
        return _read(found, names)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{name} has a bad description: {where}: {first['msg']}.") from None
    except Unsupported as error:
        raise Unsupported(f"{name} cannot be used here: {str(error).rstrip('.')}.") from None
    except InputError as error:
        raise InputError(f"{name} is damaged: {str(error).rstrip('.')}.") from None


def _read(found: Mapping[str, Any], names: frozenset[str]) -> PackageModel:
    version = str(found.get("format_version", ""))[:20]
    if found.get("type", "model") != "model":
        raise Unsupported(f"it describes a {str(found['type'])[:30]}, not a model")
    if version.startswith("0.4."):
        source, output, voxel_size = _tensors_4(found)
    elif version.startswith("0.5."):
        source, output, voxel_size = _tensors_5(found)
    else:
        raise Unsupported(f"its format is {version or 'not said'}; 0.4 and 0.5 are known here")
    ours = _ours(found)
    in_sections = _in_sections(ours)
    if source.channels != in_sections:
        raise Unsupported(f"its input has {source.channels} channels; grey images have one")
    if in_sections > 1 and "z" in source.axes:
        raise Unsupported("its input has several channels of volumes")
    if ("z" in output.axes) != ("z" in source.axes):
        raise Unsupported("its input and its output are not both sections or both volumes")
    trained_on, known_size = _training_data(found)
    offsets, is_boundary = _offsets(found, ours, output)
    channel = _boundary_channel(output)
    return PackageModel(
        format_version=version,
        title=_text(found.get("name"), 120) or "BioImage.IO model",
        input=source,
        output=output,
        weights=read_weights(found.get("weights"), names),
        summary=_text(found.get("description"), 600),
        licence=_text(found.get("license"), 100),
        trained_on=trained_on,
        voxel_size_nm=_three(ours.get("voxel_size_nm")) or voxel_size or known_size,
        offsets=offsets,
        affinity_is_boundary=is_boundary,
        in_sections=in_sections,
        channel=channel,
        notes=tuple(_notes(found, output, offsets, channel)),
    )


def _tensors_4(found: Mapping[str, Any]) -> tuple[InputTensor, OutputTensor, None]:
    entry, other = _one_input(found), _first(found, "outputs")
    source = read_input_4(entry, _file(found.get("test_inputs")))
    return source, read_output_4(other, source, _file(found.get("test_outputs"))), None


def _tensors_5(
    found: Mapping[str, Any],
) -> tuple[InputTensor, OutputTensor, tuple[float, float, float] | None]:
    entry, other = _one_input(found), _first(found, "outputs")
    source = read_input_5(entry)
    return source, read_output_5(other, entry, source), voxel_size_5(entry)


def _one_input(found: Mapping[str, Any]) -> Any:
    entry = _first(found, "inputs")
    if needed := [
        e for e in found["inputs"][1:] if not (isinstance(e, dict) and e.get("optional"))
    ]:
        raise Unsupported(f"it needs {1 + len(needed)} inputs; one image can be given")
    return entry


def _first(found: Mapping[str, Any], key: str) -> Any:
    entries = found.get(key)
    if not isinstance(entries, list) or not entries:
        raise InputError(f"it names no {key}")
    return entries[0]


def _file(entries: Any) -> FileRef | None:
    if not isinstance(entries, list) or not entries:
        return None
    return FileRef(clean_name(str(entries[0])))


def _ours(found: Mapping[str, Any]) -> Mapping[str, Any]:
    config = found.get("config")
    ours = config.get(CONFIG_KEY) if isinstance(config, Mapping) else None
    return ours if isinstance(ours, Mapping) else {}


def _in_sections(ours: Mapping[str, Any]) -> Literal[1, 3, 5]:
    given: Literal[3, 5]
    for given in (3, 5):
        if ours.get("in_sections") == given:
            return given
    return 1


def _offsets(
    found: Mapping[str, Any], ours: Mapping[str, Any], output: OutputTensor
) -> tuple[tuple[Offset, ...], bool]:
    """Return the offsets of affinities, and whether 1 means different objects there."""
    given, is_boundary = ours.get("offsets"), False
    if not given and not ours:
        # torch_em, whose packages say so for the mutex watershed, trains on 1 = different
        config = found.get("config")
        mws = config.get("mws") if isinstance(config, Mapping) else None
        given, is_boundary = (mws.get("offsets") if isinstance(mws, Mapping) else None), True
    if not given or not isinstance(given, list) or len(given) > _MOST_OFFSETS:
        return (), False
    try:
        offsets = [tuple(int(d) for d in offset) for offset in given]
    except (TypeError, ValueError):
        return (), False
    whole = [(0,) * (3 - len(o)) + o for o in offsets if 2 <= len(o) <= 3]
    if len(whole) != len(given) or len(whole) != output.channels or len(whole) < 2:
        return (), False
    return tuple((z, y, x) for z, y, x in whole), is_boundary


def _boundary_channel(output: OutputTensor) -> int:
    """Return the channel whose name speaks of membranes, or the first."""
    for number, name in enumerate(output.channel_names[: output.channels]):
        if any(word in name.lower() for word in _SPOKEN):
            return number
    return 0


def _notes(
    found: Mapping[str, Any], output: OutputTensor, offsets: tuple[Offset, ...], channel: int
) -> list[str]:
    notes = []
    if output.channels > 1 and not offsets:
        name = output.channel_names[channel] if channel < len(output.channel_names) else ""
        called = f" ('{name}')" if name else ""
        notes.append(
            f"The model gives {output.channels} channels; channel {channel}{called} was taken for "
            "the boundary map."
        )
    if len(found["outputs"]) > 1:
        notes.append(f"The model has {len(found['outputs'])} outputs; the first was taken.")
    return notes


def _training_data(
    found: Mapping[str, Any],
) -> tuple[str, tuple[float, float, float] | None]:
    """Return what the model learned on, and its voxel size where everybody knows that."""
    ours = _ours(found)
    if ours:
        return _text(ours.get("trained_on"), 300), None
    given = found.get("training_data")
    names = (
        [str(given.get(key, "")) for key in ("id", "name")] if isinstance(given, Mapping) else []
    )
    tags = found.get("tags")
    names += [str(tag) for tag in tags] if isinstance(tags, list) else []
    words = set(re.split(r"[^a-z0-9]+", " ".join(names).lower()))
    for word, (title, size) in _KNOWN_DATA.items():
        if word in words:
            return title, size
    return _text(" ".join(filter(None, names[:2])), 300) if given else "", None


def _three(value: Any) -> tuple[float, float, float] | None:
    if not isinstance(value, list) or len(value) != 3:
        return None
    try:
        z, y, x = (float(v) for v in value)
    except (TypeError, ValueError):
        return None
    return (z, y, x)


def _text(value: Any, most: int) -> str:
    text = " ".join(str(value or "").split())
    return text if len(text) <= most else text[: most - 1] + "…"
