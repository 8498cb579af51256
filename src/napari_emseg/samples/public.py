"""Public EM stacks with ground truth: fetched once, checked, then read from the disk."""

from __future__ import annotations

import os
import shutil
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from napari_emseg.errors import InputError
from napari_emseg.io import atomic_write
from napari_emseg.progress import NO_PROGRESS, Progress
from napari_emseg.volume import ZYX, Kind, Volume


@dataclass(frozen=True)
class PublicSet:
    """Where a public stack is and what may be done with it.

    Attributes
    ----------
    title, citation, terms : str
        For people, in the menu and in the provenance of the volumes.
    voxel_size_nm : (z, y, x) in nm
        As published; the files do not always hold it.
    page : str
        Where a person can get the file by hand.
    url, checksum, file_name : str
        The file; the checksum is "sha256:..." or "md5:...".
    size_mb : int
        About how much there is to download.
    volumes : mapping of str to (str, kind)
        Name of each volume to its dataset in an HDF5 file, or to its file in a
        zip archive, and to what it is.
    """

    title: str
    citation: str
    terms: str
    voxel_size_nm: ZYX
    page: str
    url: str
    checksum: str
    file_name: str
    size_mb: int
    volumes: Mapping[str, tuple[str, Kind]]


def _cremi(sample: str, sha256: str) -> PublicSet:
    file_name = f"sample_{sample}_20160501.hdf"
    return PublicSet(
        title=f"CREMI sample {sample} (adult fly brain, 125 sections)",
        citation="Funke J, Saalfeld S, Bock D, Turaga S, Perlman E: CREMI, 2016, cremi.org",
        terms="Published for the CREMI challenge without a licence; cite cremi.org.",
        voxel_size_nm=(40.0, 4.0, 4.0),
        page="https://cremi.org/data",
        url=f"https://cremi.org/static/data/{file_name}",
        checksum=f"sha256:{sha256}",
        file_name=file_name,
        size_mb=170,
        volumes={
            "raw": ("volumes/raw", "raw"),
            "labels": ("volumes/labels/neuron_ids", "labels"),
        },
    )


PUBLIC_SETS = {
    "isbi2012": PublicSet(
        title="ISBI 2012 (larval fly nerve cord, 30 sections)",
        citation=(
            "Cardona A et al. 2010, doi:10.1371/journal.pbio.1000502; "
            "Arganda-Carreras I et al. 2015, doi:10.3389/fnana.2015.00142"
        ),
        terms="Free for generating or testing non-commercial image segmentation software.",
        voxel_size_nm=(50.0, 4.0, 4.0),
        page="https://oc.embl.de/index.php/s/h0TkwqxU0PJDdMd",
        url="https://oc.embl.de/index.php/s/h0TkwqxU0PJDdMd/download",
        checksum="sha256:0e10fe909a1243084d91773470856993b7d40126a12e85f0f1345a7a9e512f29",
        file_name="isbi2012.h5",
        size_mb=10,
        volumes={
            "raw": ("raw", "raw"),
            "labels": ("labels/gt_segmentation", "labels"),
        },
    ),
    "snemi3d": PublicSet(
        title="SNEMI3D (mouse cortex, 100 sections)",
        citation="Kasthuri N et al. 2015, doi:10.1016/j.cell.2015.06.054",
        terms="CC BY 4.0",
        voxel_size_nm=(30.0, 6.0, 6.0),
        page="https://zenodo.org/records/7142003",
        url="https://zenodo.org/records/7142003/files/snemi.zip?download=1",
        checksum="md5:3d25a7025f66698f33c7850ace885939",
        file_name="snemi.zip",
        size_mb=186,
        volumes={
            "raw": ("train-input.tif", "raw"),
            "labels": ("train-labels.tif", "labels"),
        },
    ),
    "cremi-a": _cremi("A", "4c563d1b78acb2bcfb3ea958b6fe1533422f7f4a19f3e05b600bfa11430b510d"),
    "cremi-b": _cremi("B", "887e85521e00deead18c94a21ad71f278d88a5214c7edeed943130a1f4bb48b8"),
    "cremi-c": _cremi("C", "2874496f224d222ebc29d0e4753e8c458093e1d37bc53acd1b69b19ed1ae7052"),
}


