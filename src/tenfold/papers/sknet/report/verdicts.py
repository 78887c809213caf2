"""Decides the claims of SKNet on what was counted and measured."""

from __future__ import annotations

from statistics import mean

from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.sknet.report.results import Arm, Arms, Attention, Counts, read_arms, read_attention, read_counts
from tenfold.report.arms import add_histories, face_of, joined
from tenfold.report.evidence import Check, Evidence, Paired, by_net, gather
from tenfold.report.words import conclude

DPN98 = 61.6e6  # parameters, as printed in Table 2


@stage
def claims(
    cfg: Cfg, job: Job, *, arms: Inputs, histories: Inputs, attention: Inputs, counts: Input, claims: Output
) -> None:
    """Verdicts on all claims, printed as soon as they are there."""
    counted, read = read_counts(counts), read_attention(attention)
    found = with_attention(cfg, read_arms(cfg, arms), read)
    add_histories(found, histories, cfg["files"]["metrics"])
    special = {
        "C1-cost": more_cost(counted, "imagenet-50/k3-k5-sk", "imagenet-50/k3", (10, 5)),
        "C4": at_half_the_depth(found),
        "C4-cost": more_cost(counted, "imagenet-101/k3", "imagenet-50/k3-k5-sk", (60, 80)),
        "C6-cost": fewer(counted, ("cifar-10/sk", counted["cifar-10/16x64d"]["params"], 60)),
        "C9": rises_with_scale(read),
        "C9-classes": rises_in_more_classes(read),
        "C11": fewer(
            counted,
            ("imagenet-101/k3-k5-sk", DPN98, 22),
            ("cifar-10/sk", counted["cifar-10/se"]["params"], 22),
        ),
        "C12": released(cfg, counted),
    }
    nets = by_net(found)
    evidence = gather(cfg, nets, cell="{ours} against {other}, {net}", special=special)
    conclude(cfg, job, claims, paper="sknet", face=face_of(cfg, found), evidence=evidence, nets=nets)


def with_attention(cfg: Cfg, arms: Arms, read: Attention) -> Arms:
    """The arm whose attention was read with the deviation of D over images as they are, the mean over units."""
    read_of, at_one = (cfg["attention"]["net"], cfg["attention"]["arm"]), cfg["attention"]["scales"][0]
    spreads = [read.spread(unit, at_one) for unit in read.units]
    rows = {seed: {"moves": mean(spread[seed] for spread in spreads)} for seed in spreads[0]}
    return joined(arms, {read_of: Arm(*read_of, rows)}, "attention")


def at_half_the_depth(arms: Arms) -> Evidence:
    """Test error of SKNet-50 against that of ResNeXt-101, paired by seed."""
    ours, other = arms.get(("imagenet-50", "k3-k5-sk")), arms.get(("imagenet-101", "k3"))
    if ours is None or other is None:
        return Evidence(reason="this edition does not train imagenet-50/k3-k5-sk and imagenet-101/k3")
    return Evidence(
        [Paired("k3-k5-sk against k3, imagenet-50", ours.error, other.error, better="lower")], unit="points"
    )


def percent_more(ours: float, other: float) -> float:
    """By how many percent one number is larger than another; negative where it is smaller."""
    return 100 * (ours / other - 1)


def more_cost(counts: Counts, ours: str, other: str, expected: tuple[float, float]) -> Evidence:
    """Parameters and multiply-adds of one net over those of another, in percent."""
    cells = [
        Check(f"{label}, {ours} over {other}", percent_more(counts[ours][key], counts[other][key]), more)
        for (key, label), more in zip({"params": "parameters", "macs": "multiply-adds"}.items(), expected, strict=True)
    ]
    return Evidence(cells, unit="%", trained=False)


def fewer(counts: Counts, *cases: tuple[str, float, float]) -> Evidence:
    """How many percent fewer parameters a net has than a number, for several nets."""
    cells = [
        Check(f"{ours} below {other:,.0f}", -percent_more(counts[ours]["params"], other), expected)
        for ours, other, expected in cases
    ]
    return Evidence(cells, unit="%", trained=False)


def released(cfg: Cfg, counts: Counts) -> Evidence:
    """Parameters of SKNet-50 by the formula, against the official prototxt."""
    expected = next(claim["published"] for claim in cfg["claims"] if claim["id"] == "C12")
    return Evidence(
        [Check("parameters of SKNet-50", counts["imagenet-50/k3-k5-sk"]["params"], expected)], trained=False
    )


def low_and_middle(read: Attention) -> list[str]:
    """The last unit of every stage but the highest."""
    return read.shown[:-1]


def rises_with_scale(read: Attention) -> Evidence:
    """The slope of D over the scale of objects is positive."""
    return Evidence([Paired(f"slope in {unit}", read.slope(unit)) for unit in low_and_middle(read)], unit="D per 1x")


def rises_in_more_classes(read: Attention) -> Evidence:
    """The share of classes whose D rises, in low and middle units against the highest one."""
    highest = read.shown[-1]
    cells = [
        Paired(f"{unit} against {highest}", read.rising_classes(unit), read.rising_classes(highest))
        for unit in low_and_middle(read)
    ]
    return Evidence(cells, unit="% of classes")


if __name__ == "__main__":
    main(claims)
