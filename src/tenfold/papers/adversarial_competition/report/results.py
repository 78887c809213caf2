"""Reads what the arena has counted, for tables, figures and verdicts. Light: no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.launcher import Cfg
from tenfold.papers.adversarial_competition.grid import ARENA, NO_OP
from tenfold.papers.adversarial_competition.scoring import attack_scores, defence_scores
from tenfold.report.arms import Arm, Arms, BySeed, read_arms, read_each

KINDS = ("defences", "non-targeted", "targeted")
# Whose method an arm is, as the report names teams.
TEAMS = {
    "defences": {
        "hgd": "TsAIL",
        "random-resize": "iyswim",
        "transform-vote": "Anil Thomas",
        "median-adv-all": "erko",
        "jpeg-weighted": "Stanford & Suns",
        "ens-adv-b": "baseline, ens-adv-inception-resnet-v2",
    },
    "non-targeted": {
        "tsail": "TsAIL",
        "sangxia": "Sangxia",
        "stanford": "Stanford & Sun",
        "iwiwi": "iwiwi",
        "toshi-k": "toshi_k",
        "fgsm": "baseline, FGSM",
    },
    "targeted": {
        "tsail-target": "TsAIL",
        "sangxia-target": "Sangxia",
        "fatfingers": "FatFingers",
        "anil-thomas": "Anil Thomas",
        "iter-20": "baseline, iterative target class, 20 steps",
    },
}
BASELINES = {
    "defences": ("a", "adv-a", "ens-adv-b"),
    "non-targeted": (NO_OP, "noise", "fgsm"),
    "targeted": ("step-target", "iter-10", "iter-20"),
}


@dataclass(frozen=True)
class Count:
    """What one defence made of one attack's images.

    Attributes:
        images: how many there should be.
        made: how many the attack made.
        labelled: how many of these the defence labelled.
        correct: how many with the true label.
        hit: how many with the target.
    """

    images: int
    made: int
    labelled: int
    correct: int
    hit: int

    @classmethod
    def of(cls, batches: Mapping[str, Sequence[int]], places: Sequence[int] | None = None) -> Count:
        """The sum over all batches, or over those at some places."""
        kept = range(len(batches["images"])) if places is None else places
        of = {name: sum(numbers[place] for place in kept) for name, numbers in batches.items()}
        return cls(of["images"], of["made"], of["labelled"], of["correct"], of["hit"])

    @property
    def wrong(self) -> int:
        """Labels that are not the true one; what was not made, or not labelled, has none."""
        return self.labelled - self.correct


@dataclass(frozen=True)
class Track:
    """What the defences of a track made of its attacks.

    Attributes:
        name: of the track.
        attacks: in the configured order.
        defences: likewise.
        counts: seed -> (defence, attack) -> what was counted.
        at_most_eps: likewise, of the batches with the attack's largest eps.
        files: where each defence's counts were read.
        facts: device and precision.
    """

    name: str
    attacks: Sequence[str]
    defences: Sequence[str]
    counts: dict[int, dict[tuple[str, str], Count]]
    at_most_eps: dict[int, dict[tuple[str, str], Count]]
    files: dict[str, list[str]]
    facts: dict[str, Any]

    def share(self, what: str, defence: str, attack: str) -> BySeed:
        """``correct``, ``wrong`` or ``hit``, in percent of all images, by seed; without a label it is none of them."""
        return {seed: 100 * getattr(cells[defence, attack], what) / cells[defence, attack].images
                for seed, cells in self.counts.items()}  # fmt: skip

    def over(self, what: str, cells: Sequence[tuple[str, str]]) -> BySeed:
        """The mean of shares over cells (defence, attack), by seed."""
        shares = [self.share(what, *cell) for cell in cells]
        return {seed: mean(share[seed] for share in shares) for seed in self.counts}

    def has(self, defence: str, *attacks: str) -> bool:
        """Whether these met."""
        return defence in self.defences and all(attack in self.attacks for attack in attacks)


def read_tracks(cfg: Cfg, paths: Sequence[Path]) -> dict[str, Track]:
    """The tracks by name."""
    tracks = {name: Track(name, of["attacks"], of["defences"], {}, {}, {}, {}) for name, of in cfg["tracks"].items()}
    listed = [{"arm": of["arm"]} for of in cfg["files"]["counts"]]
    at = {path: of["net"] for path, of in zip(paths, cfg["files"]["counts"], strict=True)}
    for path, of, content in read_each(paths, listed):
        track = tracks[at[path]]
        track.facts.update({key: content[key] for key in ("data", "device", "precision")})
        track.files.setdefault(of["arm"], []).append(path.as_posix())
        for row in content["rows"]:
            for attack, counted in row["attacks"].items():
                cell = of["arm"], attack
                track.counts.setdefault(row["seed"], {})[cell] = Count.of(counted)
                places = places_of_largest(cfg, attack, len(counted["images"]))
                track.at_most_eps.setdefault(row["seed"], {})[cell] = Count.of(counted, places)
    return tracks


def places_of_largest(cfg: Cfg, attack: str, batches: int) -> list[int]:
    """The batches at which an attack has its largest eps."""
    eps = cfg["attacks"][attack].get("eps", cfg["eps"])
    return [number for number in range(batches) if eps[number % len(eps)] == max(eps)]


def targeted(cfg: Cfg, attack: str) -> bool:
    """Whether an attack wants a certain label."""
    return bool(cfg["attacks"][attack].get("kind") == "targeted")


def white_box(cfg: Cfg, defence: str, attack: str) -> bool:
    """Whether an attack was given one of the defence's nets."""
    nets = (set(cfg[kind][name].get("nets", [])) for kind, name in (("attacks", attack), ("defences", defence)))
    return not set.isdisjoint(*nets)


