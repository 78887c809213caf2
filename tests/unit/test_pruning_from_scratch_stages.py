"""The stages of Pruning from Scratch, called directly on a few images: what they write, what a kill leaves."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tenfold.data.prepare import write_tensors
from tenfold.files import canonical_json, read_json, sha256
from tenfold.launcher import Job, Stopped
from tenfold.nets.build import build
from tenfold.papers.pruning_from_scratch.choose import choose
from tenfold.papers.pruning_from_scratch.common import net_cost
from tenfold.papers.pruning_from_scratch.learn_gates import learn_gates
from tenfold.papers.pruning_from_scratch.pretrain import pretrain
from tenfold.papers.pruning_from_scratch.prune import baseline, prune
from tenfold.papers.pruning_from_scratch.train import train

torch.set_num_threads(1)

COMPUTE = {"device": "cpu", "precision": "fp32"}
NET = {"family": "resnet", "name": "resnet20", "width": 5}
STANDARD = {"family": "resnet", "name": "resnet20", "width": 4}
IMAGES = {"augment": "crop_flip", "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
SGD = {"optimiser": "sgd", "lr": 0.05, "momentum": 0.9, "schedule": {"name": "constant"}, "epochs": 2, "batch_size": 8}
# Steps so large that gates meet zero within a few: the saving rule fires.
GATES = {
    "validation": 8, "gamma": 1.0, "target": 0.7,
    "recipe": {"optimiser": "adam", "lr": 0.3, "schedule": {"name": "constant"}, "epochs": 6, "batch_size": 8},
}  # fmt: skip
TRAINING = {"compute": COMPUTE, "seeds": [0, 1], "net": NET, "images": IMAGES}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 training and 16 test images of 8 x 8 pixels in four classes, brighter the higher the class."""
    path = tmp_path_factory.mktemp("data") / "tiny.safetensors"
    draw = np.random.default_rng(0)
    tensors = {}
    for split, n in (("train", 32), ("test", 16)):
        labels = (np.arange(n) % 4).astype(np.uint8)
        noise = draw.integers(0, 120, (n, 3, 8, 8))
        tensors |= {f"{split}_images": (noise + 40 * labels[:, None, None, None]).astype(np.uint8),
                    f"{split}_labels": labels}  # fmt: skip
    write_tensors(path, tensors, {"name": "tiny", "classes": json.dumps(list("abcd"))})
    return path


def job(folder: Path, cfg: dict[str, Any], stop_after: int | None = None) -> Job:
    """A job with its resume file in the folder; asked to stop after so many steps if that is given."""

    class StoppingJob(Job):
        asked = 0

        def stop_between_steps(self) -> bool:
            self.asked += 1
            return self.asked == stop_after

    folder.mkdir(exist_ok=True, parents=True)
    return StoppingJob(resume=folder / "resume.safetensors", identity={"cfg": canonical_json(cfg), "code": "c"})


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


# Gates ------------------------------------------------------------------------------------------------------------


def learn(folder: Path, data: Path, cfg: dict[str, Any], pretrained: list[Path], stop: int | None = None) -> Path:
    """Runs the stage and gives its folder."""
    learn_gates(
        cfg, job(folder, cfg, stop), data=data, pretrained=pretrained, gates=folder / "gates.safetensors",
        summary=folder / "summary.json", history=folder / "history.csv", times=folder / "times.csv",
    )  # fmt: skip
    return folder


LEARN = {**TRAINING, "source": "random-init", "gates": GATES}
OUTPUTS = ("gates.safetensors", "summary.json", "history.csv")


def checksums(folder: Path) -> dict[str, str]:
    return {name: sha256(folder / name) for name in OUTPUTS}


