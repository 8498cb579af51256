"""``emseg doctor``: what is installed, what works, and a small job done end to end."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from napari_emseg import __version__
from napari_emseg.progress import Progress

PACKAGES = (
    "napari",
    "torch",
    "numpy",
    "numba",
    "bioimage-cpp",
    "scikit-image",
    "zarr",
    "h5py",
    "tifffile",
)
_GIB = 2**30
_LEAST_DISK_GIB = 1.0
_WINDOW_TIMEOUT_S = 20

# Run by another interpreter: a broken graphics driver ends the process, not just the call.
_WINDOW_CODE = """
from qtpy import API_NAME, QT_VERSION
from qtpy.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext
application = QGuiApplication([])
context, surface = QOpenGLContext(), QOffscreenSurface()
surface.create()
works = context.create() and context.makeCurrent(surface)
renderer = "no OpenGL"
if works:
    from vispy.gloo import gl
    renderer = gl.glGetParameter(gl.GL_RENDERER)
import sys
sys.stdout.write(f"{API_NAME} (Qt {QT_VERSION}), {renderer}")
sys.exit(0 if works else 1)
"""


@dataclass(frozen=True)
class Check:
    """Outcome of one check: `ok` is None where it says nothing about the installation."""

    name: str
    ok: bool | None
    detail: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("--no-self-test", action="store_true", help="Only look, compute nothing")


def run(args: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Check everything; the exit code is 0 if the package is usable."""
    checks = [
        _check_versions(),
        _guard("device", _check_device),
        _guard("window", _check_window),
        _guard("model folder", _check_model_folder),
        _guard("cache folder", _check_cache_folder),
        _guard("memory", _check_memory),
    ]
    if not args.no_self_test:
        checks += _self_test(progress)
    usable = all(check.ok is not False for check in checks)
    return {
        "usable": usable,
        "version": __version__,
        "checks": [asdict(check) for check in checks],
        "exit_code": 0 if usable else 1,
    }


