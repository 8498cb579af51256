"""Finding bad sections, and what stands in for them: hits, false alarms, V_rand.

    python benchmarks/bad_sections.py detect
    python benchmarks/bad_sections.py blur                   # the default model, ISBI 2012
    python benchmarks/bad_sections.py substitute MODEL       # a 2.5D model of FIB-25 slices
    python benchmarks/bad_sections.py serial MODEL           # a 2.5D model of ISBI 2012

Sections of real stacks are damaged: displaced by 5 to 20 pixels in any direction,
blurred, blanked, or given another contrast; three of each stack at a time. A false
alarm is any other section that would be substituted. Stacks as they are come first:
ISBI 2012 and vnc2013 do have sections out of place, so some of theirs are none.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, grey_dilation

from napari_emseg.io import open_volume
from napari_emseg.postprocessing.bad_sections import find_bad_sections
from napari_emseg.postprocessing.section_table import BadSection
from napari_emseg.volume import Volume

DATA = Path(os.environ.get("EMSEG_TEST_DATA", Path(__file__).resolve().parents[2] / "shared/data"))
STACKS = {
    "isbi2012 train": "isbi2012/train_raw.tif",
    "isbi2012 test": "isbi2012/test_raw.tif",
    "vnc2013": "vnc2013/stack1_raw.tif",
    "fib25": "fib25/raw.tif",
    "sbem_mito": "sbem_mito/train_raw.tif",
    "gala_fib": "gala_fib/train_raw.tif",
}
MOST_SECTIONS = 60
N_DAMAGED = 3
RIM = 32

Section = npt.NDArray[Any]
Damage = Callable[[Section, np.random.Generator], Section]


def displace(section: Section, rng: np.random.Generator, *, px: float) -> Section:
    """Move a section in any direction; a mirror image fills the rim."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = round(px * np.sin(angle)), round(px * np.cos(angle))
    padded = np.pad(section, RIM, mode="reflect")
    return padded[RIM - y : RIM - y + section.shape[0], RIM - x : RIM - x + section.shape[1]]


def blur(section: Section, _: np.random.Generator, *, sigma_px: float) -> Section:
    """Take a section out of focus."""
    return gaussian_filter(section.astype(np.float32), sigma_px).astype(section.dtype)


def blank(section: Section, _: np.random.Generator) -> Section:
    """Lose a section."""
    return np.full_like(section, int(section.mean()))


def fade(section: Section, _: np.random.Generator) -> Section:
    """Take most of the contrast away."""
    return ((section - section.mean()) * 0.3 + section.mean()).astype(section.dtype)


def damages() -> Iterator[tuple[str, str, Damage]]:
    """Yield what is done, the fault to be found, and how it is done."""
    for px in (5, 10, 20):
        yield (
            f"displaced {px} px",
            "misaligned",
            lambda section, rng, px=px: displace(section, rng, px=px),
        )
    for sigma in (1.5, 2.5):
        yield (
            f"blurred {sigma} px",
            "blurred",
            lambda section, rng, sigma=sigma: blur(section, rng, sigma_px=sigma),
        )
    yield "blank", "blank", blank
    yield "contrast x 0.3", "contrast", fade


def detect(n_trials: int) -> Iterator[dict[str, Any]]:
    """Damage sections of each stack and count what is found."""
    for name, path in STACKS.items():
        raw = open_volume(DATA / path).read(slice(0, MOST_SECTIONS))
        alarms = [bad for bad in find_bad_sections(Volume(raw)) if bad.use]
        yield {
            "stack": name,
            "damage": "none",
            "sections": len(raw),
            "alarms": [f"{bad.z}: {bad.what}" for bad in alarms],
        }
        for what, fault, damage in damages():
            rng = np.random.default_rng(0)
            found, false = 0, 0
            for _ in range(n_trials):
                stack = raw.copy()
                at = rng.choice(np.arange(1, len(raw) - 1), N_DAMAGED, replace=False)
                for z in at:
                    stack[z] = damage(raw[z], rng)
                listed = {bad.z: bad for bad in find_bad_sections(Volume(stack))}
                found += sum(z in listed and listed[z].fault == fault for z in at)
                false += sum(bad.use and bad.z not in at for bad in listed.values())
            n = n_trials * N_DAMAGED
            yield {
                "stack": name,
                "damage": what,
                "found": f"{found} of {n}",
                "false_alarms": f"{false} in {n_trials} stacks",
            }


