"""Batches to train on: a function of the seed and the number of the step, whoever makes them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from napari_emseg.training.batch_arrays import Arrays, make_arrays
from napari_emseg.training.input_spec import InputSpec, describe_input
from napari_emseg.training.makers import start_maker
from napari_emseg.training.params import TrainParams
from napari_emseg.training.sources import MEMORY_BYTES, Source, open_sources

if TYPE_CHECKING:
    from torch import Tensor

    from napari_emseg.networks.base import Network
    from napari_emseg.training.pairs import TrainingPair


@dataclass(frozen=True)
class Batch:
    """What a network takes in one step, and what it should give.

    Attributes
    ----------
    images : Tensor, float32
        (N, C, Y, X) or, for 3D networks, (N, 1, Z, Y, X). For networks with a margin Y
        and X are ``patch_px + 2 margin_px``. Windows: (N, C, w, w), as the network's
        ``read_windows`` cuts them, or 2 margin_px + 1 wide.
    targets : Tensor, uint8
        (N, K, [Z,] Y, X): 1, 0, or 255 where the truth is not known; K = 1 (1 = boundary)
        or one channel for each offset (1 = same neuron). Windows: (N,).
    """

    images: Tensor
    targets: Tensor


def make_batch(sources: Sequence[Source], params: TrainParams, spec: InputSpec, step: int) -> Batch:
    """Make the batch of one step.

    It depends on the sources, the parameters and the step alone, not on what was
    made before, in which process or with how many threads: so a training that is
    resumed goes on with exactly the batches it would have had.

    Parameters
    ----------
    sources : sequence of Source
        See :func:`napari_emseg.training.sources.open_sources`.
    params : TrainParams
    spec : InputSpec
    step : int
        From 0.

    Raises
    ------
    InputError
        If the sections cannot be read or show nothing to learn from.
    """
    return _as_tensors(make_arrays(sources, params, spec, step))


class BatchSource:
    """Batches in order, made ahead by other processes.

    Parameters
    ----------
    pairs : sequence of TrainingPair
    params : TrainParams
        ``workers``: how many processes; 0: each batch is made when it is asked for.
    network : Network
    first_step : int
        Number of the first batch.
    memory_bytes : int
        Data sets larger than this together are read from their files patch by patch.

    Attributes
    ----------
    waited_s : float
        How long :meth:`next` had to wait or make a batch itself, in all.

    Examples
    --------
    >>> from napari_emseg.networks import build_network
    >>> from napari_emseg.samples import make_synthetic
    >>> from napari_emseg.training import TrainParams, hold_out
    >>> pair = hold_out(*make_synthetic((3, 96, 96)))
    >>> params = TrainParams(patch_px=64, batch_size=2, workers=0)
    >>> with BatchSource([pair], params, build_network("unet2d")) as batches:
    ...     batches.next().images.shape
    torch.Size([2, 1, 64, 64])
    """

    def __init__(
        self,
        pairs: Sequence[TrainingPair],
        params: TrainParams,
        network: Network,
        *,
        first_step: int = 0,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        spec = describe_input(network)
        sources = open_sources(pairs, params, spec, memory_bytes=memory_bytes)
        self.waited_s = 0.0
        self._step = first_step
        self._maker = start_maker(sources, params, spec, first_step)

    def next(self) -> Batch:
        """Return the next batch.

        Raises
        ------
        InputError
            If the data cannot be read, or processes that make batches end again and again.
        """
        started = time.perf_counter()
        arrays = self._maker.get(self._step)
        self._step += 1
        batch = _as_tensors(arrays)
        self.waited_s += time.perf_counter() - started
        return batch

    def close(self) -> None:
        """End the processes; nothing of them is left."""
        self._maker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _as_tensors(arrays: Arrays) -> Batch:
    import torch

    return Batch(torch.from_numpy(arrays[0]), torch.from_numpy(arrays[1]))