def fetch(
    name: str, progress: Progress = NO_PROGRESS, *, folder: str | os.PathLike[str] | None = None
) -> dict[str, Volume]:
    """Open a public stack, downloading it the first time.

    Parameters
    ----------
    name : str
        A key of `PUBLIC_SETS`.
    progress : Progress, optional
        Called with the bytes received and the bytes expected.
    folder : path-like, optional
        Where the files are kept; by default this user's cache.

    Returns
    -------
    dict of str to Volume
        "raw" (uint8) and "labels" (true 3D ids), read from the disk as needed.

    Raises
    ------
    InputError
        If there is no such set, or its file cannot be had: the message says why
        and where to get the file by hand. Nothing half-written is left behind.

    Examples
    --------
    >>> sorted(PUBLIC_SETS)
    ['cremi-a', 'cremi-b', 'cremi-c', 'isbi2012', 'snemi3d']
    >>> volumes = fetch("isbi2012")  # doctest: +SKIP
    """
    if name not in PUBLIC_SETS:
        known = ", ".join(sorted(PUBLIC_SETS))
        raise InputError(f"There is no public set named '{name}'; choose one of: {known}.")
    wanted = PUBLIC_SETS[name]
    file = _download(wanted, _cache_folder(folder), progress)
    return {key: _open(wanted, file, key) for key in wanted.volumes}


def _cache_folder(folder: str | os.PathLike[str] | None) -> Path:
    if folder is not None:
        return Path(folder)
    import pooch

    return Path(pooch.os_cache("napari-emseg"))


def _download(wanted: PublicSet, folder: Path, progress: Progress) -> Path:
    """Return the checked file, downloading it if it is not there yet."""
    import requests

    target = folder / wanted.file_name
    try:
        try:
            _retrieve(wanted, folder, progress, verify=True)
        except requests.exceptions.SSLError:
            # Certificates of old challenge sites expire. A file that must match a
            # known SHA-256 cannot be tampered with on the way.
            if not wanted.checksum.startswith("sha256:"):
                raise
            _retrieve(wanted, folder, progress, verify=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{wanted.title} could not be downloaded: {_reason(error, wanted)}. Try again later, "
            f"or get the file by hand from {wanted.page} and save it as {target}."
        ) from error
    return target


def _retrieve(wanted: PublicSet, folder: Path, progress: Progress, *, verify: bool) -> None:
    import pooch

    downloader = pooch.HTTPDownloader(
        progressbar=_Bar(progress, wanted.title), verify=verify, timeout=30
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Unverified HTTPS request")
        pooch.retrieve(
            wanted.url,
            known_hash=wanted.checksum,
            fname=wanted.file_name,
            path=folder,
            downloader=downloader,
        )


class _Bar:
    """What pooch takes for a progress bar."""

    def __init__(self, progress: Progress, message: str) -> None:
        self.total = 0
        self._done = 0
        self._progress, self._message = progress, f"Downloading {message}"

    def update(self, more: int) -> None:
        self._done = min(self._done + more, self.total) if self.total else self._done + more
        self._progress.update(self._done, max(self.total, self._done), self._message)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        pass


def _reason(error: Exception, wanted: PublicSet) -> str:
    import requests

    host = urlsplit(wanted.url).hostname
    if isinstance(error, requests.exceptions.HTTPError) and error.response is not None:
        code = error.response.status_code
        moved = ", so it has probably moved" if code in (404, 410) else ""
        return f"{host} answered {code} {error.response.reason}{moved}"
    if isinstance(error, requests.exceptions.Timeout):
        return f"{host} did not answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke before the whole file had come"
    if isinstance(error, requests.exceptions.ConnectionError):
        return f"{host} cannot be reached, perhaps this computer is offline"
    if isinstance(error, requests.exceptions.RequestException):
        return f"the request to {host} failed"
    if isinstance(error, ValueError):
        return "what came is damaged or not the published file, its checksum is different"
    strerror = getattr(error, "strerror", None) or str(error)
    return f"writing it failed ({strerror.lower()})"


def _open(wanted: PublicSet, file: Path, key: str) -> Volume:
    from napari_emseg.io import open_volume

    inner, kind = wanted.volumes[key]
    is_archive = file.suffix == ".zip"
    source = _unpack(wanted, file, inner) if is_archive else f"{file}:/{inner}"
    volume = open_volume(source, voxel_size_nm=wanted.voxel_size_nm, kind=kind)
    origin = {"citation": wanted.citation, "terms": wanted.terms, "url": wanted.url}
    return volume.derive(volume.data, kind=kind, name=f"{file.stem} {key}", **origin)


def _unpack(wanted: PublicSet, archive: Path, file_name: str) -> Path:
    """Return the file of that name in the archive, unpacked beside it.

    Only the name we ask for is written, so names in the archive cannot lead out
    of the folder.
    """
    target = archive.with_name(f"{archive.stem}-{file_name}")
    try:
        with zipfile.ZipFile(archive) as bundle:
            entry = next(i for i in bundle.infolist() if i.filename.split("/")[-1] == file_name)
            if target.exists() and target.stat().st_size == entry.file_size:
                return target
            with (
                atomic_write(target) as temporary,
                bundle.open(entry) as stream,
                open(temporary, "wb") as out,
            ):
                shutil.copyfileobj(stream, out, 1 << 20)
    except (StopIteration, zipfile.BadZipFile) as error:
        raise InputError(
            f"{archive} holds no readable {file_name}; delete it and fetch {wanted.title} again."
        ) from error
    return target
