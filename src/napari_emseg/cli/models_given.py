"""``--model`` for several models, and what says which sections are bad."""

from __future__ import annotations

import argparse

from napari_emseg.errors import InputError


def add_models(
    parser: argparse.ArgumentParser, *, required: bool = False, instead: bool = False
) -> None:
    """Add ``--model``, which may be given several times or hold several names."""
    otherwise = (
        "default: the recipe's" if instead else "default: the bundled one that suits the voxel size"
    )
    parser.add_argument(
        "--model",
        action="append",
        required=required,
        metavar="NAME",
        default=argparse.SUPPRESS,
        help="A trained model's name or .safetensors file; several (repeat it, or A,B) are "
        f"combined; {otherwise}",
    )


def split_models(args: argparse.Namespace) -> None:
    """Turn what ``--model`` said into the parameters `model` and `others`.

    Raises
    ------
    InputError
        If a model is named twice, or not at all.
    """
    if "model" not in args:
        return
    names = [name.strip() for given in args.model for name in given.split(",")]
    if not all(names):
        raise InputError("--model must not be empty; see 'emseg models'.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"--model names '{twice}' twice; name each model once.")
    args.model, args.others = names[0], tuple(names[1:])


def add_sections_table(parser: argparse.ArgumentParser) -> None:
    """Add ``--sections-table``."""
    parser.add_argument(
        "--sections-table",
        metavar="CSV",
        help="Table of bad sections that 'emseg sections' wrote; those with substitute = yes count",
    )


def read_sections_table(args: argparse.Namespace) -> None:
    """Turn the table named by ``--sections-table`` into the parameter `bad_sections`.

    Raises
    ------
    InputError
        If it cannot be read, or ``--bad-sections`` is given as well.
    """
    if args.sections_table is None:
        return
    if "bad_sections" in args:
        raise InputError("--sections-table and --bad-sections say the same; give one of them.")
    from napari_emseg.postprocessing.section_table import format_entries, read_table

    args.bad_sections = format_entries(read_table(args.sections_table))
