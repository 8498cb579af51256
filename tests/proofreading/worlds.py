"""Small volumes to edit: anisotropic, ugly, with a blank section and background."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_emseg import Proofreader, Segmentation, Volume
from napari_emseg.proofreading.contacts import measure_contacts
from napari_emseg.proofreading.wall import Wall

VOXEL_SIZE_NM = (50.0, 4.0, 5.0)
SHAPE = (4, 17, 23)


def make_map(seed: int, shape: tuple[int, int, int] = SHAPE) -> Volume:
    """Walls between cells, smoothed noise, one blank section."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).standard_normal(shape)
    smooth = gaussian_filter(noise, (0.5, 2, 2))
    wall = np.exp(-np.abs(smooth / smooth.std()) * 3)
    wall[-1] = 0.25
    return Volume(wall.astype(np.float32), kind="boundary", voxel_size_nm=VOXEL_SIZE_NM)


def make_segmentation(seed: int, joined_below: float = 0.35) -> tuple[Segmentation, Volume]:
    """Segments of several fragments, some background, ids with gaps."""
    from scipy.ndimage import label
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from skimage.segmentation import watershed

    boundary = make_map(seed)
    wall = boundary.read()
    fragments = watershed(wall, label(wall < 0.2)[0]).astype(np.uint32)
    fragments[0, :3, :4] = 0
    n = int(fragments.max()) + 1
    edges = measure_contacts(fragments, Wall(boundary, fragments.shape))
    weak = edges.mean < joined_below
    graph = coo_matrix((weak[weak], (edges.a[weak], edges.b[weak])), (n, n))
    table = 3 * connected_components(graph, directed=False)[1].astype(np.uint32) + 5
    table[0] = 0
    return Segmentation(boundary.derive(fragments, kind="fragments"), table), boundary


def edit_at_random(editor: Proofreader, random: np.random.Generator, n: int) -> None:
    """Try `n` edits, undos and jumps; those that are refused do not count."""
    from napari_emseg import InputError

    done = 0
    while done < n:
        try:
            _one(editor, random)
        except InputError:
            if random.random() < 0.2:
                done += 1
            continue
        done += 1


def _one(editor: Proofreader, random: np.random.Generator) -> None:
    state = editor.state
    segments = list(state.members)
    place = [tuple(int(random.integers(0, n)) for n in SHAPE) for _ in range(4)]
    kind = random.integers(0, 13)
    if kind == 0 and segments:
        editor.merge(random.choice(segments, 2).tolist())
    elif kind in (1, 12):
        here = state.segment_at(place[0])
        picked = random.choice(np.argwhere(editor.view[...] == here), 4)
        editor.split([picked[:2], picked[2:]], segment=here)
    elif kind == 2:
        editor.absorb([state.fragment_at(place[0])], state.segment_at(place[1]))
    elif kind == 3:
        editor.detach([state.fragment_at(p) for p in place])
    elif kind == 4:
        editor.delete([state.segment_at(place[0])])
    elif kind in (5, 6):
        editor.paint(**_stroke(state, random, place[0]))
    elif kind == 7:
        editor.split_by_line(place[0][0], [(-1, place[0][2]), (SHAPE[1], place[1][2])])
    elif kind == 8:
        editor.mark_done([state.segment_at(place[0])], bool(random.integers(0, 2)))
    elif kind == 9:
        editor.rename(state.segment_at(place[0]), f"axon {random.integers(0, 9)}")
    elif kind == 10:
        (editor.undo if random.random() < 0.6 else editor.redo)()
    else:
        editor.jump_to(int(random.integers(0, len(editor.history) + 1)))


def _stroke(state: Any, random: np.random.Generator, at: tuple[int, ...]) -> dict[str, Any]:
    z, y, x = at
    mask = np.zeros((1, SHAPE[1] - y, SHAPE[2] - x), bool)
    mask[:, :2, : int(random.integers(1, 12))] = True
    segment = random.choice([0, state.segment_at((z, 0, 0))])
    return {
        "mask": mask,
        "origin": at,
        "segment": None if random.random() < 0.2 else int(segment),
    }
