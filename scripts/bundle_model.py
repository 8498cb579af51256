"""Score a trained model on its validation sections and store it, in half precision, to be bundled.

    python scripts/bundle_model.py scripts/training_set.yaml MODEL.safetensors TARGET.safetensors

Prints the scores as JSON. Fails if rounding the weights changes a V_rand by 0.0002 or more.
"""

from __future__ import annotations

import argparse
import json

import torch

from napari_emseg.networks.checkpoint import load_model, save_model
from napari_emseg.training import load_training_set
from napari_emseg.training.training_set import read_training_set
from napari_emseg.training.validation import validate

LARGEST_CHANGE = 2e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("training_set")
    parser.add_argument("model")
    parser.add_argument("target")
    parser.add_argument("--sigma-px", type=float, default=1.5)
    args = parser.parse_args()

    pairs = load_training_set(args.training_set)
    description = read_training_set(args.training_set).model
    network, info = load_model(args.model)

    def score(tta: bool) -> dict[str, dict[str, float]]:
        return validate(network, pairs, sigma_px=args.sigma_px, tta=tta)

    full = score(tta=False)
    round_weights(network)
    report = {"1 orientation": score(tta=False), "8 orientations": score(tta=True)}
    change = max(abs(full[k]["v_rand"] - report["1 orientation"][k]["v_rand"]) for k in full)
    if change >= LARGEST_CHANGE:
        raise SystemExit(f"half precision changes V_rand by {change:.5f}")

    scores = {
        f"{name} V_rand, {averaging}": round(values["v_rand"], 4)
        for averaging, by_name in report.items()
        for name, values in by_name.items()
    }
    info = info.model_validate({**info.model_dump(), **description, "scores": scores})
    save_model(args.target, network, info, half=True)
    print(json.dumps({"sigma_px": args.sigma_px, "rounding": change, **report}, indent=2))


def round_weights(network: torch.nn.Module) -> None:
    # as save_model stores them: matrices and kernels in half precision, vectors as they are
    for tensor in network.state_dict().values():
        if tensor.is_floating_point() and tensor.ndim > 1:
            tensor.copy_(tensor.half())


if __name__ == "__main__":
    main()
