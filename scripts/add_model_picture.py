"""Put a picture into model files: a made-up section and what the model makes of it.

    python scripts/add_model_picture.py MODEL.safetensors [MODEL.safetensors ...]

The section comes from `make_synthetic` at the voxel size the model learned on, so that no data
of others travels in the file. The weights stay as they are, bit for bit, which is checked.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from napari_emseg.inference import predict
from napari_emseg.networks.info import read_info
from napari_emseg.networks.picture import SIDE_PX, make_picture, write_picture
from napari_emseg.samples import make_synthetic
from napari_emseg.segmentation.affinity_view import boundary_of

N_SECTIONS = 7
SEED = 4
USUAL_NM = (50.0, 4.0, 4.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    for path in parser.parse_args().models:
        before = load_file(path)
        picture = draw(path)
        write_picture(path, picture)
        check_same(before, load_file(path))
        print(f"{path}: {len(picture):,} bytes of picture")


def draw(path: Path) -> bytes:
    info = read_info(path)
    raw, _ = make_synthetic((N_SECTIONS, SIDE_PX, SIDE_PX), info.voxel_size_nm or USUAL_NM, SEED)
    found = predict(raw, model=path, device="cpu")
    if found.kind == "affinities":
        found = boundary_of(found)
    middle = N_SECTIONS // 2
    return make_picture(raw.read(middle), found.read(middle))


def check_same(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> None:
    if before.keys() != after.keys():
        raise SystemExit("the weights have other names than before")
    for key, tensor in before.items():
        if tensor.dtype != after[key].dtype or tensor.tobytes() != after[key].tobytes():
            raise SystemExit(f"the weights {key} have changed")


if __name__ == "__main__":
    main()
