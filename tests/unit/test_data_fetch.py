"""Fetching: a server on this machine that behaves well, badly and maliciously."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tenfold import fetch as module
from tenfold.config import ROOT
from tenfold.errors import UserError
from tenfold.fetch import fetch
from tenfold.launcher import Job
from tenfold.registry import Archive, Dataset

PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"
MEMBERS = {name: random.Random(name).randbytes(300_000) for name in ("one", "two")}


def packed(members: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname = kind, len(content), "/etc/passwd"
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


GOOD = packed({f"set/{name}": content for name, content in MEMBERS.items()})


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@dataclass
class Server:
    """What the server does with each path, and what it was asked.

    A plan is a list of behaviours, one for each request; the last one stays.
    """

    base: str = ""
    plans: dict[str, list[str]] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def url(self, *plan: str) -> str:
        path = f"/{len(self.plans)}/set.tar.gz"
        self.plans[path] = list(plan)
        return self.base + path

    @property
    def ranges(self) -> list[str | None]:
        return [asked for _, asked in self.asked]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.state.asked.append((self.path, asked))
        plan = self.state.plans[self.path]
        behaviour = plan.pop(0) if len(plan) > 1 else plan[0]
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if behaviour.isdigit():
            self.answer(int(behaviour), b"no")
        elif behaviour == "html":
            self.answer(200, PAGE, kind="text/html; charset=utf-8")
        elif behaviour == "html-unmarked":
            self.answer(200, PAGE)
        elif behaviour == "short":  # claims to be whole and is not
            self.answer(200, GOOD[:100_000])
        elif behaviour == "other":
            self.answer(200, bytes(len(GOOD)))
        elif behaviour == "endless":
            self.answer(200, GOOD + b"more")
        elif behaviour == "cut-no-range":
            self.answer(200, GOOD, until=200_000)
        elif behaviour == "cut":
            self.partial(start, until=200_000)
        elif behaviour == "cut-at-once":
            self.answer(200, GOOD, until=0)
        elif behaviour == "good-no-range":
            self.answer(200, GOOD)
        elif behaviour == "wrong-range":
            self.answer(206 if asked else 200, GOOD, {"Content-Range": f"bytes 0-{len(GOOD) - 1}/{len(GOOD)}"})
        else:
            self.partial(start)

    def partial(self, start: int, until: int | None = None) -> None:
        if start == 0:
            self.answer(200, GOOD, until=until)
        else:
            self.answer(206, GOOD[start:], {"Content-Range": f"bytes {start}-{len(GOOD) - 1}/{len(GOOD)}"}, until)

    def answer(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        until: int | None = None,
        kind: str = "application/gzip",
    ) -> None:
        """Announces the whole body and sends it, or a part of it before the connection is cut."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", kind)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:until])
        self.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()
    handler = type("BoundHandler", (Handler,), {"state": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        state.base = f"http://127.0.0.1:{listening.server_port}"
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        listening.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(module.MIRROR, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


CACHE = Path("data/raw/toy")


def toy(*urls: str, content: bytes = GOOD, access: str | None = None) -> Dataset:
    members = {name: md5(member) for name, member in MEMBERS.items()}
    archive = Archive("set.tar.gz", md5(content), len(content), list(urls), "set", members)
    return Dataset("toy", "Toy", "none", redistribute=False, archives=[archive], access=access)


def job(tmp_path: Path) -> Job:
    return Job(resume=tmp_path / "resume", log=tmp_path / "log")


def assert_right(files: dict[str, Path]) -> None:
    assert {name: path.read_bytes() for name, path in files.items()} == MEMBERS


def refused(dataset: Dataset, tmp_path: Path) -> str:
    with pytest.raises(UserError, match="toy is not here") as raised:
        fetch(dataset, job(tmp_path))
    assert "\n" not in str(raised.value)
    assert not (CACHE / "set.tar.gz").exists()
    return str(raised.value)


def test_download_then_cache(server: Server, tmp_path: Path):
    dataset = toy(server.url("good"))
    assert_right(fetch(dataset, job(tmp_path)))
    assert_right(fetch(dataset, job(tmp_path)))
    assert len(server.asked) == 1
    assert sorted(path.name for path in CACHE.iterdir()) == ["set", "set.tar.gz"]


def test_the_cached_archive_is_enough(server: Server, tmp_path: Path):
    CACHE.mkdir(parents=True)
    (CACHE / "set.tar.gz").write_bytes(GOOD)
    assert_right(fetch(toy(server.url("good")), job(tmp_path)))
    assert server.asked == []


@pytest.mark.parametrize("layout", ["archive", "members"])
def test_a_mirror_is_enough(layout: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mirror = tmp_path / "mirror"
    (mirror / "set").mkdir(parents=True)
    monkeypatch.setenv(module.MIRROR, str(mirror))
    if layout == "archive":
        (mirror / "set.tar.gz").write_bytes(GOOD)
    else:
        for name, content in MEMBERS.items():
            (mirror / "set" / name).write_bytes(content)
    assert_right(fetch(toy(server.url("good")), job(tmp_path)))
    assert server.asked == []


def test_a_bad_mirror_is_left_alone_and_the_network_is_asked(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mirror = tmp_path / "mirror"
    (mirror / "set").mkdir(parents=True)
    monkeypatch.setenv(module.MIRROR, str(mirror))
    (mirror / "set" / "one").write_bytes(MEMBERS["one"])
    (mirror / "set" / "two").write_bytes(b"tampered")
    assert_right(fetch(toy(server.url("good")), job(tmp_path)))
    assert (mirror / "set" / "two").read_bytes() == b"tampered"
    assert "mirror/set/two: md5" in (tmp_path / "log").read_text()


def test_a_tampered_cache_is_kept_aside_and_mended_without_network(server: Server, tmp_path: Path):
    dataset = toy(server.url("good"))
    fetch(dataset, job(tmp_path))
    (CACHE / "set" / "two").write_bytes(b"tampered")
    assert_right(fetch(dataset, job(tmp_path)))
    assert (CACHE / "set" / "two.bad").read_bytes() == b"tampered"
    assert len(server.asked) == 1


def test_the_second_url_is_tried(server: Server, tmp_path: Path):
    assert_right(fetch(toy(server.url("404"), server.url("html"), server.url("good")), job(tmp_path)))
    log = (tmp_path / "log").read_text()
    assert "404" in log
    assert "an HTML page instead of the file" in log


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("404", "404 Not Found"),
        ("500", "500 Internal Server Error"),
        ("html", "an HTML page instead of the file"),
        ("html-unmarked", "an HTML page instead of the file"),
        ("short", "the file ends at 100000 of"),
        ("cut-no-range", "the connection was cut at"),
        ("cut-at-once", "the connection was cut at 0 of"),
        ("endless", f"bytes instead of {len(GOOD)}, kept as set.tar.gz.part.bad"),
        ("other", "md5 .* instead of .*, kept as set.tar.gz.part.bad"),
    ],
)
def test_a_bad_server_is_refused_with_its_reason(behaviour: str, said: str, server: Server, tmp_path: Path):
    url = server.url(behaviour)
    message = refused(toy(url), tmp_path)
    assert url in message
    with pytest.raises(UserError, match=said):
        raise UserError(message)


def test_no_server_at_all(tmp_path: Path):
    assert "http://127.0.0.1:9/x: no connection" in refused(toy("http://127.0.0.1:9/x"), tmp_path)


def test_the_message_says_how_to_bring_the_file(tmp_path: Path):
    message = refused(toy(access="an account at example.org"), tmp_path)
    assert "data/raw/toy: no such folder" in message
    assert "It needs an account at example.org." in message
    assert f"Put set.tar.gz (md5 {md5(GOOD)}) into data/raw/toy/" in message
    assert "TENFOLD_MIRROR" in message


def test_a_cut_download_goes_on_where_it_stopped(server: Server, tmp_path: Path):
    assert_right(fetch(toy(server.url("cut", "cut", "good")), job(tmp_path)))
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in server.ranges if asked]
    assert len(starts) == 2
    assert 0 < starts[0] < starts[1] < len(GOOD)


def test_a_server_that_ignores_range_is_taken_from_the_start(server: Server, tmp_path: Path):
    assert_right(fetch(toy(server.url("cut", "good-no-range")), job(tmp_path)))
    assert server.ranges[1] is not None


def test_a_short_answer_is_completed(server: Server, tmp_path: Path):
    assert_right(fetch(toy(server.url("short", "good")), job(tmp_path)))
    assert server.ranges == [None, "bytes=100000-"]


def test_another_range_than_asked_for_is_not_appended(server: Server, tmp_path: Path):
    message = refused(toy(server.url("cut", "wrong-range")), tmp_path)
    assert "another range than was asked for" in message


def test_a_resumed_download_that_does_not_fit_starts_afresh(server: Server, tmp_path: Path):
    CACHE.mkdir(parents=True)
    (CACHE / "set.tar.gz.part").write_bytes(b"x" * 1000)
    assert_right(fetch(toy(server.url("good")), job(tmp_path)))
    assert server.ranges == ["bytes=1000-", None]
    assert (CACHE / "set.tar.gz.part.bad").exists()


def test_a_killed_download_goes_on_in_the_next_run(server: Server, tmp_path: Path):
    dataset = toy(server.url("good"))
    script = (
        "import json, sys; from pathlib import Path; from tenfold.fetch import fetch;"
        "from tenfold.registry import Archive, Dataset; from tenfold.launcher import Job;"
        "fetch(Dataset('toy', '', '', False, [Archive(**json.loads(sys.argv[1]))]), Job(resume=Path('resume')))"
    )
    arguments = [sys.executable, "-c", script, json.dumps(vars(dataset.archives[0]))]
    environment = os.environ | {"TENFOLD_FAULT": "download-block:4", "PYTHONPATH": str(ROOT / "src")}
    killed = subprocess.run(arguments, env=environment, stderr=subprocess.PIPE)
    assert killed.returncode == -signal.SIGKILL
    assert not (CACHE / "set.tar.gz").exists()
    assert_right(fetch(dataset, job(tmp_path)))
    assert server.ranges[0] is None
    assert server.ranges[1] is not None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (packed({"../outside": b"x"}), "not a whole archive"),
        (packed({"set/one": b"", "set/two": b""}, kind=tarfile.SYMTYPE), "members that are not plain files"),
        (packed({"set/one": MEMBERS["one"], "set/two": b"other"}), "two: md5"),
        (GOOD[:-1000], "not a whole archive"),
        (b"no archive at all", "not a whole archive"),
    ],
)
def test_an_archive_that_is_verified_but_wrong_unpacks_to_nothing(content: bytes, said: str, tmp_path: Path):
    CACHE.mkdir(parents=True)
    (CACHE / "set.tar.gz").write_bytes(content)
    with pytest.raises(UserError, match=said):
        fetch(toy(content=content), job(tmp_path))
    assert not any((CACHE / "set").iterdir())
    assert not list(tmp_path.rglob("outside"))
