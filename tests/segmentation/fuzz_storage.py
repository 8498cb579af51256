"""Damages stored segmentations at random; run as a program, because a crash ends the process.

``python fuzz_storage.py FOLDER hierarchy|partitions MODE N`` writes how many of N were refused.
"""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.segmentation import Hierarchy, Partitions, build_hierarchy

NASTY = [0, 1, -1, 2, 3, 7, 2**31, 2**32 - 1, 10**6, np.nan, np.inf, -np.inf, 0.5, 1e30, -1e-9]


def damage(file: h5py.File, random: np.random.Generator) -> None:
    """Change one attribute, or the values, the type or the shape of one array."""
    if random.random() < 0.15:
        name = str(random.choice(["mode", "sigma_px", "floor", "format"]))
        file.attrs[name] = str(random.choice([*map(str, NASTY), "2d", "3d", ""]))
        return
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if hasattr(item, "dtype") else None)
    name = str(random.choice(names))
    values, about = file[name][...], dict(file[name].attrs)
    match random.integers(5):
        case 0 | 1:
            for _ in range(random.integers(1, 4) if values.size else 0):
                at = random.integers(values.size)
                with np.errstate(all="ignore"):
                    values.flat[at] = np.array(random.choice(NASTY)).astype(values.dtype)
        case 2:
            flat = values.reshape(-1)
            flat[:] = random.permutation(flat)
        case 3:
            values = np.resize(values, random.integers(0, 2 * values.size + 2))
        case 4:
            types = ["u1", ">u4", "i8", "f8", "u8", "f4", "u4", "?"]
            with np.errstate(all="ignore"):
                values = values.astype(str(random.choice(types)))
    del file[name]
    file[name] = values
    if random.random() < 0.9:
        file[name].attrs.update(about)


def partitions_of(hierarchy: Hierarchy) -> Partitions:
    """Take some cuts of a hierarchy as partitions."""
    thresholds = np.array([0.0, 0.1, 0.4], np.float32)
    return Partitions(
        fragments=hierarchy.fragments,
        thresholds=thresholds,
        tables=np.stack([hierarchy.cut(h).segment_of for h in thresholds]),
        forest=hierarchy.forest,
        fragment_sizes_voxels=hierarchy.fragment_sizes_voxels,
        mode=hierarchy.mode,
        sigma_px=hierarchy.sigma_px,
        floor=hierarchy.floor,
        section_starts=hierarchy.section_starts,
        grouping="multicut",
    )


def use(parts: Hierarchy | Partitions) -> None:
    """Run every loop that trusts the arrays."""
    for h in (0.0, 0.1, 1.0):
        for size in (0, 5):
            cut = parts.cut(h, size)
            cut.to_volume()
            if isinstance(parts, Hierarchy):
                cut.to_volume(exact_borders=True)
            for z in range(parts.fragments.shape[0]):
                parts.cut_section(z, h, size)
    if isinstance(parts, Hierarchy):
        assert parts.tree.height.size == parts.forest.order.size


def main(folder: Path, what: str, mode: str, n: int) -> None:
    random = np.random.default_rng(0)
    hierarchy = build_hierarchy(random.random((3, 9, 8)), mode=mode, sigma_px=0.5)  # type: ignore[arg-type]
    parts = hierarchy if what == "hierarchy" else partitions_of(hierarchy)
    n_refused = 0
    for number in range(n):
        with h5py.File(folder / "a.h5", "w") as file:
            parts.write(file)
            damage(file, np.random.default_rng(number))
            try:
                copy = type(parts).read(file)
            except InputError:
                n_refused += 1
                continue
        use(copy)
    sys.stdout.write(f"{n_refused}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
