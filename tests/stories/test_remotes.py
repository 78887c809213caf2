"""Real storage servers on this machine: data go there and come back; what is wrong is one line, and loses nothing."""

from __future__ import annotations

import hashlib
import importlib.util
import random
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from getpass import getuser
from pathlib import Path

import pytest

from ..servers.cutting import CuttingLine
from ..servers.processes import Servers
from ..servers.s3 import start_s3
from ..servers.ssh import make_key, start_ssh
from ..servers.webdav import start_webdav
from .conftest import Repository
from .test_data_remote import CONTENT, ENTRY, PREPARED

pytestmark = pytest.mark.remote

PIXELS = random.Random(0).randbytes(5_000_000)
HALF = len(PIXELS) // 2


@dataclass
class Place:
    """A place where a remote may be.

    Attributes:
        url: of the remote, with ``{port}``.
        options: what DVC needs beside it, with ``{port}``.
        wrong: the option that a wrong key is given to, and that key; none where there are no keys.
        gone: the same URL with a folder, or a bucket, that there is not, and that cannot be made.
        port: of the server; 0 where there is none.
    """

    url: str
    options: dict[str, str] = field(default_factory=dict)
    wrong: tuple[str, str] | None = None
    gone: str = "/proc/gone"
    port: int = 0

    def remote(self, house: Repository, *, port: int = 0, url: str = "", **options: str) -> None:
        """Makes it the remote ``lab`` of a house, perhaps through another port, or with other options."""
        settings = {"url": url or self.url, **self.options, **options}
        lines = [f"    {name} = {value.format(port=port or self.port)}\n" for name, value in settings.items()]
        (house.path / ".dvc/config.local").write_text("".join(["['remote \"lab\"']\n", *lines]))


def folder(servers: Servers) -> Place:
    return Place(str(servers.folder / "store"))


def ssh(servers: Servers) -> Place:
    port, key = start_ssh(servers)
    at = f"ssh://{getuser()}@127.0.0.1:{{port}}"
    return Place(f"{at}{servers.folder}/store", {"keyfile": str(key)}, ("keyfile", str(make_key(servers, "wrong"))),
                 f"{at}/proc/gone", port)  # fmt: skip


def s3(servers: Servers) -> Place:
    secret = secrets.token_hex()
    port = start_s3(servers, "lab", secret)
    keys = {"access_key_id": "test:lab", "secret_access_key": secret}
    make_bucket = (
        "import sys, botocore.session; botocore.session.get_session().create_client('s3', region_name='us-east-1', "
        "endpoint_url=sys.argv[1], aws_access_key_id=sys.argv[2], aws_secret_access_key=sys.argv[3])"
        ".create_bucket(Bucket='bucket')"
    )
    servers.run(sys.executable, "-c", make_bucket, f"http://127.0.0.1:{port}", *keys.values())
    options = {"endpointurl": "http://127.0.0.1:{port}", "region": "us-east-1", **keys}
    return Place("s3://bucket/store", options, ("secret_access_key", "wrong"), "s3://gone/store", port)


def webdav(servers: Servers) -> Place:
    password = secrets.token_hex()
    port = start_webdav(servers, "lab", password)
    (servers.folder / "webdav" / "store").mkdir()
    at = "webdav://127.0.0.1:{port}"
    return Place(f"{at}/store", {"user": "lab", "password": password}, ("password", "wrong"), f"{at}/gone/store", port)


PLACES: dict[str, Callable[[Servers], Place]] = {"folder": folder, "ssh": ssh, "s3": s3, "webdav": webdav}


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if request.param != "folder" and importlib.util.find_spec(f"dvc_{request.param}") is None:
        pytest.skip(f"dvc-{request.param} is not here: make remotes")
    servers = Servers(tmp_path_factory.mktemp(request.param))
    try:
        yield PLACES[request.param](servers)
    finally:
        servers.stop()


@pytest.fixture
def house(repository: Repository) -> Repository:
    """A house with a prepared dataset of others."""
    registry = repository.path / "config/datasets.yaml"
    entry = ENTRY.replace(hashlib.sha256(CONTENT).hexdigest(), hashlib.sha256(PIXELS).hexdigest())
    md5 = [hashlib.md5(content, usedforsecurity=False).hexdigest() for content in (CONTENT, PIXELS)]
    registry.write_text(registry.read_text() + entry.replace(*md5))
    (repository.path / PREPARED).parent.mkdir(parents=True)
    (repository.path / PREPARED).write_bytes(PIXELS)
    repository.commit("A dataset")
    repository.env["AWS_MAX_ATTEMPTS"] = "1"  # a line that is cut stays cut: no need to try again and again
    return repository


def forget(house: Repository) -> None:
    """Removes the dataset from a house, with DVC's copy of it."""
    (house.path / PREPARED).unlink(missing_ok=True)
    shutil.rmtree(house.path / "data/.dvc/cache", ignore_errors=True)


def verb(house: Repository, name: str) -> subprocess.CompletedProcess[str]:
    return house.tenfold(name, "--data", "--remote", "lab", check=False)


def refused(house: Repository, name: str) -> str:
    """The one line that a verb ends with."""
    done = verb(house, name)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("tenfold: remote lab (")
    return done.stderr.rstrip()


def test_data_go_there_and_come_back_whatever_happened_before(house: Repository, place: Place) -> None:
    kept = house.path / PREPARED
    place.remote(house, url=place.gone)
    assert "there is no such folder or bucket; make it first" in refused(house, "record")
    assert "there is no such folder or bucket; make it first" in refused(house, "restore")
    if place.wrong:
        place.remote(house, **dict([place.wrong]))
        mend = f"the server refuses the key: dvc remote modify --local lab {place.wrong[0]} VALUE"
        assert refused(house, "record").endswith(mend)
    if place.port:
        with CuttingLine(place.port, left=HALF) as line:
            place.remote(house, port=line.port)
            assert refused(house, "record").endswith("nothing is lost, the same command goes on")
    assert kept.read_bytes() == PIXELS
    place.remote(house)
    assert verb(house, "record").stdout.endswith("tiny: is in the remote lab\n")
    assert house.run("git", "status", "--porcelain").stdout == ""

    forget(house)
    if place.wrong:
        place.remote(house, **dict([place.wrong]))
        assert refused(house, "restore").endswith(mend)
    if place.port:
        with CuttingLine(place.port, left=HALF) as line:
            place.remote(house, port=line.port)
            refused(house, "restore")
            assert not kept.exists()
    place.remote(house)
    assert "tiny: restored from the remote lab" in verb(house, "restore").stdout
    assert kept.read_bytes() == PIXELS


def test_a_version_is_pushed_pulled_and_got(recorded_once: Repository, tmp_path: Path, place: Place) -> None:
    """DVC's own verbs on what is on record, without ``store/``."""
    made = recorded_once.copy(tmp_path / "house")
    place.remote(made)
    made.dvc("push", "--remote", "lab")
    clone = made.clone(tmp_path / "clone")
    shutil.copy(made.path / ".dvc/config.local", clone.path / ".dvc/config.local")
    shutil.rmtree(clone.path / "store")
    clone.dvc("pull", "--remote", "lab")
    assert clone.checksums("runs/small/toy/metrics") == made.checksums("runs/small/toy/metrics")
    headline = "runs/small/toy/headline/fancy/s0-2.json"
    clone.dvc("get", ".", headline, "--rev", "HEAD", "--remote", "lab", "--out", "got.json")
    assert (clone.path / "got.json").read_bytes() == (made.path / headline).read_bytes()
