"""Lengths in whatever unit a file uses, turned into nm."""

from __future__ import annotations

import math

_NM = {
    "nm": 1.0,
    "nanometer": 1.0,
    "nanometre": 1.0,
    "um": 1e3,
    "µm": 1e3,  # micro sign
    "μm": 1e3,  # Greek mu
    "\\u00b5m": 1e3,  # as ImageJ spells it in a TIFF description
    "Âµm": 1e3,  # UTF-8 read as Latin-1
    "micron": 1e3,
    "micrometer": 1e3,
    "micrometre": 1e3,
    "mm": 1e6,
    "millimeter": 1e6,
    "millimetre": 1e6,
    "cm": 1e7,
    "centimeter": 1e7,
    "centimetre": 1e7,
    "inch": 25.4e6,
    "in": 25.4e6,
    "m": 1e9,
    "meter": 1e9,
    "metre": 1e9,
    "pm": 1e-3,
    "picometer": 1e-3,
    "picometre": 1e-3,
    "å": 0.1,
    "angstrom": 0.1,
}


def to_nm(length: float | None, unit: str | None) -> float | None:
    """Return `length` in nm, or None where it or its unit says nothing.

    Parameters
    ----------
    length : float or None
        As the file gives it.
    unit : str or None
        Its unit in any usual spelling; "pixel" and unknown words are no unit.

    Examples
    --------
    >>> to_nm(0.004, "micron"), to_nm(1, "pixel")
    (4.0, None)
    """
    if length is None or unit is None:
        return None
    factor = _factor(unit.strip())
    if factor is None or not math.isfinite(length):
        return None
    # 0.004 * 1000 is 4.0 but 0.0046 * 1000 is 4.6000000000000005.
    return float(f"{length * factor:.12g}")


def _factor(unit: str) -> float | None:
    if unit in _NM:
        return _NM[unit]
    lower = unit.lower()
    return _NM.get(lower, _NM.get(lower.removesuffix("s"), _NM.get(lower.removesuffix("es"))))