def describe(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    words = {True: "ok", False: "FAILED", None: "-"}
    lines = [
        f"{words[check['ok']]:<7} {check['name']}: {check['detail']}" for check in report["checks"]
    ]
    lines.append("emseg is usable." if report["usable"] else "emseg is not usable yet, see above.")
    return "\n".join(lines)


def _guard(name: str, check: Callable[[], Check]) -> Check:
    """Run a check; whatever it raises is its result."""
    try:
        return check()
    except Exception as error:
        return Check(name, False, f"{type(error).__name__}: {error}")


def _check_versions() -> Check:
    found = [f"emseg {__version__}", f"Python {platform.python_version()}"]
    missing = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        return Check("versions", False, f"not installed: {', '.join(missing)}")
    return Check("versions", True, ", ".join(found))


def _check_device() -> Check:
    import torch

    from napari_emseg.inference import choose_device

    chosen = choose_device("auto")
    detail = f"{chosen}, {torch.get_num_threads()} threads on {os.cpu_count()} cores"
    if chosen == "cuda":
        memory = torch.cuda.get_device_properties(0).total_memory / _GIB
        detail += f", {torch.cuda.get_device_name(0)} with {memory:.0f} GiB"
    return Check("device", True, detail)


def _check_window() -> Check:
    if not has_screen():
        return Check("window", None, "no screen here; the command line does not need one")
    result = subprocess.run(
        [sys.executable, "-c", _WINDOW_CODE],
        capture_output=True,
        text=True,
        timeout=_WINDOW_TIMEOUT_S,
        check=False,
    )
    if result.returncode == 0:
        return Check("window", True, result.stdout.strip())
    reason = (result.stderr.strip().splitlines() or [f"ended with code {result.returncode}"])[-1]
    return Check("window", False, f"{result.stdout.strip()} {reason}".strip())


def has_screen() -> bool:
    """Whether windows can be shown."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _check_model_folder() -> Check:
    from napari_emseg.networks.library import bundled_folder, list_models, user_folder

    models = list_models()
    names = ", ".join(model.name for model in models if not model.problem) or "none yet"
    damaged = [model for model in models if model.problem]
    problems = "".join(f"; {model.name} cannot be used: {model.problem}" for model in damaged)
    # A file of the user's that is no model is no fault of the installation.
    is_whole = not any(model.path and model.path.parent == bundled_folder() for model in damaged)
    check = _check_writable("model folder", user_folder())
    return Check(check.name, check.ok and is_whole, f"{check.detail}; models: {names}{problems}")


def _check_cache_folder() -> Check:
    from platformdirs import user_cache_path

    return _check_writable("cache folder", user_cache_path("napari-emseg", appauthor=False))


def _check_writable(name: str, folder: Path) -> Check:
    """Try to make a file in `folder`, or where it would be made."""
    there = folder
    while not there.exists():
        there = there.parent
    free_gib = shutil.disk_usage(there).free / _GIB
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return Check(name, False, f"{folder} cannot be written: {error.strerror}")
    detail = f"{folder}, {free_gib:.1f} GiB free"
    return Check(name, free_gib > _LEAST_DISK_GIB, detail)


def _check_memory() -> Check:
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        total, free = (page * os.sysconf(n) / _GIB for n in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return Check("memory", None, "this system does not tell")
    return Check("memory", True, f"{total:.1f} GiB, {free:.1f} GiB of it unused")


def _self_test(progress: Progress) -> list[Check]:
    """Do the whole job on a small synthetic stack."""
    checks: list[Check] = []
    made: dict[str, Any] = {}
    stages = (
        ("self-test: sample", _make_sample),
        ("self-test: predict", _predict_sample),
        ("self-test: segment", _segment_sample),
        ("self-test: evaluate", _evaluate_sample),
    )
    for number, (name, stage) in enumerate(stages):
        progress.update(number, len(stages), name)
        started = time.perf_counter()

        def check(name: str = name, stage: Callable[..., str] = stage) -> Check:
            return Check(name, True, stage(made))

        outcome = _guard(name, check)
        seconds = time.perf_counter() - started
        checks.append(Check(name, outcome.ok, f"{outcome.detail} ({seconds:.1f} s)"))
        if not outcome.ok:
            break
    return checks


def _make_sample(made: dict[str, Any]) -> str:
    from napari_emseg.samples.synthetic import make_synthetic

    made["raw"], made["truth"] = make_synthetic((3, 128, 128), seed=0)
    return "3 x 128 x 128 voxels"


def _predict_sample(made: dict[str, Any]) -> str:
    from napari_emseg.networks.library import list_models
    from napari_emseg.steps.predict import PredictParams, run

    if not any(model.default and not model.problem for model in list_models()):
        made["boundary"] = _edges_of(made["truth"])
        return "no bundled model; going on with the true borders"
    made["boundary"] = run(made["raw"], params=PredictParams(tta=False))
    return str(made["boundary"].provenance["predict"]["model"])


def _edges_of(truth: Any) -> Any:
    import numpy as np

    labels = truth.read()
    edges = np.zeros(labels.shape, np.float32)
    edges[:, 1:] = labels[:, 1:] != labels[:, :-1]
    edges[:, :, 1:] = np.maximum(edges[:, :, 1:], labels[:, :, 1:] != labels[:, :, :-1])
    return truth.derive(np.maximum(edges, labels == 0), kind="boundary")


def _segment_sample(made: dict[str, Any]) -> str:
    import numpy as np

    from napari_emseg.steps.segment import SegmentParams, run

    made["labels"] = run(made["boundary"], params=SegmentParams())
    return f"{np.count_nonzero(np.unique(made['labels'].read()))} segments"


def _evaluate_sample(made: dict[str, Any]) -> str:
    from napari_emseg.steps.evaluate import EvaluateParams, run

    labels, truth = (made[name].read()[:1] for name in ("labels", "truth"))
    first = [made[n].derive(a, kind="labels") for n, a in (("labels", labels), ("truth", truth))]
    scores = run(*first, params=EvaluateParams(metrics=("v_rand",)))
    return f"v_rand of section 0: {scores['v_rand']:.3f}"
