"""Choosing where to compute."""

from __future__ import annotations

import pytest
import torch

from napari_emseg.errors import InputError
from napari_emseg.inference import choose_device
from napari_emseg.inference.device import is_out_of_memory, limit_threads, threads_for


def test_auto_is_a_device_that_works() -> None:
    assert torch.zeros(1, device=choose_device("auto")).sum() == 0


@pytest.mark.parametrize("device", ["gpu", "cuda:x", ""])
def test_unknown_devices_are_refused(device: str) -> None:
    with pytest.raises(InputError, match="choose auto, cpu, cuda or mps"):
        choose_device(device)


def test_a_missing_card_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="choose auto or cpu"):
        choose_device("cuda")


def test_a_card_that_is_seen_but_does_not_work_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no kernel image is available for execution on the device")

    monkeypatch.setattr(torch, "ones", fail)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == "cpu"


def test_the_number_of_threads_is_put_back() -> None:
    before = torch.get_num_threads()
    with limit_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("platform", "cores", "expected"),
    [("linux", 4, 4), ("linux", 1, 1), ("darwin", 4, 3), ("win32", 2, 1), ("win32", 1, 1)],
)
def test_a_core_is_left_free_where_threads_cannot_stand_back(
    platform: str, cores: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    assert threads_for() == cores
    assert threads_for(background=True) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("shapes differ"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected
