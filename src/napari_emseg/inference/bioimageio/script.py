"""TorchScript weights: a network in a small language of its own, which torch interprets.

Opening one runs no Python of the package. But it is a program, not a list of numbers:
the language can call everything that torch offers, reading and writing files included.
So it is only run after everything it calls has been looked at and found to be a
computation on tensors (`_HARMLESS`). What runs while a file is being opened
(``__setstate__``, classes in C++, hooks) is looked for in its text before that. What
remains possible is to compute for long or to take much memory.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from napari_emseg.errors import InputError
from napari_emseg.networks.bioimageio_model import Unsupported

_MOST_CODE_BYTES = 32 * 2**20
_ON_OPENING = ("__setstate__", "torch.classes", "__forward_hooks__", "__forward_pre_hooks__")
_PRIMITIVES = """
Constant ListConstruct ListUnpack TupleConstruct TupleUnpack TupleIndex TupleSlice If Loop
GetAttr NumToTensor ImplicitTensorToNum RaiseException Uninitialized Return Param unchecked_cast
unchecked_unwrap_optional device dtype layout is_cuda min max data isinstance
"""
_COMPUTATIONS = """
abs abs_ add add_ addcmul addmm amax amin arange argmax argmin baddbmm bmm cat ceil chunk clamp
clamp_ clamp_max clamp_max_ clamp_min clamp_min_ clone contiguous cos cumsum detach div div_
einsum elu elu_ eq exp exp_ expand expand_as flatten flip floor floor_divide floordiv format
full full_like gather ge gelu gt hardsigmoid hardswish hardswish_ hardtanh hardtanh_ index
index_select item le leaky_relu leaky_relu_ len lerp linear linspace log log1p log_softmax
logical_and logical_not logical_or lt masked_fill masked_fill_ matmul max maximum mean meshgrid
min minimum mish mish_ mm movedim mul mul_ narrow ne neg new_full new_ones new_zeros norm numel
ones ones_like permute pixel_shuffle pow prelu prod reciprocal relu relu6 relu_ remainder repeat
repeat_interleave reshape roll round rsqrt scalar_tensor select selu selu_ sigmoid sigmoid_ sign
silu silu_ sin size slice softmax softplus split split_with_sizes sqrt square squeeze stack std
std_mean sub sub_ sum t tanh tanh_ tensor to transpose true_divide type_as unbind unflatten
unsqueeze upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d
upsample_nearest3d upsample_trilinear3d upsample_bicubic2d var var_mean view warn where zeros
zeros_like _convolution convolution conv1d conv2d conv3d conv_transpose1d conv_transpose2d
conv_transpose3d max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d
adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d batch_norm
group_norm instance_norm layer_norm native_batch_norm native_group_norm constant_pad_nd pad
reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
replication_pad3d dropout dropout_ feature_dropout feature_dropout_ alpha_dropout dim append
__and__ __contains__ __getitem__ __is__ __isnot__ __not__ __or__ _set_item extend Bool
BoolImplicit Float FloatImplicit Int IntImplicit ScalarImplicit
"""
_HARMLESS = frozenset(
    [f"prim::{name}" for name in _PRIMITIVES.split()]
    + [f"aten::{name}" for name in _COMPUTATIONS.split()]
)


def load_script(content: bytes, name: str) -> Callable[[Tensor], Any]:
    """Return the network in a TorchScript file, after a look at what it does.

    Parameters
    ----------
    content : bytes
    name : str
        Of the file, for messages.

    Returns
    -------
    torch.jit.ScriptModule
        On the CPU, in evaluation mode.

    Raises
    ------
    Unsupported
        If it calls what is not known to be a mere computation.
    InputError
        If it is damaged, or no TorchScript.
    """
    _check_text(content, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a format that torch calls old
            load: Callable[..., Any] = torch.jit.load
            module = load(io.BytesIO(content), map_location="cpu")
            module.eval()
            graph = module.inlined_graph
    except Exception as error:  # torch raises many kinds, for damaged files mostly RuntimeError
        first = (str(error).splitlines() or [""])[0]
        raise InputError(f"{name} is damaged, or not for this version of torch: {first}") from None
    unknown = sorted({kind for kind in _kinds(graph) if kind not in _HARMLESS})
    if unknown:
        raise Unsupported(
            f"{name} calls {', '.join(unknown[:5])}, which may do more than compute: it is not run."
        )
    found: Callable[[Tensor], Any] = module
    return found


def _check_text(content: bytes, name: str) -> None:
    """Refuse what would run while the file is being opened."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [e for e in archive.infolist() if e.filename.endswith((".py", ".pkl"))]
            if sum(entry.file_size for entry in entries) > _MOST_CODE_BYTES:
                raise InputError(f"{name} holds more code than a network has: it is not opened.")
            if not any("/code/" in entry.filename for entry in entries):
                raise InputError(
                    f"{name} is no TorchScript, but perhaps a pickle, which could run any code."
                )
            texts = [archive.read(entry) for entry in entries]
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{name} is damaged, or no TorchScript: {error}.") from None
    for sign in _ON_OPENING:
        if any(sign.encode() in text for text in texts):
            raise Unsupported(f"{name} would run '{sign}' on being opened: it is not opened.")


def _kinds(graph: Any) -> Iterator[str]:
    """Yield what all nodes of a graph do, those in branches and loops too."""
    waiting = list(graph.nodes())
    while waiting:
        node = waiting.pop()
        yield node.kind()
        for block in node.blocks():
            waiting += block.nodes()
