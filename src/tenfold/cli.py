"""Tenfold's own verbs: what neither Snakemake nor DVC does."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from tenfold import config, variants, workflow
from tenfold.books import run
from tenfold.errors import UserError, limit_of_machine

Verb = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; a user's mistake is one line and exit code 2."""
    given = _parser().parse_args(arguments)
    verb: Verb = given.verb
    try:
        try:
            go_to_root(given)
            return verb(given)
        except BrokenPipeError:  # whoever reads has enough, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except OSError as error:
            raise limit_of_machine(error) from error
    except UserError as error:
        print(f"tenfold: {error}", file=sys.stderr)
        return 2


def go_to_root(given: argparse.Namespace) -> None:
    """Makes the project's root the working directory; a file that was asked for keeps its meaning.

    Raises:
        UserError: the working directory is not within the project whose sources run.
    """
    here, root = Path.cwd().resolve(), config.ROOT
    for files in ("out", "archives"):
        named = getattr(given, files, None)
        if named:
            setattr(given, files, [here / path for path in named] if isinstance(named, list) else here / named)
    if not (root / "Snakefile").exists():
        raise UserError(
            f"tenfold is installed in {Path(__file__).parent} without its clone, which it works on: "
            "clone the repository, and make there sets up .venv/bin/tenfold"
        )
    if not here.is_relative_to(root):
        own = next((folder for folder in (here, *here.parents) if (folder / "src" / "tenfold").is_dir()), None)
        mend = f"use {own}/.venv/bin/tenfold (make there sets it up)" if own else f"cd {root}"
        if own and (own / ".venv").resolve() == Path(sys.prefix).resolve():  # a link, as worktrees may have one
            mend = f"{own}/.venv is that of {root}: use make, or set PYTHONPATH={own}/src"
        raise UserError(f"this command is of {root}, and {here} is not in it: {mend}")
    if getattr(given, "what", None):
        name, *cell = given.what.split(":", 1)
        path = (here / name).resolve()
        is_claim = bool(cell) and not path.is_file() and name.rpartition("/")[2] in config.papers()
        if path.is_relative_to(root) and not is_claim and ("/" in name or "." in name or path.exists()):
            given.what = ":".join([path.relative_to(root).as_posix(), *cell])
    os.chdir(root)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tenfold", description=__doc__)
    parser.add_argument("--version", action="version", version=f"tenfold {version('tenfold')}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def add(name: str, verb: Verb, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        added.set_defaults(verb=verb)
        return added

    record = add(
        "record", _record, "put what was computed on record: tables, figures, verdicts, checksums, checkpoints"
    )
    record.add_argument(
        "--index", action="store_true", help="only rebuild what is derived: scoreboards, README's results, dvc.yaml"
    )
    record.add_argument("--rows", action="store_true", help="only single rows that were made elsewhere, as in full")
    record.add_argument("--data", action="store_true", help="only prepared real datasets, in a DVC remote of your own")
    record.add_argument("--remote", help="the remote for --data (dvc remote add --local NAME URL)")
    for added in (
        record,
        add("target", _target, "the Snakemake target of an edition of one paper, or of all; checks both names"),
        add("compare", _compare, "compare what was computed here with what is on record, cell by cell"),
    ):
        added.add_argument("papers", nargs="*", help="slugs; all configured papers if none is given")
        added.add_argument(
            "--edition", default="", help=f"{', '.join(config.EDITIONS)}; that of config.yaml if not given"
        )
    verbs.choices["target"].add_argument(
        "--pages", action="store_true", help="the pages for make report, of what is here"
    )
    added.add_argument("--strict", action="store_true", help="exit with 1 if anything differs")
    tried = add("try", _try, "compute an edition of one paper with other settings, in a folder of its own")
    tried.add_argument("paper", help="its slug")
    tried.add_argument("--edition", default="", help=f"{', '.join(config.EDITIONS)}; that of config.yaml if not given")
    tried.add_argument("--set", action="append", required=True, metavar="KEY=VALUE", dest="settings",
                       help="a setting of the paper, dotted, such as recipe.lr=0.1; may be given again")  # fmt: skip
    tried.add_argument("--name", default="", help="of variants/NAME.yaml; made from the settings if not given")
    tried.add_argument("--dry-run", "-n", action="store_true", help="only say what would run")
    planned = add("plan", _plan, "say what a target costs before anything runs: jobs, MACs, hours, disk, data")
    planned.add_argument("targets", nargs="*", metavar="TARGET", type=_target_or_file,
                         help="as for snakemake, or @FILE, which lists such in order; the configured edition if none "
                         "is given")  # fmt: skip
    planned.add_argument("--device", action="append", default=[], metavar="NAME", dest="devices",
                         help="of config/devices.yaml, or here; may be given again")  # fmt: skip
    planned.add_argument("--measure", action="store_true", help="measure first how fast this machine trains (a minute)")
    packed = add("pack", _pack, "make a bundle of what computes a target's rows on a machine without Snakemake")
    packed.add_argument("targets", nargs="+", metavar="TARGET", type=_target_or_file,
                        help="EDITION/PAPER, files below runs/, or @FILE, which lists such in order")  # fmt: skip
    packed.add_argument("--out", type=Path, metavar="NAME.tar", help="build/pack/TARGET.tar if not given")
    packed.add_argument("--part-size", type=run.size, default="64M", metavar="SIZE", help="of its parts, such as 64M")
    packed.add_argument("--data", action="store_true", help="the datasets that it needs too, as an archive of its own")
    unpacked = add("unpack", _unpack, "take in the rows that a bundle's run.py has computed, if they are today's")
    unpacked.add_argument(
        "archives", nargs="+", type=Path, metavar="NAME.tar", help="all its parts beside NAME.tar.sha256"
    )
    replayed = add("replay", _replay, "show that rewritten code does what recorded code did, on a small probe of both")
    replayed.add_argument("papers", nargs="*", help="slugs; all configured papers if none is given")
    replayed.add_argument("--edition", default="", help="every edition on record if not given")
    listing = add("list", _list, "say what can be asked for, and what of it is on record")
    listing.add_argument("papers", nargs="*", help="slugs, for their tables and figures")
    listing.add_argument("--edition", default="", help="that of config.yaml if not given")
    add("verify", _verify, "check every file against its record, and name those that differ")
    restore = add("restore", _restore, "bring recorded files back without computing anything")
    restore.add_argument("papers", nargs="*", help="slugs; all that is on record if none is given")
    restore.add_argument("--edition", default="", help="every edition on record if not given")
    restore.add_argument("--data", action="store_true", help="only prepared real datasets, from --remote")
    restore.add_argument("--remote", help="the remote for --data")
    restore.add_argument("--rev", help="of this commit or tag, instead of the one that is checked out")
    collect = add("gc", _gc, "drop from store/ and DVC's cache what neither this commit, a branch nor a tag refers to")
    collect.add_argument("--dry-run", action="store_true", help="only say what would be dropped")
    added = add("new-paper", _new_paper, "write the few files of a new paper, which run at once, to be filled in")
    added.add_argument("slug", help="its name everywhere, such as dark-knowledge")
    exported = add("export", _export, "write a paper's record as an archive that others can read without Tenfold")
    exported.add_argument("paper", help="its slug")
    exported.add_argument("--edition", default="", help="that of config.yaml if not given")
    exported.add_argument("--crate", action="store_true", required=True, help="as a Workflow Run RO-Crate")
    exported.add_argument("--out", type=Path, metavar="FOLDER", help="build/crate/EDITION-PAPER if not given")
    explain = add("explain", _explain, "say where a file, a cell of a table or a claim comes from")
    explain.add_argument(
        "what",
        metavar="WHAT",
        help="FILE; TABLE.csv:ROW:COLUMN (ROW as printed, keys joined by ' / ', or its number; any column of the CSV); "
        "PAPER:CLAIM, EDITION/PAPER:CLAIM or .../claims.json:CLAIM; or the name of an artifact of dvc.yaml",
    )
    explain.add_argument("--full", action="store_true", help="the whole lineage, down to the data")
    explain.add_argument("--json", action="store_true", help="all of it as JSON with sorted keys")
    return parser


def _target_or_file(text: str) -> str:
    """A target; the path of ``@FILE`` is that from where the user is."""
    return f"@{Path.cwd() / text[1:]}" if text.startswith("@") else text


def _papers(given: argparse.Namespace) -> tuple[str, list[str]]:
    house = workflow.House({})
    edition = given.edition or house.edition
    base, variant = variants.split(edition)
    if variant and given.verb not in (_target, _compare, _list):
        raise UserError(f"{edition} is a variant of {base}: only editions as config/papers/ has them are on record")
    slugs: list[str] = given.papers or house.concerned(edition)
    for slug in slugs:
        workflow.check_target(edition, slug)
    return edition, slugs


def _target(given: argparse.Namespace) -> int:
    edition, slugs = _papers(given)
    if given.pages:
        scoreboard = [] if given.papers else [f"runs/{edition}/scoreboard.md"]
        print(" ".join(workflow.pages(edition, slugs) + scoreboard))
        return 0
    print(" ".join(workflow.check_target(edition, slug) for slug in given.papers or ["all"]))
    return 0


def _try(given: argparse.Namespace) -> int:
    edition = given.edition or str(config.house()["edition"])
    if "+" in edition:
        mend = f"edit its file in variants/, then snakemake {edition}/{given.paper}"
        raise UserError(f"{edition} is a variant already: {mend}")
    workflow.check_target(edition, given.paper)
    own = variants.parsed(given.settings)
    workflow.check_settings(edition, given.paper, own, "--set")
    name = variants.write(given.paper, own, given.name)
    command = ["snakemake", f"{edition}+{name}/{given.paper}", *(["--dry-run"] if given.dry_run else [])]
    print(f"variants/{name}.yaml: {' '.join(command)}", flush=True)
    return subprocess.run([sys.executable, "-m", *command], check=False).returncode


def _remote(given: argparse.Namespace) -> str:
    if not given.remote:
        raise UserError("--data needs --remote NAME, a remote of your own (dvc remote add --local NAME URL)")
    return str(given.remote)


def _print_each(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)


def _record(given: argparse.Namespace) -> int:
    from tenfold.books import data_remote, index, record, rows

    if given.index:
        index.rebuild()
    elif given.data:
        _print_each(data_remote.record_data(_remote(given)))
    elif given.rows:
        edition, slugs = _papers(given)
        print("\n".join(rows.record_rows(edition, slug) for slug in slugs))
    else:
        print("\n".join(record.record(*_papers(given))))
    return 0


def _compare(given: argparse.Namespace) -> int:
    from tenfold.books.beside import beside_edition
    from tenfold.books.compare import DIFFERS, NOT_HERE, compare
    from tenfold.books.recorded import Ledger
    from tenfold.report.scoreboard import glance, read_claims

    edition, slugs = _papers(given)
    if variants.split(edition)[1]:
        print("\n".join(line for slug in slugs for line in beside_edition(edition, slug)))
        return 0
    books = [Ledger(edition, slug) for slug in slugs]
    decided = [book.runs / "claims.json" for book in books if (book.runs / "claims.json").exists()]
    if decided:
        print("\n".join(glance(read_claims(decided))))
    found = [compare(book) for book in books]
    print("\n".join(line for comparison in found for line in comparison.lines()))
    print(f"scoreboard: runs/{edition}/scoreboard.md; tables, figures and verdicts: runs/{edition}/<paper>/")
    if found and all(comparison.outcome == NOT_HERE for comparison in found):
        print("nothing was compared: make reproduce computes it, make restore brings what is on record")
        return int(given.strict)
    return int(given.strict and any(comparison.outcome == DIFFERS for comparison in found))


def _pack(given: argparse.Namespace) -> int:
    from tenfold.books import order
    from tenfold.books.pack import pack

    targets = order.in_order(order.rows_of(given.targets))
    first = given.targets[0]
    named = Path("build", "pack", f"{Path(first[1:]).stem}.tar") if first.startswith("@") else None
    print("\n".join(pack(targets, given.out or named, given.part_size, data=given.data)))
    return 0


def _plan(given: argparse.Namespace) -> int:
    from tenfold.books import devices, forecast, order

    def say(line: str) -> None:
        print(f"tenfold: {line}", file=sys.stderr, flush=True)

    if given.measure:
        devices.measure(say)
        if not given.targets:
            print(f"{devices.own_file()}: {devices.devices()[devices.HERE].title}")
            return 0
    rows = order.rows_of(given.targets or [f"{config.house()['edition']}/all"])
    print("\n".join(forecast.plan(rows, given.devices, say)))
    return 0


def _unpack(given: argparse.Namespace) -> int:
    from tenfold.books.unpack import unpack

    placed, refused = unpack(given.archives)
    print("\n".join(placed))
    for reason in refused:
        print(f"tenfold: {reason}", file=sys.stderr)
    return 2 if refused else 0


def _replay(given: argparse.Namespace) -> int:
    from tenfold.books import replay
    from tenfold.books.recorded import books_of

    _, slugs = _papers(given)
    editions = [given.edition] if given.edition else list(config.EDITIONS)
    equal, refused = replay.replay(books_of(editions, slugs))
    print("\n".join(equal) or ("nothing was shown to be equal" if refused else "nothing to replay"))
    for reason in refused:
        print(f"tenfold: {reason}", file=sys.stderr)
    return 2 if refused else 0


def _list(given: argparse.Namespace) -> int:
    from tenfold.books import listing

    edition, slugs = _papers(given)
    found = [line for slug in slugs for line in listing.files(edition, slug)] if given.papers else listing.papers(slugs)
    print("\n".join(found))
    return 0


def _verify(_given: argparse.Namespace) -> int:
    from tenfold.books.verify import verify

    found = verify()
    for path in found.anew:
        print(f"{path}: made anew here, with other bytes than on record")
    for line in found.wrong:
        print(line)
    print(f"{found.files} files checked: {len(found.wrong)} are not what their record says, "
          f"{len(found.anew)} were made anew here")  # fmt: skip
    return int(bool(found.wrong))


def _restore(given: argparse.Namespace) -> int:
    from tenfold.books.data_remote import restore_data
    from tenfold.books.restore import restore, restore_from

    if given.data:
        _print_each(restore_data(_remote(given)))
        return 0
    if given.rev and (given.papers or given.edition):
        raise UserError("--rev brings all that was on record then; leave papers and --edition out")
    _, slugs = _papers(given)
    asked = {(edition, slug) for edition in [given.edition] if edition for slug in slugs}
    asked |= {(edition, slug) for edition in config.EDITIONS for slug in given.papers if not given.edition}
    print("\n".join(restore_from(given.rev) if given.rev else restore(asked or None)))
    return 0


def _gc(given: argparse.Namespace) -> int:
    from tenfold.books.gc import gc

    print("\n".join(gc(dry_run=given.dry_run)))
    return 0


def _new_paper(given: argparse.Namespace) -> int:
    from tenfold.books.new_paper import new_paper

    print("\n".join(new_paper(given.slug)))
    return 0


def _export(given: argparse.Namespace) -> int:
    from tenfold.books.crate import export
    from tenfold.books.recorded import Ledger

    edition = given.edition or str(config.house()["edition"])
    workflow.check_target(edition, given.paper)
    folder = given.out or Path("build", "crate", f"{edition}-{given.paper}")
    print("\n".join(export(Ledger(edition, given.paper), folder)))
    return 0


def _explain(given: argparse.Namespace) -> int:
    from tenfold.books.explain import explain

    print("\n".join(explain(given.what, full=given.full, as_json=given.json)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
