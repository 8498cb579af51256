# %% [markdown]
# # Neurons in a cube of isotropic voxels, from a boundary map
#
# In FIB-SEM (FIB-25, 10 nm) and thin serial sections (SNEMI3D) segments run through the volume,
# so everything happens in 3D. The map may come from any tool; see `docs/interop.md`.
#
#     python examples/fib25_neurons.py
#
# With your own map and true neurons, set two variables first:
#
#     EMSEG_EXAMPLE_MAP=train_boundary.tif EMSEG_EXAMPLE_LABELS=train_neurons.tif
#
# Without them, the blurred membranes of a made-up volume stand for the map.

# %%
import os

import numpy as np
from scipy import ndimage

import napari_emseg as emseg
from napari_emseg.io.submissions import write_submission
from napari_emseg.postprocessing import build_deepem3d
from napari_emseg.samples import make_synthetic
from napari_emseg.segmentation import group
from napari_emseg.segmentation.cleanup import cleanup

# %%
if "EMSEG_EXAMPLE_MAP" in os.environ:
    boundary = emseg.open_volume(os.environ["EMSEG_EXAMPLE_MAP"], kind="boundary")
    neurons = emseg.open_volume(os.environ["EMSEG_EXAMPLE_LABELS"], kind="labels")
else:
    size = min(96, int(os.environ.get("EMSEG_EXAMPLE_SIZE", 96)))
    _, neurons = make_synthetic((size // 2, size, size), voxel_size_nm=(10, 10, 10), seed=5)
    membranes = (neurons.read() == 0).astype(np.float32)
    holes = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=membranes.shape), 2)
    gappy = ndimage.gaussian_filter(membranes * (holes < 0.12), 0.7)
    boundary = neurons.derive(gappy, kind="boundary", name="made-up map")

# %% [markdown]
# ## Tune on the first half of the sections, judge on the second

# %%
depth = neurons.shape[0]
tune, judge = range(depth // 2), range(depth // 2, depth)


def report(name: str, hierarchy: emseg.Hierarchy) -> float:
    threshold, _ = emseg.score_curve(hierarchy, neurons, sections=tune).best("v_rand")
    scores = emseg.score_curve(hierarchy, neurons, sections=judge).at(threshold)
    print(
        f"{name:24} threshold {threshold:.3f}  V_rand {scores['v_rand']:.4f}  "
        f"VOI split {scores['voi_split']:.3f} + merge {scores['voi_merge']:.3f} bits"
    )
    return threshold


# %% [markdown]
# ## Three ways over the same map
#
# H-minima; the post-processing of DeepEM3D (maximum of several maps, here of one, and a
# Gaussian of 6 x 6 per section); joining fragments over the weakest walls first.

# %%
if boundary.shape[0] > depth:  # the last sections of some stacks have no labels
    boundary = boundary.derive(boundary.read(slice(depth)), kind="boundary")
plain = emseg.build_hierarchy(boundary, sigma_px=0.7, mode="3d")
report("H-minima", plain)
report("DeepEM3D, as published", build_deepem3d([boundary], preset="paper"))
grouped = group(plain, boundary, grouping="mean_boundary")
threshold = report("mean boundary", grouped)

# %% [markdown]
# ## Clean up and write what SNEMI3D takes: 16-bit ids
#
# Nothing is copied to clean up: a segmentation is a table over fragments.

# %%
segmentation, done = cleanup(
    grouped.cut(threshold), fill_holes=True, min_sections=3, min_size_voxels=100
)
print(f"{segmentation.n_segments} segments after cleaning up ({done.describe()})")
scores = emseg.evaluate(segmentation.to_volume(), neurons, sections=judge)
print(f"V_rand {scores['v_rand']:.4f}, adapted Rand error {scores['adapted_rand_error']:.4f}")
labels = segmentation.to_volume()
print("written:", write_submission(labels, "snemi3d_result.tif", challenge="snemi3d"))
