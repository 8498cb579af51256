"""Every verb of the workspace as a command, for the palette and for menus."""

from __future__ import annotations

from napari.viewer import Viewer

from napari_emseg.gui.boundaries.step import BoundariesStep
from napari_emseg.gui.data_step import DataStep
from napari_emseg.gui.evaluate.step import EvaluateStep
from napari_emseg.gui.proofread.step import ProofreadStep
from napari_emseg.gui.segment_step import SegmentStep
from napari_emseg.gui.train.step import TrainStep
from napari_emseg.gui.workspace import open_workspace


def open_file(viewer: Viewer) -> None:
    """Ask for EM stacks and open them."""
    _data(viewer).open_file()


def open_folder(viewer: Viewer) -> None:
    """Ask for a folder of sections or a Zarr and open it."""
    _data(viewer).open_folder()


def flip_map(viewer: Viewer) -> None:
    """Exchange dark and bright in the boundary map."""
    _data(viewer).flip_boundary()


def preview_section(viewer: Viewer) -> None:
    """Predict the boundaries of the visible section."""
    _boundaries(viewer).preview_section()


def predict_all(viewer: Viewer) -> None:
    """Predict the boundaries of all sections."""
    _boundaries(viewer).predict_all()


def stop_predicting(viewer: Viewer) -> None:
    """Stop the running prediction; finished sections stay."""
    _boundaries(viewer).stop()


def new_painting(viewer: Viewer) -> None:
    """Add a layer to paint examples in, and take up the brush."""
    _train(viewer).new_painting()


def train_model(viewer: Viewer) -> None:
    """Train a model on what is labelled, or go on where it was paused."""
    _train(viewer).train()


def pause_training(viewer: Viewer) -> None:
    """Pause the training."""
    _train(viewer).pause()


def finish_training(viewer: Viewer) -> None:
    """Stop the training and keep the best model so far."""
    _train(viewer).finish()


def toggle_outlines(viewer: Viewer) -> None:
    """Show segments as outlines, or filled."""
    _segment(viewer).outlines.toggle()


def write_labels(viewer: Viewer) -> None:
    """Write the live segmentation into a labels layer."""
    _segment(viewer).write_labels()


def evaluate_labels(viewer: Viewer) -> None:
    """Score the labels against the ground truth."""
    _evaluate(viewer).evaluate()


def use_best_h(viewer: Viewer) -> None:
    """Set the H-minima slider to the best h."""
    _evaluate(viewer).use_best()


def export_scores(viewer: Viewer) -> None:
    """Ask for a file and write the scores."""
    _evaluate(viewer).export()


def start_proofreading(viewer: Viewer) -> None:
    """Correct the labels by clicks."""
    _proofread(viewer).start()


def resume_proofreading(viewer: Viewer) -> None:
    """Go on with the newest proofreading on disk."""
    _proofread(viewer).resume()


def finish_proofreading(viewer: Viewer) -> None:
    """End proofreading; the corrected labels become a layer."""
    _proofread(viewer).finish()


def undo_edit(viewer: Viewer) -> None:
    """Take the last edit of the labels back."""
    _proofread(viewer).proofreading.undo()


def redo_edit(viewer: Viewer) -> None:
    """Make the edit that was undone last again."""
    _proofread(viewer).proofreading.redo()


def accept_edit(viewer: Viewer) -> None:
    """Make the edit that is previewed."""
    _proofread(viewer).proofreading.accept()


def drop_edit(viewer: Viewer) -> None:
    """Forget the edit that is previewed."""
    _proofread(viewer).proofreading.drop()


def merge_segments(viewer: Viewer) -> None:
    """Let clicks merge segments."""
    _proofread(viewer).proofreading.set_mode("merge")


def split_segment(viewer: Viewer) -> None:
    """Let clicks on both sides split a segment."""
    _proofread(viewer).proofreading.set_mode("split")


def cut_segment(viewer: Viewer) -> None:
    """Let a line across a segment split it."""
    _proofread(viewer).proofreading.set_mode("line")


def next_site(viewer: Viewer) -> None:
    """Go to the next suspicious place."""
    _run_proofread_action(viewer, "next_site")


def previous_site(viewer: Viewer) -> None:
    """Go to the suspicious place before."""
    _run_proofread_action(viewer, "previous_site")


def lock_segment(viewer: Viewer) -> None:
    """Lock the selected segment as done, or unlock it."""
    _run_proofread_action(viewer, "done")


def show_keys(viewer: Viewer) -> None:
    """Show all keys of proofreading."""
    _run_proofread_action(viewer, "cheat_sheet")


def export_corrected(viewer: Viewer) -> None:
    """Ask for a file and write the corrected labels."""
    _proofread(viewer).export()


def save_session(viewer: Viewer) -> None:
    """Ask for a file and save the session."""
    open_workspace(viewer).session_bar.save()


def restore_session(viewer: Viewer) -> None:
    """Ask for a file and restore the session."""
    open_workspace(viewer).session_bar.restore()


def export_recipe(viewer: Viewer) -> None:
    """Ask for a file and write the recipe."""
    open_workspace(viewer).session_bar.export_recipe()


def _data(viewer: Viewer) -> DataStep:
    step = open_workspace(viewer).step("data")
    assert isinstance(step, DataStep)
    return step


def _boundaries(viewer: Viewer) -> BoundariesStep:
    step = open_workspace(viewer).step("boundaries")
    assert isinstance(step, BoundariesStep)
    return step


def _train(viewer: Viewer) -> TrainStep:
    workspace = open_workspace(viewer)
    workspace.frames["train"].set_open(True)
    step = workspace.step("train")
    assert isinstance(step, TrainStep)
    return step


def _segment(viewer: Viewer) -> SegmentStep:
    step = open_workspace(viewer).step("segment")
    assert isinstance(step, SegmentStep)
    return step


def _evaluate(viewer: Viewer) -> EvaluateStep:
    step = open_workspace(viewer).step("evaluate")
    assert isinstance(step, EvaluateStep)
    return step


def _proofread(viewer: Viewer) -> ProofreadStep:
    workspace = open_workspace(viewer)
    workspace.frames["proofread"].set_open(True)
    step = workspace.step("proofread")
    assert isinstance(step, ProofreadStep)
    return step


def _run_proofread_action(viewer: Viewer, action: str) -> None:
    from napari_emseg.gui.proofread.keys import keys_of

    keys_of(_proofread(viewer).proofreading).run(action)
