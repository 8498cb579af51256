"""What the user asked for: one evented model per viewer, without any window."""

from __future__ import annotations

from typing import Any, ClassVar

from psygnal import SignalGroupDescriptor
from pydantic import BaseModel, ConfigDict, Field

from napari_emseg.steps.evaluate import EvaluateParams
from napari_emseg.steps.fingerprint import fingerprint
from napari_emseg.steps.fuse import FuseParams
from napari_emseg.steps.params import Params, parse_params
from napari_emseg.steps.postprocess import PostprocessParams
from napari_emseg.steps.predict import PredictParams
from napari_emseg.steps.segment import SegmentParams
from napari_emseg.steps.step import StepRecord, get_step, last_record
from napari_emseg.volume import ZYX, Kind, Volume


class Reference(BaseModel):
    """A volume somebody chose: enough to find it again and to know it again.

    Attributes
    ----------
    name : str
        What people call it; a layer name in the viewer.
    path : str or None
        Where :func:`napari_emseg.io.open_volume` finds it; None if it is in no file.
    kind, shape, voxel_size_nm, offset_nm
        As in :class:`napari_emseg.Volume`.
    fingerprint : str
        See :func:`napari_emseg.steps.fingerprint.fingerprint`.
    made_by : StepRecord or None
        The step that made it, if one did.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    path: str | None = None
    kind: Kind = "raw"
    shape: tuple[int, ...] = ()
    voxel_size_nm: ZYX | None = None
    offset_nm: ZYX = (0.0, 0.0, 0.0)
    fingerprint: str = ""
    made_by: StepRecord | None = None

    @classmethod
    def of(cls, volume: Volume, *, name: str = "", known_by: str = "") -> Reference:
        """Refer to `volume`, by `name` and the fingerprint `known_by` if they are given."""
        source = volume.provenance.get("source")
        made_by = last_record(volume.provenance)
        return cls(
            name=name or volume.name,
            path=str(source) if source and made_by is None else None,
            kind=volume.kind,
            shape=volume.shape,
            voxel_size_nm=volume.voxel_size_nm,
            offset_nm=volume.offset_nm,
            fingerprint=known_by or fingerprint(volume),
            made_by=made_by,
        )


class View(Params):
    """How the viewer was left."""

    section: int = Field(default=0, ge=0, title="Section")
    contour_px: int = Field(
        default=0, ge=0, le=20, title="Contour", description="0 fills the segments."
    )
    show_scores: bool = Field(default=True, title="Show scores in the canvas")


class Session(BaseModel):
    """What the user asked for: volumes, parameters, steps run. One per viewer.

    Every field is evented: ``session.events.segment.connect(callback)``.

    Examples
    --------
    >>> session = Session()
    >>> session.change("segment", h=0.1)
    >>> session.segment.h
    0.1
    """

    model_config = ConfigDict(validate_assignment=True, extra="forbid")
    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    raw: Reference | None = None
    boundary: Reference | None = None
    segmentation: Reference | None = None
    ground_truth: Reference | None = None
    predict: PredictParams = PredictParams()
    fuse: FuseParams = FuseParams()
    postprocess: PostprocessParams = PostprocessParams()
    segment: SegmentParams = SegmentParams()
    evaluate: EvaluateParams = EvaluateParams()
    history: tuple[StepRecord, ...] = ()
    scores: dict[str, float] = Field(default_factory=dict)
    scored: StepRecord | None = None
    view: View = View()

    def change(self, step: str, **changes: Any) -> None:
        """Change parameters of `step` in one go.

        Raises
        ------
        InputError
            If there is no such step or parameter, or a value is out of range.
        """
        current: Params = getattr(self, get_step(step).name)
        values = {**current.model_dump(), **changes}
        setattr(self, step, parse_params(type(current), values))

    def remember(self, record: StepRecord) -> None:
        """Append an executed step to the history."""
        self.history = (*self.history, record)
