"""Tables, figures and verdicts of the competition from made-up counts, against values worked out by hand."""

from __future__ import annotations

import copy
import csv
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from types import SimpleNamespace
from typing import Any

import pytest

from tenfold.files import read_json, write_json, write_text
from tenfold.launcher import Job
from tenfold.papers.adversarial_competition import grid
from tenfold.papers.adversarial_competition.report import figures, standings, tables, verdicts
from tenfold.workflow import TABLE_FORMS, Edition, House, seeds_of

from .decided import all_open, claims_in, no_histories, without_gates

BATCHES, IN_BATCH = 4, 50
FACTS = {"data": "cifar-10", "device": "cpu", "precision": "fp32"}
HARDENED = ("adv-a", "ens-adv-b", "adv-all")


@pytest.fixture(scope="module")
def real() -> Edition:
    return House({}).paper("adversarial-competition").edition("real")


def wrong(edition: Edition, track: str, defence: str, attack: str) -> int:
    """Of 50 images how many are labelled wrongly: more in a white box, fewer behind hardened nets and filters."""
    settings = edition.settings
    nets = {
        kind: set(grid.nets_of(settings, kind, name)) for kind, name in (("attacks", attack), ("defences", defence))
    }
    if not nets["attacks"]:
        return 5
    hardened = defence in HARDENED or any(net in HARDENED for net in nets["defences"])
    shared = bool(nets["attacks"] & nets["defences"])
    found = (48 if shared else 20) - (8 if hardened and not shared else 0)
    if attack in ("fgsm", "i-fgsm"):
        found -= 10
    if attack == "sangxia-16":
        found += 10
    if defence.startswith("median-"):
        found -= 20 if hardened else 4
    if defence in ("random-resize", "hgd"):
        found -= 15
    return max(found, 4)


def hit(attack: str, defence: str, edition: Edition) -> int:
    """Of 50 images how many are labelled as their target; at most as many as are wrong."""
    same = set(grid.nets_of(edition.settings, "attacks", attack)) & set(
        grid.nets_of(edition.settings, "defences", defence)
    )
    if attack.startswith("steps-"):
        steps, net = int(attack.split("-")[1]), attack.split("-", 2)[2]
        grown = {1: 0, 10: 30, 20: 34, 40: 36, 60: 38} if net == "a" else {1: 0, 10: 10, 20: 20, 40: 30, 60: 36}
        return grown[steps] if same else 1
    return (30 if attack.startswith("probability-") else 40) if same else 2


def counts_of(edition: Edition, track: str, defence: str, attack: str, seed: int) -> dict[str, list[int]]:
    jitter = [(seed + batch) % 2 for batch in range(BATCHES)]  # the same in all cells of a seed
    missed = [wrong(edition, track, defence, attack) + more for more in jitter]
    targeted = grid.called(edition.settings, "attacks", attack).get("kind") == "targeted"
    return {
        "images": [IN_BATCH] * BATCHES,
        "made": [IN_BATCH] * BATCHES,
        "labelled": [IN_BATCH] * BATCHES,
        "correct": [IN_BATCH - count for count in missed],
        "hit": [min(count, hit(attack, defence, edition) + more) if targeted else 1
                for count, more in zip(missed, jitter, strict=True)],
    }  # fmt: skip


