"""The weights that a package names: which forms of them there are, and in which files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from napari_emseg.errors import InputError
from napari_emseg.networks.bioimageio_model import FileRef, Unsupported, Weights


class _Weights(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    source: Annotated[str, Field(max_length=200)]
    sha256: Annotated[str, Field(max_length=200)] | None = None
    architecture: Any = None
    kwargs: dict[str, Any] | None = None


def read_weights(entries: Any, names: frozenset[str]) -> tuple[Weights, ...]:
    """Read the forms of the weights that are known here and whose file is there."""
    if not isinstance(entries, Mapping) or not entries:
        raise InputError("it names no weights")
    found, absent = [], ""
    for kind in ("torchscript", "pytorch_state_dict"):
        if kind not in entries:
            continue
        entry = _Weights.model_validate(entries[kind])
        file = FileRef(clean_name(entry.source), entry.sha256 or "")
        if file.name in names:
            found.append(_with_architecture(kind, file, entry))
        else:
            absent = file.name
    if found:
        return tuple(found)
    if absent:
        raise InputError(f"the file of its weights ({absent[:100]}) is not in it")
    kinds = ", ".join(sorted(str(kind)[:30] for kind in entries))
    raise Unsupported(
        f"its weights are there for {kinds} only, and torchscript or pytorch_state_dict is needed"
    )


def _with_architecture(kind: str, file: FileRef, entry: _Weights) -> Weights:
    if kind == "torchscript":
        return Weights("torchscript", file)
    kwargs = dict(entry.kwargs or {})
    architecture = entry.architecture
    if isinstance(architecture, Mapping):  # format 0.5
        kwargs = dict(architecture.get("kwargs") or {})
        origin = str(architecture.get("import_from") or architecture.get("source") or "")
        name = str(architecture.get("callable", ""))
    else:  # "file.py:Class" or "module.Class"
        text = str(architecture or "")
        origin, _, name = text.rpartition(":" if ":" in text else ".")
    return Weights("pytorch_state_dict", file, name[:100], origin[:200], kwargs)


def clean_name(source: str) -> str:
    """Return the name of a file of the package as it is listed.

    Examples
    --------
    >>> clean_name("./weights.pt"), clean_name("https://zoo.org/files/weights.pt/content")
    ('weights.pt', 'weights.pt')
    """
    if source.startswith(("http://", "https://")):  # as the collection writes its own copies
        parts = [part for part in source.partition("?")[0].split("/") if part != "content"]
        return parts[-1]
    return source.removeprefix("./")
