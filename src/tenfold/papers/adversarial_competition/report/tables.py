"""The tables of the competition's report, ours beside the published ones, and one of our own on robustness."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tenfold.launcher import Cfg, Inputs, Job, Output, Outputs, main, stage
from tenfold.papers.adversarial_competition.grid import ARENA
from tenfold.papers.adversarial_competition.report.results import (
    AUGMENTED,
    FILTERED,
    KINDS,
    SWEPT,
    TEAMS,
    Track,
    of_kind,
    ranked,
    read_arena,
    sweep,
    targeted,
)
from tenfold.report.arms import Arm, Arms, face_of
from tenfold.report.face import Face
from tenfold.report.tables import (
    Cell,
    Column,
    Published,
    Row,
    Table,
    Tables,
    Value,
    write_csv,
    write_metrics,
    write_tables,
)

NOT_OURS = "-"  # a row of the report alone


def nets_of(cfg: Cfg) -> str:
    """One sentence on the nets."""
    nets = [f"{net} {built}{', hardened' if cfg['nets'][net] else ''}" for net, built in cfg["built"].items()]
    return f"Nets: {'; '.join(nets)}."


def note_on_arena(cfg: Cfg) -> str:
    """One sentence on what was attacked."""
    eps, side = ", ".join(map(str, cfg["eps"])), cfg["pixels"]
    return (
        f"{cfg['test_images']} test images of {side} x {side} pixels in batches of {cfg['batch_size']}, "
        f"eps {eps} of 255 in turn. Attacks of the arena: {len(cfg['tracks'][ARENA]['attacks'])}, defences: "
        f"{len(cfg['tracks'][ARENA]['defences'])}."
    )


SCORED = (
    "By the rules of the final round: a score is a share of images and opponents, 0 to 1; the worst, of one opponent.",
    "Raw scores are sums over images and opponents, so that they grow with both. Ranks are by means over seeds.",
    "Seconds for 100 images stand in table-seconds.times.csv.",
)
MASKED = (
    "Nets unknown: attacks of the arena, targeted ones too, that were given none of a defence's nets; known: some.",
    "Through itself: the gradient of the whole defence, the mean over its chance, straight through what has none.",
    "A defence that is robust only to attacks that do not know it hides its gradients. Rows are by the last column.",
)
NOT_ADAPTED = "Attacks of the arena do not know the defences; they may know their nets (table of robustness)."


# Tables 1 to 3 ----------------------------------------------------------------------------------------------------


def table_of_scores(cfg: Cfg, arms: Arms, tracks: dict[str, Track], shown: Face, kind: str, title: str) -> Table:
    """One of the tables of scores: ours by rank, each beside the team whose method it is, then the other teams."""
    arena, of_team = tracks[ARENA], TEAMS[kind]
    published = {row["team"]: row for row in cfg["published"]["scores"][kind]}
    rows = []
    for place, name in enumerate(ranked(arms, of_kind(cfg, arena, kind)), 1):
        arm, row = arms[ARENA, name], published.pop(of_team.get(name, ""), None)
        team = "-" if row is None else f"{row['team']} ({row['rank']})"
        rows.append(Row((str(place), name, team), {
            "score": Cell(arm.of("score"), files=arm.files, published=of(row, "score")),
            "raw": Cell(arm.of("raw"), files=arm.files, published=of(row, "raw")),
            "worst": Cell(arm.of("worst"), files=arm.files, published=of(row, "worst")),
        }))  # fmt: skip
    for row in published.values():
        cells = {key: Cell(exact=NOT_OURS, published=of(row, key)) for key in ("score", "raw", "worst")}
        rows.append(Row(("-", "-", f"{row['team']} ({row['rank']})"), cells))
    columns = (Column("score", "score", ".4f"), Column("raw", "raw score", ",.0f"),
               Column("worst", "worst score", ".4f"))  # fmt: skip
    notes = (nets_of(cfg), note_on_arena(cfg), NOT_ADAPTED, *SCORED)
    return Table(title, shown, ("rank", "ours", "team, its rank"), columns, rows, notes)


def of(row: dict[str, Any] | None, key: str) -> Published | None:
    """A published number of a row, where there is one."""
    return None if row is None or row[key] is None else Published(row[key], row["source"])


def table_defences(cfg: Cfg, arms: Arms, tracks: dict[str, Track], shown: Face) -> Table:
    """The report's Table 1."""
    return table_of_scores(cfg, arms, tracks, shown, "defences", "Scores of defences (Table 1)")


def table_non_targeted(cfg: Cfg, arms: Arms, tracks: dict[str, Track], shown: Face) -> Table:
    """The report's Table 2."""
    return table_of_scores(cfg, arms, tracks, shown, "non-targeted", "Scores of non-targeted attacks (Table 2)")


def table_targeted(cfg: Cfg, arms: Arms, tracks: dict[str, Track], shown: Face) -> Table:
    """The report's Table 3."""
    return table_of_scores(cfg, arms, tracks, shown, "targeted", "Scores of targeted attacks (Table 3)")


# What defences are worth to who knows them ------------------------------------------------------------------------


def table_robustness(cfg: Cfg, arms: Arms, tracks: dict[str, Track], shown: Face) -> Table:
    """Every defence when nobody attacks, when attacks know nothing of it, know its nets, and know the defence."""
    keys = {"clean": "no attack", "black_box": "nets unknown, mean", "worst_black_box": "nets unknown, worst",
            "known_nets": "nets known, worst", "through": "through itself"}  # fmt: skip
    rows = []
    for name in ranked(arms, tracks[ARENA].defences, "through"):
        arm = arms[ARENA, name]
        nets = ", ".join(cfg["defences"][name].get("nets", []))
        rows.append(Row((name, nets), {key: some(arm, key) for key in keys}))
    columns = [Column(key, header, ".1f") for key, header in keys.items()]
    notes = (nets_of(cfg), note_on_arena(cfg), *MASKED)
    return Table("Labelled rightly [%], by what the attacker knows", shown, ("defence", "nets"), columns, rows, notes)


def some(arm: Arm, key: str) -> Cell:
    """A share in percent, of those seeds that have it."""
    values = {seed: 100 * row[key] for seed, row in arm.rows.items() if key in row}
    return Cell(values, exact=None if values else "-", files=arm.files)


# Experiments of single teams --------------------------------------------------------------------------------------


def table_held_out(cfg: Cfg, tracks: dict[str, Track], shown: Face) -> Table:
    """The report's Table 4: what the augmented ensemble attack fools, of the nets that it uses and of others."""
    rows, ours = [], f"Sangxia's attack at eps 16: {not_run(shown)}."
    if (track := tracks.get("nets")) is not None and AUGMENTED in track.attacks:
        ours = f"The attack was given {', '.join(cfg['attacks'][AUGMENTED]['nets'])}."
        used = cfg["attacks"][AUGMENTED]["nets"]
        for net in sorted(track.defences, key=lambda net: net not in used):
            cell = Cell(track.share("wrong", net, AUGMENTED), files=track.files[net])
            rows.append(Row((net, "no" if net in used else "yes"), {"fooled": cell}))
    for row in cfg["published"]["held_out"]:
        cell = Cell(exact=NOT_OURS, published=Published(row["fooled"], row["source"]))
        rows.append(Row((row["net"], "yes" if row["held_out"] else "no"), {"fooled": cell}))
    return Table(
        "What Sangxia's attack fools at eps 16 (Table 4)", shown, ("net", "held out"),
        (Column("fooled", "fooled [%]", ".2f"),), rows,
        (nets_of(cfg), note_on_images(cfg), ours,
         "Published: 18,000 images that Inception v3 labels correctly. Ours are all images."),
    )  # fmt: skip


def note_on_images(cfg: Cfg) -> str:
    """One sentence on the images."""
    return f"{cfg['test_images']} test images of {cfg['pixels']} x {cfg['pixels']} pixels."


ATTACKERS = {"on-a": "one net", "on-plain": "A: plain nets", "on-adv": "B: hardened nets", "on-all": "C: both"}


def table_median(cfg: Cfg, tracks: dict[str, Track], shown: Face) -> Table:
    """The report's Tables 5 and 6: nets and ensembles without and with a median filter, against four attackers."""
    rows, track = [], tracks.get("median")
    for plain in [] if track is None else [name for name in track.defences if FILTERED + name in track.defences]:
        assert track is not None
        cells = {}
        for attack in [attack for attack in ATTACKERS if attack in track.attacks]:
            for when, name in (("without", plain), ("with", FILTERED + plain)):
                cells[f"{attack}.{when}"] = Cell(track.share("wrong", name, attack), files=track.files[name])
        rows.append(Row((plain,), cells))
    rows += [
        Row((row["defence"],), {
            f"{attack}.{when}": Cell(exact=NOT_OURS, published=Published(row[when][place], row["source"]))
            for place, attack in enumerate(ATTACKERS) for when in ("without", "with")
        })
        for row in cfg["published"]["median"]
    ]  # fmt: skip
    columns = [Column(f"{attack}.{when}", f"{name}, {when}", ".2f") for attack, name in ATTACKERS.items()
               for when in ("without", "with")]  # fmt: skip
    return Table(
        "Misclassification [%] without and with a 2 x 2 median filter, by the attacker's nets, eps 16 (Tables 5 and 6)",
        shown, ("defence",), columns, rows,
        (nets_of(cfg), note_on_images(cfg), given(cfg, track, shown),
         "Published: 160 images and a Carlini-Wagner attack; ours is MI-FGSM."),
    )  # fmt: skip


