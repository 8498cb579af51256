"""Write a made-up stack and its true labels, to try the plugin or a pipeline on.

    python examples/write_synthetic_stack.py [size in pixels]

Then drop both files into napari, or run `emseg predict synthetic_raw.tif ...`.
"""

import os
import sys

import napari_emseg as emseg
from napari_emseg.samples import make_synthetic


def main(size_px: int) -> None:
    raw, labels = make_synthetic((12, size_px, size_px), voxel_size_nm=(50, 4, 4), seed=7)
    for volume, name in ((raw, "synthetic_raw.tif"), (labels, "synthetic_labels.zarr")):
        written = emseg.save_volume(volume, name)
        again = emseg.open_volume(written)
        print(f"{written}: {again.shape} {again.dtype}, {again.kind}, {again.voxel_size_nm} nm")


if __name__ == "__main__":
    main(int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("EMSEG_EXAMPLE_SIZE", 256)))
