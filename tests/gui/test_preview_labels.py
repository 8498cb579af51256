"""What the preview shows is what would be written, section by section."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_emseg.gui.preview_labels import PreviewLabels
from napari_emseg.segmentation import build_hierarchy, build_section
from napari_emseg.volume import Volume


@pytest.mark.parametrize("mode", ["2d", "3d"])
def test_preview_equals_what_is_written(boundary_map: Volume, mode: Any) -> None:
    hierarchy = build_hierarchy(boundary_map, sigma_px=1, mode=mode)
    preview = PreviewLabels(hierarchy.fragments.shape)
    preview.set_whole(hierarchy)
    for h, size in ((0.0, 0), (0.1, 30), (0.6, 0)):
        preview.set_cut(h, size)
        written = hierarchy.cut(h, size).to_volume().read()
        assert np.array_equal(np.asarray(preview), written)
        assert np.array_equal(preview[2, 3:9, ::2], written[2, 3:9, ::2])
        assert preview[1, 4, 5] == written[1, 4, 5]
        assert np.array_equal(preview[-1], written[-1])


def test_a_section_alone_is_the_same_partition(boundary_map: Volume) -> None:
    whole, alone = PreviewLabels(boundary_map.shape), PreviewLabels(boundary_map.shape)
    whole.set_whole(build_hierarchy(boundary_map, sigma_px=1))
    alone.set_section(2, build_section(boundary_map.read(2), 1.0), keep_others=False)
    for preview in (whole, alone):
        preview.set_cut(0.1, 20)
    pairs = np.unique(np.stack([whole[2].ravel(), alone[2].ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(whole[2])) == len(np.unique(alone[2]))
    assert whole.count(2) == alone.count(2) == pairs.shape[1]


def test_sections_not_built_are_empty(boundary_map: Volume) -> None:
    preview = PreviewLabels(boundary_map.shape)
    preview.set_section(0, build_section(boundary_map.read(0), 1.0), keep_others=False)
    assert preview[0].any()
    assert not preview[2].any()
    assert preview.has_section(0)
    assert not preview.has_section(2)
