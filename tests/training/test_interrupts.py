from __future__ import annotations

import os
import signal
import threading

import pytest

from napari_emseg.progress import NO_PROGRESS
from napari_emseg.training.interrupts import HeldInterrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_raised_at_the_next_report(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with HeldInterrupts(NO_PROGRESS) as progress:
        progress.update(0, 2)
        os.kill(os.getpid(), number)
        finished = "what was being done"
        with pytest.raises(KeyboardInterrupt):
            progress.update(1, 2)
    assert finished
    assert signal.getsignal(number) is before


def test_a_second_interrupt_is_not_held_back() -> None:
    with HeldInterrupts(NO_PROGRESS):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_other_threads_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    found = []

    def work() -> None:
        with HeldInterrupts(NO_PROGRESS) as progress:
            progress.update(1, 1)
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]


def test_what_the_program_was_started_to_ignore_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with HeldInterrupts(NO_PROGRESS) as progress:
            signal.raise_signal(signal.SIGINT)
            progress.update(1, 1)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
