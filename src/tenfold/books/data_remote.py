"""Prepared datasets in a DVC remote of their own, for those who may keep them: ``record --data``, ``restore --data``.

Data of third parties never enters this repository's ledgers or ``store/``. ``data/`` (not in git) is made a DVC
repository of its own, with the user's remotes; what a file must be is in ``config/datasets.yaml``, so no pointer has to
be passed on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

from tenfold import registry
from tenfold.books.ledger import MEGABYTE, STORE, dvc
from tenfold.errors import UserError
from tenfold.files import sha256, write_text
from tenfold.workflow import prepared

FOLDER = Path("data")
ADD = "dvc remote add --local NAME URL"

# What DVC and its file systems say, what that means and how to mend it; {remote} and {secret} are filled in.
GOES_ON = "nothing is lost, the same command goes on"
FAULTS = [
    (r"to be installed", "what DVC needs for it is not installed; for ssh, S3 and WebDAV: make remotes"),
    (r"Connect call failed|Connection refused|Could not connect|getaddrinfo", f"no server answers there; {GOES_ON}"),
    (r"Permission denied for user|40[13]\b|Forbidden|Unauthorized|InvalidAccessKey|SignatureDoesNotMatch",
     "the server refuses the key: dvc remote modify --local {remote} {secret} VALUE"),
    (r"Permission denied", "no permission to write there"),
    (r"[Cc]onnection (was closed|lost|closed|not open|reset)|[Dd]isconnected|broken|not enough data|timed? ?out",
     f"the connection broke; {GOES_ON}"),
    (r"bucket does not exist|NoSuchBucket|No such file|not be found|does not exist",
     "there is no such folder or bucket; make it first"),
]  # fmt: skip
SECRETS = {"ssh": "keyfile", "s3": "secret_access_key"}
# How a pull ends that does not find a file, or whose file system keeps the reason to itself.
NOT_THERE = "Checkout failed"


@dataclass(frozen=True)
class Remote:
    """A remote of the user's own, for ``data/``."""

    name: str
    url: str

    def do(self, *arguments: str) -> None:
        """Runs DVC in ``data/``.

        Raises:
            UserError: one line that says what is wrong with the remote, or DVC's own reason.
        """
        try:
            dvc(*arguments, folder=FOLDER)
        except UserError as error:
            raise self.fault(str(error)) from None

    def push(self, entry: registry.Dataset) -> None:
        """Pushes a prepared dataset, again where an earlier push has left a part of it under its name.

        Some servers keep what has come when a line breaks, and DVC takes it for the whole. None of its commands removes
        a single object, so its own classes do.
        """
        from dvc.repo import Repo  # takes a while

        self.do("push", "--remote", self.name, f"{_below(entry)}.dvc")
        with Repo(str(FOLDER)) as repo:
            store = repo.cloud.get_remote_odb(self.name)
            there = store.oid_to_path(entry.md5)
            whole = store.fs.size(there) == Path(prepared(entry.name)).stat().st_size
            if not whole:
                store.fs.remove(there)
        if not whole:
            self.do("push", "--remote", self.name, f"{_below(entry)}.dvc")

    def look(self) -> None:
        """Raises a UserError with what is wrong where it cannot be looked into."""
        self.do("list-url", f"remote://{self.name}/")

    def fault(self, reason: str) -> UserError:
        """DVC's reason in words that say how to mend it, where it is one of the known ones."""
        secret = SECRETS.get(self.url.partition("://")[0], "password")
        known = (words.format(remote=self.name, secret=secret) for said, words in FAULTS if re.search(said, reason))
        url = re.sub(r"(//[^/@:]*):[^/@]*@", r"\1:...@", self.url)
        return UserError(f"remote {self.name} ({url}): {next(known, reason)}")


