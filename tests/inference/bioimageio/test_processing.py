"""Steps before and behind the network, against figures worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inference.bioimageio import packages
from torch import nn

from napari_emseg.errors import InputError
from napari_emseg.inference.bioimageio import PackagePredictor, processing
from napari_emseg.networks.bioimageio_model import Step
from napari_emseg.networks.bioimageio_steps import parse_steps

RAW = np.random.default_rng(2).integers(0, 200, (5, 12, 14)).astype(np.uint8)
LETTERS = {"batch": "b", "channel": "c", "z": "z", "y": "y", "x": "x"}


def _seen(folder: Path, steps: list[dict[str, Any]], raw: np.ndarray, axes: str) -> np.ndarray:
    """Return what a network that changes nothing gives, so what it was given."""
    files = packages.package_5(nn.Identity(), axes=axes, preprocessing=steps, least=(1, 8, 8))
    with PackagePredictor(packages.write_zip(folder / "m.zip", files), device="cpu") as predictor:
        return predictor.predict(raw, tta=False).read()


def _wide(**kwargs: Any) -> list[dict[str, Any]]:
    """Bring what comes out of a step to 0 to 1, so that nothing is cut off."""
    return [kwargs, {"id": "scale_linear", "kwargs": {"gain": 0.1, "offset": 0.5}}]


@pytest.mark.parametrize(
    ("axes", "over", "scope"),
    [
        ("bczyx", ["channel", "z", "y", "x"], "stack"),
        ("bczyx", ["y", "x"], "section"),
        ("bcyx", ["channel", "y", "x"], "section"),
        ("bcyx", ["batch", "y", "x"], "stack"),
        ("bcyx", None, "stack"),
    ],
)
def test_zero_mean_is_over_the_sample_that_is_meant(
    axes: str, over: list[str] | None, scope: str, tmp_path: Path
) -> None:
    kwargs = {} if over is None else {"axes": over}
    steps = _wide(id="zero_mean_unit_variance", kwargs=kwargs)
    made = _seen(tmp_path, steps, RAW, axes)
    wide = RAW.astype(np.float64)
    over_axes = None if scope == "stack" else (1, 2)
    mean, std = (f(axis=over_axes, keepdims=True) for f in (wide.mean, wide.std))
    np.testing.assert_allclose(made, 0.1 * (wide - mean) / (std + 1e-6) + 0.5, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_percentiles_are_those_of_the_whole_volume(dtype: Any, tmp_path: Path) -> None:
    raw = (RAW * (100 if dtype == np.uint16 else 1)).astype(dtype)
    kwargs = {"axes": ["z", "y", "x"], "min_percentile": 10, "max_percentile": 90}
    steps = _wide(id="scale_range", kwargs=kwargs)
    made = _seen(tmp_path, steps, raw, "bczyx")
    low, high = np.percentile(raw, (10, 90))
    np.testing.assert_allclose(
        made, 0.1 * (raw.astype(float) - low) / (high - low + 1e-6) + 0.5, atol=1e-5
    )


def test_fixed_numbers_are_taken_as_they_are(tmp_path: Path) -> None:
    steps = _wide(id="fixed_zero_mean_unit_variance", kwargs={"mean": 100.0, "std": 40.0})
    made = _seen(tmp_path, steps, RAW, "bczyx")
    np.testing.assert_allclose(made, 0.1 * (RAW.astype(float) - 100) / 40 + 0.5, atol=1e-5)


def test_steps_for_single_values() -> None:
    image = np.array([-1.0, 0.0, 0.4, 3.0], np.float32)

    def run(name: str, **values: Any) -> list[float]:
        return processing.apply(Step(name, None, values), image, None).tolist()

    assert run("clip", min=0.0, max=1.0) == pytest.approx([0, 0, 0.4, 1])
    assert run("clip", min=None, max=1.0) == pytest.approx([-1, 0, 0.4, 1])
    assert run("binarize", threshold=(0.3,)) == [0, 0, 1, 1]
    assert run("sigmoid") == pytest.approx((1 / (1 + np.exp(-image))).tolist())
    assert run("ensure_dtype", dtype="uint8")[2:] == [0, 3]
    channels = np.stack([image, image])
    scaled = processing.apply(
        Step("scale_linear", None, {"gain": (1.0, 2.0), "offset": (0.0,)}), channels, None, 0
    )
    np.testing.assert_allclose(scaled, [image, 2 * image])
    shares = processing.apply(Step("softmax", None, {}), channels, None, 0)
    np.testing.assert_allclose(shares, 0.5)


def test_steps_behind_the_network_that_measure_sections(tmp_path: Path) -> None:
    """A model of sections may ask for it: the map gets the range of the section."""
    post = [
        {"id": "scale_mean_variance", "kwargs": {"reference_tensor": "raw", "axes": ["y", "x"]}}
    ]
    scale = [{"id": "scale_linear", "kwargs": {"gain": 1 / 255}}]
    net = nn.Conv2d(1, 1, 1)
    files = packages.package_5(
        net, axes="bcyx", preprocessing=scale, postprocessing=post, least=(1, 8, 8)
    )
    with PackagePredictor(packages.write_zip(tmp_path / "m.zip", files), device="cpu") as one:
        made = one.predict(RAW, tta=False).read()
    shown = RAW / 255
    np.testing.assert_allclose(made.mean(axis=(1, 2)), shown.mean(axis=(1, 2)), atol=1e-3)
    np.testing.assert_allclose(made.std(axis=(1, 2)), shown.std(axis=(1, 2)), atol=1e-3)
    files = packages.package_5(
        nn.Identity(),
        postprocessing=[{"id": "zero_mean_unit_variance", "kwargs": {"axes": ["z", "y", "x"]}}],
    )
    with pytest.raises(InputError, match="cannot be done tile by tile"):
        PackagePredictor(packages.write_zip(tmp_path / "n.zip", files), device="cpu")


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.lists(st.integers(0, 255), min_size=1, max_size=9).map(lambda v: np.array([v])),
        min_size=1,
        max_size=5,
    ),
    st.floats(0, 99),
)
def test_statistics_of_parts_are_those_of_all(parts: list[np.ndarray], low: float) -> None:
    whole = np.concatenate([part.ravel() for part in parts])
    mean, std = processing.measure(Step("zero_mean_unit_variance", "yx"), parts)
    assert (mean, std) == pytest.approx((whole.mean(), whole.std()), abs=1e-9)
    step = Step("scale_range", "zyx", {"low": low, "high": 100.0})
    expected = np.percentile(whole, (low, 100))
    as_bytes = [part.astype(np.uint8) for part in parts]
    assert processing.measure(step, as_bytes) == pytest.approx(tuple(expected), abs=1e-9)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"id": "custom", "kwargs": {}}, "'custom'"),
        ({"id": "cellpose_flow_dynamics"}, "'cellpose_flow_dynamics'"),
        ({"name": "ij.macro"}, "'ij.macro'"),
        ({"id": "clip", "kwargs": {"min_percentile": 1}}, "percentiles"),
        ({"id": "ensure_dtype", "kwargs": {"dtype": "complex64"}}, "complex64"),
        (
            {"id": "scale_range", "kwargs": {"reference_tensor": "other", "axes": ["y"]}},
            "tensor 'other'",
        ),
        ({"id": "scale_linear", "kwargs": {"gain": float("nan")}}, "no sensible values"),
        ({"id": "binarize"}, "no sensible values"),
        ({"id": "zero_mean_unit_variance", "kwargs": {"axes": ["w"]}}, "no sensible values"),
    ],
)
def test_what_is_not_known_is_refused_by_name(step: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_steps([step], "preprocessing", LETTERS, "raw")


def test_numbers_that_yaml_reads_as_text() -> None:
    """YAML 1.1 takes 1e-6 for a word."""
    (step,) = parse_steps(
        [{"id": "zero_mean_unit_variance", "kwargs": {"axes": ["y", "x"], "eps": "1e-6"}}],
        "preprocessing",
        LETTERS,
        "raw",
    )
    assert step.values["eps"] == 1e-6