@pytest.fixture
def made(tmp_path: Path, real: Edition) -> dict[str, Any]:
    """Files as the stages of ``real`` would leave them."""
    listed = {"arms": grid.trained, "attacks": grid.made, "counts": grid.columns, "through": grid.pierced}
    files: dict[str, Any] = {}
    for name, function in listed.items():
        files[name] = []
        for of, where in function(real):
            path = tmp_path / where
            rows: list[dict[str, Any]] = [{"seed": seed} for seed in seeds_of(path.stem)]
            for row in rows:
                if name == "arms":
                    row |= {"accuracy": 0.9 + 0.001 * row["seed"]}
                elif name == "attacks":
                    row |= {"images": 200, "largest": 16, "sha256": "0"}
                elif name == "counts":
                    attacks = real.settings["tracks"][of["net"]]["attacks"]
                    row["attacks"] = {a: counts_of(real, of["net"], of["arm"], a, row["seed"]) for a in attacks}
                else:
                    counts = counts_of(real, "arena", of["arm"], "no-op", row["seed"])
                    row["through"] = counts | {"correct": [2 + row["seed"] % 2] * BATCHES}
            write_json(path, FACTS | {"arm": of["arm"], "rows": rows})
            files[name].append(path)
    for kind, listed_in in (("attack_times", files["attacks"]), ("defence_times", files["counts"])):
        files[kind] = [path.with_suffix(".times.csv") for path in listed_in if kind[0] == "a" or "arena" in path.parts]
        for path in files[kind]:
            write_text(path, "seed,seconds\n0,1.0\n1,3.0\n2,2.0\n")
    cfg = {"edition": "real", **grid.claims(real, SimpleNamespace())}
    return files | {"cfg": cfg}


def inputs(made: dict[str, Any]) -> dict[str, Any]:
    return {name: made[name] for name in ("arms", "attacks", "counts", "through")}


def edited(made: dict[str, Any], change: Callable[[str, str, str, dict[str, list[int]]], None]) -> dict[str, Any]:
    """The counts after a change of (track, defence, attack, counts)."""
    for path in made["counts"]:
        content, (track, defence) = read_json(path), path.parts[-3:-1]
        for row in content["rows"]:
            for attack, counts in row["attacks"].items():
                change(track, defence, attack, counts)
        write_json(path, content)
    return made


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


# Tables -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def written(made: dict[str, Any], tmp_path: Path) -> Path:
    out = tmp_path / "out"
    paths = [out / f"{name}.{form}" for name in tables.TABLES for form in TABLE_FORMS]
    times = {name: made[name] for name in ("attack_times", "defence_times")}
    tables.tables(made["cfg"], Job(resume=out / "r"), **inputs(made), **times, tables=paths,
                  times=out / "seconds.times.csv", metrics=out / "metrics.json")  # fmt: skip
    return out


def test_scores_are_means_over_all_opponents_and_stand_beside_the_teams(written: Path, real: Edition) -> None:
    rows = {row["ours"]: row for row in rows_of(written / "table-defences.csv")}
    track = real.settings["tracks"]["arena"]
    by_hand = mean(
        1 - mean(wrong(real, "arena", "hgd", attack) + (seed + batch) % 2 for batch in range(BATCHES)) / IN_BATCH
        for seed in range(5)
        for attack in track["attacks"]
    )
    assert float(rows["hgd"]["score"]) == pytest.approx(by_hand)
    assert float(rows["hgd"]["raw"]) == pytest.approx(by_hand * 200 * len(track["attacks"]))
    assert (rows["hgd"]["team, its rank"], rows["hgd"]["score.published"]) == ("TsAIL (1)", "0.953164")
    teams = [row["team, its rank"] for row in rows_of(written / "table-defences.csv")]
    assert "Rafael Moraes (24)" in teams, "teams without an arm of ours are named"
    scores = [float(row["score"]) for row in rows_of(written / "table-defences.csv") if row["rank"] != "-"]
    assert scores == sorted(scores, reverse=True)
    targeted = {row["ours"] for row in rows_of(written / "table-targeted.csv")} - {"-"}
    assert targeted == {a for a in track["attacks"] if grid.called(real.settings, "attacks", a).get("kind")}


def test_worst_scores_are_those_against_the_worst_opponent(written: Path, real: Edition) -> None:
    rows = {row["ours"]: row for row in rows_of(written / "table-non-targeted.csv")}
    track = real.settings["tracks"]["arena"]
    fewest = min(wrong(real, "arena", defence, "fgsm") for defence in track["defences"]) + 0.5
    assert float(rows["fgsm"]["worst"]) == pytest.approx(fewest / IN_BATCH)


