"""Brings the files of a dataset: from the local cache, a mirror folder, or the network, checked before use.

Sources are tried in order. A file with a wrong checksum is never used: in the cache it is kept aside with the suffix
``.bad``, in a mirror it is left alone. A download that breaks off goes on where it stopped, also in a later run.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.errors import UserError
from tenfold.faults import fault
from tenfold.files import commit_file
from tenfold.launcher import Job
from tenfold.registry import Archive, Dataset

if TYPE_CHECKING:  # else in functions: what finds its files in a folder asks no network
    import requests

RAW = Path("data/raw")
MIRROR = "TENFOLD_MIRROR"

BLOCK = 1 << 16  # bytes taken from the network at once
TIMEOUT = (10, 60)  # seconds to connect, and without any byte
PROGRESS_EVERY = 5.0  # seconds
LONG_CHECK = 1 << 30  # bytes from which on a checksum takes so long that it is announced


class SourceError(Exception):
    """Why one source did not give a file; the next one is tried."""


Files = dict[str, Path]


def fetch(dataset: Dataset, job: Job) -> Files:
    """The files of a dataset by name, each with the checksum that the registry gives it.

    Looks into ``data/raw/<name>/``, then into the folder that the variable TENFOLD_MIRROR names (in the publisher's
    own layout: the archive, or the folder that it unpacks to), then asks the URLs.

    Raises:
        UserError: some file is nowhere; one line that names every source tried, and how to bring the file.
    """
    files: Files = {}
    missing: dict[str, list[str]] = {}
    for archive in dataset.archives:
        cache = RAW / dataset.name
        tried: list[str] = []
        for source in _sources(archive, cache, job):
            try:
                files |= source()
                break
            except SourceError as reason:
                job.say(str(reason))
                tried.append(str(reason))
        else:
            missing[archive.file] = tried
    if missing:
        raise UserError(_how_to_bring(dataset, missing))
    return files


def folder_of(dataset: Dataset, holds: str = "") -> Path:
    """The folder of a dataset that is brought by hand: below ``data/raw/``, or in the mirror.

    Args:
        dataset: what the registry says of it.
        holds: a pattern of files, one of which at least must be in the folder.

    Raises:
        UserError: it is in neither; one line that says what it needs.
    """
    name, mirror = dataset.name, os.environ.get(MIRROR)
    places = [RAW / name, *([Path(mirror) / name] if mirror else [])]
    for place in places:
        if place.is_dir() and (not holds or any(place.glob(holds))):
            return place
    publisher = f" ({dataset.homepage})" if dataset.homepage else ""
    raise UserError(
        f"{name} is not here (looked in {', '.join(map(str, places))}). It needs {dataset.access}{publisher}: put it "
        f"into {RAW / name}/, or set {MIRROR} to a folder that has {name}/"
    )


def _sources(archive: Archive, cache: Path, job: Job) -> Iterator[Callable[[], Files]]:
    yield lambda: _from_folder(cache, archive, cache, job)
    mirror = os.environ.get(MIRROR)
    if mirror:
        yield lambda: _from_folder(Path(mirror), archive, cache, job)
    for url in archive.urls:
        yield lambda url=url: _from_url(url, archive, cache, job)  # type: ignore[misc]


def _how_to_bring(dataset: Dataset, missing: dict[str, list[str]]) -> str:
    reasons = "; ".join(dict.fromkeys(reason for tried in missing.values() for reason in tried))
    archives = [archive for archive in dataset.archives if archive.file in missing]
    wanted = ", ".join(f"{archive.file} (md5 {archive.md5})" for archive in archives)
    unpacked = " or ".join(f"{archive.folder}/" for archive in archives if archive.folder)
    needed = f" It needs {dataset.access}." if dataset.access else ""
    mirror = f"{MIRROR} to a folder that has {'it' if len(archives) == 1 else 'them'}"
    return (
        f"{dataset.name} is not here. Tried: {reasons}.{needed} Put {wanted} into {RAW / dataset.name}/, "
        f"or set {mirror}{f' (or has {unpacked})' if unpacked else ''}; checksums are verified before use"
    )


def _from_folder(folder: Path, archive: Archive, cache: Path, job: Job) -> Files:
    """From the cache or a mirror: the unpacked files if they are all right, else the archive."""
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder")
    flaws: list[str] = []
    if archive.folder is not None and (folder / archive.folder).is_dir():
        files = {name: folder / archive.folder / name for name in archive.members}
        flaws = [
            _refuse(files[name], flaw, ours=folder == cache)
            for name, md5 in archive.members.items()
            if (flaw := _flaw(files[name], md5, job))
        ]
        if not flaws:
            return files
    packed = folder / archive.file
    if flaw := _flaw(packed, archive.md5, job, archive.bytes):
        flaws.append(_refuse(packed, flaw, ours=folder == cache))
        raise SourceError("; ".join(flaws))
    return _unpacked(packed, archive, cache, job)


def _flaw(path: Path, md5: str, job: Job, length: int | None = None) -> str | None:
    """What is wrong with a file; None if it has its length and checksum."""
    if not path.is_file():
        return "no such file"
    size = path.stat().st_size
    if size >= LONG_CHECK:
        job.say(f"checking {path} ({_megabytes(size)})")
    with path.open("rb") as file:
        start = file.read(512)
        file.seek(0)
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found == md5:
        return None
    if _is_html(start):
        return "an HTML page instead of the file"
    if length is not None and size != length:
        return f"{size} bytes instead of {length}"
    return f"md5 {found} instead of {md5}"


def _is_html(start: bytes) -> bool:
    return start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html"))


def _refuse(path: Path, flaw: str, ours: bool) -> str:
    """Says what is wrong with a file, and keeps it aside where it lies in our own cache."""
    if not (ours and path.exists()):
        return f"{path}: {flaw}"
    aside = path.with_name(path.name + ".bad")
    os.replace(path, aside)
    return f"{path}: {flaw}, kept as {aside.name}"


def _unpacked(packed: Path, archive: Archive, cache: Path, job: Job) -> Files:
    """Unpacks the listed members of a verified archive into the cache, each checked before it gets its name."""
    if archive.folder is None:
        return {archive.file: packed}
    job.say(f"unpacking {packed}")
    folder = cache / archive.folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".unpack-") as temporary:
        try:
            with tarfile.open(packed) as tar:
                members = [tar.getmember(f"{archive.folder}/{name}") for name in archive.members]
                if not all(member.isfile() for member in members):
                    raise SourceError(f"{packed}: members that are not plain files")
                tar.extractall(temporary, members=members, filter="data")
        except (tarfile.TarError, KeyError, EOFError, zlib.error) as error:
            raise SourceError(f"{packed}: not a whole archive ({error})") from None
        for name, md5 in archive.members.items():
            unpacked = Path(temporary, archive.folder, name)
            if flaw := _flaw(unpacked, md5, job):
                raise SourceError(f"{packed}: {name}: {flaw}")
        for name in archive.members:
            commit_file(Path(temporary, archive.folder, name), folder / name)
    return {name: folder / name for name in archive.members}


def _from_url(url: str, archive: Archive, cache: Path, job: Job) -> Files:
    """Downloads an archive, checks it, and unpacks it."""
    job.say(f"downloading {url}")
    cache.mkdir(parents=True, exist_ok=True)
    part = cache / (archive.file + ".part")
    resumed = _size(part) > 0
    _receive_all(url, part, archive, job)
    flaw = _flaw(part, archive.md5, job, archive.bytes)
    if flaw and resumed:
        job.say(f"{_refuse(part, flaw, ours=True)}; starting afresh")
        _receive_all(url, part, archive, job)
        flaw = _flaw(part, archive.md5, job, archive.bytes)
    if flaw:
        raise SourceError(f"{url}: {_refuse(part, flaw, ours=True)}")
    commit_file(part, cache / archive.file)
    return _unpacked(cache / archive.file, archive, cache, job)


def _receive_all(url: str, part: Path, archive: Archive, job: Job) -> None:
    """Receives a file, going on after each cut as long as every connection brings it further."""
    while True:
        before = _size(part)
        if archive.bytes is not None and before >= archive.bytes:
            return
        cut = _receive(url, part, before, archive, job)
        if cut is None and _size(part) >= (archive.bytes or 0):
            return
        if _size(part) <= before:
            raise SourceError(f"{url}: {cut or 'the file ends'} at {_of(_size(part), archive.bytes)}")
        job.say(f"{url}: {cut or 'the file ends'} at {_of(_size(part), archive.bytes)}; going on from there")


def _receive(url: str, part: Path, start: int, archive: Archive, job: Job) -> str | None:
    """Appends to ``part`` what one connection gives; returns why it broke off, or None if it ended as announced."""
    import requests

    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    connected = False
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            resumes = response.status_code == requests.codes.partial_content
            if resumes and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                raise SourceError(f"{url}: another range than was asked for")
            if not resumes and response.status_code != requests.codes.ok:
                raise SourceError(f"{url}: {response.status_code} {response.reason}")
            if response.headers.get("Content-Type", "").startswith("text/html"):
                raise SourceError(f"{url}: an HTML page instead of the file")
            connected = True
            first = received = start if resumes else 0
            told = begun = time.monotonic()
            with part.open("ab" if resumes else "wb") as file:
                for block in response.iter_content(BLOCK):
                    if received == 0 and _is_html(block):
                        raise SourceError(f"{url}: an HTML page instead of the file")
                    file.write(block)
                    received += len(block)
                    fault("download-block")
                    if archive.bytes is not None and received > archive.bytes:
                        break
                    if time.monotonic() - told >= PROGRESS_EVERY:
                        told = time.monotonic()
                        rate = _megabytes((received - first) / (told - begun))
                        job.say(f"{archive.file}: {_of(received, archive.bytes)}, {rate}/s")
    except requests.RequestException as error:
        if not connected:
            raise SourceError(f"{url}: {_reason(error)}") from None
        return _reason(error)
    return None


def _reason(error: requests.RequestException) -> str:
    import requests

    match error:
        case requests.Timeout():
            return "no answer in time"
        case requests.exceptions.SSLError():
            return "its certificate is not accepted"
        case requests.exceptions.ChunkedEncodingError():
            return "the connection was cut"
        case requests.ConnectionError():
            return "no connection"
        case _:
            return type(error).__name__


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _of(size: int, whole: int | None) -> str:
    return f"{size} bytes" if whole is None else f"{size} of {whole} bytes ({100 * size // whole} %)"


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB"
