"""What the site shows of the record: the papers, each with its editions; of these claims, tables and figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tenfold import config, workflow
from tenfold.books import index
from tenfold.report.face import Data, Face

ABOUT = Path("docs", "papers")  # of each paper its idea, and what of it is reproduced: <slug>.md


@dataclass(frozen=True)
class Edition:
    """One edition of one paper, as it is on record.

    Attributes:
        content: of its ``claims.json``.
        folder: where it lies.
    """

    content: Mapping[str, Any]
    folder: Path

    @property
    def slug(self) -> str:
        """The paper's name."""
        return str(self.content["paper"])

    @property
    def name(self) -> str:
        """The edition's name."""
        return self.face.edition

    @property
    def is_whole(self) -> bool:
        """Whether it is on record as a whole, not as single rows."""
        return (self.folder / "provenance.json").exists()

    @property
    def face(self) -> Face:
        """Edition, data, seeds, device, precision."""
        said = self.content["face"]
        return Face(**said | {"data": Data(**said["data"])})

    @property
    def claims(self) -> list[Mapping[str, Any]]:
        """Its claims, decided."""
        return list(self.content["claims"])

    def claims_of(self, role: str) -> list[Mapping[str, Any]]:
        """The claims of a role: primary, secondary, control, check."""
        return [claim for claim in self.claims if claim["role"] == role]

    @cached_property
    def tables(self) -> list[Path]:
        """The CSV of each table, in the paper's order; without measured times, which differ from run to run."""
        found = [*self.folder.glob("table-*.csv"), *self.folder.glob("tables/table-*.csv")]
        return self._in_order(path for path in found if not path.name.endswith(".times.csv"))

    @cached_property
    def figures(self) -> list[Path]:
        """The picture of each figure, in the paper's order."""
        return self._in_order(self.folder.glob("figures/*.png"))

    def _in_order(self, paths: Iterator[Path]) -> list[Path]:
        targets = workflow.House({"edition": self.name}).paper(self.slug).targets(self.name)
        names = {Path(target).name: place for place, target in enumerate(targets)}
        return sorted(paths, key=lambda path: (names.get(path.name, len(names)), path.name))


@dataclass(frozen=True)
class Paper:
    """A paper of the project, and its editions on record, the largest whole one first."""

    slug: str
    editions: list[Edition]

    @property
    def facts(self) -> Mapping[str, Any]:
        """Title, authors, venue and year, arXiv number."""
        return config.paper(self.slug).about

    @property
    def about(self) -> str:
        """Its idea, and what is reproduced and what not, as Markdown; empty where nobody wrote it yet."""
        file = ABOUT / f"{self.slug}.md"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    @cached_property
    def primary(self) -> list[tuple[Edition, Mapping[str, Any]]]:
        """Each primary claim at the largest edition that can say something of it."""
        from tenfold.report.scoreboard import decided

        of = {edition.name: edition for edition in self.editions}
        smallest_first = [of[name].content for name in config.EDITIONS if name in of]
        return [(of[paper["face"]["edition"]], claim) for paper, claim in decided(smallest_first)]


def papers() -> list[Paper]:
    """All papers of the project, in the order of their names."""
    found = [Edition(content, Path(content["folder"])) for content in index.recorded_claims()]
    largest_first = sorted(found, key=lambda one: (not one.is_whole, -config.EDITIONS.index(one.name)))
    return [Paper(slug, [one for one in largest_first if one.slug == slug]) for slug in config.papers()]