def compare_blurred() -> Iterator[dict[str, Any]]:
    """Is the map of a blurred section better than that of its neighbours?"""
    from napari_emseg.inference import Predictor
    from napari_emseg.inference.substitution import SubstitutingPredictor

    raw = open_volume(DATA / "isbi2012/train_raw.tif").read(slice(18, 24))
    truth = open_volume(DATA / "isbi2012/train_membranes_z00-23.tif").read(slice(18, 24))
    size = (50.0, 4.0, 4.0)
    at = [2, 4]
    with Predictor("default") as predictor:
        for sigma in (0.0, 1.5, 2.5, 4.0):
            stack = raw.copy()
            for z in at:
                stack[z] = blur(raw[z], np.random.default_rng(0), sigma_px=sigma)
            volume = Volume(stack, voxel_size_nm=size)
            lost = SubstitutingPredictor(predictor, [BadSection(z, "blank") for z in at])
            for what, used in (("its own", predictor), ("of its neighbours", lost)):
                maps = used.predict(volume, tta=False, sections=at).read(at)
                score = best_v_rand(maps, truth[at], mode="2d", kind="membranes", size=size)
                yield {"blur_px": sigma, "map": what, **score}


def substitute(model: str, n_seeds: int) -> Iterator[dict[str, Any]]:
    """Displace single sections of an isotropic stack, truth too, and segment it in 3D."""
    from napari_emseg.inference import Predictor

    size = (10.0, 10.0, 10.0)
    where = (slice(90, 140), slice(0, 192), slice(0, 192))
    raw = open_volume(DATA / "fib25/raw.tif").read(where)
    truth = open_volume(DATA / "fib25/neurons_z000-169.tif").read(where)
    at = range(5, len(raw) - 4, 8)
    with Predictor(model) as predictor:
        for px in (0, 5, 10, 20):
            scores: dict[str, list[float]] = {}
            for seed in range(n_seeds if px else 1):
                rng = np.random.default_rng(seed)
                stack, moved = raw.copy(), truth.copy()
                for z in at:
                    state = rng.bit_generator.state
                    stack[z] = displace(raw[z], rng, px=px)
                    rng.bit_generator.state = state  # the truth moves along
                    moved[z] = displace(truth[z], rng, px=px)
                volume = Volume(stack, voxel_size_nm=size)
                for what, made in variants(predictor, volume, at).items():
                    score = best_v_rand(made, moved, mode="3d", kind="labels", size=size)
                    scores.setdefault(what, []).append(score["v_rand"])
            for what, values in scores.items():
                yield {
                    "displaced_px": px,
                    "map": what,
                    "v_rand_mean": round(float(np.mean(values)), 4),
                    "v_rand_of_seeds": [round(value, 4) for value in values],
                }


