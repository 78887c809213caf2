"""Decides the claims of the competition's report on what was counted. The seed is the unit, never the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tenfold.launcher import Cfg, Inputs, Job, Output, main, stage
from tenfold.papers.adversarial_competition.grid import ARENA
from tenfold.papers.adversarial_competition.report.results import (
    AUGMENTED,
    FILTERED,
    SWEPT,
    Track,
    hits_of,
    ranked,
    read_arena,
    steps_of,
    sweep,
    without,
)
from tenfold.report.arms import Arm, Arms, BySeed, add_histories, face_of, minus
from tenfold.report.evidence import Check, Evidence, NetArms, Paired, gather
from tenfold.report.words import conclude

HALF = 50.0  # percent
PRINTED = 5e-7  # of scores with six digits
NOT_RUN = "this edition does not run {}"


@stage
def claims(
    cfg: Cfg, job: Job, *, arms: Inputs, histories: Inputs, attacks: Inputs, counts: Inputs, through: Inputs,
    claims: Output,
) -> None:  # fmt: skip
    """Verdicts on all claims, printed as soon as they are there."""
    tracks, found = read_arena(cfg, arms, attacks, counts, through)
    add_histories(found, histories, cfg["files"]["nets"])
    arena = NetArms(ARENA, {name: arm for (_, name), arm in found.items()}, f"{ARENA} on {cfg['data']['name']}")
    special = {
        "K1": worst_case(found, tracks[ARENA]),
        "K3": ensembles_fool_more(cfg, found, tracks[ARENA]),
        "K4": targets_are_harder(tracks.get("nets")),
        "K6": filter_helps(tracks.get("median"), ["on-all"]),
        "K6-plain": filter_helps_hardened_more(cfg, tracks.get("median")),
        "K7": filter_helps(tracks.get("median"), list(sweep(tracks.get("median")).values())),
        "K8": transfers(cfg, tracks.get("nets")),
        "K9": losses_beat_probabilities(tracks.get("ensembles")),
        "K10": hardened_need_more_steps(cfg, tracks.get("nets")),
        "raw-scores": raw_scores(cfg["published"]),
        "gains": gains(cfg["published"]),
        "momentum": momentum(tracks[ARENA]),
        "masking": masked(cfg, arena.arms, tracks[ARENA]),
    }
    data = (tracks[ARENA].facts["data"],)
    located = {name: one if one.reason or not one.trained else at(one, arena.label, data)
               for name, one in special.items()}  # fmt: skip
    evidence = gather(cfg, [arena], special=located)
    conclude(cfg, job, claims, paper="adversarial-competition", face=face_of(cfg, found), evidence=evidence,
             nets=[arena])  # fmt: skip


def at(evidence: Evidence, label: str, data: tuple[str, ...]) -> Evidence:
    """Evidence with where it was measured, in each of its readings."""
    readings = {name: at(one, label, data) for name, one in evidence.readings.items()}
    return replace(evidence, data=data, nets=(label,), readings=readings)


def absent(what: str) -> Evidence:
    """Evidence of what the edition does not run."""
    return Evidence(reason=NOT_RUN.format(what))


def worst_case(arms: Arms, arena: Track) -> Evidence:
    """Half of the average score of the defence that ranks first, less its worst score."""
    best = arms[ARENA, ranked(arms, arena.defences)[0]]
    half = {seed: value / 2 for seed, value in best.percent("score").items()}
    return Evidence([Paired(f"{best.name}: half of its average, less its worst", half, best.percent("worst"))],
                    unit="points")  # fmt: skip


def ensembles_fool_more(cfg: Cfg, arms: Arms, arena: Track) -> Evidence:
    """The winners' ensemble attack against FGSM on one net: as they are scored, and on nets that neither was given."""
    if not {"tsail", "fgsm"} <= set(arena.attacks):
        return absent("the ensemble attack")
    tsail, fgsm = (arms[ARENA, name].percent("score") for name in ("tsail", "fgsm"))
    scored = [Paired("all defences", tsail, fgsm)]
    used = cfg["attacks"]["fgsm"]["nets"]
    held_out = [
        Paired(f"{net} held out", arena.share("wrong", net, attack), arena.share("wrong", net, "fgsm"))
        for net, attack in without(arena).items()
        if net not in used and net in arena.defences
    ]
    readings = {"all defences": scored, "held-out nets": held_out}
    return Evidence(readings={name: Evidence(cells, unit="points") if cells else absent("nets that are held out")
                              for name, cells in readings.items()})  # fmt: skip


def targets_are_harder(track: Track | None) -> Evidence:
    """Targets hit on the net that was attacked, against those hit on the others; mean over nets."""
    on = {} if track is None else hits_of(track)
    if track is None or len(on) < 2:
        return absent("targeted attacks on single nets")
    pairs = [(judge, net) for net in on for judge in track.defences]
    own, others = ([(judge, on[net]) for judge, net in pairs if (judge == net) is same] for same in (True, False))
    cell = Paired("attacked nets against others", track.over("hit", own), track.over("hit", others))
    return Evidence([cell], unit="points")


