"""Tables of docs/results.md and docs/networks, made from the code and the measured lines.

A page holds places for tables, each between a line ``<!-- table: NAME -->`` and a
line ``<!-- end -->``; what stands between them is replaced, the rest is for people.
"""

from __future__ import annotations

import importlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from _runs import RUNS, Run
from torch import nn

from napari_emseg.networks import NETWORKS, build_network
from napari_emseg.networks.layers import count_parameters

DOCS = Path(__file__).resolve().parents[1] / "docs"
_PLACE = re.compile(r"(<!-- table: ([^>]*?) -->\n).*?(<!-- end -->)", re.DOTALL)
Line = dict[str, Any]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read what was measured; nothing where there is no file yet."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_pages(lines: Sequence[Line]) -> None:
    """Fill the tables of all pages."""
    for page in list_pages():
        page.write_text(fill(page.read_text(encoding="utf-8"), lines), encoding="utf-8")


def list_pages() -> list[Path]:
    """Return the pages that hold tables."""
    return [DOCS / "results.md", *sorted((DOCS / "networks").glob("*.md"))]


def fill(text: str, lines: Sequence[Line]) -> str:
    """Return a page with its tables replaced by new ones."""
    return _PLACE.sub(lambda place: place[1] + make_table(place[2], lines) + place[3], text)


def make_table(name: str, lines: Sequence[Line]) -> str:
    """Make the table that a page asks for, such as "sizes n4 n3" or "results isbi2012"."""
    kind, *names = name.split()
    return TABLES[kind](names, lines)


def sizes_table(names: list[str], lines: Sequence[Line]) -> str:
    """Make the table of presets: parameters, reach, what goes in and comes out."""
    rows = []
    for name in names:
        for preset in presets_of(name):
            with torch.device("meta"):
                network = build_network(name, preset)
            rows.append(
                (
                    f"`{name}`",
                    f"`{preset}`",
                    f"{count_parameters(network):,}",
                    " × ".join(map(str, network.receptive_field_px)),
                    "volumes" if network.dimensions == 3 else _sections(network),
                    f"{len(network.offsets)} affinities" if network.offsets else "boundary",
                    str(network.margin_px),
                )
            )
    head = ("network", "preset", "parameters", "sees z, y, x", "in", "out", "rim, px")
    return _markdown(head, rows)


def presets_of(name: str) -> list[str]:
    """Return the presets of a network, those for tests left out."""
    module = importlib.import_module(NETWORKS[name].partition(":")[0])
    return [preset for preset in module.PRESETS if not preset.startswith("tiny")]


def _sections(network: Any) -> str:
    sections = f"{network.in_sections} section" + "s" * (network.in_sections > 1)
    return sections + (f", {network.in_maps} maps" if network.in_maps else "")


def layers_table(names: list[str], lines: Sequence[Line]) -> str:
    """Copy the table of layers from the network's docstring."""
    module = importlib.import_module(NETWORKS[names[0]].partition(":")[0])
    head, *rows = parse_table(module.__doc__ or "")
    return _markdown(head, rows)


def parse_table(docstring: str) -> list[tuple[str, ...]]:
    """Read the simple table of a docstring, rows that go on in the next line joined."""
    rules = list(re.finditer(r"^=[= ]+=$", docstring, re.MULTILINE))
    columns = [m.span() for m in re.finditer("=+", rules[0][0])]
    columns[-1] = (columns[-1][0], 200)
    rows: list[list[str]] = []
    for line in docstring[rules[0].end() : rules[2].start()].splitlines():
        cells = [line[start:stop].strip() for start, stop in columns]
        if not any(cells) or line.startswith("="):
            continue
        if cells[0]:
            rows.append(cells)
        else:
            rows[-1] = [f"{a} {b}".strip() for a, b in zip(rows[-1], cells, strict=True)]
    return [tuple(row) for row in rows]


def built_table(names: list[str], lines: Sequence[Line]) -> str:
    """Count the layers that the code makes: kernels, maps in and out, strides, dilations."""
    name, preset = names
    with torch.device("meta"):
        network = build_network(name, preset)
    counted = Counter(_describe_layer(m) for m in network.modules() if _is_layer(m))
    rows = [(*layer, str(count)) for layer, count in counted.items()]
    return _markdown(("layer", "kernel", "maps", "stride", "dilation", "times"), rows)


def _is_layer(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d)


def _describe_layer(module: Any) -> tuple[str, ...]:
    is_up = isinstance(module, nn.ConvTranspose2d | nn.ConvTranspose3d)
    kernel, stride, dilation = (
        "x".join(map(str, size)) for size in (module.kernel_size, module.stride, module.dilation)
    )
    maps = f"{module.in_channels} to {module.out_channels}"
    return ("deconvolution" if is_up else "convolution", kernel, maps, stride, dilation)


def results_table(names: list[str], lines: Sequence[Line]) -> str:
    """Make the table of trained networks on one data set, best first."""
    found = [line for line in lines if line.get("data") == names[0] and "run" in line]
    head, columns = _COLUMNS[names[0]]
    found.sort(key=lambda line: (-line["minutes"], -line[_MERIT[names[0]]]))
    table = _markdown(head, [tuple(column(line) for column in columns) for line in found])
    missing = [run for run in RUNS.values() if run.data == names[0] and not _is_in(found, run)]
    names_of = ", ".join(f"`{run.network}` {run.preset}" for run in missing)
    return table + (f"Not measured yet: {names_of}.\n\n" if missing else "")


