"""Training pairs without their voxels, as another process can be told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from napari_emseg.training.input_spec import InputSpec
from napari_emseg.training.kept_sections import KeptFile, KeptSections
from napari_emseg.training.pairs import TrainingPair
from napari_emseg.training.params import TrainParams
from napari_emseg.volume import Volume

VOLUMES = ("raw", "labels", "ignore", "maps")
"""The fields of a pair that are volumes."""
_AROUND = ("raw", "maps")
"""Those of which sections beside the labelled ones are looked at."""


@dataclass(frozen=True)
class VolumeOutline:
    """A volume without its voxels.

    Attributes
    ----------
    shape, dtype
        Of its array.
    facts : dict
        What else it is made with.
    """

    shape: tuple[int, ...]
    dtype: str
    facts: dict[str, Any]

    @classmethod
    def of(cls, volume: Volume) -> VolumeOutline:
        """Describe a volume."""
        facts = {
            "kind": volume.kind,
            "voxel_size_nm": volume.voxel_size_nm,
            "offset_nm": volume.offset_nm,
            "name": volume.name,
        }
        return cls(volume.shape, volume.dtype.str, facts)

    def fill(self, sections: Mapping[int, Any]) -> Volume:
        """Return a volume of which these sections are there."""
        return Volume(KeptSections(self.shape, self.dtype, sections), **self.facts)


@dataclass(frozen=True)
class PairOutline:
    """A training pair without its voxels.

    Attributes
    ----------
    facts : dict
        The fields that are no volumes.
    volumes : dict
        Outline of each volume there is.
    """

    facts: dict[str, Any]
    volumes: dict[str, VolumeOutline]

    @classmethod
    def of(cls, pair: TrainingPair) -> PairOutline:
        """Describe a pair."""
        values = {f.name: getattr(pair, f.name) for f in fields(pair)}
        found = {name: values.pop(name) for name in VOLUMES}
        return cls(
            values, {name: VolumeOutline.of(v) for name, v in found.items() if v is not None}
        )

    def fill(self, files: Mapping[str, Sequence[KeptFile]]) -> TrainingPair:
        """Return the pair, its volumes with the sections in files."""
        filled: dict[str, Any] = {
            name: outline.fill({z: s for file in files[name] for z, s in file.open().items()})
            for name, outline in self.volumes.items()
        }
        return TrainingPair(**filled, **self.facts)


def first_sections(pair: TrainingPair) -> set[int]:
    """Return the sections of each volume of a pair that any network needs."""
    return {*pair.train_sections, *pair.validation_sections}


def further_sections(
    pair: TrainingPair, name: str, params: TrainParams, spec: InputSpec, reach: int
) -> set[int]:
    """Return which sections of a volume a network needs besides, as it looks around.

    Parameters
    ----------
    pair : TrainingPair
    name : str
        Of the volume, as `VOLUMES` lists them.
    params : TrainParams
    spec : InputSpec
        What the network takes.
    reach : int
        Sections before and after one that a prediction of it looks at.
    """
    if name not in _AROUND:
        return set()
    wanted = {n for z in pair.validation_sections for n in range(z - reach, z + reach + 1)}
    if pair.labels_kind == "painted":
        from napari_emseg.training.sources import needed_sections

        wanted |= set(needed_sections(pair, params, spec))
    if spec.dimensions == 2:
        wanted |= {n for z in pair.train_sections for n in range(z - reach, z + reach + 1)}
    return (wanted & set(range(pair.raw.shape[0]))) - first_sections(pair)
