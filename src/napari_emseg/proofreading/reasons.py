"""Why a place is shown, in words."""

from __future__ import annotations

from typing import Literal

import numpy as np

from napari_emseg.proofreading.belief import Question
from napari_emseg.proofreading.candidates import Candidates
from napari_emseg.proofreading.edit import count

Cause = Literal[
    "thin wall",
    "near the threshold",
    "ends inside",
    "one section",
    "tiny",
    "flat",
    "wall inside",
    "neck",
    "jump",
]
_TINY_NM3 = 1e6  # a thousandth of a cubic micrometre
_TINY_VOXELS = 1000
_FLAT_VOXELS = 3.0
_HIGH_RANK = 0.35
_HIGH_WALL = 0.5


def cause_of(found: Candidates, question: Question, k: int, voxel_nm3: float | None) -> Cause:
    """Return what is most striking about a candidate.

    Parameters
    ----------
    found : Candidates
    question : {"merge", "split", "jump"}
    k : int
        Among those of the question.
    voxel_nm3 : float or None
        Volume of a voxel, where it is known.
    """
    if question == "jump":
        return "jump"
    features = found.judged[question].features[k]
    if question == "split":
        return "wall inside" if features[1] >= _HIGH_WALL else "neck"
    size, survey = found.survey.segment_size, found.survey
    smaller = min((found.pairs.a[k], found.pairs.b[k]), key=lambda s: int(size[s]))
    if features[10]:
        return "one section"
    if size[smaller] <= (_TINY_VOXELS if voxel_nm3 is None else _TINY_NM3 / voxel_nm3):
        return "tiny"
    box = survey.box_high[smaller] - survey.box_low[smaller] + 1
    if box.min() <= _FLAT_VOXELS and box.max() > 4 * box.min():
        return "flat"
    if survey.ends_inside[smaller]:
        return "ends inside"
    return "near the threshold" if features[1] > _HIGH_RANK else "thin wall"


def words_of(found: Candidates, question: Question, k: int, cause: Cause) -> str:
    """Return one or two sentences for a candidate."""
    if question == "merge":
        return _of_merge(found, k, cause)
    if question == "split":
        return _of_neck(found, k, cause)
    jumps = found.jumps
    before, after = int(jumps.before[k]), int(jumps.after[k])
    z = int(jumps.section[k])
    moved = f"its middle moves by {jumps.shift[k]:.1f} times its radius"
    segment = int(found.survey.ids[jumps.segment[k]])
    return (
        f"Segment {segment} jumps from section {z - 1} to {z}: its area goes from "
        f"{before:,} to {count(after, 'pixel')}, and {moved}."
    )


def _of_merge(found: Candidates, k: int, cause: Cause) -> str:
    pairs, size, survey = found.pairs, found.survey.segment_size, found.survey
    ends = sorted((int(pairs.a[k]), int(pairs.b[k])), key=lambda s: int(size[s]))
    small, large = ends
    smaller, larger = (int(survey.ids[s]) for s in ends)
    wall = f"the wall to {larger} is {pairs.mean[k]:.2f}"
    if not pairs.mean.any():  # no map is known
        return _without_walls(found, k, cause, small, large)
    rank = found.judged["merge"].features[k, 1]
    lower = f"lower than {100 * (1 - rank):.0f} % of the walls here"
    faces, voxels = count(int(pairs.count[k]), "face"), count(int(size[small]), "voxel")
    if cause == "one section":
        z = int(survey.box_low[small, 0])
        return f"Segment {smaller} is in section {z} only ({voxels}); {wall} over {faces}."
    if cause == "tiny":
        return f"Segment {smaller} is tiny ({voxels}); {wall} over {faces}, {lower}."
    if cause == "flat":
        thin = int((survey.box_high[small] - survey.box_low[small]).min()) + 1
        return (
            f"Segment {smaller} is flat, {count(thin, 'voxel')} thick ({voxels}); {wall}, {lower}."
        )
    if cause == "ends inside":
        return (
            f"Segment {smaller} ({voxels}) ends inside the volume on all sides, as no neurite "
            f"does; {wall} over {faces}, {lower}."
        )
    start = f"The wall between {smaller} and {larger} is {pairs.mean[k]:.2f} over {faces}"
    if cause == "near the threshold":
        return f"{start}: neither clearly there nor clearly missing. {smaller} has {voxels}."
    return f"{start}, {lower}. {smaller} has {voxels}."


def _without_walls(found: Candidates, k: int, cause: Cause, small: int, large: int) -> str:
    what = {
        "one section": f"is in section {int(found.survey.box_low[small, 0])} only",
        "tiny": "is tiny",
        "flat": "is flat",
        "ends inside": "ends inside the volume on all sides",
    }
    faces = count(int(found.pairs.count[k]), "face")
    voxels = count(int(found.survey.segment_size[small]), "voxel")
    ids = found.survey.ids
    start = f"Segment {ids[small]} ({voxels}) " + (f"{what[cause]} and " if cause in what else "")
    return f"{start}touches {ids[large]} over {faces}; there is no boundary map to tell the wall."


def _of_neck(found: Candidates, k: int, cause: Cause) -> str:
    necks = found.necks
    segment = int(found.survey.ids[found.survey.segment_of[necks.node[k]]])
    smaller = int(min(necks.size_one[k], necks.size_two[k]))
    faces, held = count(int(necks.edges.count[k]), "face"), count(smaller, "voxel")
    wall = float(necks.edges.mean[k])
    with_wall = f" with a wall of {wall:.2f}" if necks.edges.mean.any() else ""
    if cause == "wall inside":
        return f"A wall of {wall:.2f} runs through segment {segment}: {held} lie behind it."
    radius = float(np.sqrt(necks.edges.count[k] / np.pi))
    return (
        f"Segment {segment} has a neck: {held} hang on {faces} (about {2 * radius:.0f} voxels "
        f"across){with_wall}."
    )