def compare_serial(model: str, n_seeds: int) -> Iterator[dict[str, Any]]:
    """Displace one section of ISBI 2012, truth too; score it and its neighbours, each in 2D."""
    from napari_emseg.inference import Predictor
    from napari_emseg.inference.substitution import SubstitutingPredictor

    size = (50.0, 4.0, 4.0)
    where = (slice(18, 24), slice(0, 320), slice(0, 320))
    raw = open_volume(DATA / "isbi2012/train_raw.tif").read(where)
    truth = open_volume(DATA / "isbi2012/train_membranes_z00-23.tif").read(where)
    with Predictor(model) as predictor:
        mended = SubstitutingPredictor(predictor, [BadSection(3, "misaligned")])
        for px in (0, 5, 10, 20, 30):
            scores: dict[tuple[str, str], list[float]] = {}
            for seed in range(n_seeds if px else 1):
                stack, moved = raw.copy(), truth.copy()
                stack[3] = displace(raw[3], np.random.default_rng(seed), px=px)
                moved[3] = displace(truth[3], np.random.default_rng(seed), px=px)
                volume = Volume(stack, voxel_size_nm=size)
                for what, used in (("as it is", predictor), ("alone and hidden", mended)):
                    made = used.predict(volume, tta=False, sections=[2, 3, 4]).read()
                    for whose, zs in (("the section", [3]), ("its neighbours", [2, 4])):
                        score = best_v_rand(
                            made[zs], moved[zs], mode="2d", kind="membranes", size=size
                        )
                        scores.setdefault((whose, what), []).append(score["v_rand"])
            for (whose, what), values in scores.items():
                mean = round(float(np.mean(values)), 4)
                yield {"displaced_px": px, "of": whose, "map": what, "v_rand_mean": mean}


def variants(predictor: Any, volume: Volume, at: range) -> dict[str, npt.NDArray[np.float32]]:
    """Return maps of a stack with misaligned sections, by what stands in for them."""
    from napari_emseg.inference.substitution import SubstitutingPredictor

    bad = [BadSection(z, "misaligned") for z in at]
    lost = [BadSection(z, "blank") for z in at]
    plain = predictor.predict(volume, tta=False).read()
    alone = SubstitutingPredictor(predictor, bad).predict(volume, tta=False).read()
    gone = SubstitutingPredictor(predictor, lost).predict(volume, tta=False).read()
    made = {"as it is": plain, "predicted alone and hidden": alone, "from neighbours": gone}
    disk = np.hypot(*np.mgrid[-2:3, -2:3]) <= 2.3  # wide membranes, as of a thick network
    for name, base in (("as it is, max wide", plain), ("alone and hidden, max wide", alone)):
        made[name] = base.copy()
        for z in at:
            wide = grey_dilation(alone[z], footprint=disk)
            made[name][z] = np.maximum(base[z], wide)
    return made


def best_v_rand(
    boundary: npt.NDArray[np.float32], truth: Section, *, mode: Any, kind: str, size: Any
) -> dict[str, float]:
    """Score a map at the h that suits it best."""
    import napari_emseg as emseg

    volume = Volume(boundary, kind="boundary", voxel_size_nm=size)
    hierarchy = emseg.build_hierarchy(volume, sigma_px=1.0 if mode == "3d" else 1.5, mode=mode)
    if kind == "membranes":
        from napari_emseg.evaluation.membranes import inspect_membranes

        drawn = Volume(truth)
        rule = inspect_membranes(drawn)
        truth = np.stack([rule.label_section(section) for section in truth])
        offsets = np.arange(len(truth))[:, None, None] * 100_000  # each section by itself
        truth = np.where(truth > 0, truth + offsets, 0).astype(np.uint32)
    curve = emseg.score_curve(hierarchy, Volume(truth, kind="labels"))
    best = int(np.argmax(curve.v_rand))
    return {"v_rand": round(float(curve.v_rand[best]), 4), "h": round(float(curve.h[best]), 3)}


def main() -> None:
    """Run one part; a line of JSON for each result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("detect", "blur", "substitute", "serial"))
    parser.add_argument("model", nargs="?", default="default")
    parser.add_argument("--trials", type=int, default=4)
    args = parser.parse_args()
    if args.part == "detect":
        results = detect(args.trials)
    elif args.part == "blur":
        results = compare_blurred()
    elif args.part == "serial":
        results = compare_serial(args.model, args.trials)
    else:
        results = substitute(args.model, args.trials)
    for result in results:
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
