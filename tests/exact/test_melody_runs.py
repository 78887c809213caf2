"""HRNN melody as it runs: training stops, goes on and repeats itself; likelihoods add up; melodies repeat."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tenfold import config
from tenfold.data import aaba
from tenfold.data.melodies import BAR, Melodies, write
from tenfold.errors import UserError
from tenfold.files import read_json, sha256
from tenfold.launcher import Job, Stopped
from tenfold.papers.melody.cluster import cluster
from tenfold.papers.melody.generate import Model, generate
from tenfold.papers.melody.layers import layers_of, sequences, window_batches, window_losses
from tenfold.papers.melody.measures import notes_of
from tenfold.papers.melody.midi import midi, write_midi
from tenfold.papers.melody.train import train
from tenfold.progress import Progress
from tenfold.training.batches import Batches
from tenfold.training.compute import Compute
from tenfold.training.early_stopping import Patience, fit_until_it_rises

torch.set_num_threads(1)

CPU = Compute(torch.device("cpu"), "fp32")
SONGS = aaba.generate({"pieces": 20, "seed": 5, "noise": 10, "structure": True})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "songs.safetensors"
    write(path, Melodies("songs", SONGS, [str(i) for i in range(len(SONGS))], {}))
    return path


def train_cfg(layers: list[str], **changes: Any) -> dict[str, Any]:
    return {
        "compute": {"device": "cpu", "precision": "fp32"},
        "seeds": [0, 1],
        "corpus": {"validation": 0.1, "test": 0.1, "near": 0.5},
        "profiles": {"bar": 6, "beat": 4, "swaps": 20},
        "windows": {"bars": 8, "hop": 8},
        "training": {
            "lr": 0.01, "batch_size": 32, "clip_norm": 5.0, "validate_every": 2, "rises": 2,
            "most": {"bar": 6, "beat": 4, "note": 4},
        },
        "variant": {
            "layers": layers,
            "codings": ["plain", "repeat"],
            "lookback": {"bar": [2, 4], "beat": [4, 8], "note": [4, 8], "counter": 5},
            "net": {"width": 8, "depth": 2, "dropout": 0.2},
        },
    } | changes  # fmt: skip


def trained(folder: Path, corpus: Path, cfg: dict[str, Any], job: Job | None = None) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    paths = {"weights": folder / "w.safetensors", "metrics": folder / "m.json"}
    paths |= {name: folder / f"{name}.csv" for name in ("history", "times")}
    train(cfg, job or Job(resume=folder / "resume"), data=corpus, **paths)
    return paths


@pytest.fixture(scope="module")
def three(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return trained(tmp_path_factory.mktemp("three"), corpus, train_cfg(["bar", "beat", "note"]))


# Training ---------------------------------------------------------------------------------------------------------


def test_the_joint_likelihood_is_the_sum_of_all_layers(three: dict[str, Path]):
    for row in read_json(three["metrics"])["rows"]:
        assert row["nll"].keys() == {"bar", "beat", "note", "joint"}
        assert row["nll"]["joint"] == pytest.approx(sum(row["nll"][name] for name in ("bar", "beat", "note")))
        assert row["accuracy"].keys() == {"plain", "repeat"}
        assert row["pieces"] == {"train": 16, "validation": 2, "test": 2}
        assert row["stopped"].keys() == {"bar", "beat", "note", "note-repeat"}


def test_training_again_gives_the_same_bytes(three: dict[str, Path], corpus: Path, tmp_path: Path):
    again = trained(tmp_path, corpus, train_cfg(["bar", "beat", "note"]))
    for name in ("weights", "metrics", "history"):
        assert sha256(three[name]) == sha256(again[name]), name


class StopsAfter(Job):
    """A job that is asked to stop after some of its steps."""

    def __init__(self, resume: Path, steps: int) -> None:
        super().__init__(resume)
        self.left = steps

    def stop_between_steps(self) -> bool:
        self.left -= 1
        return self.left == 0


@pytest.mark.parametrize("steps", [1, 9, 21])
def test_a_stopped_training_goes_on_to_the_same_bytes(steps: int, three: dict[str, Path], corpus: Path, tmp_path: Path):
    cfg = train_cfg(["bar", "beat", "note"])
    with pytest.raises(Stopped):
        trained(tmp_path, corpus, cfg, StopsAfter(tmp_path / "resume", steps))
    assert not (tmp_path / "m.json").exists()
    again = trained(tmp_path, corpus, cfg)
    for name in ("weights", "metrics", "history"):
        assert sha256(three[name]) == sha256(again[name]), name


def test_all_models_of_a_seed_share_division_windows_and_order():
    centres = {"bar": np.eye(16)[:6], "beat": np.eye(4)}
    orders = []
    for layers in (["note"], ["bar", "beat", "note"]):
        layer = layers_of(train_cfg(layers)["variant"], centres)["note"]
        pieces = [sequences(piece, centres) for piece in SONGS[:5]]
        batches = window_batches(layer, pieces, bars=8, hop=4, batch_size=8, seed=3, device=CPU.device)
        orders.append([batches.next()[0] for _ in range(6)])
    for (inputs, labels), (told, same) in zip(*orders, strict=True):
        assert torch.equal(labels, same)
        assert torch.equal(inputs, told[..., : inputs.shape[2]])


def test_the_last_windows_of_short_pieces_are_not_learned_beyond_their_end():
    centres = {"bar": np.eye(16)[:6], "beat": np.eye(4)}
    layer = layers_of(train_cfg(["note"])["variant"], centres)["note"]
    pieces = [sequences(SONGS[0][: bars * BAR], centres) for bars in (3, 8)]
    (inputs, labels), n = window_batches(layer, pieces, bars=8, hop=4, batch_size=8, seed=0, device=CPU.device).next()
    assert (n, inputs.shape[1]) == (2, 128)
    assert sorted((labels >= 0).sum(1).tolist()) == [48, 128]
    losses = window_losses(layer.net(8, 1, 0.0), (inputs, labels))
    assert n * (losses["event"] + losses["no_event"]) == 48 + 128


@pytest.mark.parametrize(
    ("losses", "stops"),
    [
        ([1, 2, 3, 4, 5], False),
        ([1, 2, 3, 4, 5, 6], True),
        ([9, 1, 2, 3, 4, 5, 6], True),
        ([1, 2, 3, 3, 4, 5], False),
        ([1, 2, 3, 4, 5, 4, 5, 6, 7, 8], False),
        ([1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9], True),
    ],
)
def test_five_rises_in_a_row_end_a_training(losses: list[float], stops: bool):
    assert Patience(every=20, rises=5, most=5000).stops(losses) is stops


def test_training_stops_by_the_rule_and_keeps_the_best_weights(tmp_path: Path):
    net = nn.Linear(1, 1)
    seen: list[torch.Tensor] = []
    curve = iter([3.0, 2.0, 4.0, 5.0, 6.0])

    def validate(model: nn.Module, means: dict[str, float]) -> dict[str, float]:
        seen.append(model.weight.detach().clone())
        return {"validation_loss": next(curve)}

    stopped = fit_until_it_rises(
        net,
        Batches(8, 4, lambda indices: torch.ones(len(indices), 1), seed=0),
        lambda model, batch: {"loss": model(batch).square().mean()},
        torch.optim.SGD(net.parameters(), 0.1),
        Patience(every=3, rises=3, most=300),
        validate,
        CPU,
        Progress(Job(resume=tmp_path / "resume")),
        clip_norm=5.0,
        title="",
    )
    assert (stopped.stopped_at, stopped.best_at, stopped.by_rule) == (15, 6, True)
    assert torch.equal(net.weight, seen[1])
    assert not torch.equal(net.weight, seen[-1])


def test_a_loss_that_is_no_number_ends_training_in_one_line(tmp_path: Path):
    net = nn.Linear(1, 1)
    with pytest.raises(UserError, match="training diverged: the loss at iteration 2 is nan"):
        fit_until_it_rises(
            net,
            Batches(8, 4, lambda indices: torch.full((len(indices), 1), math.nan), seed=0),
            lambda model, batch: {"loss": model(batch).mean()},
            torch.optim.SGD(net.parameters(), 0.1),
            Patience(every=2, rises=3, most=4),
            lambda model, means: {"validation_loss": 1.0},
            CPU,
            Progress(Job(resume=tmp_path / "resume")),
            clip_norm=5.0,
            title="",
        )


def test_the_history_has_a_row_for_each_validation_of_each_layer(three: dict[str, Path]):
    rows = list(csv.DictReader(three["history"].read_text().splitlines()))
    counts = dict.fromkeys((("bar", "plain"), ("note", "plain"), ("note", "repeat")), 0)
    for row in rows:
        if row["seed"] == "0" and (row["layer"], row["coding"]) in counts:
            counts[row["layer"], row["coding"]] += 1
    assert counts == {("bar", "plain"): 3, ("note", "plain"): 2, ("note", "repeat"): 2}
    assert {"iteration", "loss", "validation_loss", "event", "no_event", "train_event"} <= rows[0].keys()


@pytest.mark.parametrize("variant", ["1L", "1L-wide", "3L"])
def test_the_papers_own_recipe_takes_two_steps(variant: str):
    settings = config.paper("melody").editions["full"]
    own = settings["variants"][variant]
    centres = {"bar": np.random.default_rng(0).random((16, 16)), "beat": np.random.default_rng(0).random((8, 4))}
    torch.manual_seed(0)
    for layer in layers_of({"layers": own["layers"], "lookback": settings["lookback"]}, centres).values():
        net = layer.net(**settings["net"] | ({"width": own["width"]} if "width" in own else {}))
        batches = window_batches(layer, [sequences(SONGS[0], centres)], **settings["windows"], batch_size=2, seed=0,
                                 device=CPU.device)  # fmt: skip
        optimiser = torch.optim.Adam(net.parameters(), settings["training"]["lr"])
        before = [p.detach().clone() for p in net.parameters()]
        for _ in range(2):
            loss = window_losses(net, batches.next()[0])["loss"]
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        assert loss.isfinite()
        assert all(not torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True))


# Profiles ---------------------------------------------------------------------------------------------------------


def test_clusters_are_those_that_models_are_trained_with(three: dict[str, Path], corpus: Path, tmp_path: Path):
    cfg = {key: train_cfg(["note"])[key] for key in ("seeds", "corpus", "profiles")}
    cfg["profiles"] = cfg["profiles"] | {"elbow": {"bar": [2, 6], "beat": [2, 16]}}
    cluster(cfg, Job(resume=tmp_path / "r"), data=corpus, profiles=tmp_path / "p.json")
    weights = load_file(three["weights"])
    for row in read_json(tmp_path / "p.json")["rows"]:
        for layer, n in (("bar", 6), ("beat", 4)):
            assert np.array_equal(row[layer]["centres"], weights[f"seed{row['seed']}/centres/{layer}"].numpy())
            assert len(row[layer]["counts"]) == n
            assert sum(row[layer]["counts"]) == 16 * 32 * (1 if layer == "bar" else 4)
        assert row["beat"]["elbow"][1] == {"k": 16, "inertia": 0.0}
        assert row["bar"]["elbow"][0]["inertia"] > row["bar"]["elbow"][1]["inertia"]


# Composing --------------------------------------------------------------------------------------------------------


def compose_cfg(decoding: str, **changes: Any) -> dict[str, Any]:
    known = train_cfg(["bar", "beat", "note"])
    return {key: known[key] for key in ("seeds", "corpus", "variant")} | {
        "decoding": decoding, "pieces": 4, "bars": 2, "guided": 2, "beam": 3, "longest_copy": 32,
        "probes": {"length": 2, "beats": [[1, 2], [1, 9]], "bars": [[1, 2]]},
    } | changes  # fmt: skip


def composed(folder: Path, three: dict[str, Path], corpus: Path, cfg: dict[str, Any]) -> list[Path]:
    folder.mkdir(exist_ok=True)
    every, shown = folder / "every.safetensors", folder / "shown.safetensors"
    generate(cfg, Job(resume=folder / "r"), data=corpus, weights=three["weights"], every=every, shown=shown)
    return [every, shown]


@pytest.mark.parametrize("decoding", ["sample", "beam"])
def test_composing_again_gives_the_same_bytes(decoding: str, three: dict[str, Path], corpus: Path, tmp_path: Path):
    first, second = (composed(tmp_path / name, three, corpus, compose_cfg(decoding)) for name in ("a", "b"))
    assert [sha256(path) for path in first] == [sha256(path) for path in second]
    every = load_file(first[0])
    conditions = {name.split("/")[1] for name in every if name.count("/") == 2}
    assert conditions == {"true", "shuffled", "twinkle", "beats-1-2", "bars-1-2"}  # there is no beat profile 9
    assert every["seed0/events"].shape == (4, 32)
    assert every["seed1/twinkle/events"].shape == (2, 192)
    assert every["seed0/bars-1-2/bars"].tolist() == [[0, 1]] * 2
    assert every["seed0/beats-1-2/beats"].tolist() == [[0, 1] * 4] * 2
    assert not torch.equal(every["seed0/events"], every["seed1/events"])


def test_given_profiles_are_handed_down_unchanged(three: dict[str, Path], corpus: Path, tmp_path: Path):
    cfg = compose_cfg("sample")
    every = load_file(composed(tmp_path, three, corpus, cfg)[0])
    model = model_of(cfg, three, corpus)
    wanted = [piece["beat"][:8].tolist() for piece in model.test]
    assert every["seed0/true/beats"].tolist() == wanted
    for fed, shuffled in zip(every["seed0/true/bars"], every["seed0/shuffled/bars"], strict=True):
        assert sorted(fed.tolist()) == sorted(shuffled.tolist())


def model_of(cfg: dict[str, Any], three: dict[str, Path], corpus: Path) -> Model:
    weights = {name.removeprefix("seed0/"): tensor for name, tensor in load_file(three["weights"]).items()
               if name.startswith("seed0/")}  # fmt: skip
    return Model(cfg, 0, Melodies("songs", SONGS, [], {}), weights)


def test_free_pieces_begin_as_a_validation_piece_does(three: dict[str, Path], corpus: Path):
    model = model_of(compose_cfg("sample"), three, corpus)
    beginnings = {tuple(piece["note"][:4].tolist()) for piece in model.validation}
    for piece in model.compose(model.free(6, 2))["events"]:
        assert tuple(piece[:4].tolist()) in beginnings


def longest_copy(piece: np.ndarray, texts: list[bytes]) -> int:
    """The longest run of events that also stands in a text, by trying them all."""
    own = piece.tobytes()
    runs = ((length, start) for length in range(len(own), 0, -1) for start in range(len(own) - length + 1))
    return next((length for length, start in runs if any(own[start : start + length] in text for text in texts)), 0)


def test_a_piece_that_copies_is_not_shown(three: dict[str, Path], corpus: Path, tmp_path: Path):
    texts = [SONGS[i].tobytes() for i in model_of(compose_cfg("sample"), three, corpus).parts.train]
    every, _ = map(load_file, composed(tmp_path / "a", three, corpus, compose_cfg("sample")))
    longest = [longest_copy(piece, texts) for piece in every["seed0/events"].numpy()]
    assert len(set(longest)) > 1
    limit = min(longest)
    again, shown = map(load_file, composed(tmp_path / "b", three, corpus, compose_cfg("sample", longest_copy=limit)))
    assert torch.equal(again["seed0/events"], every["seed0/events"])
    new = torch.tensor([length <= limit for length in longest])
    assert 0 < new.sum() < len(new)
    for name in ("events", "beats", "bars"):
        assert torch.equal(shown[f"seed0/{name}"], every[f"seed0/{name}"][new])


def test_a_piece_in_the_rhythm_of_a_real_one_is_not_shown(three: dict[str, Path], corpus: Path, tmp_path: Path):
    every, shown = map(load_file, composed(tmp_path, three, corpus, compose_cfg("sample", longest_copy=99999)))
    conditions = [{name.split("/")[1] for name in tensors if name.count("/") == 2} for tensors in (every, shown)]
    assert conditions[0] - conditions[1] == {"true", "shuffled"}
    assert "twinkle" in conditions[1]


def test_midi_files_are_the_same_again_and_hold_the_melodies(three: dict[str, Path], corpus: Path, tmp_path: Path):
    _, shown = composed(tmp_path, three, corpus, compose_cfg("sample", longest_copy=99999))
    for name in ("a.mid", "b.mid"):
        midi({"seeds": [0], "examples": 2}, Job(resume=tmp_path / "r"), shown=shown, examples=tmp_path / name)
    assert sha256(tmp_path / "a.mid") == sha256(tmp_path / "b.mid")
    markers = [each.text for each in mido.MidiFile(tmp_path / "a.mid").tracks[0] if each.type == "marker"]
    assert len(markers) == len(set(markers)) == 8


def test_a_melody_in_a_midi_file_is_the_melody(tmp_path: Path):
    piece = SONGS[3]
    write_midi(tmp_path / "x.mid", [("song", piece)])
    file = mido.MidiFile(tmp_path / "x.mid")
    now, begun, found = 0, {}, []
    for message in file.tracks[0]:
        now += message.time
        if message.type == "note_on":
            begun[message.note] = now
        elif message.type == "note_off":
            found.append([begun[message.note] // 120, (now - begun.pop(message.note)) // 120, message.note])
    assert found == notes_of(piece).tolist()
    assert file.length == pytest.approx(notes_of(piece)[-1, :2].sum() * 0.125)


def test_a_model_of_one_layer_has_the_likelihood_of_its_notes_alone(tmp_path: Path, corpus: Path):
    paths = trained(tmp_path / "x", corpus, train_cfg(["note"], seeds=[0]))
    (row,) = read_json(paths["metrics"])["rows"]
    assert row["nll"].keys() == {"note", "joint"}
    assert row["nll"]["joint"] == row["nll"]["note"]
