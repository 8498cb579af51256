# %% [markdown]
# # Thick sections of an adult fly's brain: segment each, then link them to neurons
#
# CREMI's voxels are 40 x 4 x 4 nm: a neurite moves far from one section to the next, so
# sections are segmented by themselves and their segments linked by overlap.
#
#     python examples/cremi_linking.py
#
# With a CREMI file of your own, set one variable first:
#
#     EMSEG_EXAMPLE_CREMI=sample_A_20160501.hdf
#
# Without it a made-up volume is written in the same layout; `emseg.samples.fetch("cremi-a")`
# downloads a real one (170 MB).

# %%
import os

import h5py

import napari_emseg as emseg
from napari_emseg.io.submissions import write_submission
from napari_emseg.samples import make_synthetic
from napari_emseg.segmentation.linking import link_sections

# %%
path = os.environ.get("EMSEG_EXAMPLE_CREMI", "")
if not path:
    size_px = int(os.environ.get("EMSEG_EXAMPLE_SIZE", 192))
    made, made_neurons = make_synthetic((6, size_px, size_px), voxel_size_nm=(40, 4, 4), seed=8)
    path = str(write_submission(made_neurons, "made_up.hdf", challenge="cremi"))
    with h5py.File(path, "a") as h5:
        h5["volumes/raw"] = made.read()
        h5["volumes/raw"].attrs["resolution"] = (40.0, 4.0, 4.0)

# %% [markdown]
# ## Both volumes of the file open by what they are
#
# `volumes/raw` and `volumes/labels/neuron_ids` are known names, with the voxel size beside them.

# %%
raw = emseg.open_volume(path, kind="raw")
neurons = emseg.open_volume(path, kind="labels")
print(raw.name, raw.shape, raw.voxel_size_nm, "nm;", neurons.name, neurons.dtype)

# A few sections are enough for a first look.
n_z = min(12, raw.shape[0])
raw = raw.derive(raw.read(slice(n_z)), kind="raw")
neurons = neurons.derive(neurons.read(slice(n_z)), kind="labels")

# %% [markdown]
# ## Sections by themselves

# %%
boundary = emseg.predict(raw, tta=False)
sections = emseg.build_hierarchy(boundary, sigma_px=1.5, mode="2d")
in_2d = emseg.score_curve(sections, neurons, ground_truth_kind="labels_2d")
h, v_rand = in_2d.best("v_rand")
print(f"each section by itself: best h {h:.3f}, V_rand {v_rand:.4f}")

# %% [markdown]
# ## Linked
#
# One number remains, the overlap that two segments need; the curve tells all of them at once.

# %%
linked = link_sections(sections, h, min_size_voxels=50)
curve = emseg.score_curve(linked, neurons)
threshold, v_rand = curve.best("v_rand")
print(f"linked: threshold {threshold:.3f}, V_rand {v_rand:.4f}")
labels = linked.cut(threshold).to_volume()
scores = emseg.evaluate(labels, neurons, metrics=["cremi_score", "voi_split", "voi_merge"])
print(", ".join(f"{name} {value:.3f}" for name, value in scores.items()))

# %% [markdown]
# ## The file CREMI takes

# %%
print("written:", write_submission(labels, "cremi_result.hdf", challenge="cremi"))
