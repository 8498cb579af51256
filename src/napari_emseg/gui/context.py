"""What the docks of one viewer share: the session, the chosen layers, the jobs."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QMainWindow, QWidget

from napari_emseg.errors import InputError
from napari_emseg.gui.jobs import Jobs, report_error
from napari_emseg.gui.layers import volume_of
from napari_emseg.gui.maps import Maps
from napari_emseg.gui.preview_labels import is_preview
from napari_emseg.gui.roles import NOUNS, ROLES, looks_like
from napari_emseg.progress import Progress
from napari_emseg.session import Facts, Plan, Reference, Session, StepState, plan
from napari_emseg.steps.fingerprint import (
    GLANCE_BYTES,
    fingerprint,
    has_changed,
    takes_longer,
)
from napari_emseg.volume import Kind, Volume

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_emseg.segmentation import Cuttable

_STEP_OF_JOB = {"predict": "boundaries", "hierarchy": "segment", "write": "segment"}


class Context(QObject):
    """State of one viewer that several docks look at.

    Signals: `layer_changed` with a role; `geometry_changed` when the voxel size
    of layers was set; `plan_changed` when a step's state may differ;
    `boundary_grew` with the sections that have just been predicted; `closed` when
    the window goes away.
    """

    layer_changed = Signal(str)
    geometry_changed = Signal()
    plan_changed = Signal()
    boundary_started = Signal()
    boundary_grew = Signal(object)
    hierarchy_changed = Signal()
    closed = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.session = Session()
        self.jobs = Jobs()
        self.hierarchy: Cuttable | None = None
        self.maps = Maps()
        self._layers: dict[str, weakref.ref[Layer]] = {}
        self._docks: weakref.WeakSet[QWidget] = weakref.WeakSet()
        self._is_following = False
        self._takes_obvious = True
        self._planned = QTimer(self)
        self._planned.setSingleShot(True)
        self._planned.setInterval(0)
        self._planned.timeout.connect(self.plan_changed)
        viewer.layers.events.inserted.connect(self._on_layer_inserted)
        viewer.layers.events.removed.connect(self._on_layers_removed)
        self.session.events.connect(self._on_session_changed)
        self.jobs.changed.connect(self._planned.start)
        self._take_obvious(ROLES, reversed(viewer.layers))

    def attach(self, dock: QWidget) -> None:
        """Remember a dock."""
        self._docks.add(dock)

    def follow(self, window: QWidget | None) -> None:
        """Stop all jobs when this window goes away."""
        if isinstance(window, QMainWindow) and not self._is_following:
            self._is_following = True
            window.destroyed.connect(self.close)

    @property
    def docks(self) -> list[QWidget]:
        """The docks that are open: a dock closed by hand loses its parent."""
        return [dock for dock in self._docks if dock.parentWidget() is not None]

    def layer(self, role: str) -> Layer | None:
        """Return the layer chosen for a role, or None."""
        reference = self._layers.get(role)
        return reference() if reference is not None else None

    def set_layer(self, role: str, layer: Layer | None) -> None:
        """Choose the layer of a role; a layer that does not suit is refused in words.

        An unfinished boundary map counts as one only when its sections are done.
        """
        if layer is self.layer(role):
            return
        lacks_sections = role == "boundary" and not self.maps.is_complete(layer)
        try:
            reference = None if layer is None or lacks_sections else self._refer(role, layer)
        except InputError as error:
            report_error(error, "Choosing a layer")
            self.layer_changed.emit(role)  # so that the combo goes back
            return
        self.jobs.stop(_look(role))
        if layer is None:
            self._layers.pop(role, None)
        else:
            self._layers[role] = weakref.ref(layer)
        if role == "boundary":
            self.set_hierarchy(None)
        setattr(self.session, role, reference)
        if layer is not None and reference is not None:
            self._look_closely(role, layer)
        self.layer_changed.emit(role)

    @property
    def done_sections(self) -> npt.NDArray[np.bool_] | None:
        """Which sections of the boundary map are predicted; None for a map that came whole."""
        return self.maps.done(self.layer("boundary"))

    @contextmanager
    def choosing(self) -> Iterator[None]:
        """Take no layer for anything by itself meanwhile: the caller says what is what."""
        self._takes_obvious = False
        try:
            yield
        finally:
            self._takes_obvious = True

    def refresh_reference(self, role: str) -> None:
        """Look at the role's layer again: its voxels or its voxel size changed.

        Whether large volumes changed is known a moment later.
        """
        layer, before = self.layer(role), getattr(self.session, role)
        if layer is None or (role == "boundary" and not self.is_boundary_complete):
            return
        now, is_large = self._refer(role, layer), takes_longer(self.volume(role))
        if is_large and before and not has_changed(before.fingerprint, now.fingerprint):
            now = now.model_copy(update={"fingerprint": before.fingerprint})
        setattr(self.session, role, now)
        self._look_closely(role, layer)

    def volume(self, role: str) -> Volume:
        """Read the role's layer.

        Raises
        ------
        InputError
            If none is chosen or it does not suit.
        """
        layer = self.layer(role)
        if layer is None:
            raise InputError(f"There is no {NOUNS[role]} yet: choose or make one first.")
        return volume_of(layer, self._kind(role, layer))

    def set_hierarchy(self, hierarchy: Cuttable | None) -> None:
        """Keep (or forget) the hierarchy of the boundary map."""
        if hierarchy is not self.hierarchy:
            self.hierarchy = hierarchy
            self.hierarchy_changed.emit()

    def show_result(self, shown: Layer) -> None:
        """Show one of the layers made here and hide the others, which would lie over it."""
        for layer in self.viewer.layers:
            known = layer.metadata.get("emseg", {})
            is_ours = any(key in known for key in ("steps", "unfinished"))
            if (is_ours or is_preview(layer)) and layer is not shown:
                layer.visible = False
        shown.visible = True

    @property
    def section(self) -> int:
        """The visible section of the working stack."""
        layer = self.layer("boundary") or self.layer("raw") or self.layer("segmentation")
        if layer is None or layer.ndim != 3:
            return 0
        position = layer.world_to_data(self.viewer.dims.point[-3:])[0]
        return int(np.clip(round(float(position)), 0, layer.data.shape[0] - 1))

    @property
    def is_boundary_complete(self) -> bool:
        """Whether every section of the boundary layer is predicted (or was opened)."""
        return self.maps.is_complete(self.layer("boundary"))

    def plan(self) -> Plan:
        """Where each step stands now."""
        running = {step for job, step in _STEP_OF_JOB.items() if self.jobs.is_busy(job)}
        running |= {"evaluate"} if self.jobs.is_busy("evaluate") else set()
        made = plan(self.session, Facts(running=frozenset(running)))
        done = self.done_sections
        if done is not None and not done.all() and "boundaries" not in running:
            text = f"{int(done.sum())} of {done.size} sections done: Predict all goes on"
            made = Plan(**{**vars(made), "boundaries": StepState("ready", text)})
        return made

    def refuse(self, error: InputError) -> None:
        """Tell the user why something was not done."""
        report_error(error, "")

    def close(self) -> None:
        """Stop all jobs; nothing of this viewer is touched afterwards."""
        self._planned.stop()
        self.closed.emit()
        self.jobs.close()
        _contexts.pop(self.viewer, None)

    def _kind(self, role: str, layer: Layer) -> Kind:
        if role == "ground_truth":
            return "labels" if type(layer).__name__ == "Labels" else "raw"
        kinds: dict[str, Kind] = {"raw": "raw", "boundary": "boundary", "segmentation": "labels"}
        return kinds[role]

    def _refer(self, role: str, layer: Layer) -> Reference:
        volume = volume_of(layer, self._kind(role, layer))
        known_by = fingerprint(volume, limit_bytes=GLANCE_BYTES)
        return Reference.of(volume, name=layer.name, known_by=known_by)

    def _look_closely(self, role: str, layer: Layer) -> None:
        """Read all voxels of a large volume in the background, to know it by them."""
        volume = volume_of(layer, self._kind(role, layer))
        if takes_longer(volume):
            self.jobs.start(
                partial(_fingerprint, volume),
                title="Looking for changes",
                key=_look(role),
                lane="look",
                on_result=partial(self._on_looked_at, role, layer),
            )

    def _on_looked_at(self, role: str, layer: Layer, known_by: str) -> None:
        reference = getattr(self.session, role)
        if self.layer(role) is layer and reference is not None:
            setattr(self.session, role, reference.model_copy(update={"fingerprint": known_by}))

    def _on_layer_inserted(self, event: Any) -> None:
        self._take_obvious(ROLES, [event.value])

    def _on_layers_removed(self, event: Any) -> None:
        for role in ROLES:
            if self.layer(role) is event.value:
                if role == "boundary":
                    self.jobs.stop("predict")
                    self.jobs.stop("hierarchy")
                self.set_layer(role, None)
                self._take_obvious((role,), reversed(self.viewer.layers))

    def _take_obvious(self, roles: Iterable[str], layers: Iterable[Layer]) -> None:
        """Fill the roles that are free with the first layer that looks like it."""
        candidates = list(layers) if self._takes_obvious else []
        for role in roles:
            if self.layer(role) is None:
                obvious = next((la for la in candidates if looks_like(role, la)), None)
                if obvious is not None:
                    self.set_layer(role, obvious)

    def _on_session_changed(self, *_: Any) -> None:
        self._planned.start()


def _look(role: str) -> str:
    return f"look at {role}"


def _fingerprint(volume: Volume, progress: Progress) -> str:
    return fingerprint(volume, progress=progress)


_contexts: weakref.WeakKeyDictionary[Any, Context] = weakref.WeakKeyDictionary()


def context_of(viewer: Viewer) -> Context:
    """Return the context of `viewer`, made when first asked for."""
    # napari hands plugins a proxy whose layers are proxies too, never identical to themselves
    viewer = getattr(viewer, "__wrapped__", viewer)
    if viewer not in _contexts:
        _contexts[viewer] = Context(viewer)
    return _contexts[viewer]
