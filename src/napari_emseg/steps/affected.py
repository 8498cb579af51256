"""Which sections of a map another table of bad sections changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_emseg.steps.predict import AUTOMATIC, PredictParams

if TYPE_CHECKING:
    from napari_emseg.networks.info import ModelInfo

_OF_SECTIONS = {"bad_sections", "substitute", "device"}


def differ_in_sections_only(one: PredictParams, other: PredictParams) -> bool:
    """Whether two predictions are the same but for what is said of bad sections.

    Examples
    --------
    >>> differ_in_sections_only(PredictParams(), PredictParams(bad_sections=("3:blank",)))
    True
    """
    return one.model_dump(exclude=_OF_SECTIONS) == other.model_dump(exclude=_OF_SECTIONS)


def unaffected(
    before: PredictParams, after: PredictParams, n_sections: int
) -> npt.NDArray[np.bool_]:
    """Tell which sections are the same under both tables of bad sections.

    Parameters
    ----------
    before, after : PredictParams
        That differ in what they say of bad sections only.
    n_sections : int
        Of the stack.

    Returns
    -------
    (n_sections,) bool

    Examples
    --------
    >>> from napari_emseg.networks.library import list_models
    >>> unaffected(PredictParams(), PredictParams(bad_sections=("0:blank",)), 3)  # doctest: +SKIP
    array([False,  True,  True])
    """
    from napari_emseg.networks.library import find_model
    from napari_emseg.postprocessing.section_table import LOST, parse_entries

    same = np.ones(n_sections, bool)
    infos = [find_model(name) for name in after.models]
    tables = [{bad.z: bad.fault for bad in parse_entries(p.bad_sections)} for p in (before, after)
              if p.bad_sections != (AUTOMATIC,)]  # fmt: skip
    if len(tables) < 2 or any(info.dimensions == 3 for info in infos):
        same[:] = False  # a volume network sees all sections around
        return same
    reach = max(_reach(info) for info in infos)
    mended = {z for table in tables for z in table}
    changed = {z for z in mended if tables[0].get(z) != tables[1].get(z)}
    for z in changed:
        same[max(0, z - reach) : z + reach + 1] = False
    # What stands in for a section may come from far away, or from another model now.
    for z in mended:
        is_lost = any(table.get(z) in LOST for table in tables)
        if is_lost or before.substitute != after.substitute:
            same[z : z + 1] = False
    return same


def _reach(info: ModelInfo) -> int:
    """How many sections away a section has a share in the map, through an earlier model too."""
    reach = info.in_sections // 2
    return reach + (_reach(info.maps_from) if info.maps_from is not None else 0)
