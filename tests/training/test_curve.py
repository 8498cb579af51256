from __future__ import annotations

from pathlib import Path

import pytest

from napari_emseg.errors import InputError
from napari_emseg.training.curve import append_line, read_curve, truncate_curve


def test_what_was_written_is_read_but_for_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "m.curve.jsonl"
    append_line(path, {"step": 50, "loss": 0.5})
    append_line(path, {"step": 100, "loss": None, "scores": {}})
    with path.open("a") as file:
        file.write('{"step": 150, "lo')
    assert [record["step"] for record in read_curve(path)] == [50, 100]


def test_losses_are_kept_up_to_the_state_and_scores_up_to_its_validation(tmp_path: Path) -> None:
    path = tmp_path / "m.curve.jsonl"
    for step in (50, 100, 150):
        append_line(path, {"step": step, "loss": 1.0})
    append_line(path, {"step": 100, "scores": {"a": {"v_rand": 0.5}}})
    append_line(path, {"step": 150, "scores": {"a": {"v_rand": 0.6}}})
    truncate_curve(path, step=150, validated_step=100)
    left = [(record["step"], "scores" in record) for record in read_curve(path)]
    assert left == [(50, False), (100, False), (150, False), (100, True)]


def test_a_curve_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.curve.jsonl"
    append_line(path, {"step": 50, "loss": 1.0})
    before = path.read_bytes()

    def fail(self: Path, text: str, **options: object) -> None:
        self.write_bytes(b"{")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(InputError, match="Cannot write"):
        truncate_curve(path, step=100, validated_step=100)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_curve_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "folder").touch()
    with pytest.raises(InputError, match="can be resumed"):
        append_line(tmp_path / "folder" / "m.curve.jsonl", {"step": 1})
