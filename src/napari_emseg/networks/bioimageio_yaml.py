"""Descriptions in YAML, read as plain values only.

Tags, which name types to build, are refused; so is what unfolds to a size that nobody
writes by hand (each alias in YAML can stand for many others).
"""

from __future__ import annotations

from typing import Any

import yaml

from napari_emseg.errors import InputError

MOST_BYTES = 2 * 2**20
_MOST_VALUES = 200_000


def read_yaml(content: bytes, name: str) -> dict[str, Any]:
    """Return the mapping that a YAML file holds.

    Parameters
    ----------
    content : bytes
    name : str
        Of the file, for messages.

    Returns
    -------
    dict
        Of strings, numbers, lists, dicts and dates only.

    Raises
    ------
    InputError
        If it is none, or holds tags.

    Examples
    --------
    >>> read_yaml(b"name: mine", "rdf.yaml")
    {'name': 'mine'}
    """
    try:
        text = content.decode("utf-8-sig")
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            tag = getattr(event, "tag", None)
            if tag not in (None, "!"):
                raise InputError(
                    f"{name} asks to build things by a tag ({str(tag)[:60]}), which may run code: "
                    "it is not opened."
                )
        found = yaml.safe_load(text)
    except InputError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{name} is damaged and cannot be read: {first}.") from None
    if not isinstance(found, dict):
        raise InputError(f"{name} is no description of a model.")
    _check_amount(found, name)
    return found


def _check_amount(found: Any, name: str) -> None:
    """Walk through all that aliases unfold to, but not further than a limit."""
    waiting, seen = [found], 0
    while waiting:
        value = waiting.pop()
        seen += 1
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        if seen + len(waiting) > _MOST_VALUES:
            raise InputError(f"{name} unfolds to more than a description holds: it is not opened.")
