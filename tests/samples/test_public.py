"""Fetching from a server on this machine that behaves well, badly, and not at all."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import io
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from napari_emseg.errors import InputError
from napari_emseg.progress import Cancelled
from napari_emseg.samples import public
from napari_emseg.samples.public import PUBLIC_SETS, PublicSet, fetch


class Server:
    """Serves `body` with `status`, and counts requests."""

    def __init__(self) -> None:
        self.body, self.status, self.requests = b"", 200, 0
        self.declared: int | None = None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests += 1
                self.send_response(outer.status)
                length = len(outer.body) if outer.declared is None else outer.declared
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *args: object) -> None:
                pass

        self._httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._httpd.server_port}/file"
        threading.Thread(target=self._httpd.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


Publish = Callable[..., None]


@pytest.fixture
def publish(server: Server, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Make the set of that name come from the local server."""

    def publish(name: str, body: bytes, **changes: object) -> None:
        server.body = body
        known = {"url": server.url, "checksum": f"sha256:{hashlib.sha256(body).hexdigest()}"}
        changed: PublicSet = dataclasses.replace(PUBLIC_SETS[name], **(known | changes))
        monkeypatch.setitem(public.PUBLIC_SETS, name, changed)

    return publish


RAW = np.random.default_rng(0).integers(0, 256, (3, 20, 31), np.uint8)
IDS = (RAW // 8).astype(np.uint64)


@pytest.fixture
def cremi_file(tmp_path: Path) -> bytes:
    path = tmp_path / "made.hdf"
    with h5py.File(path, "w") as file:
        for name, data in (("volumes/raw", RAW), ("volumes/labels/neuron_ids", IDS)):
            file[name] = data
            file[name].attrs["resolution"] = (40.0, 4.0, 4.0)
    return path.read_bytes()


def snemi_archive(tmp_path: Path, *names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as bundle:
        for name in names:
            data = IDS.astype(np.uint16) if "labels" in name else RAW
            tifffile.imwrite(tmp_path / "one.tif", data, photometric="minisblack")
            bundle.write(tmp_path / "one.tif", name)
    return stream.getvalue()


def test_first_time_downloads_second_time_reads_the_disk(
    server: Server, publish: Publish, cremi_file: bytes, tmp_path: Path
) -> None:
    publish("cremi-b", cremi_file)
    for _ in range(2):
        volumes = fetch("cremi-b", folder=tmp_path / "cache")
    assert server.requests == 1
    np.testing.assert_array_equal(volumes["raw"].read(), RAW)
    np.testing.assert_array_equal(volumes["labels"].read(), IDS)
    assert volumes["labels"].kind == "labels"
    assert volumes["raw"].voxel_size_nm == (40, 4, 4)
    assert "CREMI" in volumes["raw"].provenance["citation"]


def test_zip_is_unpacked_beside_it(publish: Publish, tmp_path: Path) -> None:
    publish("snemi3d", snemi_archive(tmp_path, "image/train-input.tif", "seg/train-labels.tif"))
    volumes = fetch("snemi3d", folder=tmp_path / "cache")
    np.testing.assert_array_equal(volumes["raw"].read(), RAW)
    np.testing.assert_array_equal(volumes["labels"].read(), IDS)
    assert volumes["raw"].voxel_size_nm == (30, 6, 6)


def test_names_in_a_zip_cannot_lead_out_of_the_folder(publish: Publish, tmp_path: Path) -> None:
    publish("snemi3d", snemi_archive(tmp_path, "../../train-input.tif", "/train-labels.tif"))
    cache = tmp_path / "a" / "b" / "cache"
    fetch("snemi3d", folder=cache)
    written = {p for p in (tmp_path / "a").rglob("*") if p.is_file()}
    assert all(p.parent == cache for p in written)


def test_progress_is_told_and_can_stop(publish: Publish, cremi_file: bytes, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    class Recorder:
        def update(self, done: int, total: int, message: str = "") -> None:
            assert "CREMI" in message
            seen.append((done, total))

    class Stop:
        def update(self, done: int, total: int, message: str = "") -> None:
            raise Cancelled

    publish("cremi-a", cremi_file)
    with pytest.raises(Cancelled):
        fetch("cremi-a", Stop(), folder=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
    fetch("cremi-a", Recorder(), folder=tmp_path / "cache")
    assert seen[-1] == (len(cremi_file), len(cremi_file))


def wrong_checksum(server: Server) -> str:
    server.body += b"x"
    return "checksum is different"


def moved(server: Server) -> str:
    server.status = 404
    return "answered 404 Not Found, so it has probably moved"


def broken(server: Server) -> str:
    server.status = 503
    return "answered 503"


def truncated(server: Server) -> str:
    server.declared = len(server.body) + 1000
    return "connection broke before the whole file"


@pytest.mark.parametrize("fault", [wrong_checksum, moved, broken, truncated])
def test_what_goes_wrong_is_one_plain_sentence(
    server: Server,
    publish: Publish,
    cremi_file: bytes,
    tmp_path: Path,
    fault: Callable[[Server], str],
) -> None:
    cache = tmp_path / "cache"
    publish("cremi-a", cremi_file)
    expected = fault(server)
    with pytest.raises(InputError) as caught:
        fetch("cremi-a", folder=cache)
    message = str(caught.value)
    assert expected in message
    assert "https://cremi.org/data" in message
    assert str(cache / "sample_A_20160501.hdf") in message
    assert "\n" not in message
    assert not list(cache.iterdir())


def test_offline(publish: Publish, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    publish("isbi2012", b"", url=f"http://127.0.0.1:{port}/isbi.h5")
    with pytest.raises(InputError, match=r"cannot be reached, perhaps this computer is offline"):
        fetch("isbi2012", folder=tmp_path)


def test_a_file_put_there_by_hand_needs_no_network(
    publish: Publish, cremi_file: bytes, tmp_path: Path
) -> None:
    publish("cremi-c", cremi_file, url="http://127.0.0.1:9/nothing")
    (tmp_path / "sample_C_20160501.hdf").write_bytes(cremi_file)
    assert fetch("cremi-c", folder=tmp_path)["raw"].shape == RAW.shape


def test_unwritable_cache_and_damaged_archive(publish: Publish, tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("")
    publish("snemi3d", b"not a zip")
    with pytest.raises(InputError, match="writing it failed"):
        fetch("snemi3d", folder=blocked / "cache")
    with pytest.raises(InputError, match=r"holds no readable train-input.tif; delete it"):
        fetch("snemi3d", folder=tmp_path / "cache")


def test_unknown_name() -> None:
    with pytest.raises(InputError, match="choose one of: cremi-a, cremi-b"):
        fetch("cremi")


@pytest.mark.parametrize("name", sorted(PUBLIC_SETS))
def test_every_set_says_where_it_is_from_and_has_a_checksum(name: str) -> None:
    entry = PUBLIC_SETS[name]
    algorithm, _, digest = entry.checksum.partition(":")
    assert len(digest) == {"sha256": 64, "md5": 32}[algorithm]
    assert entry.url.startswith("https://")
    assert entry.page.startswith("https://")
    assert entry.terms
    assert entry.citation
    assert {"raw", "labels"} <= set(entry.volumes)
