"""Several trained networks that predict as one."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from napari_emseg.errors import InputError
from napari_emseg.inference.checks import check_out, check_sections
from napari_emseg.inference.opening import open_model
from napari_emseg.inference.predictor import Predictor
from napari_emseg.inference.protocol import BoundaryPredictor, Resample
from napari_emseg.inference.record import Noticed, describe_prediction
from napari_emseg.inference.sections import FloatArray, check_raw
from napari_emseg.inference.stacker import Stacker, load_stacker
from napari_emseg.inference.wrapping import Share, Slab, Wrapping, checksum_of, store
from napari_emseg.networks.base import Network
from napari_emseg.networks.info import ModelInfo
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import Volume

Combine = Literal["mean", "max", "learned"]
Model = str | Path | ModelInfo | Network
_SLAB_SECTIONS = 32  # a 3D network computes slabs, so sections one by one would be a waste
_ALMOST = 0.999


class Ensemble(Wrapping):
    """Any set of models as one predictor; use it as a context manager.

    The models may differ in everything but what they predict: 2D, 2.5D and 3D ones,
    trained at different pixel sizes. All stay loaded; each section goes through one
    after the other, so that working memory is that of the largest.

    Parameters
    ----------
    models : sequence of str, path, ModelInfo, Network or BoundaryPredictor
        Names from the library, model files, or what is loaded already (and then
        closed with the ensemble).
    combine : {"mean", "max", "learned"}
        ``mean``: the average. ``max``: the surest membrane counts. ``learned``: as
        `stacker` weighs them.
    stacker : Stacker or path, optional
        For "learned": from :func:`~napari_emseg.inference.stacker.fit_stacker`, or
        its file.
    device, n_threads
        As :class:`~napari_emseg.inference.Predictor`.

    Attributes
    ----------
    info : ModelInfo
        Of all together.
    device : str

    Raises
    ------
    InputError
        If a model is missing, the models predict different things, or the stacker
        was fitted to other models.

    References
    ----------
    Mean: D. Ciresan et al., NIPS 2012. Maximum: T. Zeng, B. Wu, S. Ji,
    Bioinformatics 33, 2017, doi:10.1093/bioinformatics/btx188. Stacking: D. H. Wolpert,
    Neural Networks 5, 1992.

    Examples
    --------
    >>> from napari_emseg.networks import build_network
    >>> networks = [build_network("unet2d", preset="tiny") for _ in range(2)]
    >>> with Ensemble(networks, combine="max", device="cpu") as both:
    ...     both.predict(np.random.default_rng(0).random((2, 40, 50)), tta=False).kind
    'boundary'
    """

    def __init__(
        self,
        models: Sequence[Model | BoundaryPredictor],
        combine: Combine = "mean",
        stacker: Stacker | str | Path | None = None,
        *,
        device: str = "auto",
        n_threads: int | None = None,
    ) -> None:
        check_combination(len(models), combine, has_stacker=stacker is not None)
        members = [_open(model, device, n_threads) for model in models]
        super().__init__(_describe([member.info for member in members]), members)
        self.combine: Combine = combine
        self.models = models_of(members)
        if self.info.target == "affinities" and combine == "learned":
            raise InputError("Affinities are combined by mean or max, not by a learned stacker.")
        self._stacker: Stacker | None = None
        if stacker is not None:
            known = stacker if isinstance(stacker, Stacker) else load_stacker(stacker)
            self._stacker = known.for_models(self.models)
        self._slab = _SLAB_SECTIONS if any(m.info.dimensions == 3 for m in members) else 1

    def predict_section(
        self,
        raw: Any,
        z: int,
        *,
        tta: bool = False,
        resample: Resample = "auto",
        progress: Progress = NO_PROGRESS,
    ) -> FloatArray:
        """Predict one section, as :meth:`napari_emseg.inference.Predictor.predict_section`."""
        n = len(self._members)
        return self._join(
            [
                member.predict_section(
                    raw,
                    z,
                    tta=tta,
                    resample=resample,
                    progress=Share(progress, k / n, 1, 1 / n, _which(k, n)),
                )
                for k, member in enumerate(self._members)
            ]
        )

    def predict(
        self,
        raw: Any,
        *,
        tta: bool = True,
        out: Any = None,
        sections: Iterable[int] | None = None,
        resample: Resample = "auto",
        progress: Progress = NO_PROGRESS,
    ) -> Volume:
        """Predict a stack; the parameters are those of :func:`napari_emseg.inference.predict`.

        Progress counts the sections that all models have done.
        """
        started = time.perf_counter()
        volume = check_raw(raw)
        wanted = check_sections(sections, volume.shape[0])
        channels = (len(self.info.offsets),) if self.info.offsets else ()
        shape = (*channels, *volume.shape)
        out = np.zeros(shape, np.float32) if out is None else check_out(out, shape)
        noticed, done = Noticed(), 0
        while done < len(wanted):
            slab = wanted[done : done + self._slab]
            maps = self._predict_slab(volume, shape, slab, noticed, done, len(wanted),
                                      tta=tta, resample=resample, progress=progress)  # fmt: skip
            for z in slab:
                store(out, z, self._join([of_member[z] for of_member in maps]))
            done += len(slab)
            progress.update(done, len(wanted), f"{done} of {len(wanted)} sections")
        record = describe_prediction(
            self.info,
            tta=tta,
            device=self.device,
            n_sections=len(wanted),
            seconds=time.perf_counter() - started,
            blank=noticed.blank,
        )
        notes = dict.fromkeys([*volume.provenance.get("notes", []), *noticed.notes(self.info)])
        facts: dict[str, Any] = {"predict": {**record, **self._facts()}, "notes": list(notes)}
        if self.info.offsets:
            facts["offsets"] = [list(offset) for offset in self.info.offsets]
        return volume.derive(out, kind=self.info.target, **facts)

    def _predict_slab(
        self,
        volume: Volume,
        shape: tuple[int, ...],
        slab: list[int],
        noticed: Noticed,
        done: int,
        total: int,
        *,
        progress: Progress,
        **options: Any,
    ) -> list[Slab]:
        maps, n = [], len(self._members)
        for k, member in enumerate(self._members):
            target = Slab(shape, slab)
            part = _ALMOST * len(slab) / n  # the slab is done when it is stored
            share = Share(progress, done + k * part, total, part, _which(k, n))
            made = member.predict(volume, out=target, sections=slab, progress=share, **options)
            noticed.add(made, member.info)
            maps.append(target)
        return maps

    def _join(self, maps: Sequence[FloatArray]) -> FloatArray:
        """Combine what the members say of one section."""
        if self._stacker is not None:
            return self._stacker.apply(maps)
        stack: Any = np.stack(maps)
        joined: FloatArray
        if self.combine == "mean":
            # Summed in double precision, so that the order of the models does not matter.
            joined = stack.mean(axis=0, dtype=np.float64).astype(np.float32)
        else:
            # An affinity is 1 inside a neuron: there the surest membrane is the least.
            joined = stack.min(axis=0) if self.info.target == "affinities" else stack.max(axis=0)
        return joined

    def _facts(self) -> dict[str, Any]:
        sums = [sha256 for _, sha256 in self.models]
        facts: dict[str, Any] = {
            "model_sha256": hashlib.sha256("".join(sums).encode()).hexdigest(),
            "combine": self.combine,
            "models": [{"name": name, "sha256": sha256} for name, sha256 in self.models],
        }
        if self._stacker is not None:
            facts["stacker"] = self._stacker.describe()
        return facts


def check_combination(n_models: int, combine: str, *, has_stacker: bool) -> None:
    """Refuse what cannot be combined.

    Raises
    ------
    InputError
        Saying what is missing.
    """
    if combine not in get_args(Combine):
        raise InputError(f"Models are combined by {', '.join(get_args(Combine))}, not '{combine}'.")
    if n_models < 1:
        raise InputError("An ensemble needs at least one model.")
    if combine == "learned" and not has_stacker:
        raise InputError(
            "Combining 'learned' needs the file of a stacker: fit one with 'emseg stack', "
            "or combine by mean."
        )
    if combine != "learned" and has_stacker:
        raise InputError(f"A stacker is for combine = learned only, not for {combine}.")


def models_of(members: Iterable[BoundaryPredictor]) -> tuple[tuple[str, str], ...]:
    """Return name and checksum of the models; "" for a network that is in no file."""
    return tuple((member.info.name, checksum_of(member) or "") for member in members)


def _open(
    model: Model | BoundaryPredictor, device: str, n_threads: int | None
) -> BoundaryPredictor:
    if isinstance(model, Network):
        return Predictor(model, device=device, n_threads=n_threads)
    if isinstance(model, str | Path | ModelInfo):
        return open_model(model, device=device, n_threads=n_threads)
    return model


def _describe(infos: Sequence[ModelInfo]) -> ModelInfo:
    first = infos[0]
    for info in infos[1:]:
        if (info.target, info.offsets) != (first.target, first.offsets):
            raise InputError(
                f"Models of one ensemble must predict the same, but '{first.name}' gives "
                f"{_output(first)} and '{info.name}' {_output(info)}: leave one out."
            )
    licences = dict.fromkeys(info.licence for info in infos if info.licence)
    return first.model_copy(
        update={
            "name": " + ".join(info.name for info in infos),
            "title": " + ".join(info.title or info.name for info in infos),
            "path": None,
            "in_sections": max(info.in_sections for info in infos),
            "dimensions": max(info.dimensions for info in infos),
            "licence": "; ".join(licences),
        }
    )


def _output(info: ModelInfo) -> str:
    return f"{len(info.offsets)} affinities" if info.offsets else "a boundary map"


def _which(k: int, n: int) -> str:
    return f"model {k + 1} of {n}" if n > 1 else ""
