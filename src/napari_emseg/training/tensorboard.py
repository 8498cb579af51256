"""What happens inside of a training, for TensorBoard: curves, weights, pictures, feature maps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from napari_emseg.errors import InputError
from napari_emseg.networks.base import Network
from napari_emseg.networks.window import WindowNetwork
from napari_emseg.training.hooks import Hook, Moment

_MOST_MAPS = 16


class TensorBoard(Hook):
    """Writes a folder that ``tensorboard --logdir FOLDER`` shows.

    Loss and learning rate every few steps; at each validation the scores, the
    first patch of the batch with its truth and its map, the feature maps of
    each layer for that patch, and a histogram of each array of weights.

    Parameters
    ----------
    folder : path
        Made if it is not there. Several trainings may have folders in one.
    every_steps : int
        How often the loss is written.

    Raises
    ------
    InputError
        If TensorBoard is not installed or the folder cannot be made.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     TensorBoard(folder).on_end()
    """

    def __init__(self, folder: str | os.PathLike[str], *, every_steps: int = 10) -> None:
        self._make_writer = _import_writer()
        self._folder = os.fspath(folder)
        self._every_steps = every_steps
        self._writer: Any = None
        try:
            os.makedirs(self._folder, exist_ok=True)
        except OSError as error:
            raise InputError(f"Cannot make the folder {folder}: {error.strerror}.") from None

    def on_step(self, moment: Moment) -> None:
        """Write loss and learning rate now and then."""
        if moment.step % self._every_steps == 0:
            writer = self._open(moment.step)
            writer.add_scalar("loss", moment.loss, moment.step)
            writer.add_scalar("learning rate", moment.learning_rate, moment.step)

    def on_validation(self, moment: Moment) -> None:
        """Write scores, pictures and histograms."""
        writer, step = self._open(moment.step), moment.step
        for name, scores in moment.scores.items():
            for key, value in scores.items():
                writer.add_scalar(f"{key}/{name}", value, step)
        for name, picture in pictures_of(moment).items():
            writer.add_image(name, picture, step, dataformats="HW")
        for name, weights in moment.average.named_parameters():
            writer.add_histogram(name, weights.detach().float().cpu(), step)
        writer.flush()

    def on_end(self) -> None:
        """Close the files."""
        if self._writer is not None:
            self._writer.close()

    def _open(self, step: int) -> Any:
        if self._writer is None:
            # a training that goes on hides what came after its last save
            self._writer = self._make_writer(self._folder, purge_step=step)
        return self._writer


def pictures_of(moment: Moment) -> dict[str, Tensor]:
    """Return the first patch of a batch and what the network makes of it.

    Parameters
    ----------
    moment : Moment
        Of a validation.

    Returns
    -------
    dict of Tensor, (Y, X) float32 in [0, 1]
        ``batch/image``, ``batch/truth`` and ``batch/map`` unless the batch is
        of single windows, and ``features/LAYER``, up to 16 maps beside each other.
    """
    network, image = moment.average, moment.images[:1]
    with _collect_maps(network) as maps:
        result = _run(network, image, is_window=moment.targets.ndim == 1)
    # the middle section: behind the sections may be maps of an earlier network
    pictures = {"batch/image": _stretch(_flat(image)[network.in_sections // 2])}
    if moment.targets.ndim > 1:
        truth = _flat(moment.targets[:1])[0].float()
        pictures["batch/truth"] = torch.where(truth > 1, 0.5, truth)
        pictures["batch/map"] = _flat(result)[0].sigmoid()
    pictures |= {f"features/{name}": _tile(found) for name, found in maps.items()}
    return {name: picture.float().cpu() for name, picture in pictures.items()}


@torch.no_grad()
def _run(network: Network, image: Tensor, *, is_window: bool) -> Tensor:
    image = image.to(next(network.parameters()).device)
    if is_window and isinstance(network, WindowNetwork):
        return network.classify(image)
    return network.forward_valid(image)


@contextmanager
def _collect_maps(network: Network) -> Iterator[dict[str, Tensor]]:
    """Within the block, keep what each layer of the network gives for the first patch."""
    maps: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim >= 4:
                maps[name] = _flat(output)

        return hook

    handles = [layer.register_forward_hook(keep(name)) for name, layer in _layers(network)]
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()


def _layers(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Name the parts of a network, looking into lists of parts."""
    for name, child in module.named_children():
        if isinstance(child, nn.ModuleList):
            yield from _layers(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def _flat(maps: Tensor) -> Tensor:
    """Return (C, Y, X) of the first of a batch, of volumes the middle section."""
    first = maps[0].detach()
    return first[:, first.shape[1] // 2] if first.ndim == 4 else first


def _tile(maps: Tensor) -> Tensor:
    """Put maps side by side, four in a row, each with its own contrast."""
    shown = torch.stack([_stretch(m) for m in maps[:_MOST_MAPS].float()])
    columns = min(4, len(shown))
    missing = -len(shown) % columns
    shown = torch.cat([shown, shown.new_zeros(missing, *shown.shape[1:])])
    count, height, width = shown.shape
    grid = shown.view(count // columns, columns, height, width).transpose(1, 2)
    return grid.reshape(count // columns * height, columns * width)


def _stretch(picture: Tensor) -> Tensor:
    low, high = picture.min(), picture.max()
    return (picture - low) / (high - low).clamp(min=1e-6)


def _import_writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(
            "TensorBoard is not installed: pip install 'napari-emseg[tensorboard]', or train "
            "without it."
        ) from None
    return SummaryWriter
