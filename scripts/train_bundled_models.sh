#!/bin/sh
# Trains the bundled weights and puts them into the package: about an hour on 2 CPU cores with bfloat16.
# usage: EMSEG_DATA=FOLDER scripts/train_bundled_models.sh [WORK_FOLDER]
# FOLDER holds isbi2012/ and vnc2013/ as scripts/training_set.yaml names them.
set -eu
: "${EMSEG_DATA:?set it to the folder that holds isbi2012/ and vnc2013/}"
cd "$(dirname "$0")/.."
work=${1:-training}
set=scripts/training_set.yaml
name=drosophila_sstem
mkdir -p "$work"

emseg train "$set" "$work/$name.safetensors" --steps 12000 --overwrite
# Then, at a quarter of the peak rate, without what is painted dark but is no membrane.
emseg train "$set" "$work/$name.safetensors" --resume --steps 16000 \
  --membrane-reach-px 6 --validation-interval-steps 500

python scripts/bundle_model.py "$set" "$work/$name.safetensors" \
  "src/napari_emseg/models/$name.safetensors" --sigma-px 2
