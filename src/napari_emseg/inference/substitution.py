"""Maps of stacks with bad sections: what stands in for what such sections spoil."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_emseg.errors import InputError
from napari_emseg.inference.checks import check_out, check_sections
from napari_emseg.inference.protocol import BoundaryPredictor, Resample
from napari_emseg.inference.record import Noticed
from napari_emseg.inference.sections import FloatArray, check_raw
from napari_emseg.inference.wrapping import Share, Slab, Wrapping, checksum_of, store
from napari_emseg.postprocessing.section_table import LOST, BadSection, format_entries
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.sectionwise import SectionwiseArray
from napari_emseg.volume import Volume


class SubstitutingPredictor(Wrapping):
    """Predicts as another predictor does, but for bad sections and what they spoil.

    - No other section sees a bad one: a network with several sections in is shown
      the middle one in its place.
    - A bad section that shows something is predicted on its own; if it is misaligned, it
      becomes the maximum of that and of the map of `substitute`, trained on single
      sections and widened membranes, which overlap where thin ones of displaced
      sections miss each other.
    - A blank section becomes the maximum of the nearest sound ones above and below.

    Measured by ``benchmarks/bad_sections.py``: FIB-25, every eighth of 50 sections
    displaced by 5, 10, 20 px, a network with 3 sections in, 3D V_rand as it is / with
    this 0.836 / 0.841, 0.816 / 0.829, 0.772 / 0.798. Taking a sound section for
    displaced costs: 0.891 / 0.855. ISBI 2012, one section displaced by 20 and 30 px,
    DeepEM3D with 3 sections in, V_rand of the two sections beside it 0.988 / 0.991 and
    0.982 / 0.991.

    Parameters
    ----------
    predictor : BoundaryPredictor
        Of boundary maps; closed with this one.
    bad : sequence of BadSection
        Those with ``use``.
    substitute : BoundaryPredictor, optional
        Closed with this one.

    Raises
    ------
    InputError
        If either gives affinities.

    References
    ----------
    "Local boundary substitution": T. Zeng, B. Wu, S. Ji, Bioinformatics 33, 2017,
    section 4.2, doi:10.1093/bioinformatics/btx188. There, one network of
    single sections with thin boundaries and one of five sections with thick ones are
    joined by the maximum; here, the network at hand, shown the section alone, and
    `substitute`. That, and hiding bad sections from their neighbours, is ours.

    Examples
    --------
    >>> from napari_emseg.inference import Predictor
    >>> from napari_emseg.networks import build_network
    >>> raw = np.random.default_rng(0).random((4, 20, 24))
    >>> one = Predictor(build_network("unet2d", preset="tiny", in_sections=3))
    >>> with SubstitutingPredictor(one, [BadSection(2, "misaligned")]) as predictor:
    ...     predictor.predict(raw, tta=False).provenance["predict"]["substituted"]
    ['2:misaligned']
    """

    def __init__(
        self,
        predictor: BoundaryPredictor,
        bad: Sequence[BadSection],
        substitute: BoundaryPredictor | None = None,
    ) -> None:
        both = [predictor, *([] if substitute is None else [substitute])]
        for one in both:
            if one.info.target != "boundary":
                raise InputError(
                    f"Sections are substituted in boundary maps, but model '{one.info.name}' gives "
                    "affinities: choose another one, or untick the bad sections."
                )
        super().__init__(predictor.info, both)
        self._bad = {one.z: one for one in bad if one.use}
        self._substitute = substitute

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
        volume = check_raw(raw)
        self._check(volume)
        (z,) = check_sections([z], volume.shape[0])
        options: dict[str, Any] = {"tta": tta, "resample": resample, "progress": progress}
        if z in self._bad:
            return self._mend(volume, z, **options)
        return self._members[0].predict_section(self._hide(volume), z, **options)

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

        Sections are finished in the order wanted.
        """
        started = time.perf_counter()
        volume = check_raw(raw)
        self._check(volume)
        wanted = check_sections(sections, volume.shape[0])
        out = np.zeros(volume.shape, np.float32) if out is None else check_out(out, volume.shape)
        options: dict[str, Any] = {"tta": tta, "resample": resample}
        hidden, done = self._hide(volume), 0
        noticed = Noticed()
        for is_bad, run in groupby(wanted, self._bad.__contains__):
            zs = list(run)
            if is_bad:
                for z in zs:
                    share = Share(progress, done, len(wanted), 1, f"substituting section {z}")
                    store(out, z, self._mend(volume, z, progress=share, **options))
                    done += 1
            else:
                share = Share(progress, done, len(wanted), len(zs))
                made = self._members[0].predict(
                    hidden, out=out, sections=zs, progress=share, **options
                )
                noticed.add(made, self.info)
                done += len(zs)
            progress.update(done, len(wanted), f"{done} of {len(wanted)} sections")
        nothing = Slab(volume.shape, [])
        made = self._members[0].predict(hidden, out=nothing, sections=[], **options)
        noticed.add(made, self.info)
        seconds = round(time.perf_counter() - started, 3)
        record = {**made.provenance["predict"], "sections": len(wanted), "seconds": seconds}
        record["blank_sections"] = sorted(noticed.blank)
        record["substituted"] = list(format_entries(self._bad[z] for z in sorted(self._bad)))
        if self._substitute is not None:
            name, sha256 = self._substitute.info.name, checksum_of(self._substitute)
            record["substitute"] = {"name": name, "sha256": sha256}
        facts = {**made.provenance, "predict": record, "notes": noticed.notes(self.info)}
        return volume.derive(out, kind="boundary", **facts)

    def _check(self, volume: Volume) -> None:
        if beyond := [z for z in sorted(self._bad) if z >= volume.shape[0]]:
            raise InputError(
                f"The table names section {beyond[0]} as bad, but the stack has sections 0 to "
                f"{volume.shape[0] - 1}: is it the table of another stack?"
            )
        if len(self._bad) >= volume.shape[0]:
            raise InputError("All sections are in the table of bad ones; leave some out.")

    def _hide(self, volume: Volume) -> Volume:
        return volume.derive(_Hidden(volume, self._bad), kind="raw")

    def _mend(self, volume: Volume, z: int, *, progress: Progress, **options: Any) -> FloatArray:
        """Return what stands in for a bad section."""
        if self._bad[z].fault in LOST:
            near = [self._nearest(volume, z, step) for step in (-1, 1)]
            members = [(self._members[0], self._hide(volume), k) for k in near if k is not None]
        else:
            alone = volume.derive(volume.read(slice(z, z + 1)), kind="raw")
            joining = self._members if self._bad[z].fault == "misaligned" else self._members[:1]
            members = [(one, alone, 0) for one in joining]
        n = len(members)
        maps = [
            one.predict_section(seen, k, progress=Share(progress, at / n, 1, 1 / n), **options)
            for at, (one, seen, k) in enumerate(members)
        ]
        surest: FloatArray = np.max(maps, axis=0)
        return surest

    def _nearest(self, volume: Volume, z: int, step: int) -> int | None:
        """Return the next sound section, above or below."""
        while 0 <= (z := z + step) < volume.shape[0]:
            if z not in self._bad:
                return z
        return None


class _Hidden(SectionwiseArray):
    """A stack whose bad sections are blank: a predictor takes the middle one for a blank one."""

    def __init__(self, volume: Volume, bad: Iterable[int]) -> None:
        super().__init__(volume.shape, volume.dtype)
        self._volume, self._bad = volume, frozenset(bad)

    def section(self, z: int) -> npt.NDArray[Any]:
        if z in self._bad:
            return np.zeros(self.shape[1:], self.dtype)
        return self._volume.read(z)