def _is_in(lines: Sequence[Line], run: Run) -> bool:
    return any(line["run"] == run.name for line in lines)


def merit_table(names: list[str], lines: Sequence[Line]) -> str:
    """Make the table of what was measured for some networks, for their page."""
    text = ""
    for data in _COLUMNS:
        mine = [r for r in lines if r.get("data") == data and r.get("network") in names]
        text += results_table([data], mine).partition("Not measured")[0] if mine else ""
    large = [r for r in lines if r.get("network") in names and r.get("section_1024_s")]
    text += "".join(_on_large_sections(line) for line in large)
    speeds = [line for line in lines if line.get("speed") in names]
    text += speed_table([], speeds) if speeds else ""
    return text.replace("](networks/", "](") or "Not measured yet.\n"


def _on_large_sections(line: Line) -> str:
    return (
        f"A section of 1024 x 1024 takes `{line['network']}` {line['preset']} "
        f"{_number(line['section_1024_s'], 1)} s on {_machine(line)}; the paper has 5 s on a GPU "
        "of its time for the whole network.\n\n"
    )


def speed_table(names: list[str], lines: Sequence[Line]) -> str:
    """Make the table of times with fresh weights."""
    rows = [
        (
            _page_link(line["speed"]),
            f"`{line['preset']}`",
            f"{line['parameters']:,}",
            _number(line["section_s"], 2),
            _number(line.get("section_1024_s"), 1),
            _machine(line),
        )
        for line in lines
        if "speed" in line
    ]
    if not rows:
        return "Not measured yet.\n"
    head = ("network", "preset", "parameters", "s per 512² section", "s per 1024²", "on")
    return _markdown(head, rows)


def recipes_table(names: list[str], lines: Sequence[Line]) -> str:
    """Make the table of the papers' recipes, run shortened."""
    rows = [
        (
            f"[{line['recipe']}](../examples/recipes/training/{line['recipe']}.yaml)",
            line["shortened"],
            _number(line["training_s"], 0),
            _number(line["v_rand"], 3),
            _number(line["v_info"], 3),
            _number(line["own_v_rand"], 3),
        )
        for line in lines
        if "recipe" in line
    ]
    if not rows:
        return "Not measured yet.\n"
    head = (
        "recipe",
        "shortened to",
        "training, CPU s",
        "V_rand",
        "V_info",
        "V_rand, as the paper ends",
    )
    return _markdown(head, rows)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _machine(line: Line) -> str:
    threads = line["threads"]
    return f"{threads} CPU thread" + "s" * (threads > 1) if line["device"] == "cpu" else "GPU"


def _page_link(network: str) -> str:
    page = PAGE_OF.get(network, network)
    return f"[{network}](networks/{page}.md)"


PAGE_OF = {"n3": "n4", "pdeepem3d": "deepem3d", "unet2d": "unet"}
"""Networks that share the page of another one."""


def _name(line: Line) -> str:
    return f"{_page_link(line['network'])} `{line['preset']}`"


Column = Callable[[Line], str]
_COMMON: list[tuple[str, Column]] = [
    ("network", _name),
    ("parameters", lambda r: f"{r['parameters']:,}"),
    ("s per 512² section", lambda r: _number(r["section_s"], 2)),
    ("budget, min", lambda r: f"{r['minutes']:g}"),
    ("training, CPU s", lambda r: _number(r["training_s"], 0)),
    ("steps", lambda r: f"{r['steps']:,}"),
    ("images seen", lambda r: f"{r['images']:,}"),
]


def _score(name: str, key: str, digits: int = 4) -> tuple[str, Column]:
    return name, lambda line: _number(line.get(key), digits)


def _table(*scores: tuple[str, Column]) -> tuple[tuple[str, ...], tuple[Column, ...]]:
    names, columns = zip(_COMMON[0], *scores, *_COMMON[1:], strict=True)
    return names, columns


_MERIT = {"isbi2012": "v_rand", "fib25": "mean_wall_v_rand"}
_COLUMNS = {
    "isbi2012": _table(
        _score("V_rand", "v_rand"),
        _score("V_info", "v_info"),
        _score("thresholded: V_rand", "threshold_v_rand"),
        _score("V_info", "threshold_v_info"),
        _score("warping error", "warping_error", 6),
        _score("pixel error", "pixel_error"),
    ),
    "fib25": _table(
        _score("mean wall or affinity: V_rand", "mean_wall_v_rand"),
        _score("VOI, bits", "mean_wall_voi", 2),
        _score("H-minima: V_rand", "h_minima_v_rand"),
        _score("VOI, bits", "h_minima_voi", 2),
    ),
}
TABLES: dict[str, Callable[[list[str], Sequence[Line]], str]] = {
    "sizes": sizes_table,
    "layers": layers_table,
    "built": built_table,
    "results": results_table,
    "merit": merit_table,
    "speed": speed_table,
    "recipes": recipes_table,
}


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"
