"""What a BioImage.IO package says of its model, in one form for all format versions.

Axes are letters: b batch, c channel, z y x space.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from napari_emseg.errors import InputError

SPACE = "zyx"
Offset = tuple[int, int, int]


class Unsupported(InputError):
    """The package is in order, but needs something this program does not do."""


@dataclass(frozen=True)
class Sizes:
    """What sizes a network takes along an axis: `least`, and steps more.

    Attributes
    ----------
    least : int
        The smallest size in voxels.
    step : int
        Distance to the next one; 0: there is only one size.
    like : str
        The axis that this one is as long as, but for a constant; "" for none.

    Examples
    --------
    >>> Sizes(16, 8).at_least(20), Sizes(16, 8).at_most(39), Sizes(64, 0).at_least(10)
    (24, 32, 64)
    """

    least: int
    step: int = 0
    like: str = ""

    def at_least(self, size: int) -> int:
        """Return the smallest possible size that is not less than `size`, where there is one."""
        if not self.step or size <= self.least:
            return self.least
        return self.least + -(-(size - self.least) // self.step) * self.step

    def at_most(self, size: int) -> int:
        """Return the largest possible size that is not more than `size`, or the smallest."""
        if not self.step or size <= self.least:
            return self.least
        return self.least + (size - self.least) // self.step * self.step


@dataclass(frozen=True)
class Step:
    """One thing done to the numbers before or behind the network.

    Attributes
    ----------
    name : str
        One of those in :mod:`napari_emseg.networks.bioimageio_steps`.
    axes : str or None
        Letters of the axes that statistics are taken over; with "b", over all there is.
    values : mapping
        Its numbers.
    """

    name: str
    axes: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FileRef:
    """A file of the package, and its checksum or ""."""

    name: str
    sha256: str = ""


@dataclass(frozen=True)
class InputTensor:
    """What goes in.

    Attributes
    ----------
    axes : str
        In the order that the network takes.
    sizes : dict of str to Sizes
        Along the axes in space.
    channels : int
        How many there are along "c".
    dtype : str
        Of the numbers before anything is done to them.
    steps : tuple of Step
    test : FileRef or None
        An example.
    """

    name: str
    axes: str
    sizes: Mapping[str, Sizes]
    channels: int = 1
    dtype: str = "float32"
    steps: tuple[Step, ...] = ()
    test: FileRef | None = None


@dataclass(frozen=True)
class OutputTensor:
    """What comes out.

    Attributes
    ----------
    axes : str
    halo : dict of str to int
        What to cut off of it on each side, since the border spoils it.
    shrink : dict of str to int
        How much smaller than the input it is, both sides together.
    channels : int
    channel_names : tuple of str
        Empty where they have none.
    steps : tuple of Step
    test : FileRef or None
        What the network gives for the example.
    """

    name: str
    axes: str
    halo: Mapping[str, int]
    shrink: Mapping[str, int]
    channels: int = 1
    channel_names: tuple[str, ...] = ()
    dtype: str = "float32"
    steps: tuple[Step, ...] = ()
    test: FileRef | None = None


@dataclass(frozen=True)
class Weights:
    """Numbers of the network in one of the forms there are.

    Attributes
    ----------
    kind : {"torchscript", "pytorch_state_dict"}
    file : FileRef
    callable : str
        Name of the class or function that builds the network, for a state dict.
    origin : str
        File or library that has it.
    kwargs : dict
        What it is called with.
    """

    kind: Literal["torchscript", "pytorch_state_dict"]
    file: FileRef
    callable: str = ""
    origin: str = ""
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PackageModel:
    """A model as its package describes it.

    Attributes
    ----------
    format_version, title, summary, licence, trained_on : str
        For people.
    input : InputTensor
    output : OutputTensor
        The first one, where there are several.
    weights : tuple of Weights
        Of the forms known here.
    voxel_size_nm : (z, y, x) in nm, or None
    offsets : tuple of (z, y, x)
        Of affinities that come out; empty for a boundary map.
    affinity_is_boundary : bool
        Whether 1 in an affinity channel means different objects, not the same.
    in_sections : int
        How many neighbouring sections the input channels are.
    channel : int
        The output channel that is taken for the boundary map.
    notes : tuple of str
        What a user should know, in sentences.
    """

    format_version: str
    title: str
    input: InputTensor
    output: OutputTensor
    weights: tuple[Weights, ...]
    summary: str = ""
    licence: str = ""
    trained_on: str = ""
    voxel_size_nm: tuple[float, float, float] | None = None
    offsets: tuple[Offset, ...] = ()
    affinity_is_boundary: bool = False
    in_sections: Literal[1, 3, 5] = 1
    channel: int = 0
    notes: tuple[str, ...] = ()

    @property
    def dimensions(self) -> Literal[2, 3]:
        """Whether it takes sections or volumes."""
        return 3 if "z" in self.input.axes else 2