def test_every_defence_shows_what_it_costs_and_what_is_left_of_it(written: Path, real: Edition) -> None:
    rows = {row["defence"]: row for row in rows_of(written / "table-robustness.csv")}
    assert set(rows) == set(real.settings["tracks"]["arena"]["defences"])
    for row in rows.values():
        assert float(row["clean"]) == pytest.approx(100 * (1 - 5.5 / 50), abs=20)
        assert float(row["through"]) == pytest.approx(100 * mean([2, 3, 2, 3, 2]) / 50)
    assert rows["a"]["black_box"] != "-" != rows["a"]["known_nets"]


def test_held_out_nets_are_those_that_the_attack_was_not_given(written: Path) -> None:
    rows = {row["net"]: row for row in rows_of(written / "table-held-out.csv")}
    assert {net: rows[net]["held out"] for net in ("a", "b", "c", "adv-a", "ens-adv-b")} == {
        "a": "no", "b": "no", "c": "yes", "adv-a": "no", "ens-adv-b": "yes",
    }  # fmt: skip
    assert (rows["inception-v4"]["fooled"], rows["inception-v4"]["fooled.published"]) == ("-", "91.69")
    assert float(rows["c"]["fooled"]) == pytest.approx(100 * 30.5 / 50)


def test_the_filter_stands_beside_what_it_filters(written: Path) -> None:
    rows = {row["defence"]: row for row in rows_of(written / "table-median.csv")}
    assert float(rows["adv-all"]["on-all.without"]) == pytest.approx(100 * 48.5 / 50)
    assert float(rows["adv-all"]["on-all.with"]) == pytest.approx(100 * 28.5 / 50)
    assert rows["all four"]["on-all.with.published"] == "43.13"
    by_eps = {row["eps"]: row for row in rows_of(written / "table-median-by-eps.csv")}
    assert [by_eps[eps]["with.published"] for eps in ("16", "8", "4", "2")] == ["43.125", "27.5", "17.5", "10.625"]
    assert float(by_eps["8"]["without"]) == pytest.approx(97.0)


def test_seconds_are_medians_beside_the_published_ones(written: Path) -> None:
    rows = {row["ours"]: row for row in rows_of(written / "seconds.times.csv")}
    assert (rows["hgd"]["seconds for 100 images"], rows["hgd"]["published"]) == ("2.0", "51")
    assert rows["tsail"]["published"] == "423"
    assert "seconds for" not in (written / "table-defences.md").read_text(), "no table that is compared has times"


# Verdicts ---------------------------------------------------------------------------------------------------------


def verdicts_of(made: dict[str, Any], out: Path, *, gates: bool = False) -> dict[str, dict[str, Any]]:
    cfg = made["cfg"] if gates else without_gates(made["cfg"])
    verdicts.claims(cfg, Job(resume=out / "r"), **inputs(made), histories=no_histories(made["arms"]),
                    claims=out / "claims.json")  # fmt: skip
    return claims_in(out / "claims.json")


def test_what_was_counted_decides(made: dict[str, Any], tmp_path: Path) -> None:
    found = verdicts_of(made, tmp_path)
    words = {name: claim["verdict"] for name, claim in found.items()}
    assert words.pop("raw-scores") == words.pop("gains") == "holds"
    assert set(words.values()) <= {"supported", "by construction", "contradicted", "open", "depends on the reading"}
    assert found["K5"]["estimate"] > 0
    assert found["K6"]["estimate"] == pytest.approx(40.0)
    assert [cell["estimate"] for cell in found["K7"]["cells"]] == pytest.approx([40.0] * 4)
    assert found["K6-plain"]["estimate"] == pytest.approx(32.0)
    assert found["K4"]["estimate"] == pytest.approx(76.0)
    assert found["K9"]["estimate"] == pytest.approx(20.0)
    assert found["K10"]["estimate"] == pytest.approx(100 * ((36 - 10) - (38 - 30)) / 50)
    assert [cell["label"] for cell in found["K8"]["cells"]] == ["c, above 50 %", "ens-adv-b, above 50 %"]
    assert found["momentum"]["estimate"] == pytest.approx(20.0)
    assert [reading["reading"] for reading in found["K3"]["readings"]] == [
        "all defences", "held-out nets",
    ]  # fmt: skip
    assert [cell["label"] for cell in found["K3"]["readings"][1]["cells"]] == [
        f"{net} held out" for net in ("b", "c", "adv-a", "ens-adv-b")
    ]


