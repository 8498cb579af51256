"""Getting a model from the BioImage.IO collection, by its id or address.

Only what is needed here is downloaded: the description, one form of the weights and the
example. Whether the model can be used at all is known from the description, before
anything large is fetched.
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from napari_emseg.errors import InputError
from napari_emseg.io.atomic import atomic_write, check_file_place
from napari_emseg.networks.bioimageio import is_package
from napari_emseg.networks.bioimageio_model import FileRef, PackageModel
from napari_emseg.networks.bioimageio_read import parse_model
from napari_emseg.networks.bioimageio_weights import clean_name
from napari_emseg.networks.bioimageio_yaml import MOST_BYTES, read_yaml
from napari_emseg.progress import NO_PROGRESS, Progress

INDEX = "https://bioimage-io.github.io/collection/index.json"
"""The list of the collection; ``EMSEG_BIOIMAGEIO_INDEX`` overrides it."""
_MOST_INDEX_BYTES = 64 * 2**20
_MOST_FILE_BYTES = 4 * 2**30
_MOST_COVER_BYTES = 8 * 2**20
_TIMEOUT_S = 30
_CHUNK_BYTES = 2**20
_ID = re.compile(r"(bioimage-io/)?[a-z0-9]+(-[a-z0-9]+)+(/[A-Za-z0-9.]+)?")
_HERE = ("localhost", "127.0.0.1", "::1")
_COVERS = (".png", ".jpg", ".jpeg")


def is_address(text: str) -> bool:
    """Tell whether a text is an id or address of a model, not a file.

    Examples
    --------
    >>> is_address("impartial-shrimp"), is_address("https://zoo.org/m.zip"), is_address("m.zip")
    (True, True, False)
    """
    return text.startswith(("http://", "https://")) or bool(_ID.fullmatch(text))


def fetch_package(
    id_or_url: str, folder: str | os.PathLike[str], progress: Progress = NO_PROGRESS
) -> Path:
    """Download a model of the BioImage.IO collection as one zip file.

    Parameters
    ----------
    id_or_url : str
        Such as "impartial-shrimp", perhaps with a version behind a slash; or the
        address of a zip or of the description of a package.
    folder : path-like
        Where the file is put.
    progress : Progress, optional
        Told the bytes received.

    Returns
    -------
    Path
        The zip file.

    Raises
    ------
    InputError
        If there is no such model, it cannot be used here, is not what its checksum
        says, or the network cannot be reached.
    Cancelled
        If `progress` asks to stop; nothing is left behind.

    Examples
    --------
    >>> fetch_package("impartial-shrimp", "models")  # doctest: +SKIP
    PosixPath('models/impartial-shrimp.zip')
    """
    if not is_address(id_or_url):
        raise InputError(
            f"'{id_or_url}' is neither a file nor the id of a model such as impartial-shrimp."
        )
    name, url, sha256 = _resolve(id_or_url)
    target = Path(folder) / f"{name}.zip"
    check_file_place(target)
    with atomic_write(target) as temporary:
        if urlsplit(url).path.endswith(".zip"):
            _save(url, temporary, progress, name)
            if not zipfile.is_zipfile(temporary):
                raise InputError(f"What came from {url} is no zip file.")
        else:
            _collect(url, sha256, temporary, progress, name)
    if not is_package(target):
        target.unlink()
        raise InputError(f"What came from {url} is no BioImage.IO package.")
    return target


def _resolve(id_or_url: str) -> tuple[str, str, str]:
    """Return a name, where the description or zip is, and its checksum or ""."""
    if id_or_url.startswith(("http://", "https://")):
        parts = [part for part in urlsplit(id_or_url).path.split("/") if part]
        named = [p for p in parts if p not in ("files", "rdf.yaml", "bioimageio.yaml", "content")]
        plain = re.sub(r"[^\w.-]", "_", named[-1] if named else "model", flags=re.ASCII)
        return plain.removesuffix(".zip").lstrip(".")[:80] or "model", id_or_url, ""
    wanted = id_or_url.removeprefix("bioimage-io/")
    wanted, _, version = wanted.partition("/")
    index = os.environ.get("EMSEG_BIOIMAGEIO_INDEX", INDEX)
    items = _json(index).get("items")
    for item in items if isinstance(items, list) else []:
        if isinstance(item, Mapping) and item.get("id") in (wanted, f"bioimage-io/{wanted}"):
            return (wanted, *_version(item, version, wanted))
    raise InputError(f"There is no model '{wanted}' in the BioImage.IO collection.")


def _version(item: Mapping[str, Any], version: str, name: str) -> tuple[str, str]:
    if item.get("type", "model") != "model":
        raise InputError(f"'{name}' is no model, but a {str(item['type'])[:30]}.")
    versions = [v for v in item.get("versions") or [] if isinstance(v, Mapping) and v.get("source")]
    found = [v for v in versions if str(v.get("version")) == version] if version else versions
    if not found:
        known = ", ".join(str(v.get("version"))[:20] for v in versions[-10:])
        raise InputError(f"Model '{name}' has no version {version}; there are: {known or 'none'}.")
    return str(found[-1]["source"]), str(found[-1].get("sha256") or "")


def _collect(url: str, sha256: str, target: Path, progress: Progress, name: str) -> None:
    """Download the description and what it needs into a zip file."""
    content = _read(url, MOST_BYTES)
    if sha256 and hashlib.sha256(content).hexdigest() != sha256.lower():
        raise InputError(f"The description of {name} is not the one of the collection's list.")
    described = read_yaml(content, f"The description of {name}")
    sources = _sources(described)
    model = parse_model(described, frozenset(sources), name)
    file_name = "bioimageio.yaml" if model.format_version.startswith("0.5") else "rdf.yaml"
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(file_name, content)
        part = target.with_name(f"{target.name}.part")
        try:
            for file in _needed(model, sources):
                _save(_beside(url, sources[file.name]), part, progress, f"{name}: {file.name}")
                _check(part, file, name)
                archive.write(part, file.name)
            for cover in _covers(described, sources)[:1]:
                with suppress(InputError):  # a model without its picture is one all the same
                    archive.writestr(cover, _read(_beside(url, sources[cover]), _MOST_COVER_BYTES))
        finally:
            part.unlink(missing_ok=True)


def _sources(value: Any) -> dict[str, str]:
    """Return the files that a description speaks of: names, and where they are."""
    found: dict[str, str] = {}
    waiting = [value]
    while waiting:
        here = waiting.pop()
        if isinstance(here, Mapping):
            waiting += here.values()
        elif isinstance(here, list):
            waiting += here
        elif isinstance(here, str) and len(here) < 500 and "\n" not in here:
            name = clean_name(here)
            if re.fullmatch(r"[\w][\w ./-]*\.\w+", name) and ".." not in name:
                found.setdefault(name, here)
    return found


def _needed(model: PackageModel, sources: Mapping[str, str]) -> list[FileRef]:
    examples = [file for file in (model.input.test, model.output.test) if file is not None]
    return [model.weights[0].file, *(file for file in examples if file.name in sources)]


def _covers(described: Mapping[str, Any], sources: Mapping[str, str]) -> list[str]:
    """Return the names of the pictures of a package."""
    given = described.get("covers")
    entries = given if isinstance(given, list) else []
    found = [e.get("source") if isinstance(e, Mapping) else e for e in entries]
    names = [clean_name(source) for source in found if isinstance(source, str)]
    return [name for name in names if name in sources and name.lower().endswith(_COVERS)]


def _beside(url: str, source: str) -> str:
    """Return the address of a file beside the description, of the same version."""
    if source.startswith(("http://", "https://")):
        return source
    query = urlsplit(url).query
    return urljoin(url, source) + (f"?{query}" if query else "")


def _check(path: Path, file: FileRef, name: str) -> None:
    if not file.sha256:
        return
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != file.sha256.lower():
        raise InputError(f"{file.name} of {name} came damaged, its checksum is wrong: try again.")


def _json(url: str) -> dict[str, Any]:
    import json

    try:
        found = json.loads(_read(url, _MOST_INDEX_BYTES))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError(f"The list of the collection at {url} cannot be read: try again later.")
    return found


def _read(url: str, most_bytes: int) -> bytes:
    return b"".join(_stream(url, most_bytes))


def _save(url: str, path: Path, progress: Progress, name: str) -> None:
    done = 0
    with path.open("wb") as file:
        for total, chunk in _stream_with_total(url, _MOST_FILE_BYTES):
            file.write(chunk)
            done += len(chunk)
            progress.update(done, max(total, done), f"Downloading {name}")


def _stream(url: str, most_bytes: int) -> Any:
    return (chunk for _, chunk in _stream_with_total(url, most_bytes))


def _stream_with_total(url: str, most_bytes: int) -> Any:
    """Yield the bytes announced and one piece after the other."""
    import requests

    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _HERE:
        raise InputError(f"{url[:200]} is no safe address: only https is used.")
    done = 0
    try:
        with requests.get(url, stream=True, timeout=_TIMEOUT_S) as answer:
            if answer.status_code in (404, 410):
                raise InputError(f"There is nothing at {url}.")
            answer.raise_for_status()
            total = int(answer.headers.get("Content-Length") or 0)
            for chunk in answer.iter_content(_CHUNK_BYTES):
                done += len(chunk)
                if max(done, total) > most_bytes:
                    raise InputError(f"{url} is larger than a model can be: not downloaded.")
                yield total, chunk
    except InputError:
        raise
    except (requests.exceptions.RequestException, ValueError) as error:
        raise InputError(
            f"{parts.hostname} could not be asked for {parts.path}: {_reason(error)}. Try again "
            "later, or get the zip by hand from bioimage.io."
        ) from error


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.exceptions.HTTPError) and error.response is not None:
        return f"it answered {error.response.status_code}"
    if isinstance(error, requests.exceptions.Timeout):
        return "it did not answer in time"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "it cannot be reached, perhaps this computer is offline"
    return "the connection broke"
