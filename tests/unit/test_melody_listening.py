"""The listening page: blind, the same for the same seed, playable in a browser; and the counting of its answers."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tenfold.errors import UserError
from tenfold.files import write_json
from tenfold.launcher import Job
from tenfold.papers.melody.report import listening

from ..made_up_melodies import write_generated

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CFG = {"edition": "small", "data": {"name": "aaba", "stands_in_for": "OpenEWLD"}, "seeds": [3, 4],
       "files": {"generated": [{"net": variant, "arm": "sample"} for variant in ("1L", "2L", "3L")]}}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("listening")
    files = [folder / f"generated/{variant}/sample/s0-4.safetensors" for variant in ("1L", "2L", "3L")]
    for path in files:
        write_generated(path, path.parts[-3])
    for name in ("page", "again"):
        listening.listening(CFG, Job(resume=folder / "r"), generated=files, page=folder / f"{name}.html",
                            key=folder / f"{name}.json")  # fmt: skip
    return folder


def data_in(page: Path) -> dict[str, Any]:
    found = re.search(r"^const data = (.*);$", page.read_text(), flags=re.MULTILINE)
    assert found
    return json.loads(found[1])


def test_equal_seeds_give_equal_pages(made: Path) -> None:
    assert (made / "page.html").read_bytes() == (made / "again.html").read_bytes()
    assert (made / "page.json").read_bytes() == (made / "again.json").read_bytes()
    pieces = {variant: [np.array([14] + [0] * 15, dtype=np.int8)] * 9 for variant in ("1L", "2L", "3L")}
    assert listening.blinded(pieces, 1)[1]["pairs"] != listening.blinded(pieces, 2)[1]["pairs"]


def test_the_page_names_no_model_and_reaches_no_network(made: Path) -> None:
    text = (made / "page.html").read_text()
    assert not re.search(r"[123]L\b|HRNN|real piece", text)
    assert not re.search(r"https?:|//[a-z]|\bsrc=|\bfetch\b|XMLHttpRequest|WebSocket|sendBeacon|@import", text)
    assert "default-src 'none'" in text
    assert "aaba (stand-in for OpenEWLD)" in text


def test_pairs_are_balanced_and_their_sides_are_mixed(made: Path) -> None:
    data, key = data_in(made / "page.html"), json.loads((made / "page.json").read_text())
    assert data["page"] == key["page"]
    models = [tuple(key["pieces"][name]["variant"] for name in pair) for pair in data["pairs"]]
    for pair in listening.PAIRS:
        sides = [models.count(pair), models.count(pair[::-1])]
        assert sum(sides) == 15 and min(sides) >= 2
    assert models != sorted(models)
    # The numbers of names tell nothing: in their order models are mixed.
    assert len({key["pieces"][name]["variant"] for name in sorted(data["pieces"])[:12]}) == 3


def test_notes_are_held_to_the_end_of_their_bar() -> None:
    piece = np.zeros(32, dtype=np.int8)
    piece[[0, 4, 6, 14]] = 14, 16, 1, 18
    assert listening.held(piece) == [[0, 16, 60], [4, 12, 62], [14, 18, 64]]


def test_pieces_on_the_page_are_those_of_the_key(made: Path) -> None:
    from tenfold.papers.melody.composed import read_composed

    data, key = data_in(made / "page.html"), json.loads((made / "page.json").read_text())
    for name, notes in data["pieces"].items():
        of = key["pieces"][name]
        sets = read_composed(made / f"generated/{of['variant']}/sample/s0-4.safetensors", 3)
        assert notes == listening.held(sets["sampled"].events[of["piece"]])


def test_a_model_without_pieces_is_named() -> None:
    with pytest.raises(UserError, match="no pieces of HRNN-2L to listen to"):
        listening.blinded({"3L": [np.zeros(16, dtype=np.int8)], "1L": [np.zeros(16, dtype=np.int8)], "2L": []}, 0)


# Answers ------------------------------------------------------------------------------------------------------------

KEY = {"page": "ab" * 32, "pieces": {"p0": {"variant": "1L", "piece": 0}, "p1": {"variant": "2L", "piece": 0},
                                     "p2": {"variant": "3L", "piece": 0}}}  # fmt: skip


def answers(path: Path, *pairs: tuple[str, str]) -> Path:
    """A file of answers; the chosen piece comes first in each pair, and stands at either side on the page."""
    rows = [{"first": pair[i % 2], "second": pair[1 - i % 2], "chosen": pair[0]} for i, pair in enumerate(pairs)]
    write_json(path, {"page": KEY["page"], "answers": rows})
    return path


def test_votes_are_counted_by_two_models_and_listener(tmp_path: Path) -> None:
    files = [
        answers(tmp_path / "a.json", ("p2", "p0"), ("p2", "p0"), ("p0", "p2"), ("p1", "p0")),
        answers(tmp_path / "b.json", ("p2", "p0"), ("p2", "p0")),
        answers(tmp_path / "c.json", ("p0", "p2")),
    ]
    assert listening.count_votes(KEY, files) == {
        ("3L", "1L"): [(2, 3), (2, 2), (0, 1)], ("2L", "1L"): [(1, 1)], ("3L", "2L"): [],
    }  # fmt: skip
    write_json(tmp_path / "key.json", KEY)
    listening.votes({}, Job(resume=tmp_path / "r"), key=tmp_path / "key.json", answers=files,
                    table=tmp_path / "votes.csv")  # fmt: skip
    with (tmp_path / "votes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["preferred"], row["to"], row["votes"], row["of"], row["listeners"]) for row in rows] == [
        ("HRNN-3L", "HRNN-1L", "4", "6", "3"), ("HRNN-2L", "HRNN-1L", "1", "1", "1"),
    ]  # fmt: skip
    assert float(rows[0]["p"]) == pytest.approx(stats.chisquare([4, 2]).pvalue)
    assert float(rows[0]["p by listener"]) == pytest.approx(stats.ttest_1samp([2 / 3, 1, 0], 0.5).pvalue)
    assert rows[1]["p by listener"] == ""


def test_answers_to_another_page_are_refused(tmp_path: Path) -> None:
    path = answers(tmp_path / "a.json", ("p2", "p0"))
    with pytest.raises(UserError, match="has no answers to this page"):
        listening.count_votes(KEY | {"page": "cd" * 32}, [path])
    write_json(path, {"page": KEY["page"], "answers": [{"first": "p9", "second": "p0", "chosen": "p9"}]})
    with pytest.raises(UserError, match="names pieces that the page does not have"):
        listening.count_votes(KEY, [path])


# In a browser -------------------------------------------------------------------------------------------------------

LISTENER = """
<script>
const makeUrl = URL.createObjectURL;
URL.createObjectURL = (blob) => { blob.text().then((text) => { report.saved = JSON.parse(text); tell(); });
                                  return makeUrl.call(URL, blob); };
