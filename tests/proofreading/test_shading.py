"""What is locked, selected or previewed gets colours of its own; all others keep theirs."""

from __future__ import annotations

import numpy as np

from napari_emseg.proofreading.shading import (
    ASIDE,
    CHANGED,
    EDGE,
    HATCH,
    KEPT,
    LOCKED,
    N_COLOURS,
    N_ENTRIES,
    Special,
    shade,
)

HUGE = 2**32 - 2


def blocks() -> np.ndarray:
    """Three blocks of 20x20 side by side, one of a huge id, and background below."""
    labels = np.zeros((30, 60), np.uint32)
    for k, label in enumerate((3, 5, HUGE)):
        labels[:20, 20 * k : 20 * k + 20] = label
    return labels


def test_a_colour_depends_on_the_id_alone() -> None:
    shades = shade(blocks(), Special.of())
    assert shades[0, 0] == 3
    assert shades[0, 59] == (HUGE - 1) % N_COLOURS + 1
    assert not shades[20:].any()
    assert shade(blocks()[:, ::-1], Special.of())[0, 59] == 3
    assert N_ENTRIES <= 256


def test_locked_segments_are_hatched_and_those_aside_plain() -> None:
    shades = shade(blocks(), Special.of(locked=[3], aside=[5]))
    assert set(np.unique(shades[:20, :20])) == {HATCH, LOCKED + 3}
    assert set(np.unique(shades[:20, 20:40])) == {ASIDE}


def test_a_selected_segment_has_an_edge_inside() -> None:
    shades = shade(blocks(), Special.of(selected=[5]))
    assert (shades[5:15, 20] == EDGE).all()
    assert (shades[19, 20:40] == EDGE).all()
    assert shades[10, 30] == 5
    assert not (shades[:20, :20] == EDGE).any()


def test_a_merge_shows_what_stays_and_what_comes() -> None:
    labels = blocks()
    after = np.where(labels == 5, 3, labels).astype(np.uint32)
    shades = shade(labels, Special.of(previewed=[3, 5]), after)
    assert shades[10, 10] == KEPT
    assert shades[10, 30] == CHANGED
    assert shades[10, 50] == (HUGE - 1) % N_COLOURS + 1


def test_parts_of_a_split_have_the_colours_of_their_points() -> None:
    labels = blocks()
    after = labels.copy()
    after[:20, :10] = 9  # the group clicked second keeps the id
    shades = shade(labels, Special.of(previewed=[3]), after, groups=[9, 3])
    assert shades[10, 5] == KEPT
    assert shades[10, 15] == CHANGED
    assert shades[10, 9] == shades[10, 10] == EDGE


def test_a_volume_has_no_edges() -> None:
    volume = np.stack([blocks()] * 2)
    shades = shade(volume, Special.of(selected=[5]), with_edges=False)
    assert shades.shape == volume.shape
    assert not (shades == EDGE).any()
