"""Ready-made ways to train: in minutes, thoroughly, or as in the paper of a network."""

from __future__ import annotations

from typing import Any

from napari_emseg.errors import InputError
from napari_emseg.training.paper_presets import PAPER
from napari_emseg.training.params import TrainParams

PRESETS: dict[str, str] = {
    "quick": "Quick (minutes)",
    "thorough": "Thorough",
    "paper": "As in the paper",
}
"""What can be chosen, by what it is called in windows."""

QUICK_MINUTES = 3.0
QUICK_AUGMENT: dict[str, Any] = {
    "affine_fraction": 0.3,
    "elastic_sigma_px": 2.5,
    "defect_fraction": 0.02,
    "blur_sigma_px": 1.0,
    "noise_sigma": 0.15,
}
"""Weaker changes than those of a long training, which there is no time to profit from."""
QUICK_NEW: dict[str, Any] = {"learning_rate": 4e-3, "warmup_fraction": 0.15}
"""From nothing: few steps, so large ones."""
QUICK_TUNED: dict[str, Any] = {"learning_rate": 1e-3, "warmup_fraction": 0.1}
"""From the weights of a model: what it knows must not be shaken off in the first steps."""
QUICK_KEPT, QUICK_KEPT_PAINTED = 0.25, 0.5
"""Share of those weights that stays, so that they are not forgotten for two sections: strokes
teach less than whole sections (measured in docs/few-sections.md)."""
QUICK_VALIDATION_STEPS = 100

PATCHES_OF_VOLUMES: dict[str, Any] = {"patch_px": 96, "patch_sections": 12, "batch_size": 2}
VOLUME_NETWORKS = frozenset({"rsunet", "unet3d"})
"""Those whose patches are volumes: the usual patch would take most computers a minute a step."""
PATCHES_OF_PIXELS: dict[str, Any] = {"patch_px": 100, "batch_size": 1}
PIXEL_NETWORKS = frozenset({"n3", "n4", "vd2d", "vd2d3d"})
"""Those that look at a window around each pixel, which takes them long."""

THOROUGH_PASSES = 100
"""How often each labelled pixel is seen, changed each time."""
THOROUGH_STEPS = (1000, 20_000)
"""Never fewer and never more."""
THOROUGH_TUNED: dict[str, Any] = {"learning_rate": 1e-3}


def preset_params(
    preset: str,
    *,
    network: str = "unet2d",
    start_from: str = "",
    minutes: float | None = None,
    labelled_px: int | None = None,
    device: str = "auto",
    is_painted: bool = False,
) -> TrainParams:
    """Return the parameters of a preset.

    Parameters
    ----------
    preset : {"quick", "thorough", "paper"}
    network : str
    start_from : str
        Model whose weights it starts from, a name or a file; "" from nothing.
    minutes : float, optional
        How long to train; by default 3 with ``quick``, else as many steps as the
        preset has.
    labelled_px : int, optional
        How many pixels are labelled, to which ``thorough`` fits its steps.
    device : str
    is_painted : bool
        Whether the labels are strokes: how much of either kind is painted says
        nothing of how much there is, so both kinds weigh the same; and they teach
        less than whole sections, so ``quick`` keeps more of what it starts from.

    Raises
    ------
    InputError
        If there is no such preset, or no paper of that network.

    Examples
    --------
    >>> preset_params("quick").minutes
    3.0
    >>> preset_params("thorough", labelled_px=20 * 512 * 512).steps
    3556
    """
    chosen: dict[str, Any] = {"network": network, "start_from": start_from, "device": device}
    match preset:
        case "quick":
            chosen |= _patches(network) | _quick(start_from, is_painted=is_painted)
        case "thorough":
            chosen |= _patches(network) | _thorough(network, start_from, labelled_px)
        case "paper":
            chosen |= _of_paper(network)
        case _:
            raise InputError(f"There is no preset '{preset}'; choose one of {', '.join(PRESETS)}.")
    if minutes is not None:
        chosen["minutes"] = minutes
    if is_painted:
        chosen["class_balance"] = True
    return TrainParams.model_validate(chosen)


def _quick(start_from: str, *, is_painted: bool) -> dict[str, Any]:
    kept = {"start_share": QUICK_KEPT_PAINTED if is_painted else QUICK_KEPT}
    return {
        **(QUICK_TUNED | kept if start_from else QUICK_NEW),
        "minutes": QUICK_MINUTES,
        "augment": QUICK_AUGMENT,
        "validation_interval_steps": QUICK_VALIDATION_STEPS,
    }


def _thorough(network: str, start_from: str, labelled_px: int | None) -> dict[str, Any]:
    chosen: dict[str, Any] = dict(THOROUGH_TUNED) if start_from else {}
    if labelled_px is None:
        return chosen
    patch = TrainParams.model_validate(_patches(network))
    px_a_step = patch.batch_size * patch.patch_px**2
    if network in VOLUME_NETWORKS:
        px_a_step *= patch.patch_sections
    low, high = THOROUGH_STEPS
    return {
        **chosen,
        "steps": min(high, max(low, round(THOROUGH_PASSES * labelled_px / px_a_step))),
    }


def _patches(network: str) -> dict[str, Any]:
    if network in VOLUME_NETWORKS:
        return PATCHES_OF_VOLUMES
    return PATCHES_OF_PIXELS if network in PIXEL_NETWORKS else {}


def _of_paper(network: str) -> dict[str, Any]:
    if network not in PAPER:
        raise InputError(
            f"No paper says how to train '{network}': choose another preset, or a network whose "
            "paper does, such as n4 or fusionnet."
        )
    return PAPER[network]
