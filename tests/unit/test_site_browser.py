"""The whole site in a browser, from the disk: errors, widths, contrast, search, lineage and players."""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenfold import config
from tenfold.site.record import papers

from ..site_pages import dead_links

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
LEVEL_AA = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "resultTypes": ["violations"]}
EACH_KIND = (
    "index.html", "number.html", "search.html", "papers/melody/index.html", "papers/pruning-from-scratch/full.html",
    "papers/variance-shift/C7.html", "lineage/real/sge/table-attention.html",
)  # fmt: skip
WIDTHS = "[document.documentElement, document.querySelector('.content')].map(it => it.scrollWidth)"
MEGABYTE = 1e6


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sphinx")
    from tenfold.site.build import build

    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Sphinx's extensions to each other
        patch.chdir(ROOT)
        build(papers(), folder / "site", folder / "work")
    return folder / "site"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=arguments)
        yield started
        started.close()


def listened(page: Any) -> list[str]:
    """What goes wrong on a page from now on."""
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda asked: wrong.append(f"{asked.url}: {asked.failure}")
            if asked.failure != "net::ERR_ABORTED" else None)  # fmt: skip
    page.on("request", lambda asked: wrong.append(f"{asked.url} is not of the site")
            if not asked.url.startswith(("file:", "data:", "blob:")) else None)  # fmt: skip
    return wrong


def test_the_site_is_light_and_no_link_of_it_is_dead(site: Path, browser: Any) -> None:
    assert sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) < 30 * MEGABYTE
    assert dead_links(site) == []
    loaded: list[Path] = []
    page = browser.new_page(viewport=DESK)
    page.on("request", lambda asked: loaded.append(Path(asked.url.removeprefix("file://").partition("?")[0])))
    page.goto((site / "index.html").as_uri(), wait_until="networkidle")
    assert sum(file.stat().st_size for file in loaded) < 0.3 * MEGABYTE


def test_every_page_loads_without_an_error_and_scrolls_only_up_and_down_on_a_phone(site: Path, browser: Any) -> None:
    page = browser.new_page(viewport=PHONE)
    wrong = listened(page)
    for file in sorted(site.rglob("*.html")):
        page.goto(file.as_uri())
        widths = page.evaluate(WIDTHS)
        if max(widths) > PHONE["width"]:
            wrong.append(f"{file.relative_to(site)} is {max(widths)} pixels wide")
    assert wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_of_each_kind_are_accessible(scheme: str, site: Path, browser: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = browser.new_page(viewport=DESK, color_scheme=scheme)
    for name in EACH_KIND:
        page.goto((site / name).as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true })")
        found = axe.run(page, options=LEVEL_AA).response["violations"]
        assert [(name, one["id"], one["nodes"][0]["html"]) for one in found] == []


def test_a_page_is_dark_where_the_reader_wants_it_and_reads_without_scripts(site: Path, browser: Any) -> None:
    for scheme, is_dark in (("light", False), ("dark", True)):
        page = browser.new_context(java_script_enabled=False, color_scheme=scheme).new_page()
        page.goto((site / "papers/melody/index.html").as_uri())
        shown = page.screenshot(type="png", clip={"x": 600, "y": 2, "width": 4, "height": 4})
        assert (sum(_pixel(shown)) < 3 * 64) is is_dark
        page.locator("summary").first.click()
        assert page.locator("details.claims[open] table").first.is_visible()
        assert page.locator("math[display=block]").is_visible()
        assert page.locator("audio").first.is_visible()


def _pixel(png: bytes) -> tuple[int, ...]:
    from io import BytesIO

    from PIL import Image

    return tuple(Image.open(BytesIO(png)).convert("RGB").getpixel((1, 1)))  # type: ignore[arg-type]


def test_a_cell_leads_to_what_explain_says_of_it(site: Path, browser: Any) -> None:
    page = browser.new_page(viewport=DESK)
    page.goto((site / "papers/sge/index.html").as_uri())
    row = page.locator("table.results tr", has=page.locator("th", has_text="SGE"), has_text="66.92").first
    row.locator("a", has_text="66.92").click()
    page.wait_for_url("**/lineage/real/sge/table-attention.html#r7-accuracy")
    page.wait_for_function("document.querySelector(':target').getBoundingClientRect().bottom < innerHeight")
    cell = page.locator(":target")
    asked = "results/real/sge/tables/table-attention.csv:7:accuracy"
    command = [sys.executable, "-m", "tenfold.cli", "explain", asked]
    what, *facts = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.splitlines()
    said = " ".join(cell.inner_text().split())
    assert said == " ".join(" ".join([what.partition(", ")[2], *facts[:-1]]).split())


def test_melodies_play(site: Path, browser: Any) -> None:
    page = browser.new_page(viewport=PHONE)
    wrong = listened(page)
    page.goto((site / "papers/melody/index.html").as_uri())
    players = page.locator("audio")
    assert players.count() >= 3
    for player in (players.first, players.last):
        player.evaluate("it => it.play()")
        page.wait_for_timeout(600)
        assert player.evaluate("it => it.currentTime") > 0.1
        assert player.evaluate("it => it.duration") > 3
        player.evaluate("it => it.pause()")
    assert wrong == []


def test_a_picture_opens_large(site: Path, browser: Any) -> None:
    page = browser.new_page(viewport=PHONE)
    page.goto((site / "papers/sge/small.html").as_uri())
    small = page.locator(".figures img").first.bounding_box()["width"]
    page.locator(".figures a:has(img)").first.click()
    page.wait_for_url("**/*.png")
    assert page.evaluate("document.images[0].naturalWidth") > 1.5 * small


def test_search_finds_papers_on_a_disk(site: Path, browser: Any) -> None:
    page = browser.new_page(viewport=DESK)
    wrong = listened(page)
    page.goto((site / "index.html").as_uri())
    page.locator("input[name=q]").first.fill("distillation")
    page.keyboard.press("Enter")
    page.locator("#search-results li a").first.wait_for()
    links = page.locator("#search-results li a").evaluate_all("them => them.map(it => it.getAttribute('href'))")
    assert any("papers/rco/" in link for link in links)
    assert not any("lineage/" in link for link in links)
    assert wrong == []


def test_a_page_prints_without_its_navigation_and_with_what_is_folded(site: Path, browser: Any) -> None:
    page = browser.new_page(viewport=DESK)
    page.goto((site / "papers/sge/index.html").as_uri())
    page.emulate_media(media="print")
    assert not page.locator(".sidebar-drawer").is_visible()
    assert page.locator("details.claims table").first.bounding_box()["height"] > 100
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_every_paper_has_its_pages(site: Path) -> None:
    for slug in config.papers():
        assert (site / "papers" / slug / "index.html").is_file()