def given(cfg: Cfg, track: Track | None, shown: Face) -> str:
    """One sentence on the nets of the attackers that are run."""
    of = [f"{name}: {', '.join(cfg['attacks'][attack]['nets'])}"
          for attack, name in ATTACKERS.items() if track is not None and attack in track.attacks]  # fmt: skip
    return f"Nets of our attackers: {'; '.join(of) or not_run(shown)}."


def not_run(shown: Face) -> str:
    """What is said in place of what an edition does not run."""
    return f"not run at {shown.edition.partition(' ')[0]}"


def table_median_by_eps(cfg: Cfg, tracks: dict[str, Track], shown: Face) -> Table:
    """The report's Table 7: the ensemble of hardened nets without and with the filter, by eps."""
    published, track = cfg["published"]["median_by_eps"], tracks.get("median")
    ours, rows = sweep(track), []
    for place, eps in enumerate(published["eps"]):
        cells = {}
        for when, name in (("without", SWEPT), ("with", FILTERED + SWEPT)):
            attack, printed = ours.get(eps), Published(published[when][place], published["source"])
            if track is not None and attack is not None and track.has(name, attack):
                values, files = track.share("wrong", name, attack), track.files[name]
                cells[when] = Cell(values, files=files, published=printed)
            else:
                cells[when] = Cell(published=printed)
        rows.append(Row((str(eps),), cells))
    columns = (Column("without", "without the filter", ".3f"), Column("with", "with it", ".3f"))
    title = "Misclassification [%] of the ensemble of hardened nets, attacked with all nets, by eps (Table 7)"
    return Table(title, shown, ("eps",), columns, rows, (nets_of(cfg), note_on_images(cfg)))


TABLES: Tables = {
    "table-defences": table_defences,
    "table-non-targeted": table_non_targeted,
    "table-targeted": table_targeted,
    "table-robustness": table_robustness,
    "table-held-out": table_held_out,
    "table-median": table_median,
    "table-median-by-eps": table_median_by_eps,
}


@stage
def tables(
    cfg: Cfg, job: Job, *, arms: Inputs, attacks: Inputs, counts: Inputs, through: Inputs, attack_times: Inputs,
    defence_times: Inputs, tables: Outputs, times: Output, metrics: Output,
) -> None:  # fmt: skip
    """All tables, ``metrics.json``, and the seconds of Tables 1 to 3, which no two runs measure alike."""
    tracks, found = read_arena(cfg, arms, attacks, counts, through)
    write_tables(TABLES, tables, cfg=cfg, arms=found, tracks=tracks, shown=face_of(cfg, found))
    write_times(times, cfg, [*defence_times, *attack_times])
    write_metrics(metrics, {name: numbers(arm) for (_, name), arm in found.items()})
    job.say(f"{len(found)} nets, attacks and defences")


def numbers(arm: Arm) -> dict[str, dict[int, float]]:
    """What ``metrics.json`` has of an arm."""
    keys = ("accuracy", "score", "worst", "clean", "black_box", "through")
    return {key: arm.of(key) for key in keys if arm.rows and all(key in row for row in arm.rows.values())}


def write_times(path: Path, cfg: Cfg, files: Sequence[Path]) -> None:
    """The median seconds for 100 images of each attack and defence of the arena, beside the published ones."""
    seconds: dict[str, list[float]] = {}
    for file in files:
        with file.open(encoding="utf-8", newline="") as rows:
            seconds.setdefault(file.parent.name, []).extend(float(row["seconds"]) for row in csv.DictReader(rows))
    lines: list[list[Value]] = []
    for kind in KINDS:
        published = {row["team"]: row["seconds"] for row in cfg["published"]["scores"][kind]}
        names = cfg["tracks"][ARENA]["defences" if kind == "defences" else "attacks"]
        for name in names:
            if kind == "defences" or (kind == "targeted") == targeted(cfg, name):
                team = TEAMS[kind].get(name, "")
                lines.append([kind, name, median(seconds[name]), team, published.get(team)])
    write_csv(path, ("kind", "ours", "seconds for 100 images", "team", "published"), lines)


if __name__ == "__main__":
    main(tables)
