"""The published ways to train, by network; what is from where: `optimiser_params` and `params`.

The files under ``examples/recipes/training`` hold the same numbers, and say at
their top what is not from the papers.
"""

from __future__ import annotations

from typing import Any

# what none of the papers does
_PLAIN: dict[str, Any] = {
    "preset": "paper",
    "weight_decay": 0,
    "dice_weight": 0,
    "gradient_clip": None,
    "ema_decay": 0,
}
_STILL: dict[str, Any] = {
    "affine_fraction": 0,
    "elastic_sigma_px": 0,
    "contrast": 0,
    "brightness": 0,
    "gamma": 0,
    "shading": 0,
    "defect_fraction": 0,
    "blur_sigma_px": 0,
    "noise_sigma": 0,
}
_IN_ONE_PLANE: dict[str, Any] = {
    "misaligned_fraction": 0,
    "blurred_section_fraction": 0,
    "black_section_fraction": 0,
    "missing_section_fraction": 0,
}
_OF_ZNN: dict[str, Any] = {
    "optimiser": "sgd",
    "learning_rate": 0.01,
    "schedule": "exponential",
    "decay_factor": 0.997,
    "decay_steps": 100,
    "validation_interval_steps": 5000,
}
_DEEPEM3D: dict[str, Any] = {
    **_PLAIN,
    "in_sections": 5,
    "boundary_kernel": "l3",
    "patch_px": 240,
    "batch_size": 5,
    "accumulate_batches": 8,
    "class_balance": True,
    "steps": 50_000,
    "optimiser": "sgd",
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "learning_rate": 0.01,
    "schedule": "poly",
    "decay_power": 0.8,
    "validation_interval_steps": 1000,
    "augment": {**_STILL, **_IN_ONE_PLANE},
}

PAPER: dict[str, dict[str, Any]] = {
    "n4": {
        **_PLAIN,
        **_OF_ZNN,
        "sampling": "windows",
        "class_balance": True,
        "batch_size": 100,
        "steps": 30_000,
        "momentum": 0,
        "augment": _STILL,
    },
    "vd2d": {
        **_PLAIN,
        **_OF_ZNN,
        "patch_px": 100,
        "batch_size": 1,
        "class_balance": True,
        "steps": 60_000,
        "momentum": 0.9,
        "augment": _STILL,
    },
    "unet": {
        **_PLAIN,
        "patch_px": 388,
        "batch_size": 1,
        "class_balance": True,
        "steps": 30_000,
        "optimiser": "sgd",
        "momentum": 0.99,
        "learning_rate": 0.001,
        "schedule": "constant",
        "validation_interval_steps": 1000,
        "augment": {
            **_STILL,
            "affine_fraction": 1,
            "scale_min": 1,
            "scale_max": 1,
            "shear": 0,
            "elastic_sigma_px": 10,
            "elastic_nodes": 3,
            "contrast": 0.3,
            "brightness": 0.3,
        },
    },
    "cumedvision": {
        **_PLAIN,
        "patch_px": 480,
        "batch_size": 1,
        "steps": 30_000,
        "optimiser": "sgd",
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "learning_rate": 0.01,
        "schedule": "step",
        "decay_factor": 0.1,
        "decay_steps": 2000,
        "auxiliary_weight": 1,
        "auxiliary_decay": 0.1,
        "auxiliary_decay_steps": 10_000,
        "auxiliary_minimum": 0.01,
        "validation_interval_steps": 1000,
        "augment": {**_STILL, "elastic_sigma_px": 5},
    },
    "fusionnet": {
        **_PLAIN,
        "patch_px": 640,
        "batch_size": 1,
        "loss": "mse",
        "steps": 4800,
        "optimiser": "nadam",
        "learning_rate": 1e-4,
        "schedule": "constant",
        "validation_interval_steps": 400,
        "augment": {
            **_STILL,
            "elastic_sigma_px": 5,
            "elastic_nodes": 12,
            "elastic_zero_border": True,
            "noise_sigma": 0.6,
        },
    },
    "deepem3d": _DEEPEM3D,
    "rsunet": {
        **_PLAIN,
        "patch_px": 256,
        "patch_sections": 20,
        "batch_size": 1,
        "class_balance": True,
        "optimiser": "adam",
        "learning_rate": 1e-3,
        "schedule": "constant",
        "steps": 100_000,
        "validation_interval_steps": 2000,
        "augment": _STILL,
    },
}
