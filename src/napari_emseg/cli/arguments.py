"""Flags made from params models, and arguments that several commands share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection
from typing import Any, TypeVar

from pydantic import BaseModel

from napari_emseg.errors import InputError
from napari_emseg.steps.fields import FieldDescription, describe_fields
from napari_emseg.steps.params import parse_params
from napari_emseg.steps.plausibility import WrongKindError, check_plausible
from napari_emseg.volume import ZYX, Kind, Volume

P = TypeVar("P", bound=BaseModel)
_METAVARS = {"int": "N", "float": "X", "str": "NAME", "range": "FIRST:STOP", "list": "A,B"}


def add_params(
    parser: argparse.ArgumentParser, model: type[BaseModel], *, skip: Collection[str] = ()
) -> None:
    """Give `parser` one flag for each parameter of `model` but those in `skip`."""
    for field in describe_fields(model):
        if field.name not in skip:
            _add_flag(parser, field)


def _add_flag(parser: argparse.ArgumentParser, field: FieldDescription) -> None:
    options: dict[str, Any] = {
        "default": argparse.SUPPRESS,
        "help": _help(field).replace("%", "%%"),
    }
    if field.type == "bool":
        options["action"] = argparse.BooleanOptionalAction
    elif field.type == "choice":
        options["choices"] = field.choices
    else:
        # Kept as text: the params model reads and checks it, with its own words.
        options["metavar"] = _METAVARS[field.type]
    parser.add_argument(f"--{field.name.replace('_', '-')}", **options)


def _help(field: FieldDescription) -> str:
    text = field.description.rstrip(".") or field.title
    if field.default in (None, "", "default"):
        return text
    return f"{text} (default {field.format(field.default)})"


def read_params(args: argparse.Namespace, model: type[P]) -> P:
    """Make `model` from the flags given.

    Raises
    ------
    InputError
        If a value is out of range; the sentence names the flag.
    """
    given = {name: value for name, value in vars(args).items() if name in model.model_fields}
    try:
        return parse_params(model, given)
    except InputError as error:
        message = str(error)
        name = message.split(" ", 1)[0]
        if name in model.model_fields:
            message = f"--{name.replace('_', '-')}{message.removeprefix(name)}"
        raise InputError(message) from None


def add_voxel_size(parser: argparse.ArgumentParser) -> None:
    """Add ``--voxel-size-nm Z Y X``."""
    parser.add_argument(
        "--voxel-size-nm",
        nargs=3,
        type=float,
        metavar=("Z", "Y", "X"),
        help="Voxel size in nm, where the file does not say it or is wrong",
    )


def add_invert(parser: argparse.ArgumentParser) -> None:
    """Add ``--invert`` and ``--no-invert`` for a boundary map."""
    parser.add_argument(
        "--invert",
        action=argparse.BooleanOptionalAction,
        help="Swap 0 and 1 of the boundary map, or never do (default: recognised)",
    )


def add_force(parser: argparse.ArgumentParser) -> None:
    """Add ``--force``."""
    parser.add_argument(
        "--force", action="store_true", help="Take files as what is needed whatever they look like"
    )


def add_out(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the file to write, ``OUT``."""
    parser.add_argument("out", help=f"{what} to write: .tif, .h5:/name or .zarr")


def add_reading(parser: argparse.ArgumentParser, *, invert: bool = False) -> None:
    """Add what says how the input is to be read: its voxel size, polarity and ``--force``."""
    add_voxel_size(parser)
    if invert:
        add_invert(parser)
    add_force(parser)


def reading(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the flags of :func:`add_reading` said, as keywords of :func:`open_input`."""
    options: dict[str, Any] = {"force": args.force, "voxel_size_nm": voxel_size(args)}
    if "invert" in args:
        options["invert"] = args.invert
    return options


def voxel_size(args: argparse.Namespace) -> ZYX | None:
    """Return what ``--voxel-size-nm`` said."""
    if args.voxel_size_nm is None:
        return None
    z, y, x = args.voxel_size_nm
    return (z, y, x)


def open_input(
    path: str,
    kind: Kind,
    *,
    force: bool,
    voxel_size_nm: ZYX | None = None,
    invert: bool | None = None,
) -> Volume:
    """Open a file that should hold a volume of `kind`.

    Raises
    ------
    InputError
        If it cannot be read or clearly holds something else.
    """
    from napari_emseg.io import open_volume

    volume = open_volume(path, kind=kind, voxel_size_nm=voxel_size_nm, invert=invert)
    if not force:
        try:
            check_plausible(volume, name=path)
        except WrongKindError as error:
            raise InputError(f"{str(error).rstrip('.')}; --force takes it all the same.") from None
    return volume


def open_ground_truth(path: str, kind: str, *, force: bool) -> Volume:
    """Open ground truth: ids, or an image of membranes as it is."""
    if kind == "membranes":
        return open_input(path, "raw", force=True)
    return open_input(path, "labels", force=force)


def notes_of(*volumes: Volume) -> list[str]:
    """Collect what was noticed when the volumes were opened or made, without repetition."""
    notes = [note for volume in volumes for note in volume.provenance.get("notes") or ()]
    return list(dict.fromkeys(map(str, notes)))


def check_target(path: str, kind: Kind, *sources: str) -> None:
    """Make sure before a long computation that its result can be written to `path`.

    Parameters
    ----------
    path : str
        Where the result shall be.
    kind : str
        What the result is.
    *sources : str
        Files it must not replace.

    Raises
    ------
    InputError
        If it cannot be written there, or `path` is one of `sources`.
    """
    from napari_emseg.io import WRITERS, check_writable
    from napari_emseg.io.location import split_location, suffix_of

    file, inside = split_location(path)
    if suffix_of(file) not in WRITERS:
        raise InputError(f"Cannot write {path}: its name must end in one of {', '.join(WRITERS)}.")
    for source in sources:
        source_file, source_inside = split_location(source)
        is_same_file = os.path.realpath(source_file) == os.path.realpath(file)
        if is_same_file and inside == source_inside:
            raise InputError(f"The result would replace its own input {path}; choose another name.")
    check_writable(path, kind)
