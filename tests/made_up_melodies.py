"""Made-up melodies and metrics in the forms that the stages of "melody" leave, for tests of what is made from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from tenfold.data.melodies import Events, Melodies, write
from tenfold.files import write_json, write_text
from tenfold.papers.melody.measures import profiles_of
from tenfold.papers.melody.tunes import twinkle

SEEDS = [0, 1, 2, 3, 4]
VARIANTS = ("1L", "1L-wide", "2L", "3L")
BARS = 20  # of a composed piece
PIECES = 12

BEATS = np.array([[1, 0, 0, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 1, 0]], dtype=np.float64)
BAR_PROFILES = np.array(
    [[1, 0, 0, 0] * 4, [1, 0, 0, 0, 0, 0, 0, 0] * 2, [1, 0] * 8, [1, 0, 0, 0, 1, 0, 1, 0] * 2], dtype=np.float64
)
CENTRES = {"beat": BEATS, "bar": BAR_PROFILES}

NLL = {"1L": (0.70, None, None), "1L-wide": (0.69, None, None), "2L": (0.46, 0.19, None), "3L": (0.45, 0.06, 0.12)}
EVENT = {"1L": 0.79, "1L-wide": 0.80, "2L": 0.84, "3L": 0.85}
NO_EVENT = {"1L": 0.70, "1L-wide": 0.72, "2L": 0.98, "3L": 0.99}
STOPPED = {"1L": 1400, "1L-wide": 1200, "2L": 2300, "3L": 1900}


def piece(generator: np.random.Generator, bars: int = BARS, noise: float = 0.0) -> Events:
    """A tune in four-bar phrases of the same rhythm, with pitches that walk; some beats may be noise."""
    rhythm = np.tile(np.concatenate([BAR_PROFILES[generator.integers(4)] for _ in range(4)]), bars // 4)
    stray = np.repeat(generator.random(4 * bars) < noise, 4)
    rhythm = np.where(stray, generator.random(len(rhythm)) < 0.4, rhythm > 0)
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16])
    walk = np.clip(5 + np.cumsum(generator.integers(-1, 2, len(rhythm))), 0, len(scale) - 1)
    return np.where(rhythm, 14 + scale[walk], 0).astype(np.int8)


def corpus(generator: np.random.Generator, pieces: int = 40) -> list[Events]:
    """Real pieces of different lengths."""
    return [piece(generator, bars=20 + 4 * (i % 3), noise=0.02) for i in range(pieces)]


def write_generated(path: Path, variant: str) -> None:
    """What a model composed, under all conditions."""
    tensors = {}
    noise = {"1L": 0.3, "1L-wide": 0.25, "2L": 0.1, "3L": 0.05}[variant]
    for seed in SEEDS:
        generator = np.random.default_rng(seed)
        sets = {"": BARS}
        if variant in ("2L", "3L"):
            sets |= {"true/": BARS, "shuffled/": BARS, "twinkle/": 12}
        if variant == "2L":
            sets |= {"beats-1-1-1-2/": 8, "beats-2-1-2-1/": 8, "beats-2-3-2-3/": 8}
        if variant == "3L":
            sets |= {"bars-1-2/": 8, "bars-2-3/": 8, "bars-3-1/": 8}
        for prefix, bars in sets.items():
            events = np.stack([piece(generator, bars, noise) for _ in range(PIECES)])
            if prefix == "twinkle/":
                events = np.stack([np.where(twinkle() > 0, 14 + generator.integers(0, 12, 192), 0)] * PIECES)
            astray = generator.random((PIECES, events.shape[1] // 4)) < 0.1
            own = np.stack([profiles_of(one, BEATS) for one in events])
            tensors[f"seed{seed}/{prefix}events"] = events.astype(np.int8)
            if variant in ("2L", "3L"):
                tensors[f"seed{seed}/{prefix}beats"] = np.where(astray, (own + 1) % 4, own).astype(np.int8)
            if variant == "3L":
                bars_fed = np.stack([profiles_of(one, BAR_PROFILES) for one in events])
                tensors[f"seed{seed}/{prefix}bars"] = bars_fed.astype(np.int8)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)


def write_models(path: Path, variant: str) -> None:
    """Metrics and history of one model."""
    rows = []
    lines = ["seed,layer,coding,iteration,train_event,train_no_event,event,no_event"]
    for seed in SEEDS:
        layers = dict(zip(("note", "beat", "bar"), NLL[variant], strict=True))
        nll: dict[str, float] = {name: value + 0.001 * seed for name, value in layers.items() if value is not None}
        shares = {"event": EVENT[variant] + 0.001 * seed, "no_event": NO_EVENT[variant] + 0.001 * seed}
        rows.append({
            "seed": seed,
            "nll": nll | {"joint": sum(nll.values())},
            "accuracy": {"plain": {"event": 0.1, "no_event": 0.99, "onset": 0.2}, "repeat": shares | {"onset": 0.5}},
            "stopped_at": STOPPED[variant] + 20 * seed,
            "stopped": {"note": {"by_rule": True}},
            "params": 900_000,
        })  # fmt: skip
        for iteration in range(200, 2200, 200):
            grown = 1 - 2.0 ** -(iteration / 400)
            values = [grown * shares[name] + more for more in (0.01, 0.0) for name in ("event", "no_event")]
            lines.append(f"{seed},note,repeat,{iteration}," + ",".join(f"{value:.4f}" for value in values))
    write_json(path, {"device": "cpu", "precision": "fp32", "rows": rows})
    write_text(path.with_suffix(".csv"), "\n".join(lines) + "\n")


def write_profiles(path: Path) -> None:
    """Profiles with counts and elbow curves."""
    rows: list[dict[str, Any]] = []
    for seed in SEEDS:
        order = np.random.default_rng(seed).permutation(40).tolist()
        split = {"train": order[8:], "validation": order[4:8], "test": order[:4]}
        row: dict[str, Any] = {"seed": seed, "split": split}
        for layer, centres in CENTRES.items():
            elbow = [{"k": k, "inertia": 2.0 / k + 0.01 * seed} for k in (2, 4, 8, 12)]
            row[layer] = {"centres": centres.tolist(), "counts": [50, 30, 15, 5], "elbow": elbow}
        rows.append(row)
    write_json(path, {"rows": rows})


def write_corpus(path: Path) -> list[Events]:
    """A prepared file of pieces."""
    pieces = corpus(np.random.default_rng(7))
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, Melodies("made-up", pieces, [f"tune {i}" for i in range(len(pieces))], {}))
    return pieces