def strikes(cfg: Cfg, attack: str) -> bool:
    """Whether an attack uses nets at all; doing nothing and noise do not."""
    return bool(cfg["attacks"][attack].get("nets"))


@dataclass(frozen=True)
class Matrices:
    """A track's counts of one seed as `tenfold.papers.adversarial_competition.scoring` takes them, (D, A)."""

    track: Track
    seed: int
    targeted: NDArray[np.bool_]
    barred: frozenset[str] = frozenset()

    def matrix(self, what: str) -> NDArray[np.int64]:
        """One number of each count."""
        cells = self.track.counts[self.seed]
        return np.array([[getattr(cells[d, a], what) for a in self.track.attacks] for d in self.track.defences])

    @property
    def images(self) -> int:
        """How many images there are."""
        return int(self.matrix("images").max())

    @property
    def correct(self) -> NDArray[np.int64]:
        """Images labelled rightly."""
        return self.matrix("correct")

    @property
    def error(self) -> NDArray[np.int64]:
        """Images labelled wrongly."""
        return self.matrix("wrong")

    @property
    def hit(self) -> NDArray[np.int64]:
        """Images labelled with their target."""
        return self.matrix("hit")

    @property
    def barred_defences(self) -> NDArray[np.bool_]:
        """The disqualified ones."""
        return np.array([name in self.barred for name in self.track.defences])

    @property
    def barred_attacks(self) -> NDArray[np.bool_]:
        """The disqualified ones."""
        return np.array([name in self.barred for name in self.track.attacks])

    @property
    def counting_defences(self) -> NDArray[np.bool_]:
        """Those that labelled all that any attack made."""
        whole: NDArray[np.bool_] = (self.matrix("labelled") == self.matrix("made")).all(1)
        return whole & ~self.barred_defences

    @property
    def counting_attacks(self) -> NDArray[np.bool_]:
        """Those that made all images."""
        whole: NDArray[np.bool_] = (self.matrix("made") == self.matrix("images")).all(0)
        return whole & ~self.barred_attacks


Scored = dict[str, dict[str, float]]  # name -> score, worst and raw; nothing of who has no score


def scores(cfg: Cfg, arena: Track, barred: frozenset[str] = frozenset()) -> dict[int, Scored]:
    """The scores of all defences and attacks by the rules of the final round, by seed."""
    flags = np.array([targeted(cfg, attack) for attack in arena.attacks])
    found: dict[int, Scored] = {}
    for seed in sorted(arena.counts):
        matrices = Matrices(arena, seed, flags, barred)
        found[seed] = {}
        for names, of in ((arena.defences, defence_scores(matrices)), (arena.attacks, attack_scores(matrices))):
            for place, name in enumerate(names):
                if not np.isnan(of.score[place]):
                    found[seed][name] = {key: float(getattr(of, key)[place]) for key in ("score", "worst", "raw")}
    return found


def read_arena(cfg: Cfg, arms: Sequence[Path], attacks: Sequence[Path], counts: Sequence[Path],
               through: Sequence[Path]) -> tuple[dict[str, Track], Arms]:  # fmt: skip
    """The tracks, and all nets, attacks and defences as arms of one place.

    Each seed's row has of a net what its training says; of an attack and a defence ``score``, ``worst`` and ``raw``;
    of an attack ``white_box``, what it fools at its largest eps of the nets that it was given, each by itself; of a
    defence ``clean`` (right on images that nobody attacked), ``clean_cost`` (against its best net alone), ``black_box``
    and ``worst_black_box`` (mean and least over attacks without its nets), ``known_nets`` (the least over attacks with
    them) and ``through`` (attacked through itself). All are shares in [0, 1] but ``raw``.
    """
    tracks = read_tracks(cfg, counts)
    arena = tracks[ARENA]
    found: Arms = dict(read_arms(arms, cfg["files"]["nets"], Arm))
    by_seed, files = scores(cfg, arena), [file for listed in arena.files.values() for file in listed]
    crafted = read_arms(attacks, cfg["files"]["attacks"], Arm)
    for attack in arena.attacks:
        rows = {seed: _of_attack(cfg, arena, of, attack, seed) for seed, of in by_seed.items()}
        found[ARENA, attack] = Arm(ARENA, attack, rows, [*files, *crafted[ARENA, attack].files], arena.facts)
    pierced = read_arms(through, cfg["files"]["through"], Arm)
    for defence in arena.defences:
        own = found.get((ARENA, defence), Arm(ARENA, defence, {}, [], arena.facts))
        for seed, of in by_seed.items():
            row = own.rows.get(seed, {"seed": seed})
            counted = Count.of(pierced[ARENA, defence].rows[seed]["through"])
            own.rows[seed] = {
                **row, **_of_defence(cfg, arena, of, defence, seed), "through": counted.correct / counted.images,
            }  # fmt: skip
        own.files += [*arena.files[defence], *pierced[ARENA, defence].files]
        found[ARENA, defence] = own
    return tracks, found


