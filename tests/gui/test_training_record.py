"""A training that was stopped is found again; names are free; nothing is overwritten."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from napari_emseg.errors import InputError
from napari_emseg.gui.train.record import (
    TrainingRecord,
    file_name,
    find_unfinished,
    forget,
    free_title,
    place_for,
    record_path,
)
from napari_emseg.steps.train import TrainChoice


def leave_unfinished(folder: Path, name: str, *, age: int = 0, pid: int | None = None) -> Path:
    record = TrainingRecord.here(title=name, choice=TrainChoice(minutes=2), data=("cortex",))
    if pid is not None:
        record = record.model_copy(update={"pid": pid})
    model = folder / f"{name}.safetensors"
    record.write(model)
    state = model.with_suffix(".training")
    state.write_bytes(b"x")
    os.utime(state, (1_700_000_000 - age, 1_700_000_000 - age))
    return model


def test_the_training_stopped_last_is_found(tmp_path: Path) -> None:
    assert find_unfinished(tmp_path / "none") is None
    leave_unfinished(tmp_path, "old", age=100)
    model = leave_unfinished(tmp_path, "new.er", age=1)
    (tmp_path / "broken.training.json").write_text("[" * 100_000)
    (tmp_path / "broken.training").touch()
    found = find_unfinished(tmp_path)
    assert found is not None
    assert (found[0], found[1].title, found[1].choice.minutes) == (model, "new.er", 2)


def test_a_training_without_a_state_cannot_be_gone_on_with(tmp_path: Path) -> None:
    model = leave_unfinished(tmp_path, "a")
    model.with_suffix(".training").unlink()
    assert find_unfinished(tmp_path) is None


def test_a_training_of_another_program_that_lives_is_left_alone(tmp_path: Path) -> None:
    import psutil

    model = leave_unfinished(tmp_path, "a")
    other = psutil.Process(os.getppid())
    record = TrainingRecord(
        title="a", choice=TrainChoice(), pid=other.pid, started=other.create_time()
    )
    record.write(model)
    assert record.runs_elsewhere
    assert find_unfinished(tmp_path) is None
    record.model_copy(update={"started": 1.0}).write(model)  # the number was given again
    assert find_unfinished(tmp_path) is not None


def test_what_is_only_needed_to_go_on_is_removed(tmp_path: Path) -> None:
    model = leave_unfinished(tmp_path, "a")
    model.write_bytes(b"weights")
    model.with_suffix(".curve.jsonl").write_text("{}")
    forget(model)
    assert list(tmp_path.iterdir()) == [model]
    forget(model)


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.safetensors").touch()
    for title in ("mine", " mine ", "Bundled", "bundled"):
        with pytest.raises(InputError, match="already: type another name"):
            place_for(title, tmp_path, ["Bundled"])
    with pytest.raises(InputError, match="needs a name"):
        place_for("  ", tmp_path, [])
    assert place_for("ours/2", tmp_path / "new", []) == tmp_path / "new" / "ours_2.safetensors"
    assert (tmp_path / "new").is_dir()


@pytest.mark.skipif(sys.platform == "win32", reason="a file is no folder elsewhere")
def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made"):
        place_for("mine", tmp_path / "file" / "models", [])


def test_names_that_are_proposed_are_free() -> None:
    assert free_title("cortex", []) == "cortex"
    assert free_title("cortex", ["Cortex"]) == "cortex 2"
    assert free_title("cortex 2", ["cortex", "cortex_2", "cortex_3"]) == "cortex 4"
    assert file_name("Zürich: 4 nm") == "Zürich_4_nm"


def test_the_record_lies_beside_the_model() -> None:
    assert record_path(Path("a/b.c.safetensors")) == Path("a/b.c.training.json")
