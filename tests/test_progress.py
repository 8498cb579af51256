from __future__ import annotations

import pytest

from napari_emseg.progress import NO_PROGRESS, Cancelled, Progress


def _work(progress: Progress) -> int:
    for done in range(5):
        progress.update(done, 5)
    return 5


class _StopAtTwo:
    def update(self, done: int, total: int, message: str = "") -> None:
        if done == 2:
            raise Cancelled


def test_nobody_listening_never_stops_the_work() -> None:
    assert _work(NO_PROGRESS) == 5


def test_a_stop_leaves_the_work_at_its_next_report() -> None:
    with pytest.raises(Cancelled):
        _work(_StopAtTwo())


def test_a_stop_is_no_error_that_a_handler_of_runtime_errors_swallows() -> None:
    assert not issubclass(Cancelled, RuntimeError | OSError | ValueError)
