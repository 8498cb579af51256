"""A parameter is written once: everything a form or a flag needs comes from the model."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, Field

from napari_emseg.steps import STEPS
from napari_emseg.steps.fields import describe_fields
from napari_emseg.steps.step import get_step


class Nested(BaseModel):
    depth: int = 3


class Everything(BaseModel):
    width_px: int = Field(default=3, ge=1, le=9, title="Width", description="How wide.")
    share: float | None = Field(default=None, gt=0, json_schema_extra={"step": 0.1})
    mode: Literal["2d", "3d"] = "2d"
    fast: bool = Field(default=True, json_schema_extra={"advanced": True})
    names: tuple[str, ...] | None = None
    sections: tuple[int, int] | None = None
    inner: Nested = Nested()


def test_every_kind_of_parameter_is_described() -> None:
    fields = {field.name: field for field in describe_fields(Everything)}
    assert [f.type for f in fields.values()] == ["int", "float", "choice", "bool", "list", "range"]
    width = fields["width_px"]
    assert (width.minimum, width.maximum, width.default, width.unit) == (1, 9, 3, "px")
    assert (width.title, width.description) == ("Width", "How wide.")
    assert fields["share"].optional
    assert fields["share"].step == 0.1
    assert fields["mode"].choices == ("2d", "3d")
    assert fields["fast"].advanced


@pytest.mark.parametrize("name", STEPS)
def test_every_step_speaks_to_people(name: str) -> None:
    """Each parameter has a title, a sentence, and numbers have limits."""
    for field in describe_fields(get_step(name).params):
        assert field.title != field.name
        assert field.description.endswith(".")
        if field.type in ("int", "float"):
            assert field.minimum is not None
            assert field.maximum is not None
            is_empty = field.optional and field.default is None
            assert is_empty or field.minimum <= field.default <= field.maximum


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("width_px", 3, "3 px"), ("fast", True, "on"), ("fast", False, "off"), ("share", 0.1, "0.1")],
)
def test_values_are_written_with_their_unit(name: str, value: object, text: str) -> None:
    fields = {field.name: field for field in describe_fields(Everything)}
    assert fields[name].format(value) == text
