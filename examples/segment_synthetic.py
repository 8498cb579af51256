"""From raw sections to scored labels, in Python.

    python examples/segment_synthetic.py [size in pixels]

Makes up a small stack with true labels, predicts membranes with the bundled
network, segments each section, finds the best threshold on the first half of
the stack and judges it on the other half.
"""

import os
import sys
from pathlib import Path

import napari_emseg as emseg
from napari_emseg.samples import make_synthetic


def main(size_px: int) -> None:
    raw, truth = make_synthetic((8, size_px, size_px), voxel_size_nm=(50, 4, 4), seed=1)

    boundary = emseg.predict(raw, model="default", tta=False)
    hierarchy = emseg.build_hierarchy(boundary, sigma_px=1.5, mode="2d")

    # Labels are true neurons in 3D; a segmentation of single sections is judged section by
    # section, so every cell gets an id of its own in each section.
    truth_2d = ids_per_section(truth)

    tune, judge = range(4), range(4, 8)
    curve = emseg.score_curve(hierarchy, truth_2d, sections=tune)
    h, value = curve.best("v_rand")
    print(f"best h on sections 0 to 3: {h:.3f} (V_rand {value:.3f})")

    labels = hierarchy.cut(h, min_size_voxels=30).to_volume()
    scores = emseg.evaluate(labels, truth_2d, sections=judge)
    print("on sections 4 to 7:")
    for key in ("v_rand", "v_rand_split", "v_rand_merge", "voi_split", "voi_merge"):
        print(f"  {key:13} {scores[key]:.3f}")

    written = emseg.save_volume(labels, Path("synthetic_labels.tif"))
    print(f"labels written to {written}")


def ids_per_section(labels: emseg.Volume) -> emseg.Volume:
    ids = labels.read().astype("uint32")
    highest = int(ids.max())
    for z, section in enumerate(ids):
        section[section > 0] += z * highest
    return labels.derive(ids, kind="labels")


if __name__ == "__main__":
    main(int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("EMSEG_EXAMPLE_SIZE", 256)))