@pytest.fixture(scope="module")
def learned(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return learn(tmp_path_factory.mktemp("learned"), data, LEARN, [])


def test_the_gates_to_prune_by_are_those_of_the_saving_rule(learned: Path) -> None:
    history = rows(learned / "history.csv")
    for row in read_json(learned / "summary.json")["rows"]:
        epochs = [line for line in history if int(line["seed"]) == row["seed"]]
        sparse = [line for line in epochs if float(line["gate_non_zero"]) <= GATES["target"]]
        assert sparse and row["rule_fired"], "the case that this test is about: the rule has fired"
        kept = max(sparse, key=lambda line: float(line["validation_accuracy"]))  # the first of equal ones
        assert kept is not epochs[-1], "and later gates did not displace what it kept"
        assert row["non_zero"] == float(kept["gate_non_zero"])
        assert row["mean"] == pytest.approx(float(kept["gate_mean"]), abs=1e-6)
        gates = load_file(learned / "gates.safetensors")[f"seed{row['seed']}/gates"]
        assert float(gates.mean()) == pytest.approx(row["mean"], abs=1e-6)
        assert gates.min() == 0 and gates.max() <= 1
        assert (row["gates"], row["steps"], row["images"]) == (len(gates), 18, 6 * 24)


def test_a_rule_that_never_fires_leaves_the_last_gates(data: Path, tmp_path: Path) -> None:
    cfg = LEARN | {"seeds": [0], "gates": GATES | {"recipe": GATES["recipe"] | {"lr": 0.001, "epochs": 1}}}
    folder = learn(tmp_path, data, cfg, [])
    (row,) = read_json(folder / "summary.json")["rows"]
    assert not row["rule_fired"] and row["non_zero"] == 1.0
    assert row["mean"] == pytest.approx(float(rows(folder / "history.csv")[-1]["gate_mean"]), abs=1e-6)


def test_a_stop_after_the_rule_has_fired_is_not_seen_in_the_result(data: Path, learned: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        learn(tmp_path, data, LEARN, [], stop=17)  # of 18 steps a seed
    with safe_open(tmp_path / "resume.safetensors", "pt") as file:
        assert file.get_tensor("fits/0/model/kept_accuracy") > 0
    with pytest.raises(Stopped):
        learn(tmp_path, data, LEARN, [], stop=2 + 13)
    learn(tmp_path, data, LEARN, [])
    assert checksums(tmp_path) == checksums(learned)


def test_without_what_the_rule_has_kept_a_resumed_job_would_give_other_gates(
    data: Path, learned: Path, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        learn(tmp_path, data, LEARN, [], stop=17)
    resume = tmp_path / "resume.safetensors"
    with safe_open(resume, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(resume)
    for name in ("fits/0/model/kept", "fits/0/model/kept_accuracy"):
        tensors[name].zero_()
    save_file(tensors, resume, metadata)
    learn(tmp_path, data, LEARN, [])
    assert checksums(tmp_path) != checksums(learned)


def test_a_job_that_is_killed_after_the_rule_has_fired_goes_on_to_the_same_gates(
    data: Path, learned: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tenfold.papers.pruning_from_scratch.learn_gates", "--cfg", canonical_json(LEARN),
               "--data", str(data), "--pretrained", "--gates", "gates.safetensors", "--summary", "summary.json",
               "--history", "history.csv", "--times", "times.csv"]  # fmt: skip
    env = os.environ | {"TENFOLD_CHECKPOINT_STEPS": "1"}
    killed = subprocess.run(command, cwd=tmp_path, env=env | {"TENFOLD_FAULT": "step:35"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "gates.safetensors").exists()
    again = subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True, text=True)
    assert "goes on after step 16" in again.stderr
    assert checksums(tmp_path) == checksums(learned)


# Pre-training -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pretrained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrained")
    cfg = {**TRAINING, "validation": 8, "recipe": SGD, "checkpoints": [1, 2]}
    pretrain(
        cfg, job(folder, cfg), data=data, weights=folder / "weights.safetensors", summary=folder / "summary.json",
        history=folder / "history.csv", times=folder / "times.csv",
    )  # fmt: skip
    return folder


def test_pretraining_keeps_its_checkpoints_and_never_sees_the_validation_images(pretrained: Path) -> None:
    weights = load_file(pretrained / "weights.safetensors")
    parts = {name.partition("/")[0] + "/" + name.split("/")[1] for name in weights}
    assert parts == {f"seed{seed}/pretrained-e{epoch}" for seed in (0, 1) for epoch in (1, 2)}
    name = "stem.conv.weight"
    versions = [weights[f"{part}/{name}"] for part in sorted(parts)]
    assert all(not torch.equal(a, b) for i, a in enumerate(versions) for b in versions[:i])
    for row in read_json(pretrained / "summary.json")["rows"]:
        assert (row["steps"], row["images"]) == (2 * 3, 2 * 24)
        assert row["macs_per_image"] == net_cost({**NET, "classes": 4}).macs


def test_gates_are_learned_on_the_checkpoint_of_their_seed_and_epoch(
    data: Path, learned: Path, pretrained: Path, tmp_path: Path
) -> None:
    weights = load_file(pretrained / "weights.safetensors")
    torch.manual_seed(1)
    random = build({**NET, "classes": 4}).state_dict()
    as_random = {f"seed{s}/pretrained-e1/{n}": t.clone() for s in (0, 1) for n, t in random.items()}
    save_file(as_random, tmp_path / "random.safetensors")
    cfg = LEARN | {"source": "pretrained-e1", "seeds": [1]}
    on_random = learn(tmp_path / "a", data, cfg, [tmp_path / "random.safetensors"])
    on_pretrained = learn(tmp_path / "b", data, cfg, [pretrained / "weights.safetensors"])
    of_seed = {folder: load_file(folder / "gates.safetensors")["seed1/gates"] for folder in (on_random, on_pretrained)}
    assert torch.equal(of_seed[on_random], load_file(learned / "gates.safetensors")["seed1/gates"])
    assert not torch.equal(of_seed[on_random], of_seed[on_pretrained])
    assert any(name.startswith("seed1/pretrained-e1/") for name in weights)


# Structures -------------------------------------------------------------------------------------------------------


SEARCH = {"seeds": [0, 1], "net": NET, "standard": STANDARD, "ratios": [0.3, 0.5]}


@pytest.fixture(scope="module")
def structures(learned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("structures")
    cfg = SEARCH | {"source": "random-init", "search": {"tolerance": 0.001, "steps": 10}}
    prune(cfg, job(folder, cfg), gates=learned / "gates.safetensors", structures=folder / "structures.json")
    return folder / "structures.json"


def test_pruning_gives_each_seed_and_ratio_a_structure_whose_macs_are_those_of_the_net(structures: Path) -> None:
    content = read_json(structures)
    assert [(row["seed"], row["ratio"]) for row in content["rows"]] == [(0, 0.3), (0, 0.5), (1, 0.3), (1, 0.5)]
    assert content["standard_macs"] == net_cost(STANDARD).macs
    for row in content["rows"]:
        assert row["macs"] == net_cost({**NET, "widths": row["widths"]}).macs
        assert row["achieved"] == 1 - row["macs"] / content["standard_macs"]
        assert sum(row["widths"]) == row["keep"] + row["floored"]
        assert row["met"] == (abs(row["achieved"] - row["ratio"]) / row["ratio"] <= 0.001)
        assert row["met"] or row["steps"] == 10
        assert abs(row["nearest_achieved"] - row["ratio"]) <= abs(row["achieved"] - row["ratio"])


def test_zero_gates_that_are_kept_are_counted(tmp_path: Path) -> None:
    gates = torch.zeros(105)
    gates[:5] = 1.0
    save_file({"seed0/gates": gates}, tmp_path / "gates.safetensors")
    cfg = SEARCH | {"seeds": [0], "source": "random-init", "search": {"tolerance": 0.001, "steps": 10}}
    prune(cfg, job(tmp_path, cfg), gates=tmp_path / "gates.safetensors", structures=tmp_path / "s.json")
    for row in read_json(tmp_path / "s.json")["rows"]:
        assert row["zero_gates_kept"] == row["keep"] - 5 > 0


@pytest.mark.parametrize("kind", ["uniform", "random"])
def test_structures_without_learning_meet_the_same_budgets(tmp_path: Path, kind: str) -> None:
    cfg = SEARCH | {"kind": kind}
    baseline(cfg, job(tmp_path, cfg), structures=tmp_path / "s.json")
    content = read_json(tmp_path / "s.json")
    by_seed = {(row["seed"], row["ratio"]): row["widths"] for row in content["rows"]}
    assert (by_seed[0, 0.5] == by_seed[1, 0.5]) == (kind == "uniform")
    for row in content["rows"]:
        assert row["macs"] == net_cost({**NET, "widths": row["widths"]}).macs
        assert row["achieved"] == pytest.approx(row["ratio"], abs=0.02)
    if kind == "uniform":
        assert max(by_seed[0, 0.5][:3]) - min(by_seed[0, 0.5][:3]) <= 1


# Training ---------------------------------------------------------------------------------------------------------


def trained(folder: Path, data: Path, structure: list[Path], **over: Any) -> tuple[Path, dict[str, Any]]:
    """Runs the stage and gives its folder and metrics."""
    cfg = {**TRAINING, "standard": STANDARD, "arm": "pruned", "ratio": 0.5, "recipe": SGD} | over
    train(
        cfg, job(folder, cfg), data=data, structure=structure, weights=folder / "weights.safetensors",
        metrics=folder / "metrics.json", history=folder / "history.csv", times=folder / "times.csv",
    )  # fmt: skip
    return folder, read_json(folder / "metrics.json")


def test_an_arm_has_the_widths_of_its_seed_and_inherits_nothing_else(
    data: Path, structures: Path, tmp_path: Path
) -> None:
    folder, metrics = trained(tmp_path, data, [structures])
    weights = load_file(folder / "weights.safetensors")
    wanted = {row["seed"]: row for row in read_json(structures)["rows"] if row["ratio"] == 0.5}
    for row in metrics["rows"]:
        seed = row["seed"]
        widths = [len(weights[f"seed{seed}/blocks.{block}.conv1.bn.weight"]) for block in range(9)]
        assert widths == wanted[seed]["widths"]
        assert row["macs"] == net_cost({**NET, "classes": 4, "widths": widths}).macs
        assert row["params"] == net_cost({**NET, "classes": 4, "widths": widths}).params
        assert row["accuracy"] == row["correct"] / 16
        assert row["accuracy"] == float(
            [line for line in rows(folder / "history.csv") if int(line["seed"]) == seed][-1]["test_accuracy"]
        )
    assert (metrics["test_images"], metrics["device"], metrics["precision"]) == (16, "cpu", "fp32")


def test_scratch_b_trains_longer_and_the_full_net_has_standard_widths(
    data: Path, structures: Path, tmp_path: Path
) -> None:
    _, longer = trained(tmp_path / "b", data, [structures], arm="scratch-b", seeds=[0])
    assert [row["epochs"] for row in longer["rows"]] == [4]  # int(2 / (1 - 0.5))
    folder, full = trained(tmp_path / "full", data, [], arm="full", ratio=None, net=STANDARD, seeds=[0])
    assert [row["macs"] for row in full["rows"]] == [net_cost({**STANDARD, "classes": 4}).macs]
    assert len(load_file(folder / "weights.safetensors")["seed0/blocks.0.conv1.bn.weight"]) == 4


def test_the_chosen_structure_is_the_best_on_validation_images_and_the_test_set_is_never_read(
    data: Path, structures: Path, tmp_path: Path
) -> None:
    cfg = {**TRAINING, "seeds": [0, 1], "ratio": 0.5, "validation": 8, "recipe": SGD}

    def chosen(folder: Path, images: Path) -> dict[str, Any]:
        choose(
            cfg, job(folder, cfg), data=images, candidates=[structures], structures=folder / "chosen.json",
            history=folder / "history.csv", times=folder / "times.csv",
        )  # fmt: skip
        content: dict[str, Any] = read_json(folder / "chosen.json")
        return content

    content = chosen(tmp_path / "a", data)
    best = max(content["validation"], key=lambda row: row["validation_accuracy"])["seed"]
    wanted = next(row for row in read_json(structures)["rows"] if (row["seed"], row["ratio"]) == (best, 0.5))
    assert content["chosen"] == best
    assert [row["widths"] for row in content["rows"]] == [wanted["widths"]] * 2
    assert [row["seed"] for row in content["rows"]] == [0, 1]

    with safe_open(data, "np") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    tensors["test_labels"] = (tensors["test_labels"] + 1) % 4
    write_tensors(tmp_path / "other.safetensors", tensors, metadata)
    assert chosen(tmp_path / "b", tmp_path / "other.safetensors") == content
