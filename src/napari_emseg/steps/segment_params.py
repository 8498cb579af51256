"""The parameters of step 3, Segment, and which of them count when."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from napari_emseg.steps.params import Params

Grouping = Literal[
    "h_minima",
    "mean_boundary",
    "quantile_boundary",
    "multicut",
    "greedy_additive",
    "lifted_multicut",
    "mutex_watershed",
    "mean_affinity",
    "zlateski_seung",
    "linking",
]


AffinityThresholds = Literal[
    "fine", "zlateski_seung", "deepseg", "deepseg_fragments", "deepseg_cli"
]


class SegmentParams(Params):
    """How a boundary map becomes segments.

    Examples
    --------
    >>> params = SegmentParams(merge_threshold=0.6)
    >>> params.grouping, params.threshold
    ('mean_boundary', 0.6)
    """

    mode: Literal["2d", "3d"] = Field(
        default="2d",
        title="Dimensions",
        description="2d: each section by itself; 3d: segments run through the sections.",
    )
    sigma_px: float = Field(
        default=1.5,
        ge=0,
        le=20,
        title="Smoothing",
        description="Sigma of the Gaussian that smooths the map, in pixels; more = fewer segments.",
        json_schema_extra={"step": 0.1},
    )
    grouping: Grouping = Field(
        default="h_minima",
        title="Grouping",
        description="What joins basins: their depth (h_minima), the mean or a quantile of the "
        "wall between them (mean_boundary, quantile_boundary, mean_affinity) or its weakest spot "
        "(zlateski_seung), or all walls weighed together (multicut, greedy_additive), also those "
        "seen from afar (lifted_multicut, mutex_watershed); or the overlap of sections cut at h "
        "(linking, 3d only).",
    )
    h: float = Field(
        default=0.2,
        ge=0,
        le=1,
        title="H-minima",
        description="How deep below its rim a basin must be to become a segment; more = fewer.",
        json_schema_extra={"step": 0.005},
    )
    merge_threshold: float = Field(
        default=0.5,
        ge=0,
        le=1,
        title="Merge threshold",
        description="Segments behind a weaker wall are joined, in groupings other than h_minima; "
        "more = fewer.",
        json_schema_extra={"step": 0.005},
    )
    min_size_voxels: int = Field(
        default=50,
        ge=0,
        le=1_000_000_000,
        title="Min size",
        description="Smaller segments join the neighbour they are least separated from.",
    )
    fill_holes: bool = Field(
        default=False,
        title="Fill holes",
        description="When writing labels, segments surrounded by a single other one join it.",
        json_schema_extra={"advanced": True},
    )
    min_sections: int = Field(
        default=1,
        ge=1,
        le=1000,
        title="Min sections",
        description="When writing labels in 3d, segments in fewer sections are taken away.",
        json_schema_extra={"advanced": True},
    )
    short_segments: Literal["join", "drop"] = Field(
        default="join",
        title="Short segments",
        description="What becomes of those: they join the neighbour they touch most, or become 0.",
        json_schema_extra={"advanced": True},
    )
    floor: float = Field(
        default=1 / 255,
        ge=0,
        le=0.5,
        title="Floor",
        description="Basins shallower than this are never kept apart, whatever h is.",
        json_schema_extra={"advanced": True, "step": 0.001},
    )
    prior_faces: int = Field(
        default=0,
        ge=0,
        le=10_000,
        title="Contact prior",
        description="For mean_boundary: each contact counts as if it had so many faces of membrane "
        "more, so that small contacts need better evidence to join.",
        json_schema_extra={"advanced": True},
    )
    wall_quantile: float = Field(
        default=0.25,
        ge=0,
        le=1,
        title="Wall quantile",
        description="For quantile_boundary: which part of the wall counts; 0 is its weakest face, "
        "0.5 the median.",
        json_schema_extra={"advanced": True, "step": 0.05},
    )
    affinity_thresholds: AffinityThresholds = Field(
        default="fine",
        title="Affinity thresholds",
        description="Low, high, size and weight threshold of the watershed of affinities; fine "
        "keeps every basin apart, the others are those that the named programs use.",
        json_schema_extra={"advanced": True},
    )
    affinity_low: float | None = Field(
        default=None,
        ge=0,
        le=1,
        title="Low affinity",
        description="Edges up to this do not exist; empty: as the thresholds say.",
        json_schema_extra={"advanced": True},
    )
    affinity_high: float | None = Field(
        default=None,
        ge=0,
        le=1,
        title="High affinity",
        description="Edges from this on always join; empty: as the thresholds say.",
        json_schema_extra={"advanced": True},
    )
    affinity_size_voxels: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000_000,
        title="Small region",
        description="Smaller regions join a neighbour or vanish; empty: as the thresholds say.",
        json_schema_extra={"advanced": True},
    )
    affinity_weight: float | None = Field(
        default=None,
        ge=0,
        le=1,
        title="Weight",
        description="The edge over which a small region may join; empty: as the thresholds say.",
        json_schema_extra={"advanced": True},
    )
    exact_borders: bool = Field(
        default=False,
        title="Exact borders",
        description="Flood once more when writing labels, so that borders equal those of H-minima.",
        json_schema_extra={"advanced": True},
    )
    certain_boundary: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Certain boundary",
        description="When writing labels, voxels of this boundary value or more leave their "
        "segments and are filled from around, section by section; 0.8 in DeepEM3D, 0 is none.",
        json_schema_extra={"advanced": True, "step": 0.05},
    )
    certain_map: str = Field(
        default="",
        title="Certain map",
        description="File of another boundary map of the same stack that tells what is certain, "
        "in DeepEM3D of a network that sees single sections; empty: the map that is segmented.",
        json_schema_extra={"advanced": True},
    )

    @model_validator(mode="before")
    @classmethod
    def _threshold_alone_means_mean_boundary(cls, values: Any) -> Any:
        if isinstance(values, dict) and "merge_threshold" in values and "grouping" not in values:
            return {**values, "grouping": "mean_boundary"}
        return values

    @property
    def is_cleaned_up(self) -> bool:
        """Whether holes or short segments are to be seen to."""
        return self.fill_holes or (self.min_sections > 1 and self.mode == "3d")

    @property
    def threshold_name(self) -> Literal["h", "merge_threshold"]:
        """Which parameter says how far fragments are joined."""
        is_cut_only = self.grouping == "linking" and self.mode == "2d"  # nothing to link
        return "h" if self.grouping == "h_minima" or is_cut_only else "merge_threshold"

    @property
    def threshold(self) -> float:
        """Where the hierarchy is cut: `h`, or `merge_threshold` where that counts."""
        value: float = getattr(self, self.threshold_name)
        return value

    @property
    def hierarchy_fields(self) -> tuple[str, ...]:
        """The parameters that call for another hierarchy when they change."""
        more = {
            "linking": ("h",),
            "mean_boundary": ("prior_faces",),
            "quantile_boundary": ("wall_quantile",),
            **dict.fromkeys(AFFINITY_GROUPINGS, AFFINITY_FIELDS),
        }
        return (*FLOOD_FIELDS, "grouping", *more.get(self.grouping, ()))

    @property
    def idle_fields(self) -> frozenset[str]:
        """The parameters that make no difference, the others being what they are."""
        matters = {
            "h": "h" in (self.threshold_name, *self.hierarchy_fields),
            "merge_threshold": self.threshold_name == "merge_threshold",
            **{
                name: name in self.hierarchy_fields
                for name in (*AFFINITY_FIELDS, "prior_faces", "wall_quantile")
            },
            "exact_borders": self.grouping == "h_minima",
            "min_sections": self.mode == "3d",
            "short_segments": self.mode == "3d" and self.min_sections > 1,
            "certain_map": self.certain_boundary > 0,
        }
        return frozenset(name for name, is_used in matters.items() if not is_used)


FLOOD_FIELDS = ("mode", "sigma_px", "floor")
AFFINITY_GROUPINGS = ("mean_affinity", "zlateski_seung")
AFFINITY_THRESHOLDS = ("low", "high", "size_voxels", "weight")
AFFINITY_FIELDS = ("affinity_thresholds", *(f"affinity_{name}" for name in AFFINITY_THRESHOLDS))
