"""``make site``: builds the site of what is on record, which reads from a disk as from a server."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tenfold.errors import UserError
from tenfold.site.pages import FILES, write_pages
from tenfold.site.record import Paper, papers

SITE = Path("build", "site")
WORK = Path("build", "site-sources")


def build(every: Sequence[Paper], site: Path = SITE, work: Path = WORK) -> None:
    """Builds the site, whole or not at all.

    Args:
        every: the papers that it is of.
        site: the folder of the site; what was there is replaced.
        work: a folder for sources and what Sphinx keeps.

    Raises:
        UserError: Sphinx is not installed, or warns of a page.
    """
    try:
        from sphinx.cmd.build import build_main
    except ModuleNotFoundError:
        raise UserError("the site is built by Sphinx, which is not installed: pip install -e '.[site]'") from None
    for folder in (work, site):
        shutil.rmtree(folder, ignore_errors=True)
    sources, made = work / "pages", work / "html"
    write_pages(sources, every)
    configured, kept = str(Path(__file__).parent), str(work / "doctrees")
    options = ["--quiet", "--fail-on-warning", "--keep-going", "--conf-dir", configured, "--doctree-dir", kept]
    if build_main([*options, str(sources), str(made)]):
        raise UserError("the site is not built: Sphinx says why above")
    shutil.move(sources / FILES, made / FILES)
    made.rename(site)


def main() -> int:
    """Builds the site; a user's mistake is one line and exit code 2."""
    try:
        build(papers())
    except UserError as error:
        print(f"tenfold: {error}", file=sys.stderr)
        return 2
    print(f"{SITE}/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