def test_the_worst_case_is_held_against_half_of_the_average(made: dict[str, Any], tmp_path: Path) -> None:
    found = verdicts_of(made, tmp_path)["K1"]
    (cell,) = found["cells"]
    assert cell["label"].endswith("half of its average, less its worst")

    def robust(track: str, defence: str, attack: str, counts: dict[str, list[int]]) -> None:
        if track == "arena" and defence == "hgd":
            counts["correct"] = [45 - number % 2 for number in range(BATCHES)]

    turned = verdicts_of(edited(made, robust), tmp_path)["K1"]
    assert turned["estimate"] < 0


def test_one_defence_that_is_too_bad_turns_its_effect(made: dict[str, Any], tmp_path: Path) -> None:
    def worse(track: str, defence: str, attack: str, counts: dict[str, list[int]]) -> None:
        if defence in ("random-resize", "median-adv-all"):
            counts["correct"] = [max(0, count - 45) for count in counts["correct"]]

    found = verdicts_of(edited(made, worse), tmp_path)
    assert found["K5"]["estimate"] < 0
    assert found["K6"]["estimate"] < 0


def test_a_wrong_raw_score_fails(made: dict[str, Any], tmp_path: Path) -> None:
    wrong_cfg = copy.deepcopy(made["cfg"])
    wrong_cfg["published"]["scores"]["targeted"][0]["raw"] += 1
    assert verdicts_of(made | {"cfg": wrong_cfg}, tmp_path)["raw-scores"]["verdict"] == "fails"


@pytest.mark.parametrize(("fooled", "passes"), [(44, False), (46, True)])
def test_the_gate_asks_whether_an_attack_fools_its_own_net(
    made: dict[str, Any], tmp_path: Path, fooled: int, passes: bool
) -> None:
    def as_strong(track: str, defence: str, attack: str, counts: dict[str, list[int]]) -> None:
        if (defence, attack) == ("a", "mi-fgsm"):
            counts["correct"] = [30, 30, 30, IN_BATCH - fooled]  # the last batch has eps 16

    found = verdicts_of(edited(made, as_strong), tmp_path, gates=True)["K1"]
    acted = [check for check in found["gate"]["checks"] if check["check"] == "c"]
    assert [(check["measured"], check["passes"]) for check in acted] == [(2 * fooled, passes)]
    near = [check for check in found["gate"]["checks"] if check["check"] == "a"]
    assert [check["passes"] for check in near] == [True], "90.2 % is within 3 points of 91.25 %"


# Figures ----------------------------------------------------------------------------------------------------------


