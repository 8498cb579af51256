"""Plain dictionaries of import strings, resolved when an entry is used.

Listing the names of networks or steps must not import torch, so a registry
maps a name to ``"package.module:attribute"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from napari_emseg.errors import InputError


def resolve(registry: Mapping[str, str], name: str, noun: str) -> Any:
    """Import the object that `registry` holds under `name`.

    Parameters
    ----------
    registry : mapping of str to str
        Name to ``"package.module:attribute"``.
    name : str
        The entry wanted.
    noun : str
        What the entries are ("network", "step"), for the message.

    Raises
    ------
    InputError
        If there is no such entry; the message lists those there are.

    Examples
    --------
    >>> resolve({"pi": "math:pi"}, "pi", "constant")
    3.141592653589793
    """
    if name not in registry:
        known = ", ".join(sorted(registry))
        raise InputError(f"There is no {noun} named '{name}'; choose one of: {known}.")
    module, _, attribute = registry[name].partition(":")
    return getattr(import_module(module), attribute)
