"""How far a saved training is, read from its file without torch."""

from __future__ import annotations

import json
from pathlib import Path

_MAX_HEADER_BYTES = 2**24


def saved_step(path: Path) -> int | None:
    """Return the step at which a training was saved; None where there is none to go on from.

    Parameters
    ----------
    path : Path
        ``NAME.training``.

    Examples
    --------
    >>> saved_step(Path("nothing.training")) is None
    True
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, _MAX_HEADER_BYTES)))
        return int(json.loads(header["__metadata__"]["counters"])["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
