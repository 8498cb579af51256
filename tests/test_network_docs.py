"""The pages on networks and results: figures as the code and the measurements have them."""

from __future__ import annotations

import re
import shlex
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml

from napari_emseg.cli import main
from napari_emseg.cli.main import build_parser
from napari_emseg.io import save_volume
from napari_emseg.networks import NETWORKS, build_network
from napari_emseg.samples import make_synthetic
from napari_emseg.training import TrainParams
from napari_emseg.training.training_set import read_training_set

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted((DOCS / "networks").glob("*.md"))
NETWORK_PAGES = [page for page in PAGES if page.name != "README.md"]
_LINK = re.compile(r"\]\(([^)#:]+)(#[^)]*)?\)")


def _import(name: str) -> ModuleType:
    """Import what lives beside the benchmarks."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return import_module(name)
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """What writes the tables."""
    return _import("_network_pages")


def test_the_comparison_has_every_network_and_every_recipe() -> None:
    compared = {run.network for run in _import("_runs").RUNS.values()}
    # Its modern preset is that of deepem3d, which has no dilated deconvolutions either.
    assert compared == set(NETWORKS) - {"pdeepem3d"}
    recipes = {path.stem for path in (ROOT / "examples/recipes/training").glob("*.yaml")}
    assert set(_import("_recipes").SHORTENED) == recipes


@pytest.mark.parametrize("page", [DOCS / "results.md", *PAGES], ids=lambda page: page.stem)
def test_tables_are_those_of_the_code_and_of_the_measured_lines(
    page: Path, maker: ModuleType
) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<!-- table:" in text
    assert text == maker.fill(text, maker.read_lines(DOCS / "results.jsonl"))


def test_every_network_has_a_page_a_table_and_a_line_in_the_index(maker: ModuleType) -> None:
    index = (DOCS / "networks" / "README.md").read_text()
    described = "".join(page.read_text() for page in NETWORK_PAGES)
    for name in NETWORKS:
        assert f"`{name}`" in index
        for preset in maker.presets_of(name):
            assert f"| `{name}` | `{preset}` |" in index
            assert f"| `{name}` | `{preset}` |" in described


def test_each_page_says_what_is_not_from_the_paper() -> None:
    for page in NETWORK_PAGES:
        text = page.read_text()
        for part in ("From the paper, and not", "When to choose", "Figure of merit", "Train and"):
            assert f"## {part}" in text, page.name
        facts = text.partition("## From the paper, and not")[2].partition("\n## ")[0]
        assert re.search(r"ours|our choice|not from", facts, re.IGNORECASE), page.name


@pytest.mark.parametrize(
    "page",
    [*PAGES, DOCS / "results.md", DOCS / "training.md", DOCS / "user-guide.md", ROOT / "README.md"],
    ids=lambda page: page.stem,
)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in _LINK.findall(page.read_text(encoding="utf-8")):
        there = (page.parent / target).resolve()
        assert there.exists(), target
        if anchor and there.suffix == ".md":
            assert anchor[1:] in _anchors(there), f"{target}{anchor}"


def _anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def _commands(page: Path) -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("page", NETWORK_PAGES, ids=lambda page: page.stem)
def test_commands_name_what_there_is(page: Path) -> None:
    commands = _commands(page)
    assert commands
    for program, command, *rest in commands:
        assert program == "emseg"
        known = build_parser(command).parse_args([command, *rest])
        if command == "train":
            with torch.device("meta"):
                build_network(known.network, known.preset)


@pytest.mark.parametrize(
    "page", [DOCS / "training.md", DOCS / "user-guide.md"], ids=lambda page: page.stem
)
def test_lines_for_the_shell_are_understood(page: Path) -> None:
    lines = re.findall(r"^    emseg (.*?)(?:  +#.*)?$", page.read_text("utf-8"), re.MULTILINE)
    assert len(lines) > 3
    for line in lines:
        command, *rest = shlex.split(line)
        build_parser(command).parse_args([command, *rest])


def test_the_training_set_of_the_page_is_one(tmp_path: Path) -> None:
    text = (DOCS / "training.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "set.yaml").write_text(block)
    content = read_training_set(tmp_path / "set.yaml")
    assert [entry.name for entry in content.sets] == ["first", "second"]
    assert TrainParams(**content.params).augment.elastic_sigma_px == 5


def test_the_python_of_the_training_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    raw, truth = make_synthetic((4, 64, 72))
    save_volume(raw, "stack.tif")
    save_volume(truth, "truth.tif")
    entry = {"name": "a", "raw": "stack.tif", "labels": "truth.tif"}
    sections = {"train_sections": "0-2", "validation_sections": 3}
    Path("set.yaml").write_text(yaml.safe_dump({"sets": [entry | sections]}))
    text = (DOCS / "training.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    short = "params=TrainParams(steps=2, patch_px=32, batch_size=1, width=4, workers=0), hooks"
    exec(block.replace("hooks=", f"{short}="), {"TrainParams": TrainParams})
    assert capsys.readouterr().out.startswith("2 {'a': {'v_rand'")


@pytest.mark.parametrize("page", NETWORK_PAGES, ids=lambda page: page.stem)
def test_commands_run(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In order, shortened: two steps, small patches, the network's smallest preset."""
    monkeypatch.chdir(tmp_path)
    raw, truth = make_synthetic((6, 40, 48))
    save_volume(raw, "stack.tif")
    save_volume(truth, "truth.tif")
    for _, command, *rest in _commands(page):
        arguments = _shortened(rest) if command == "train" else rest
        if command == "predict":
            arguments = [*arguments, "--no-tta"]
        assert main([command, *arguments, "--quiet"]) == 0, capsys.readouterr().err


def _shortened(arguments: list[str]) -> list[str]:
    less = {"--steps": "2", "--patch-px": "24", "--patch-sections": "4", "--batch-size": "1"}
    less["--workers"] = "0"
    kept = dict(zip(arguments[3::2], arguments[4::2], strict=True))
    kept.pop("--minutes", None)
    if "3d" in kept["--network"]:
        less["--precision"] = "float32"  # a few voxels only: too few for bfloat16
    if kept["--network"] == "rsunet":  # has no width
        less["--preset"] = "tiny"
    else:
        less["--width"] = "4"
    return [*arguments[:3], *(part for item in (kept | less).items() for part in item)]
