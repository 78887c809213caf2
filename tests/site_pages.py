"""What tests of the site read of its pages: texts, links and anchors, out of HTML."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source"}


class Element:
    """An element with its attributes and what is in it."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag, self.attributes = tag, attributes
        self.content: list[Element | str] = []

    def all(self, tag: str = "", kind: str = "") -> Iterator[Element]:
        """The elements in it, of a tag or with a class (``kind``) where they are given."""
        for part in self.content:
            if isinstance(part, Element):
                if tag in ("", part.tag) and kind in ("", *part.attributes.get("class", "").split()):
                    yield part
                yield from part.all(tag, kind)

    @property
    def text(self) -> str:
        """Its text, with single blanks."""
        return " ".join("".join(part if isinstance(part, str) else part.text for part in self.content).split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].content.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while any(element.tag == tag for element in self.open[1:]) and self.open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.open[-1].content.append(data)


def read(text: str) -> Element:
    """The elements of a page."""
    reader = _Reader()
    reader.feed(text)
    return reader.open[0]


def dead_links(site: Path) -> list[str]:
    """Links, pictures, sounds, styles and scripts of a site that lead nowhere in it, or load from elsewhere."""
    pages = {page.resolve(): read(page.read_text()) for page in site.rglob("*.html")}
    anchors = {page: {element.attributes["id"] for element in content.all() if "id" in element.attributes}
               for page, content in pages.items()}  # fmt: skip
    dead = []
    for page, content in pages.items():
        for element in content.all():
            for name in ("href", "src"):
                link = urlsplit(element.attributes.get(name, ""))
                loads = name == "src" or element.tag == "link"
                target = (page.parent / unquote(link.path)).resolve() if link.path else page
                wrong = loads if link.scheme or link.netloc else not target.is_file() or (
                    bool(link.fragment) and target in anchors and link.fragment not in anchors[target])  # fmt: skip
                if wrong and name in element.attributes and not (element.tag == "use" and not link.path):
                    dead.append(f"{page.relative_to(site.resolve())}: {element.attributes[name]}")
    return dead