def test_figures_have_what_was_counted_behind_them(made: dict[str, Any], tmp_path: Path, real: Edition) -> None:
    paths = [tmp_path / f"{name}.{form}" for name in figures.FIGURES for form in ("png", "csv")]
    figures.figures(made["cfg"], Job(resume=tmp_path / "r"), **inputs(made),
                    claims=all_open("adversarial-competition", tmp_path), figures=paths)  # fmt: skip
    assert all(path.stat().st_size > 0 for path in paths)
    arena = rows_of(tmp_path / "figure-arena.csv")
    track = real.settings["tracks"]["arena"]
    assert len(arena) == 5 * len(track["attacks"]) * len(track["defences"])
    by_cell = {(row["attack"], row["defence"], row["seed"]): row for row in arena}
    assert by_cell["fgsm", "a", "0"]["white_box"] == by_cell["tsail", "random-resize", "0"]["white_box"] == "True"
    assert by_cell["fgsm", "b", "0"]["white_box"] == by_cell["no-op", "a", "0"]["white_box"] == "False"
    strength = [mean(float(row["correct"]) for row in arena if row["attack"] == name)
                for name in dict.fromkeys(row["attack"] for row in arena)]  # fmt: skip
    assert strength == sorted(strength, reverse=True)
    assert {row["net"] for row in rows_of(tmp_path / "figure-iterations.csv")} == {"a", "adv-a"}
    assert len(rows_of(tmp_path / "figure-hits.csv")) == 5 * 5 * 5
    assert {row["eps"] for row in rows_of(tmp_path / "figure-median.csv")} == {"16", "8", "4", "2"}


# Standings --------------------------------------------------------------------------------------------------------


def stand(made: dict[str, Any], out: Path, real: Edition, *, why: str = "") -> dict[str, dict[str, str]]:
    """The standings with one attack and one defence of a user, of which the attack may have failed."""
    track, whole = real.settings["tracks"]["arena"], [IN_BATCH] * BATCHES
    right = {"images": whole, "made": whole, "labelled": whole, "correct": whole, "hit": [0] * BATCHES}
    strong = right | {"correct": [0] * BATCHES}
    if why:
        strong |= {"made": [0] * BATCHES, "labelled": [0] * BATCHES}
    write_json(out / "mine.json", {"name": "mine", "why": why})
    columns = []
    for defence in track["defences"]:
        rows = [{"seed": seed, "attacks": {"mine": strong}} for seed in range(5)]
        write_json(out / f"{defence}.json", FACTS | {"arm": defence, "rows": rows})
        columns.append(out / f"{defence}.json")
    attacks = [*track["attacks"], "mine"]
    rows = [{"seed": seed, "attacks": {a: strong if a == "mine" else right for a in attacks}}
            for seed in range(5)]  # fmt: skip
    write_json(out / "shield.json", {"arm": "shield", "why": "", "rows": rows})
    cfg = made["cfg"] | {"submitted": {"attacks": ["mine"], "defences": ["shield"]}}
    standings.standings(cfg, Job(resume=out / "r"), counts=made["counts"], outcomes=[out / "mine.json"],
                        columns=[*columns, out / "shield.json"], standings=[out / "s.md", out / "s.csv"])  # fmt: skip
    return {row["name"]: row for row in rows_of(out / "s.csv")}


def test_a_users_attack_and_defence_stand_among_all(made: dict[str, Any], tmp_path: Path, real: Edition) -> None:
    rows = stand(made, tmp_path, real)
    assert (rows["mine"]["rank"], float(rows["mine"]["score"])) == ("1", 1.0)
    attacks = len(real.settings["tracks"]["arena"]["attacks"])
    assert float(rows["shield"]["score"]) == pytest.approx(attacks / (attacks + 1)), (
        "right on all but the user's attack"
    )
    assert float(rows["shield"]["worst"]) == 0


def test_an_attack_that_failed_loses_its_points_and_changes_no_others(
    made: dict[str, Any], tmp_path: Path, real: Edition
) -> None:
    rows = stand(made, tmp_path, real, why="it gave numbers that are not finite for batch 0")
    assert (rows["mine"]["rank"], rows["mine"]["score"]) == ("-", "-")
    assert rows["mine"]["why"] == "it gave numbers that are not finite for batch 0"
    assert float(rows["shield"]["score"]) == 1.0
    alone = mean(
        1 - mean(wrong(real, "arena", "hgd", attack) + (seed + batch) % 2 for batch in range(BATCHES)) / IN_BATCH
        for seed in range(5)
        for attack in real.settings["tracks"]["arena"]["attacks"]
    )
    assert float(rows["hgd"]["score"]) == pytest.approx(alone)