def _of_attack(cfg: Cfg, arena: Track, of: Scored, attack: str, seed: int) -> dict[str, Any]:
    known = [net for net in cfg["attacks"][attack].get("nets", []) if net in arena.defences]
    row = {"seed": seed, **of.get(attack, {})}
    what, cells = "hit" if targeted(cfg, attack) else "wrong", arena.at_most_eps[seed]
    fooled = [getattr(cells[net, attack], what) / cells[net, attack].images for net in known]
    return row | ({"white_box": mean(fooled)} if fooled else {})


def _of_defence(cfg: Cfg, arena: Track, of: Scored, defence: str, seed: int) -> dict[str, Any]:
    row: dict[str, float] = dict(of.get(defence, {}))
    right = {attack: arena.share("correct", defence, attack)[seed] / 100 for attack in arena.attacks}
    nets = [net for net in cfg["defences"][defence].get("nets", []) if net in arena.defences]
    if NO_OP in right:
        row["clean"] = right[NO_OP]
        row["clean_cost"] = max((arena.share("correct", net, NO_OP)[seed] / 100 for net in nets), default=row["clean"])
        row["clean_cost"] -= row["clean"]
    known = [right[attack] for attack in arena.attacks if white_box(cfg, defence, attack)]
    unknown = [right[attack] for attack in arena.attacks if strikes(cfg, attack)
               and not white_box(cfg, defence, attack)]  # fmt: skip
    row |= {"known_nets": min(known)} if known else {}
    return row | ({"black_box": mean(unknown), "worst_black_box": min(unknown)} if unknown else {})


def ranked(arms: Arms, names: Sequence[str], key: str = "score") -> list[str]:
    """Names by their mean over seeds, the largest first."""
    return sorted(names, key=lambda name: -mean(arms[ARENA, name].of(key).values()))


def of_kind(cfg: Cfg, arena: Track, kind: str) -> list[str]:
    """The arms of the arena that are defences, non-targeted or targeted attacks."""
    if kind == "defences":
        return list(arena.defences)
    return [attack for attack in arena.attacks if targeted(cfg, attack) == (kind == "targeted")]


def gain_over_baseline(cfg: Cfg, arms: Arms, arena: Track, kind: str) -> BySeed:
    """The best score of a kind less that of its best baseline, by seed; nothing where there is no baseline."""
    names = of_kind(cfg, arena, kind)
    baselines = [name for name in BASELINES[kind] if name in names]
    others = [name for name in names if name not in baselines]
    if not baselines or not others:
        return {}
    of = {name: arms[ARENA, name].of("score") for name in names}
    return {seed: max(of[name][seed] for name in others) - max(of[name][seed] for name in baselines)
            for seed in arena.counts}  # fmt: skip


# Experiments of single teams --------------------------------------------------------------------------------------

FILTERED = "median-"  # what a defence's name begins with, if a median filter stands before it
AUGMENTED = "sangxia-16"  # the attack of Table 4
SWEPT = "adv-all"  # the defence of Table 7: all hardened nets together


def without(arena: Track) -> dict[str, str]:
    """For each net the attack of the arena that is on all other nets."""
    begin = "without-"
    return {name.removeprefix(begin): name for name in arena.attacks if name.startswith(begin)}


def sweep(track: Track | None) -> dict[int, str]:
    """The attacks on all nets together, by eps, the largest first: ``on-all`` at 16, ``on-all-8``."""
    names = [] if track is None else [name for name in track.attacks if name.startswith("on-all")]
    found = {16 if name == "on-all" else int(name.rpartition("-")[2]): name for name in names}
    return dict(sorted(found.items(), reverse=True))


def hits_of(track: Track) -> dict[str, str]:
    """The targeted attacks of ten steps by the one net that they are on: ``hit-a``."""
    return {name.removeprefix("hit-"): name for name in track.attacks if name.startswith("hit-")}


def steps_of(track: Track, net: str) -> dict[int, str]:
    """The targeted attacks on one net by their number of steps: ``steps-10-a``."""
    begin, end = "steps-", f"-{net}"
    counts = {name: name.removeprefix(begin).removesuffix(end) for name in track.attacks if name.startswith(begin)}
    found = {int(count): name for name, count in counts.items() if count.isdigit()}
    return dict(sorted(found.items()))
