"""Decides the claims of SKNet on what was counted and measured."""

from __future__ import annotations

from tenfold.launcher import Cfg, Input, Inputs, Job, Output, main, stage
from tenfold.papers.sknet.results import Arms, Attention, Counts, main_net, read_arms, read_attention, read_counts
from tenfold.report.arms import data_of, face_of
from tenfold.report.claims import Arms as Pairs
from tenfold.report.claims import Evidence, Pair, decide_family, verdict_lines, write_claims

POINTS = "points"

SK, K3 = "k3-k5-sk", "k3"
COMBINATIONS = ("k3-k5", "k3-k7", "k5-k7", "k3-k5-k7")
CONTROLS = ("wider", "deeper", "cardinality")
DPN98 = 61.6e6  # parameters, as printed in Table 2

Name = tuple[str, str]  # net and arm


@stage
def claims(cfg: Cfg, job: Job, *, arms: Inputs, attention: Inputs, counts: Input, claims: Output) -> None:
    """Verdicts on all claims, printed as soon as they are there."""
    found, counted, read = read_arms(arms), read_counts(counts), read_attention(attention)
    net = main_net(cfg)

    def lower(*pairs: tuple[str, str], of: str = net) -> Evidence:
        return lower_error(found, *(((of, ours), (of, other)) for ours, other in pairs))

    def trained(*names: str) -> list[str]:
        return [name for name in names if (net, name) in found]

    evidence = {
        "C1": lower((SK, K3)),
        "C1-cost": more_cost(counted, "imagenet-50/k3-k5-sk", "imagenet-50/k3", (10, 5)),
        "C2": lower(*((SK, control) for control in trained(*CONTROLS))),
        "C3": lower((SK, "se")),
        "C4": lower_error(found, (("imagenet-50", SK), ("imagenet-101", K3))),
        "C4-cost": more_cost(counted, "imagenet-101/k3", "imagenet-50/k3-k5-sk", (60, 80)),
        "C5": lower_error(
            found,
            *(
                ((light, ours), (light, other))
                for light in ("shufflenet-0.5", "shufflenet-1.0")
                for ours, other in (("with-sk", "with-se"), ("with-se", "plain"))
            ),
        ),
        "C6": lower_error(found, *(((small, "sk"), (small, "se")) for small in ("cifar-10", "cifar-100"))),
        "C6-cost": fewer(counted, ("cifar-10/sk", counted["cifar-10/16x64d"]["params"], 60)),
        "C7": lower((SK, "k3-k3-sk"), (SK, "k3-k7-sk")),
        "C7-dilated": lower((SK, "k3-true5-sk"), ("k3-k7-sk", "k3-true7-sk")),
        "C8": lower(*((f"{kernels}-sk", f"{kernels}-sum") for kernels in COMBINATIONS if trained(f"{kernels}-sk"))),
        "C8-three": lower((SK, "k3-k5-k7-sk")),
        "C9": rises_with_scale(read),
        "C9-classes": rises_in_more_classes(read),
        "C10": lower((SK, K3), ("k3-k5-k7-sk", SK)),
        "C10-k3": lower(*((K3, other) for other in trained("k5", "k7", "k5-k7-sum", "k5-k7-sk"))),
        "C11": fewer(
            counted,
            ("imagenet-101/k3-k5-sk", DPN98, 22),
            ("cifar-10/sk", counted["cifar-10/se"]["params"], 22),
        ),
        "C12": released(cfg, counted),
    }
    verdicts = decide_family(cfg["claims"], evidence, data_is_standin=data_of(cfg).is_standin, edition=cfg["edition"])
    write_claims(claims, paper="sknet", face=face_of(cfg, found), verdicts=verdicts)
    for line in verdict_lines(verdicts):
        job.say(line)


def lower_error(arms: Arms, *pairs: tuple[Name, Name]) -> Evidence:
    """Test error of the first arm of each pair against the second, paired by seed."""
    absent = list(dict.fromkeys("/".join(name) for pair in pairs for name in pair if name not in arms))
    if absent or not pairs:
        return Evidence(reason=f"this edition does not train {' and '.join(absent) or 'what it is compared with'}")
    cells = [
        Pairs(f"{ours[1]} against {other[1]}, {ours[0]}", arms[ours].error, arms[other].error, better="lower")
        for ours, other in pairs
    ]
    return Evidence(cells, unit=POINTS)


def percent_more(ours: float, other: float) -> float:
    """By how many percent one number is larger than another; negative where it is smaller."""
    return 100 * (ours / other - 1)


def more_cost(counts: Counts, ours: str, other: str, expected: tuple[float, float]) -> Evidence:
    """Parameters and multiply-adds of one net over those of another, in percent."""
    cells = [
        Pair(f"{label}, {ours} over {other}", percent_more(counts[ours][key], counts[other][key]), more)
        for (key, label), more in zip({"params": "parameters", "macs": "multiply-adds"}.items(), expected, strict=True)
    ]
    return Evidence(cells, unit="%", trained=False)


def fewer(counts: Counts, *cases: tuple[str, float, float]) -> Evidence:
    """How many percent fewer parameters a net has than a number, for several nets."""
    cells = [
        Pair(f"{ours} below {other:,.0f}", -percent_more(counts[ours]["params"], other), expected)
        for ours, other, expected in cases
    ]
    return Evidence(cells, unit="%", trained=False)


def released(cfg: Cfg, counts: Counts) -> Evidence:
    """Parameters of SKNet-50 by the formula, against the official prototxt."""
    expected = next(claim["published"] for claim in cfg["claims"] if claim["id"] == "C12")
    return Evidence([Pair("parameters of SKNet-50", counts["imagenet-50/k3-k5-sk"]["params"], expected)], trained=False)


def low_and_middle(read: Attention) -> list[str]:
    """The last unit of every stage but the highest."""
    return read.shown[:-1]


def rises_with_scale(read: Attention) -> Evidence:
    """The slope of D over the scale of objects is positive."""
    return Evidence([Pairs(f"slope in {unit}", read.slope(unit)) for unit in low_and_middle(read)], unit="D per 1x")


def rises_in_more_classes(read: Attention) -> Evidence:
    """The share of classes whose D rises, in low and middle units against the highest one."""
    highest = read.shown[-1]
    cells = [
        Pairs(f"{unit} against {highest}", read.rising_classes(unit), read.rising_classes(highest))
        for unit in low_and_middle(read)
    ]
    return Evidence(cells, unit="% of classes")


if __name__ == "__main__":
    main(claims)
