"""The cover of a package: small whatever it was, and none where it is no picture."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from PIL import Image

from napari_emseg.errors import InputError
from napari_emseg.networks.cover import read_cover


def image(size: tuple[int, int], kind: str) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, (200, 10, 10)).save(out, kind)
    return out.getvalue()


def write(path: Path, covers: str, **files: bytes) -> Path:
    with ZipFile(path, "w") as package:
        package.writestr("rdf.yaml", f"type: model\ncovers: {covers}\n")
        for name, content in files.items():
            package.writestr(name.replace("_", "."), content)
    return path


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("covers", ["[./a.img]", "[{source: a.img}]", "[gone.png, 3, a.img]"])
def test_the_first_cover_that_is_there_is_made_small(
    kind: str, covers: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "shrimp.zip", covers, a_img=image((960, 240), kind))
    cover = read_cover(path)
    assert cover is not None
    with Image.open(BytesIO(cover)) as shown:
        assert shown.format == "PNG"
        assert shown.size == (480, 120)
        assert (
            max(abs(a - b) for a, b in zip(shown.getpixel((9, 9)), (200, 10, 10), strict=True)) < 5
        )


@pytest.mark.parametrize(
    ("covers", "content"),
    [
        ("[]", image((9, 9), "PNG")),
        ("a.img", image((9, 9), "PNG")),
        ("[../a.img]", image((9, 9), "PNG")),
        ("[a.img]", image((9, 9), "GIF")),
        ("[a.img]", image((99, 99), "PNG")[:90]),
        ("[a.img]", image((8000, 4000), "PNG")),
        ("[a.img]", b"<svg onload='alert(1)'/>"),
    ],
)
def test_what_is_no_cover_is_none(covers: str, content: bytes, tmp_path: Path) -> None:
    assert read_cover(write(tmp_path / "shrimp.zip", covers, a_img=content)) is None


def test_what_is_no_package_is_said(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "photos.zip", "w") as package:
        package.writestr("a.txt", "nothing")
    with pytest.raises(InputError, match="no BioImage"):
        read_cover(tmp_path / "photos.zip")