def record_data(name: str) -> Iterator[str]:
    """Pushes the prepared real datasets that are here to a remote; gives a line for each one that is there.

    Args:
        name: one of the user's own remotes (``dvc remote add --local NAME URL``).

    Raises:
        UserError: no prepared real dataset is here, one is not what the registry says, or the remote cannot be used.
    """
    here = [entry for entry in _real_datasets() if Path(prepared(entry.name)).exists()]
    if not here:
        raise UserError(
            f"no prepared real dataset is in {FOLDER}/prepared; for example: snakemake {prepared('cifar-10')}"
        )
    remote = _remote(name)
    for entry in here:
        _check(entry)
        dvc("add", _below(entry), folder=FOLDER)
        yield f"{entry.name}: sending {Path(prepared(entry.name)).stat().st_size / MEGABYTE:.0f} MB ..."
        remote.push(entry)
        yield f"{entry.name}: is in the remote {name}"


def restore_data(name: str) -> Iterator[str]:
    """Brings prepared real datasets back from a remote, those that it has; gives a line for each one.

    Raises:
        UserError: the remote cannot be used or has none of them, or what it has is not what the registry says.
    """
    wanted = [entry for entry in _real_datasets() if not Path(prepared(entry.name)).exists()]
    if not wanted:
        yield "every prepared dataset is here"
        return
    remote = _remote(name)
    remote.look()
    missing = []
    for entry in wanted:
        pointer = Path(f"{prepared(entry.name)}.dvc")
        write_text(pointer, _pointer(entry))
        try:
            remote.do("pull", "--remote", name, f"{_below(entry)}.dvc")
        except UserError as error:
            pointer.unlink()
            if NOT_THERE not in str(error):
                raise
            missing.append(entry.name)
        else:
            _check(entry)
            yield f"{entry.name}: restored from the remote {name}"
    if missing:
        remote.look()  # a server that does not answer any more has no files either
    if len(missing) == len(wanted):
        raise UserError(f"remote {name} ({remote.url}): has none of {', '.join(missing)}; "
                        f"tenfold record --data --remote {name} puts there what is prepared")  # fmt: skip
    if missing:
        yield f"not in the remote {name}: {', '.join(missing)}"


def _real_datasets() -> list[registry.Dataset]:
    return [
        entry for entry in map(registry.dataset, registry.names()) if entry.is_foreign and entry.sha256 and entry.md5
    ]


def _remote(name: str) -> Remote:
    """One of the user's own remotes, known in ``data/`` too, which is made a DVC repository without git."""
    listed = re.findall(r"^remote\.(.+)\.url=(.+)$", dvc("config", "--list"), flags=re.MULTILINE)
    own = {known: url for known, url in listed if url != str(STORE.resolve())}
    if name not in own:
        raise UserError(f"'{name}' is no remote of your own; allowed: {', '.join(own) or 'none yet'}; {ADD}")
    if not (FOLDER / ".dvc").exists():
        FOLDER.mkdir(exist_ok=True)
        dvc("init", "--no-scm", "--quiet", folder=FOLDER)
    settings = ConfigParser(interpolation=None)
    settings.read(Path(".dvc", "config.local"))
    remote = f"'remote \"{name}\"'"
    # DVC reads a folder relative to the file that names it, and does not look into what it pulls unless it is told to.
    settings.read_dict({remote: {"url": own[name], "verify": "true"}})
    with (FOLDER / ".dvc" / "config.local").open("w", encoding="utf-8") as file:
        settings.write(file)
    return Remote(name, own[name])


def _check(entry: registry.Dataset) -> None:
    path = Path(prepared(entry.name))
    if (found := sha256(path)) != entry.sha256:
        raise UserError(f"{path}: has SHA-256 {found}, config/datasets.yaml says {entry.sha256}; delete it")


def _below(entry: registry.Dataset) -> str:
    return Path(prepared(entry.name)).relative_to(FOLDER).as_posix()


def _pointer(entry: registry.Dataset) -> str:
    return f"outs:\n- md5: {entry.md5}\n  hash: md5\n  path: {Path(prepared(entry.name)).name}\n"