def filter_helps(track: Track | None, attacks: list[str]) -> Evidence:
    """What the filter in front of all hardened nets takes off the misclassification, attack by attack."""
    if track is None or not attacks or not track.has(SWEPT, *attacks) or not track.has(FILTERED + SWEPT):
        return absent("the median filter in front of all hardened nets")
    cells = [Paired(f"{attack}: without against with", track.share("wrong", SWEPT, attack),
                    track.share("wrong", FILTERED + SWEPT, attack)) for attack in attacks]  # fmt: skip
    return Evidence(cells, unit="points")


def filter_helps_hardened_more(cfg: Cfg, track: Track | None) -> Evidence:
    """What the filter takes off all hardened nets, against what it takes off a net without adversarial training."""
    if track is None or not track.has(SWEPT, "on-all"):
        return absent("the median filter in front of all hardened nets")

    def gain(name: str) -> BySeed:
        return minus(track.share("wrong", name, "on-all"), track.share("wrong", FILTERED + name, "on-all"))

    plain = [net for net, hardened in cfg["nets"].items() if not hardened and track.has(FILTERED + net)]
    return Evidence([Paired(f"{SWEPT} against {net}", gain(SWEPT), gain(net)) for net in plain], unit="points")


def transfers(cfg: Cfg, track: Track | None) -> Evidence:
    """What the augmented ensemble attack fools of nets that it was not given, above one half."""
    if track is None or AUGMENTED not in track.attacks:
        return absent("the augmented ensemble attack at eps 16")
    held_out = [net for net in track.defences if net not in cfg["attacks"][AUGMENTED]["nets"]]
    above = {
        net: {seed: fooled - HALF for seed, fooled in track.share("wrong", net, AUGMENTED).items()} for net in held_out
    }
    return Evidence([Paired(f"{net}, above {HALF:g} %", values) for net, values in above.items()], unit="points")


def losses_beat_probabilities(track: Track | None) -> Evidence:
    """Targets hit on all nets of an ensemble, by the sum of losses against the loss of the mean probability."""
    nets = [name.removeprefix("loss-") for name in (track.attacks if track else ()) if name.startswith("loss-")]
    if track is None or not nets:
        return absent("the two kinds of ensembles")
    cells = [
        Paired(f"{of}: losses against probabilities", track.share("hit", of, f"loss-{of}"),
               track.share("hit", of, f"probability-{of}"))
        for of in nets
    ]  # fmt: skip
    return Evidence(cells, unit="points")


def hardened_need_more_steps(cfg: Cfg, track: Track | None) -> Evidence:
    """What steps from ten to the most add to the targets hit: on hardened nets against the plain one."""
    gains: dict[str, BySeed] = {}
    for net in track.defences if track else ():
        assert track is not None
        if by_steps := steps_of(track, net):
            last, first = (track.share("hit", net, by_steps[steps]) for steps in (max(by_steps), 10))
            gains[net] = minus(last, first)
    plain, hardened = ([net for net in gains if cfg["nets"][net] is kind] for kind in (False, True))
    if not plain or not hardened:
        return absent("targeted attacks of many steps")
    cells = [Paired(f"{net} against {plain[0]}", gains[net], gains[plain[0]]) for net in hardened]
    return Evidence(cells, unit="points")


def momentum(arena: Track) -> Evidence:
    """Ours: MI-FGSM on all nets but c against I-FGSM on the same ones, judged by c."""
    if not arena.has("c", "i-fgsm", "without-c"):
        return absent("the ensemble attack without momentum")
    cell = Paired("c held out", arena.share("wrong", "c", "without-c"), arena.share("wrong", "c", "i-fgsm"))
    return Evidence([cell], unit="points")


def masked(cfg: Cfg, arms: Mapping[str, Arm], arena: Track) -> Evidence:
    """Ours: what attacks that do not know a defence leave right, less what an attack through it leaves right."""
    cells = []
    for name in arena.defences:
        arm = arms[name]
        if name not in cfg["nets"] and all("worst_black_box" in row for row in arm.rows.values()):
            cells.append(Paired(name, arm.percent("worst_black_box"), arm.percent("through")))
    return Evidence(cells, unit="points") if cells else absent("defences that transform images")


# Arithmetic on what was published ---------------------------------------------------------------------------------


def raw_scores(published: Mapping[str, Any]) -> Evidence:
    """Raw scores over scores: images times opponents, the same for each row of Tables 1 to 3."""
    final = published["final"]
    cells = []
    for kind, opponents in (("defences", "attacks"), ("non-targeted", "defences"), ("targeted", "defences")):
        for row in published["scores"][kind]:
            expected = row["raw"] / (final["images"] * final[opponents])
            cells.append(Check(f"{kind}, rank {row['rank']}", row["score"], expected, tolerance=PRINTED))
    return Evidence(cells, trained=False)


def gains(published: Mapping[str, Any]) -> Evidence:
    """Figure 1's final round: best less best baseline, from Tables 1 to 3."""
    cells = []
    for kind, rows in published["scores"].items():
        baseline = max(row["score"] for row in rows if row["team"].startswith("baseline"))
        best = max(row["score"] for row in rows)
        printed = published["gains"][kind]["by_round"][-1]
        cells.append(Check(f"{kind}: best less best baseline", best - baseline, printed, tolerance=0.001))
    return Evidence(cells, trained=False)


if __name__ == "__main__":
    main(claims)
