from __future__ import annotations

import math
import subprocess
import sys

import pytest

from napari_emseg.errors import InputError
from napari_emseg.io import READERS, WRITERS
from napari_emseg.registry import resolve


def test_an_entry_is_imported_when_asked_for() -> None:
    assert resolve({"pi": "math:pi", "bad": "no_such_module:x"}, "pi", "constant") == math.pi


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="no network named 'unet9'; choose one of: n4, unet2d"):
        resolve({"unet2d": "math:pi", "n4": "math:pi"}, "unet9", "network")


@pytest.mark.parametrize("registry", [READERS, WRITERS], ids=["readers", "writers"])
def test_every_format_can_be_imported(registry: dict[str, str]) -> None:
    for suffix in registry:
        assert suffix == suffix.lower()
        assert callable(resolve(registry, suffix, "format"))


def test_whatever_we_write_we_read() -> None:
    assert set(WRITERS) <= set(READERS)


def test_listing_the_formats_imports_no_file_library() -> None:
    code = (
        "import sys, napari_emseg.io as io; io.READERS; "
        "print({'h5py', 'zarr', 'tifffile', 'PIL', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