const report = { errors: [], locked: get("choose0").disabled };
window.onerror = (message) => { report.errors.push(message); };
const tell = () => { document.title = JSON.stringify(report); };
get("play0").click();
report.half = get("choose0").disabled;
get("play1").click();
report.both = get("choose0").disabled;
report.state = context.state;
for (let pair = 0; pair < data.pairs.length; pair++) {
  get("play0").click(); get("play1").click(); get("choose" + pair % 2).click();
}
report.where = get("where").textContent;
report.over = get("play0").disabled;
get("save").click();
tell();
</script>
"""


@pytest.mark.browser
def test_a_browser_plays_pairs_and_saves_answers(made: Path, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    page = tmp_path / "page.html"
    page.write_text((made / "page.html").read_text() + LISTENER)
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--autoplay-policy=no-user-gesture-required", "--virtual-time-budget=4000", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    title = re.search(r"<title>(.*?)</title>", done.stdout, flags=re.DOTALL)
    assert title, done.stderr
    report, data = json.loads(title[1]), data_in(made / "page.html")
    assert report["errors"] == []
    assert (report["locked"], report["half"], report["both"], report["over"]) == (True, True, False, True)
    assert report["where"].startswith("That was the last pair")
    saved = report["saved"]
    assert saved["page"] == data["page"]
    assert [[answer["first"], answer["second"]] for answer in saved["answers"]] == data["pairs"]
    assert [answer["chosen"] for answer in saved["answers"]] == [
        pair[number % 2] for number, pair in enumerate(data["pairs"])
    ]
    write_json(tmp_path / "answers.json", saved)
    counts = listening.count_votes(json.loads((made / "page.json").read_text()), [tmp_path / "answers.json"])
    assert {pair: of for pair, [(_, of)] in counts.items()} == dict.fromkeys(listening.PAIRS, 15)
