"""Augmented batches, all training sections held in memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from napari_emseg.errors import InputError
from napari_emseg.inference.sections import SectionReader
from napari_emseg.networks.base import Network
from napari_emseg.training.augment import change_brightness, choose_index, draw_fields, look_up
from napari_emseg.training.dataset import TrainingPair, make_target
from napari_emseg.training.params import TrainParams


@dataclass(frozen=True)
class Batch:
    images: Tensor
    targets: Tensor


class BatchSource:
    """Draws batch number `first_step`, then the next."""

    def __init__(
        self,
        pairs: Sequence[TrainingPair],
        params: TrainParams,
        network: Network,
        *,
        first_step: int = 0,
    ) -> None:
        self.params = params
        self.step = first_step
        self.margin_px = network.margin_px
        self.weights = [pair.weight for pair in pairs]
        self.sections = [_read_sections(pair, params, network.in_sections) for pair in pairs]
        self.waited_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return

    def next(self) -> Batch:
        """Draw images (N, C, H, W) float32 and targets (N, 1, H, W) uint8."""
        started = time.monotonic()
        params = self.params
        generator = torch.Generator().manual_seed(params.seed + 1_000_003 * self.step)
        self.step += 1
        size_px = params.patch_px + 2 * self.margin_px
        fields = draw_fields(generator, params.batch_size, size_px, params.augment)
        images, targets = [], []
        for field in fields:
            sections = self.sections[choose_index(generator, self.weights)]
            image, target = sections[int(torch.randint(len(sections), (), generator=generator))]
            extent = torch.tensor(image.shape[-2:], dtype=torch.float32) - 1
            # Centres keep a third of a patch from the edge: the rest would be mirror image.
            margin = torch.minimum(extent / 2, torch.tensor(params.patch_px / 3))
            centre = margin + (extent - 2 * margin) * torch.rand(2, generator=generator)
            images.append(look_up(image, field, centre, "bilinear"))
            targets.append(look_up(target.float(), field, centre, "nearest").to(torch.uint8))
        batch = change_brightness(generator, torch.stack(images), params.augment)
        rim = slice(self.margin_px, self.margin_px + params.patch_px)
        self.waited_s += time.monotonic() - started
        return Batch(batch, torch.stack(targets)[..., rim, rim])


def _read_sections(
    pair: TrainingPair, params: TrainParams, in_sections: int
) -> list[tuple[Tensor, Tensor]]:
    reader = SectionReader(pair.raw, in_sections, None)
    sections = []
    for z in pair.train_sections:
        image = reader.read(z)
        if image is None:  # a blank section teaches nothing
            continue
        target = make_target(
            pair,
            z,
            boundary_px=params.boundary_px,
            membrane_reach_px=params.membrane_reach_px,
        )
        sections.append((torch.from_numpy(image), torch.from_numpy(target)[None]))
    if not sections:
        raise InputError(f"{pair.name}: all training sections are blank.")
    return sections
