"""VD2D, the very deep 2D network of Lee, Zlateski, Vishwanathan, Seung 2015.

"Recursive Training of 2D-3D Convolutional Networks for Neuronal Boundary
Detection", NIPS 2015, arXiv:1508.04843. It classifies the middle of a 109 x 109
window; all layers without padding:

=====  ================  ====  ===========================
stage  kernels           maps  then
=====  ================  ====  ===========================
1      3, 3, 2           24    max-pooling 2
2      3, 3              36    max-pooling 2
3      3, 3              48    max-pooling 2
4      3, 3              60    max-pooling 2
5      3                 200
6      1                 2     softmax
=====  ================  ====  ===========================

230,714 parameters. ReLU, but 1.7159 tanh(0.6666 x) before each pooling. The
table is read from the authors' released network file (znn-release,
networks/VD2D.znn). Not from the paper: the initial weights, He et al. 2015, are
those of their later release, which has ReLU throughout; so has the modern
preset, with batch normalisation, which is ours.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_emseg.networks.base import make_params
from napari_emseg.networks.layers import Activation, initialise_he
from napari_emseg.networks.window import Stage, WindowNetwork


class VD2DParams(BaseModel):
    """Parameters of :class:`VD2D`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(
        24,
        ge=2,
        le=256,
        multiple_of=2,
        title="Width",
        description="Maps of the first stage, an even number; the following have "
        "1.5, 2 and 2.5 times as many.",
    )
    hidden: int = Field(
        200, ge=1, le=4096, title="Hidden units", description="Units of the fully connected layer."
    )
    before_pooling: Literal["tanh", "relu"] = Field(
        "tanh", title="Before pooling", description="Non-linearity before each pooling."
    )
    normalise: bool = Field(
        False, title="Batch normalisation", description="After each convolution."
    )
    in_sections: Literal[1, 3, 5] = Field(
        1, title="Sections in", description="Neighbouring sections seen; the paper has 1."
    )


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "modern": {"before_pooling": "relu", "normalise": True},
    "tiny": {"width": 4, "hidden": 8, "before_pooling": "relu", "normalise": True},
}


class VD2D(WindowNetwork):
    """Pixel classifier with a window of 109 x 109, after Lee et al. 2015."""

    name = "vd2d"

    def __init__(self, params: VD2DParams) -> None:
        half = params.width // 2
        last: Activation = params.before_pooling
        stages = [
            Stage(2 * half, (3, 3, 2), 2),
            Stage(3 * half, (3, 3), 2),
            Stage(4 * half, (3, 3), 2),
            Stage(5 * half, (3, 3), 2),
            Stage(params.hidden, (3,)),
        ]
        activations: list[list[Activation]] = [
            ["relu", "relu", last],
            *[["relu", last]] * 3,
            ["relu"],
        ]
        super().__init__(
            params,
            stages,
            activations,
            window_px=109,
            in_sections=params.in_sections,
            normalise=params.normalise,
        )
        initialise_he(self)


def build(preset: str | None = None, **params: Any) -> VD2D:
    """Make a :class:`VD2D`; see :func:`napari_emseg.networks.build_network`."""
    return VD2D(make_params(VD2DParams, PRESETS, preset, params))
