"""The two formats of model descriptions: 0.4, with axes as one word, and 0.5.

Both are brought to the same form; what this program does not do is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_emseg.errors import InputError
from napari_emseg.networks.bioimageio_model import (
    SPACE,
    FileRef,
    InputTensor,
    OutputTensor,
    Sizes,
    Unsupported,
)
from napari_emseg.networks.bioimageio_steps import parse_steps
from napari_emseg.networks.bioimageio_weights import clean_name

_LARGEST_PX = 100_000
Size = Annotated[int, Field(ge=1, le=_LARGEST_PX)]
Word = Annotated[str, Field(max_length=200)]
_NM = {
    "angstrom": 0.1,
    "nanometer": 1.0,
    "micrometer": 1e3,
    "millimeter": 1e6,
}


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Steps4(_Entry):
    """The smallest size along each axis, and the distance to the next."""

    min: list[Annotated[int, Field(ge=0, le=_LARGEST_PX)]]
    step: list[Annotated[int, Field(ge=0, le=_LARGEST_PX)]]


class _Implicit4(_Entry):
    """Size along each axis = scale * size of the input + 2 * offset."""

    reference_tensor: Word
    scale: list[float | None]
    offset: list[float]


class Input4(_Entry):
    """An input of format 0.4."""

    name: Word
    axes: Word
    data_type: Word = "float32"
    shape: list[Size] | _Steps4
    preprocessing: Any = None


class Output4(_Entry):
    """An output of format 0.4."""

    name: Word
    axes: Word
    data_type: Word = "float32"
    shape: list[Size] | _Implicit4
    halo: list[Annotated[int, Field(ge=0, le=_LARGEST_PX)]] | None = None
    postprocessing: Any = None


class _Parameterised(_Entry):
    min: Size
    step: Size


class _Reference(_Entry):
    tensor_id: Word
    axis_id: Word
    offset: Annotated[int, Field(ge=-_LARGEST_PX, le=_LARGEST_PX)] = 0


class _Axis5(_Entry):
    """An axis of format 0.5."""

    type: Literal["batch", "channel", "index", "time", "space"]
    id: Word = ""
    size: Size | _Parameterised | _Reference | dict[str, Any] | None = None
    halo: Annotated[int, Field(ge=0, le=_LARGEST_PX)] = 0
    channel_names: list[Any] | str = Field(default_factory=list, max_length=10_000)
    unit: Word | None = None
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0

    @property
    def name(self) -> str:
        """What it is called where that is left out."""
        return self.id or {"space": "x"}.get(self.type, self.type)


class _File5(_Entry):
    source: Word
    sha256: Word | None = None


class _Tensor5(_Entry):
    """An input or output of format 0.5."""

    id: Word = ""
    axes: list[_Axis5]
    data: Any = None
    test_tensor: _File5 | None = None
    preprocessing: Any = None
    postprocessing: Any = None
    optional: bool = False


def read_input_4(entry: Any, test: FileRef | None) -> InputTensor:
    """Read an input of format 0.4."""
    found = Input4.model_validate(entry)
    axes = _check_letters(found.axes, "input")
    shape = found.shape
    least, step = (shape, [0] * len(shape)) if isinstance(shape, list) else (shape.min, shape.step)
    _check_lengths(axes, least, step)
    by_axis = dict(zip(axes, zip(least, step, strict=True), strict=True))
    sizes = {a: Sizes(max(1, low), high) for a, (low, high) in by_axis.items() if a in SPACE}
    steps = parse_steps(found.preprocessing, "preprocessing", _by_itself(axes), found.name)
    channels = by_axis["c"][0] if "c" in axes else 1
    return InputTensor(found.name, axes, sizes, channels, found.data_type, steps, test)


def read_output_4(entry: Any, source: InputTensor, test: FileRef | None) -> OutputTensor:
    """Read an output of format 0.4."""
    found = Output4.model_validate(entry)
    axes = _check_letters(found.axes, "output")
    _check_lengths(axes, found.halo or [0] * len(axes))
    halo = dict(zip(axes, found.halo or [0] * len(axes), strict=True))
    shrink: dict[str, int] = {}
    channels = 1
    for place, axis in enumerate(axes):
        scale, constant = _size_4(found, axes, place, source)
        if axis == "c":
            channels = round(constant + (scale * source.channels))
        elif axis in SPACE:
            shrink[axis] = _check_shrink(scale, -constant, axis)
    steps = parse_steps(found.postprocessing, "postprocessing", _by_itself(axes), source.name)
    return OutputTensor(
        found.name,
        axes,
        {a: halo[a] for a in axes if a in SPACE},
        shrink,
        _check_channels(channels),
        dtype=found.data_type,
        steps=steps,
        test=test,
    )


def _size_4(found: Output4, axes: str, place: int, source: InputTensor) -> tuple[float, float]:
    """Return factor and constant that give the size along an axis of the output."""
    axis = axes[place]
    if isinstance(found.shape, list):
        _check_lengths(axes, found.shape)
        size = found.shape[place]
        if axis not in SPACE:
            return 0, size
        if axis not in source.sizes:
            raise Unsupported(f"its output has an axis {axis} that its input has not")
        return 1, size - source.sizes[axis].least
    if found.shape.reference_tensor != source.name:
        raise Unsupported("the size of its output depends on another tensor than the input")
    _check_lengths(axes, found.shape.scale, found.shape.offset)
    return found.shape.scale[place] or 0, 2 * found.shape.offset[place]


def read_input_5(entry: Any) -> InputTensor:
    """Read an input of format 0.5."""
    found = _Tensor5.model_validate(entry)
    letters = _letters_5(found.axes, "input")
    name = found.id or "input"
    sizes = {
        letters[axis.name]: _input_size_5(axis, found, name, letters)
        for axis in found.axes
        if axis.type == "space"
    }
    steps = parse_steps(found.preprocessing, "preprocessing", letters, name)
    return InputTensor(
        name,
        "".join(letters.values()),
        sizes,
        _count_channels(found),
        _dtype_5(found),
        steps,
        _file_5(found),
    )


def _input_size_5(axis: _Axis5, found: _Tensor5, name: str, letters: Mapping[str, str]) -> Sizes:
    size = axis.size
    if isinstance(size, int):
        return Sizes(size)
    if isinstance(size, _Parameterised):
        return Sizes(size.min, size.step)
    if isinstance(size, _Reference) and size.tensor_id == name:
        other = next((a for a in found.axes if a.name == size.axis_id), None)
        if other is not None and other.scale == axis.scale:
            like = letters[other.name]
            if isinstance(other.size, int):
                return Sizes(max(1, other.size + size.offset), like=like)
            if isinstance(other.size, _Parameterised):
                return Sizes(max(1, other.size.min + size.offset), other.size.step, like)
    raise Unsupported(f"the size of its input along {axis.name} follows a rule not known here")


def read_output_5(entry: Any, source_entry: Any, source: InputTensor) -> OutputTensor:
    """Read an output of format 0.5; `source_entry` is the input as in the description."""
    found, given = _Tensor5.model_validate(entry), _Tensor5.model_validate(source_entry)
    letters = _letters_5(found.axes, "output")
    scales = {letter: axis for axis in given.axes for letter in _letter(axis)}
    shrink: dict[str, int] = {}
    for axis in found.axes:
        letter = letters[axis.name]
        if letter not in SPACE:
            continue
        if letter not in source.sizes:
            raise Unsupported(f"its output has an axis {letter} that its input has not")
        shrink[letter] = _output_shrink_5(axis, letter, scales[letter], source)
    names = next((a.channel_names for a in found.axes if a.type == "channel"), [])
    channels = _check_channels(_count_channels(found))
    return OutputTensor(
        found.id or "output",
        "".join(letters.values()),
        {letters[a.name]: a.halo for a in found.axes if a.type == "space"},
        shrink,
        channels,
        tuple(str(n)[:60] for n in names) if isinstance(names, list) else (),
        _dtype_5(found),
        parse_steps(found.postprocessing, "postprocessing", letters, source.name),
        _file_5(found),
    )


def _output_shrink_5(axis: _Axis5, letter: str, given: _Axis5, source: InputTensor) -> int:
    size = axis.size
    if isinstance(size, int):
        if source.sizes[letter].step:
            raise Unsupported("its output has one size whatever the size of its input")
        return _check_shrink(1, source.sizes[letter].least - size, letter)
    if not isinstance(size, _Reference) or size.tensor_id != source.name:
        raise Unsupported(f"the size of its output along {letter} depends on the data")
    other, offset = size.axis_id, size.offset
    if other != given.name:
        raise Unsupported(f"its output along {letter} follows another axis of the input")
    return _check_shrink(given.scale / axis.scale, -offset, letter)


def voxel_size_5(entry: Any) -> tuple[float, float, float] | None:
    """Return what the axes of an input of format 0.5 say, (z, y, x) in nm."""
    found = _Tensor5.model_validate(entry)
    sizes = {
        letter: axis.scale * _NM[axis.unit]
        for axis in found.axes
        for letter in _letter(axis)
        if axis.type == "space" and axis.unit in _NM
    }
    if not {"y", "x"} <= sizes.keys() or ("z" in sizes) != any(a.id == "z" for a in found.axes):
        return None
    # a network of sections knows nothing of their thickness, and no use is made of it
    return (sizes.get("z", sizes["y"]), sizes["y"], sizes["x"])


def _check_letters(axes: str, what: str) -> str:
    if strange := sorted(set(axes) - set("bczyx")):
        raise Unsupported(f"its {what} has axes this program cannot fill ({', '.join(strange)})")
    return _check_space(axes, what)


def _check_space(axes: str, what: str) -> str:
    if len(set(axes)) != len(axes) or not {"y", "x"} <= set(axes):
        raise Unsupported(f"its {what} has the axes '{axes}': no section or volume")
    return axes


def _check_lengths(axes: str, *given: Any) -> None:
    if any(len(numbers) != len(axes) for numbers in given):
        raise InputError(f"it gives other numbers of sizes than axes ('{axes}')")


def _check_shrink(scale: float, shrink: float, axis: str) -> int:
    if scale != 1:
        raise Unsupported(f"its output has another resolution than its input (along {axis})")
    if shrink < 0 or shrink % 2:
        raise Unsupported(f"its output does not lie in the middle of its input (along {axis})")
    return round(shrink)


def _check_channels(channels: int) -> int:
    if channels < 1:
        raise InputError("its output has no channels")
    return channels


def _by_itself(axes: str) -> dict[str, str]:
    return {axis: axis for axis in axes}


def _letter(axis: _Axis5) -> str:
    """Return the letter of an axis, or nothing."""
    if axis.type in ("batch", "channel"):
        return axis.type[0]
    return axis.name if axis.type == "space" and axis.name in SPACE else ""


def _letters_5(axes: list[_Axis5], what: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for axis in axes:
        if not (letter := _letter(axis)):
            raise Unsupported(f"its {what} has an axis this program cannot fill ({axis.name})")
        found[axis.name] = letter
    if len(found) != len(axes):
        raise InputError(f"its {what} has two axes of one name")
    _check_space("".join(found.values()), what)
    return found


def _count_channels(tensor: _Tensor5) -> int:
    for axis in tensor.axes:
        if axis.type == "channel":
            names = axis.channel_names
            return len(names) if isinstance(names, list) and names else _int(axis.size)
    return 1


def _int(size: Any) -> int:
    return size if isinstance(size, int) else 1


def _dtype_5(tensor: _Tensor5) -> str:
    data = tensor.data[0] if isinstance(tensor.data, list) and tensor.data else tensor.data
    return str(data.get("type", "float32")) if isinstance(data, Mapping) else "float32"


def _file_5(tensor: _Tensor5) -> FileRef | None:
    file = tensor.test_tensor
    return None if file is None else FileRef(clean_name(file.source), file.sha256 or "")
