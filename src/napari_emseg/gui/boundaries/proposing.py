"""The model and the axes that suit the stack, as long as the user has chosen none himself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from qtpy.QtCore import QObject

from napari_emseg.errors import InputError
from napari_emseg.gui.context import Context
from napari_emseg.gui.models.known import known_models_of
from napari_emseg.inference.choice import Recommendation, axes_for, recommended
from napari_emseg.session import Reference
from napari_emseg.steps.fingerprint import has_changed
from napari_emseg.steps.predict_params import PredictParams


class Proposing(QObject):
    """Puts what suits the voxels into the session of one viewer, when a stack is opened.

    A map from a file brings the settings it was predicted with, so that it counts as up to
    date. A model, axes, or other settings that somebody has chosen are never replaced.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._context = context
        self._known = known_models_of(context)
        self._reason = ""
        self._is_proposing = False
        self._chosen: set[str] = set()
        self._is_touched = False
        context.session.events.predict.connect(self._on_predict_changed)
        context.layer_changed.connect(self._on_layer_changed)
        context.geometry_changed.connect(self._propose)
        self._known.changed.connect(self._propose)
        self._propose()

    @property
    def reason(self) -> str:
        """Why this model is proposed, in one sentence; blank for the usual one."""
        return self._reason

    def keep(self) -> None:
        """Take what the session says now for chosen."""
        self._chosen, self._reason, self._is_touched = {"model", "axes"}, "", True

    def _on_layer_changed(self, role: str) -> None:
        if role == "raw":
            self._propose()
        elif role == "boundary":
            self._follow_map()

    def _on_predict_changed(self, now: PredictParams, before: PredictParams) -> None:
        if self._is_proposing:
            return
        self._is_touched = True
        changed = {n for n in ("model", "axes") if getattr(now, n) != getattr(before, n)}
        self._chosen |= changed
        if changed or now.others != before.others:
            self._propose()

    def _propose(self) -> None:
        session, models = self._context.session, self._known.all
        raw, params = session.raw, session.predict
        found = Recommendation(params.model, "z", "")
        if "model" not in self._chosen:
            found = recommended(raw or Reference(), models)
        axes = params.axes
        if "axes" not in self._chosen:
            used = [info for info in models if info.name in (found.model, *params.others)]
            axes = axes_for(raw.voxel_size_nm if raw is not None else None, used)
        self._reason = found.reason if axes == found.axes else ""
        if (found.model, axes) != (params.model, params.axes):
            with self._proposing():
                self._context.session.change("predict", model=found.model, axes=axes)
        self._follow_map()

    def _follow_map(self) -> None:
        """Take over how a map of this stack was predicted, as long as nobody has set anything."""
        session = self._context.session
        record = session.boundary.made_by if session.boundary is not None else None
        if self._is_touched or record is None or record.step != "predict":
            return
        used = record.inputs.get("raw")
        if session.raw is not None and used and has_changed(used, session.raw.fingerprint):
            return
        known = {info.name for info in self._known.all}
        before, made_with = session.predict, dict(record.params)
        fields = PredictParams.model_fields.keys() - {"device"}
        changes = {name: made_with[name] for name in fields & made_with.keys()}
        if not {changes.get("model"), *changes.get("others", ())} <= known:
            return
        with self._proposing(), suppress(InputError):  # of another version
            session.change("predict", **changes)
        if session.predict != before:
            self._reason = ""

    @contextmanager
    def _proposing(self) -> Iterator[None]:
        self._is_proposing = True
        try:
            yield
        finally:
            self._is_proposing = False


def proposing_of(context: Context) -> Proposing:
    """Return the one of a context, made when first asked for."""
    found = context.findChild(Proposing)
    return found if found is not None else Proposing(context)
