#!/bin/sh
# Trains the bundled weights and puts them into the package: some three hours on 2 CPU cores with bfloat16.
# usage: EMSEG_DATA=FOLDER scripts/train_bundled_models.sh [WORK_FOLDER]
# FOLDER holds isbi2012/, vnc2013/ and fib25/ as scripts/training_set*.yaml name them.
set -eu
: "${EMSEG_DATA:?set it to the folder that holds isbi2012/, vnc2013/ and fib25/}"
cd "$(dirname "$0")/.."
work=${1:-training}
bundled=src/napari_emseg/models
mkdir -p "$work"

name=drosophila_sstem
set=scripts/training_set.yaml
emseg train "$set" "$work/$name.safetensors" --steps 12000 --overwrite
# Then, at a quarter of the peak rate, without what is painted dark but is no membrane.
emseg train "$set" "$work/$name.safetensors" --resume --steps 16000 \
  --membrane-reach-px 6 --validation-interval-steps 500
python scripts/bundle_model.py "$set" "$work/$name.safetensors" "$bundled/$name.safetensors" --sigma-px 2

name=drosophila_deepem3d
set=scripts/training_set_deepem3d.yaml
emseg train "$set" "$work/$name.safetensors" --overwrite
python scripts/bundle_model.py "$set" "$work/$name.safetensors" "$bundled/$name.safetensors" --sigma-px 2

name=drosophila_fibsem
set=scripts/training_set_fibsem.yaml
emseg train "$set" "$work/$name.safetensors" --overwrite
python scripts/bundle_volume_model.py "$set" "$work/$name.safetensors" \
  "$bundled/$name.safetensors" --held-out 140 170

python scripts/add_model_picture.py "$bundled"/*.safetensors
