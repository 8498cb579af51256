"""Segment a boundary map that another tool made.

    python examples/own_boundary_map.py [size in pixels]

Any array will do: wrap it in a Volume and say how large its voxels are. Here
a blurred image of the true membranes stands for the other tool's result.
"""

import os
import sys

import numpy as np
from scipy import ndimage

import napari_emseg as emseg
from napari_emseg.samples import make_synthetic


def main(size_px: int) -> None:
    _, truth = make_synthetic((10, size_px, size_px), voxel_size_nm=(40, 8, 8), seed=2)
    membranes = (truth.read() == 0).astype(np.float32)
    map_of_other_tool = ndimage.gaussian_filter(membranes, (0, 1.5, 1.5))

    boundary = emseg.Volume(map_of_other_tool, kind="boundary", voxel_size_nm=(40, 8, 8))
    for mode in ("2d", "3d"):
        hierarchy = emseg.build_hierarchy(boundary, sigma_px=1.0, mode=mode)
        for h in (0.02, 0.1, 0.3):
            # A cut takes a millisecond: the map is flooded once for all thresholds.
            segmentation = hierarchy.cut(h)
            print(f"{mode}, h = {h:4}: {segmentation.n_segments} segments")


if __name__ == "__main__":
    main(int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("EMSEG_EXAMPLE_SIZE", 256)))
