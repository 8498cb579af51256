# %% [markdown]
# # Sections of a fly's nerve cord: from grey values to a challenge file
#
# ISBI 2012 is 30 thick sections, labelled as drawings of membranes, so every section is
# segmented and scored by itself. Run the cells in a notebook, or all of them with
#
#     python examples/isbi2012_membranes.py
#
# With your own stack, set two variables first:
#
#     EMSEG_EXAMPLE_RAW=train_raw.tif EMSEG_EXAMPLE_LABELS=train_membranes.tif
#
# Without them a made-up stack is used; `emseg.samples.fetch("isbi2012")` downloads the real one.

# %%
import os

import numpy as np

import napari_emseg as emseg
from napari_emseg.io.submissions import write_submission
from napari_emseg.postprocessing import (
    add_watershed_lines,
    calibrate,
    filter_median,
    fit_calibration,
    tune_watershed_weight,
)
from napari_emseg.samples import make_synthetic

# %% [markdown]
# ## The stack and its ground truth
#
# Ground truth may be bright cells on black membranes, or the other way round: it is recognised.

# %%
if "EMSEG_EXAMPLE_RAW" in os.environ:
    raw = emseg.open_volume(os.environ["EMSEG_EXAMPLE_RAW"], voxel_size_nm=(50, 4, 4))
    drawing = emseg.open_volume(os.environ["EMSEG_EXAMPLE_LABELS"], kind="raw")
else:
    size_px = int(os.environ.get("EMSEG_EXAMPLE_SIZE", 256))
    raw, neurons = make_synthetic((6, size_px, size_px), voxel_size_nm=(50, 4, 4), seed=3)
    drawing = neurons.derive(np.uint8(255) * (neurons.read() > 0), kind="raw")

n_labelled = min(raw.shape[0], drawing.shape[0])
train, judge = range(n_labelled // 2), range(n_labelled // 2, n_labelled)
truth = {"ground_truth_kind": "membranes"}
print(f"{raw.shape} voxels, labelled: sections 0 to {n_labelled - 1}")

# %% [markdown]
# ## Membranes, by the bundled network

# %%
boundary = emseg.predict(raw, tta=False)

# %% [markdown]
# ## Post-processing of the map, fitted to the first half of the labelled sections
#
# - N4 (Ciresan 2012): a cubic turns values into shares of membrane, then a median of 2 px.
# - CUMedVision (Chen 2016): watershed lines, mixed in with the weight of the least Rand error,
#   run on through gaps.

# %%
calibration = fit_calibration(boundary, drawing, sections=train, **truth)
n4 = filter_median(calibrate(boundary, calibration), radius_px=2)

curve = tune_watershed_weight(boundary, drawing, sections=train, **truth)
closed = add_watershed_lines(boundary, curve.best)
print(
    f"watershed lines: weight {curve.best:g}, Rand error of the thresholded map "
    f"{curve.rand_error[0]:.3f} -> {curve.rand_error.min():.3f}"
)

# %% [markdown]
# ## Segments: the threshold from the first half, the score from the second
#
# The hierarchy answers for every h at once, so tuning is reading a curve.

# %%
results = {}
for name, map_ in {"as predicted": boundary, "N4": n4, "CUMedVision": closed}.items():
    hierarchy = emseg.build_hierarchy(map_, sigma_px=1.0, mode="2d")
    h, _ = emseg.score_curve(hierarchy, drawing, sections=train, **truth).best("v_rand")
    scores = emseg.score_curve(hierarchy, drawing, sections=judge, **truth).at(h)
    results[name] = (scores["v_rand"], h, hierarchy)
    print(f"{name:13} h = {h:.3f}  V_rand {scores['v_rand']:.4f}  V_info {scores['v_info']:.4f}")

# %% [markdown]
# ## The file the challenge takes: 32-bit TIFF, white cells

# %%
best = max(results, key=lambda name: results[name][0])
_, h, hierarchy = results[best]
labels = hierarchy.cut(h, min_size_voxels=50).to_volume()
print("written:", write_submission(labels, "isbi2012_result.tif", challenge="isbi2012"))
