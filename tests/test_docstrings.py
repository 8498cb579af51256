"""Public functions are documented, their parameters match, their examples run."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from numpydoc.docscrape import FunctionDoc

import napari_emseg

NEEDS_A_WINDOW = "napari_emseg.gui"


def _module_names() -> list[str]:
    found = pkgutil.walk_packages(napari_emseg.__path__, "napari_emseg.")
    return sorted(m.name for m in found if not m.name.startswith(NEEDS_A_WINDOW))


def _public_definitions(module_name: str) -> Iterator[tuple[str, Any]]:
    """Functions and classes that `module_name` itself defines without underscore."""
    if any(part.startswith("_") for part in module_name.split(".")):
        return
    module = importlib.import_module(module_name)
    for name, thing in vars(module).items():
        is_ours = getattr(thing, "__module__", None) == module_name
        if (
            not name.startswith("_")
            and is_ours
            and (inspect.isfunction(thing) or inspect.isclass(thing))
        ):
            yield name, thing


@pytest.mark.parametrize("module_name", _module_names())
def test_public_definitions_say_what_they_are(module_name: str) -> None:
    silent = [name for name, thing in _public_definitions(module_name) if not thing.__doc__]
    assert silent == [], f"{module_name}: no docstring"


@pytest.mark.parametrize("module_name", _module_names())
def test_documented_parameters_are_those_of_the_signature(module_name: str) -> None:
    for name, thing in _public_definitions(module_name):
        if not inspect.isfunction(thing):
            continue
        documented = [
            part.strip().lstrip("*")
            for parameter in FunctionDoc(thing)["Parameters"]
            for part in parameter.name.split(",")
        ]
        if documented:
            wanted = [p for p in inspect.signature(thing).parameters if p not in ("self", "cls")]
            assert documented == wanted, f"{module_name}.{name}"


@pytest.mark.parametrize("name", [n for n in napari_emseg.__all__ if not n.startswith("__")])
def test_the_public_api_has_examples(name: str) -> None:
    thing = getattr(napari_emseg, name)
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return
    assert ">>>" in inspect.getdoc(thing), f"{name} shows no example"


@pytest.mark.parametrize("module_name", _module_names())
def test_examples_run(module_name: str) -> None:
    module = importlib.import_module(module_name)
    result = doctest.testmod(
        module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS, extraglobs={}
    )
    assert result.failed == 0


def test_gui_functions_are_typed_and_documented() -> None:
    """Read as text, since importing them needs a window."""
    from pathlib import Path

    for path in sorted((Path(napari_emseg.__file__).parent / "gui").rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name} has no docstring"
