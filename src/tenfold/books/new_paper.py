"""``tenfold new-paper``: the few files of a paper that runs at once, for its author to fill with the paper's own."""

from __future__ import annotations

import re
from keyword import iskeyword
from pathlib import Path

from tenfold import config
from tenfold.errors import UserError
from tenfold.files import write_text

TEMPLATE = Path("examples", "new_paper")
HOUSE = Path("config", "config.yaml")
SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 28  # so that no line of the files becomes too long


def new_paper(slug: str) -> list[str]:
    """Writes the files of a new paper, and its line in the list of papers.

    Returns:
        The files, and the commands that come next.

    Raises:
        UserError: the name cannot be one of a paper, or something stands in the place of a file.
    """
    package = config.package_of(slug)
    if not SLUG.fullmatch(slug) or iskeyword(package) or len(slug) > LONGEST:
        raise UserError(f"'{slug}' cannot name a paper: small letters, digits and single hyphens, at most {LONGEST}")
    names = {"my-paper": slug, "my_paper": package, "My Paper": slug.replace("-", " ").title()}
    files = {Path(_renamed(path.relative_to(TEMPLATE).as_posix(), names)): path
             for path in sorted(TEMPLATE.rglob("*")) if path.is_file() and "__pycache__" not in path.parts}  # fmt: skip
    if taken := [path for path in files if path.exists()]:
        raise UserError(f"{taken[0]}: is there already; choose another name")
    for path, template in files.items():
        write_text(path, _renamed(template.read_text(encoding="utf-8"), names))
    write_text(HOUSE, f"{HOUSE.read_text(encoding='utf-8').rstrip()}\n  - {slug}\n")
    test = f"tests/exact/test_{package}_method.py"
    return [*map(str, files), str(HOUSE), f"now: snakemake smoke/{slug}; pytest {test}; then CONTRIBUTING.md"]


def _renamed(text: str, names: dict[str, str]) -> str:
    for name, own in names.items():
        text = text.replace(name, own)
    return text
