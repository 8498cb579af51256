"""What every step has, and the record it leaves in what it made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from napari_emseg import __version__
from napari_emseg.registry import resolve
from napari_emseg.steps import STEPS
from napari_emseg.steps.fingerprint import fingerprint
from napari_emseg.steps.params import Params
from napari_emseg.volume import ZYX, Volume, check_voxel_size


@dataclass(frozen=True)
class Step:
    """One step of the job.

    Attributes
    ----------
    name : str
        Key in `STEPS` and in a recipe.
    title : str
        What people read.
    inputs : tuple of str
        The roles of the volumes that `run` takes first, in order.
    output : str
        The role of what `run` returns.
    params : type
        The frozen model of its parameters.
    run : callable
        ``run(*inputs, params=..., progress=...)``.
    """

    name: str
    title: str
    inputs: tuple[str, ...]
    output: str
    params: type[Params]
    run: Callable[..., Any]


def get_step(name: str) -> Step:
    """Return the step called `name`.

    Raises
    ------
    InputError
        If there is none; the message lists those there are.
    """
    return cast(Step, resolve(STEPS, name, "step"))


@dataclass(frozen=True)
class StepRecord:
    """One executed step: enough to repeat it and to tell whether it is out of date.

    Attributes
    ----------
    step : str
        Key in `STEPS`.
    params : mapping
        The parameters as plain values.
    inputs : mapping of str to str
        Role to :func:`napari_emseg.steps.fingerprint.fingerprint` of the volume used.
    version : str
        Version of this package.
    voxel_size_nm : (z, y, x) in nm, or None
        That of the first volume used: typed by somebody where its file has none.
    """

    step: str
    params: Mapping[str, Any]
    inputs: Mapping[str, str]
    version: str = __version__
    voxel_size_nm: ZYX | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {
            "step": self.step,
            "params": dict(self.params),
            "inputs": dict(self.inputs),
            "version": self.version,
            "voxel_size_nm": self.voxel_size_nm and list(self.voxel_size_nm),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StepRecord:
        """Inverse of :meth:`to_dict`."""
        size = values.get("voxel_size_nm")
        return cls(
            step=str(values["step"]),
            params=dict(values["params"]),
            inputs={str(k): str(v) for k, v in values["inputs"].items()},
            version=str(values.get("version", "")),
            voxel_size_nm=None if size is None else check_voxel_size(size),
        )


def record_step(step: str, params: Params, **inputs: Volume) -> StepRecord:
    """Describe an execution of `step` on `inputs`, which are in the order that it takes."""
    first = next(iter(inputs.values()), None)
    return StepRecord(
        step=step,
        params=params.model_dump(mode="json"),
        inputs={role: fingerprint(volume) for role, volume in inputs.items()},
        voxel_size_nm=None if first is None else first.voxel_size_nm,
    )


def with_record(volume: Volume, record: StepRecord, source: Volume) -> Volume:
    """Return `volume` with `record` after those of `source` in ``provenance["steps"]``.

    It is named after `source` and its own kind: "stack" gives "stack boundary"
    and that "stack labels".
    """
    earlier = source.provenance.get("steps") or []
    stem = source.name.removesuffix(source.kind).strip()
    return volume.derive(
        volume.data,
        kind=volume.kind,
        name=f"{stem} {volume.kind}".strip(),
        steps=[*earlier, record.to_dict()],
    )


def last_record(provenance: Mapping[str, Any]) -> StepRecord | None:
    """Return the record of the step that made a volume, or None if no step made it."""
    records = all_records(provenance)
    return records[-1] if records else None


def all_records(provenance: Mapping[str, Any]) -> list[StepRecord]:
    """Return the records of the steps that led to a volume, first to last."""
    records = provenance.get("steps")
    if not isinstance(records, list | tuple):
        return []
    try:
        return [StepRecord.from_dict(record) for record in records]
    except (KeyError, TypeError, ValueError, AttributeError):
        return []  # written by something else; then we know nothing of its making
