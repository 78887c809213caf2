"""Identities of whole runs: RCO with one anchor is KD, stages go on from each other, searches share students."""

from __future__ import annotations

import itertools
import json
import runpy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tenfold.data.prepare import write_tensors
from tenfold.data.splits import averaged, read_splits
from tenfold.errors import UserError
from tenfold.identity import digest
from tenfold.identity.definitions import Definition
from tenfold.launcher import Job
from tenfold.nets.build import build
from tenfold.papers.rco import grid
from tenfold.papers.rco.common import indexed_batches
from tenfold.papers.rco.distil import distil
from tenfold.papers.rco.method import eei_anchors, kd_loss
from tenfold.papers.rco.route import folded, live
from tenfold.papers.rco.search import search
from tenfold.papers.rco.students import Lab, student_loss
from tenfold.papers.rco.teacher import teacher
from tenfold.progress import Progress
from tenfold.training.compute import Compute, start
from tenfold.training.recipe import Recipe, build_optimiser
from tenfold.weights import below, save_weights, under
from tenfold.workflow import House

torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parents[2]
IMAGES = {"labels": "fine", "pixels": 8, "fit": 32, "held_out": 16, "augment": "none",
          "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}  # fmt: skip
RECIPE = {"optimiser": "sgd", "lr": 0.05, "momentum": 0.9, "schedule": {"name": "constant"}, "batch_size": 8}
NET = {"family": "resnet_small", "name": "resnet8", "width": 4}
COMMON: dict[str, Any] = {
    "compute": {"device": "cpu", "precision": "fp32"},
    "seeds": [0],
    "images": IMAGES,
    "teacher": NET | {"width": 6},
    "targets": "cached",
    "hint_layer": "pool",
}
STUDENT: dict[str, Any] = {
    **COMMON,
    "student": NET,
    "teacher_epochs": 2,
    "recipe": RECIPE | {"epochs": 2},
    "kd": {"weight": 0.9, "tau": 4.0},
    "hint_weight": 1.0,
    "keep_way": False,
}


def teach(cfg: dict[str, Any], data: Path, folder: Path) -> None:
    """Runs the stage of the teacher."""
    folder.mkdir(exist_ok=True)
    archives = {name: folder / f"{name}.safetensors" for name in ("route", "outputs", "candidates")}
    teacher(cfg, fresh_job(folder), data=data, **archives, metrics=folder / "teacher.json",
            history=folder / "teacher.csv", times=folder / "teacher.times.csv")  # fmt: skip


def fresh_job(folder: Path) -> Job:
    """A job that has not begun; the launcher removes the resume file of one that is done."""
    (folder / "resume").unlink(missing_ok=True)
    return Job(resume=folder / "resume")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset of 64 + 32 images and a teacher's route of two epochs."""
    folder = tmp_path_factory.mktemp("rco")
    rng = np.random.default_rng(0)
    tensors = {}
    for split, n in (("train", 64), ("test", 32)):
        tensors[f"{split}_labels"] = rng.integers(0, 4, n).astype(np.uint8)
        noise = rng.integers(0, 100, (n, 3, 32, 32))
        tensors[f"{split}_images"] = (noise + 30 * tensors[f"{split}_labels"][:, None, None, None]).astype(np.uint8)
    write_tensors(folder / "data.safetensors", tensors, {"name": "d", "classes": json.dumps(list("abcd"))})
    cfg = COMMON | {"augment": "none", "recipe": RECIPE | {"epochs": 2}, "checkpoints": [1, 2], "candidates": [1, 2]}
    teach(cfg, folder / "data.safetensors", folder)
    return folder


def train(made: Path, name: str, arm: str, value: float, outputs: str = "outputs", **changes: Any) -> dict[str, Tensor]:
    """Runs the stage of one arm, and gives the weights that it wrote."""
    cfg = STUDENT | {"arm": arm, "value": value} | changes
    route = [made / "route.safetensors"] if cfg["targets"] == "live" else []
    distil(cfg, fresh_job(made), data=made / "data.safetensors", outputs=made / f"{outputs}.safetensors",
           route=route, **outputs_in(made, name))  # fmt: skip
    return load_file(made / f"{name}.safetensors")


def greedily(
    made: Path, name: str, deltas: list[float], candidates: list[int], restarts: Sequence[int] = ()
) -> list[dict[str, Any]]:
    """Runs the stage of the greedy searches, and gives the rows that it wrote."""
    cfg = {**STUDENT, "deltas": deltas, "restarts": list(restarts), "candidates": candidates}
    search(cfg, fresh_job(made), data=made / "data.safetensors", candidates=made / "candidates.safetensors",
           route=[], **outputs_in(made, name))  # fmt: skip
    rows: list[dict[str, Any]] = json.loads((made / f"{name}.json").read_text())["rows"]
    return rows


def outputs_in(made: Path, name: str) -> dict[str, Path]:
    suffixes = {"weights": "safetensors", "metrics": "json", "history": "csv", "times": "times.csv"}
    return {output: made / f"{name}.{suffix}" for output, suffix in suffixes.items()}


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def kd(made: Path) -> dict[str, Tensor]:
    return train(made, "kd", "kd", 1)


@pytest.mark.parametrize(("arm", "value"), [("eei", 1), ("one-stage", 1), ("from", 2)])
def test_rco_with_the_last_anchor_alone_is_kd_bit_for_bit(
    made: Path, kd: dict[str, Tensor], arm: str, value: int
) -> None:
    assert equal(train(made, arm, arm, value), kd)
    rows = [json.loads((made / f"{name}.json").read_text())["rows"] for name in (arm, "kd")]
    assert rows[0] == rows[1]
    assert (made / f"{arm}.safetensors").read_bytes() == (made / "kd.safetensors").read_bytes()


def test_kd_is_a_plain_loop_of_kd_bit_for_bit(made: Path, kd: dict[str, Tensor]) -> None:
    start(COMMON["compute"], fresh_job(made))
    images = read_splits(IMAGES, made / "data.safetensors")
    logits = load_file(made / "outputs.safetensors")["seed0/e2/fit/logits"].float()
    torch.manual_seed(0)
    net = build(NET | {"classes": 4}).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, fused=True)
    batches = indexed_batches(IMAGES, images.fit, 8, 0, torch.device("cpu"))
    for _ in range(2 * len(batches)):
        (views, labels, indices), _ = batches.next()
        loss = kd_loss(net(views), logits[indices], labels, weight=0.9, tau=4.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert equal({f"seed0/last/{name}": value for name, value in net.state_dict().items()}, kd)


def test_a_different_anchor_gives_a_different_student(made: Path, kd: dict[str, Tensor]) -> None:
    assert not equal(train(made, "from-1", "from", 1), kd)


def test_each_stage_begins_with_the_weights_of_the_one_before(made: Path) -> None:
    first_anchor_alone = below("seed0/last", train(made, "from-1", "from", 1))
    route = train(made, "eei-2", "eei", 2, keep_way=True)
    assert equal(below("seed0/2", route), first_anchor_alone)
    assert equal(below("seed0/4", route), below("seed0/last", route))
    assert not equal(below("seed0/2", route), below("seed0/last", route))


def test_a_long_control_has_as_many_epochs_and_images_as_the_route(made: Path) -> None:
    for name, arm in (("eei-2", "eei"), ("kd-2x", "kd")):
        train(made, name, arm, 2)
    eei, long = (json.loads((made / f"{name}.json").read_text())["rows"][0] for name in ("eei-2", "kd-2x"))
    assert eei["epochs"] == long["epochs"] == 4
    assert eei["images"] == long["images"] == 4 * 32
    assert (eei["anchors"], long["anchors"]) == ([1, 2], [2])


def test_a_live_teacher_on_fixed_views_is_its_kept_outputs_but_for_rounding(made: Path) -> None:
    before = (made / "route.safetensors").read_bytes()
    kept = train(made, "cached", "one-stage", 2)
    seen = train(made, "live", "one-stage", 2, targets="live")
    for name, value in kept.items():
        torch.testing.assert_close(seen[name], value, rtol=0.02, atol=2e-3)
    assert (made / "route.safetensors").read_bytes() == before


def test_a_folded_teacher_is_the_same_function_and_the_teacher_stays_as_it_is() -> None:
    torch.manual_seed(0)
    images = torch.randn(4, 3, 16, 16)
    for net in (NET, {"family": "mobilenet_cifar", "name": "mobilenet_v2_cifar", "multiplier": 0.35}):
        whole = build(net)
        for _ in range(3):
            whole(torch.randn(8, 3, 16, 16) * 2 + 1)  # running statistics that are not 0 and 1
        whole.eval()
        state = {name: value.clone() for name, value in whole.state_dict().items()}
        fast = folded(whole)
        assert not [module for module in fast.modules() if isinstance(module, torch.nn.BatchNorm2d)]
        torch.testing.assert_close(fast(images), whole(images), rtol=1e-3, atol=1e-4)
        assert equal(whole.state_dict(), state)


def test_hints_reach_the_student(made: Path, kd: dict[str, Tensor]) -> None:
    hinted = train(made, "hint", "hint", 1)
    assert hinted.keys() == kd.keys()
    assert not equal(hinted, kd)
    assert equal(train(made, "hint-0", "hint", 1, hint_weight=0.0), kd)


def test_the_greedy_search_trains_as_the_arm_of_its_anchors_does(made: Path) -> None:
    rows = greedily(made, "search", [0.8, 1e9], [1, 2])
    found = load_file(made / "search.safetensors")
    eei = train(made, "eei-2", "eei", 2)
    assert [row["anchors"] for row in rows] == [[1, 2], [1, 2]]
    for delta in ("gs-0.8", "gs-1e+09"):
        assert equal(below(f"seed0/{delta}", found), below("seed0/last", eei))
    own = json.loads((made / "eei-2.json").read_text())["rows"][0]
    assert all(rows[0][key] == own[key] for key in own)
    stages = {line.split(",")[2] for line in (made / "search.csv").read_text().splitlines()[1:]}
    assert stages == {"1", "1-2", "2", "2-2"}  # each anchor sequence was trained once


def test_a_search_has_distillation_with_as_many_restarts_beside_it(made: Path) -> None:
    rows = greedily(made, "search", [0.8], [1, 2], restarts=[2])
    control = {key: value for key, value in rows[1].items() if key not in ("seed", "restarts")}
    assert rows[0]["control"] == control
    assert (rows[0]["anchors"], control["anchors"]) == ([1, 2], [2, 2])
    assert all(rows[0][key] == control[key] for key in ("epochs", "images", "params", "macs"))


def test_distillation_with_restarts_is_a_route_of_equal_checkpoints_bit_for_bit(
    made: Path, kd: dict[str, Tensor]
) -> None:
    greedily(made, "restarts", [], [1, 2], restarts=[1, 2])
    found = load_file(made / "restarts.safetensors")
    assert equal(below("seed0/kd-restarts-1", found), below("seed0/last", kd))
    said = load_file(made / "outputs.safetensors")
    last = below("seed0/e2", said)
    standing = under("seed0/e1", last) | under("seed0/e2", last)  # a teacher that learned nothing in its second epoch
    save_weights(made / "standing.safetensors", standing)
    eei = train(made, "eei-standing", "eei", 2, outputs="standing")
    assert equal(below("seed0/kd-restarts-2", found), below("seed0/last", eei))
    assert not equal(below("seed0/kd-restarts-2", found), below("seed0/last", train(made, "kd-2x", "kd", 2)))


def test_candidates_beside_the_checkpoints_leave_what_students_read_as_it_is(made: Path, tmp_path: Path) -> None:
    few = COMMON | {"augment": "none", "recipe": RECIPE | {"epochs": 2}, "checkpoints": [2], "candidates": [1, 2]}
    none = few | {"candidates": [2]}
    for name, cfg in (("few", few), ("none", none)):
        teach(cfg, made / "data.safetensors", tmp_path / name)
    few_, none_ = tmp_path / "few", tmp_path / "none"
    assert (few_ / "outputs.safetensors").read_bytes() == (none_ / "outputs.safetensors").read_bytes()
    assert (few_ / "teacher.csv").read_bytes() == (none_ / "teacher.csv").read_bytes()
    assert (few_ / "candidates.safetensors").read_bytes() == (made / "outputs.safetensors").read_bytes()
    rows = {name: json.loads((tmp_path / name / "teacher.json").read_text())["rows"] for name in ("few", "none")}
    assert [row["epoch"] for row in rows["few"]] == [1, 2]
    assert rows["few"][1:] == rows["none"]


def test_an_anchor_that_was_not_kept_is_a_users_mistake(made: Path) -> None:
    with pytest.raises(UserError, match=r"epoch 3 of the teacher .* checkpoints 1, 2; add it") as error:
        train(made, "lost", "from", 3)
    assert "\n" not in str(error.value)


def test_too_few_training_images_are_a_users_mistake(made: Path) -> None:
    with pytest.raises(UserError, match=r"images.fit is 60.*at most 48"):
        read_splits(IMAGES | {"fit": 60}, made / "data.safetensors")
    with pytest.raises(UserError, match="no coarse classes"):
        read_splits(IMAGES | {"labels": "coarse"}, made / "data.safetensors")


def test_held_out_images_are_the_last_and_never_trained_on(made: Path) -> None:
    images = read_splits(IMAGES | {"fit": None}, made / "data.safetensors")
    assert (len(images.fit), len(images.held_out), len(images.test)) == (48, 16, 32)
    whole = averaged(load_file(made / "data.safetensors")["train_images"], 8)
    assert torch.equal(torch.cat([images.fit.images, images.held_out.images]), whole)


def test_smaller_images_are_rounded_means_of_blocks() -> None:
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    blocks = images.numpy().reshape(2, 3, 16, 2, 16, 2).astype(np.float64).mean((3, 5))
    assert np.array_equal(averaged(images, 16).numpy(), np.floor(blocks + 0.5).astype(np.uint8))
    assert averaged(images, 32) is images


# The configured editions


def edition(name: str) -> Any:
    return House({}).paper("rco").edition(name)


@pytest.mark.parametrize("name", ["smoke", "small", "real", "full"])
def test_every_anchor_and_candidate_of_an_edition_is_kept(name: str) -> None:
    settings = edition(name).settings
    kept, epochs = settings["teacher"]["checkpoints"], settings["teacher"]["recipe"]["epochs"]
    assert kept == sorted(kept) and kept[-1] == epochs == grid.candidates(edition(name))[-1]
    for student in settings["students"].values():
        for kind, values in student["arms"].items():
            if kind in ("eei", "hint-eei", "one-stage"):
                assert all(set(eei_anchors(epochs, m)) <= set(kept) for m in values)
            if kind == "one-stage":
                assert all(settings["student_recipe"]["epochs"] % m == 0 for m in values)
            if kind == "from":
                assert set(values) <= set(kept[:-1])


@pytest.mark.parametrize("name", ["smoke", "small", "real", "full"])
def test_compared_arms_differ_in_nothing_but_the_arm(name: str) -> None:
    of = edition(name)
    for student in of.settings["students"]:
        cfgs = [
            grid.distil(of, SimpleNamespace(edition=name, student=student, arm=arm, seeds=of.seed_groups[0]))
            for arm in grid.arms(of, student)
            if grid.split_arm(arm)[0] not in grid.SEARCHED
        ]
        for cfg in cfgs:
            cfg.update(arm="", value=0, keep_way=False)
        assert all(cfg == cfgs[0] for cfg in cfgs)


@pytest.mark.parametrize("name", ["small", "real", "full"])
def test_every_route_has_its_control_of_equal_epochs(name: str) -> None:
    of = edition(name)
    for student in of.settings["students"]:
        arms = grid.arms(of, student)
        anchors = [int(value) for kind, value in map(grid.split_arm, arms) if kind == "eei"]
        assert {f"kd-{m}x" for m in anchors} | {f"kd-restarts-{m}" for m in anchors} <= set(arms)


def test_every_epoch_of_a_teacher_may_become_an_anchor_and_its_last_one_always() -> None:
    assert grid.candidates(edition("real")) == list(range(1, 13))
    assert grid.candidates(edition("full")) == list(range(10, 241, 10))
    of = edition("real")
    with pytest.raises(UserError, match="candidate_interval is 5, but the teacher has 12 epochs") as error:
        grid.candidates(SimpleNamespace(settings=of.settings | {"candidate_interval": 5}))  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_names_of_arms_are_read_back() -> None:
    for kind, value in (
        ("kd", 4),
        ("kd-restarts", 4),
        ("from", 3),
        ("gs", 0.8),
        ("one-stage", 24),
        ("hint-eei", 4),
        ("alone", 1),
    ):
        assert grid.split_arm(grid.name_of(kind, value)) == (kind, value)


def test_the_greedy_search_concerns_its_own_stage_only() -> None:
    sources = digest.today().sources
    stages = (("teacher", "teacher"), ("distil", "distil"), ("search", "search"), ("examine", "examine"),
              ("report.tables", "tables"), ("report.figures", "figures"), ("report.verdicts", "claims"),
              ("costs", "costs"))  # fmt: skip
    reached = {module: sources.reach([Definition(f"tenfold.papers.rco.{module}", stage)]) for module, stage in stages}
    using = [module for module, found in reached.items() if any(one.module.endswith(".greedy") for one in found)]
    assert using == ["search"]


def test_students_are_distilled_by_the_papers_own_function() -> None:
    reached = digest.today().sources.reach([Definition("tenfold.papers.rco.distil", "distil")])
    assert Definition("tenfold.papers.rco.method", "follow_route") in reached


def test_the_grid_is_light() -> None:
    code = "import sys, tenfold.papers.rco.grid; print([m for m in ('torch', 'pandas', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT / "src")
    assert done.stdout == "[]\n"


def test_two_steps_of_the_full_edition_with_its_live_teacher(tmp_path: Path) -> None:
    of = edition("full")
    wildcards = SimpleNamespace(edition="full", student="mobilenet-v2-w0.5", arm="kd-1x", seeds="s0")
    cfg = grid.distil(of, wildcards)
    compute = Compute(torch.device("cpu"), "fp32")
    torch.manual_seed(0)
    teacher_net = compute.place(build({**cfg["teacher"], "classes": 100}))
    lab = Lab(cfg, compute, Progress(Job(resume=tmp_path / "resume")), SimpleNamespace(classes=100))  # type: ignore[arg-type]
    student = lab.new_student(0).train()
    before = {name: value.clone() for name, value in teacher_net.state_dict().items()}
    weights = {name: value.clone() for name, value in student.named_parameters()}
    loss = student_loss("kd", live(teacher_net, cfg["hint_layer"]), cfg)
    optimiser = build_optimiser(Recipe.from_cfg(cfg["recipe"]), student)
    batch = torch.randn(2, 3, 32, 32), torch.tensor([3, 97]), torch.arange(2)
    values = []
    for _ in range(2):
        losses = loss(student, batch)
        assert isinstance(losses, dict)
        optimiser.zero_grad()
        losses["loss"].backward()
        optimiser.step()
        values.append(losses["loss"].item())
    assert all(np.isfinite(values)) and values[0] != values[1]
    assert not [name for name, value in student.named_parameters() if torch.equal(value, weights[name])]
    assert all(torch.equal(value, before[name]) for name, value in teacher_net.state_dict().items())


def test_the_recipe_of_the_full_edition() -> None:
    settings = edition("full").settings
    teacher_recipe, recipe = settings["teacher"]["recipe"], settings["student_recipe"]
    assert (teacher_recipe["lr"], recipe["lr"]) == (0.05, 0.01)
    for each in (teacher_recipe, recipe):
        assert (each["epochs"], each["batch_size"], each["weight_decay"], each["momentum"]) == (240, 64, 5e-4, 0.9)
        assert [240 * at for at in each["schedule"]["at"]] == [150, 180, 210]
    gaps = {b - a for a, b in itertools.pairwise([0, *settings["teacher"]["checkpoints"]])}
    assert gaps == {10}
    assert settings["targets"] == "live"


def test_cached_outputs_need_fixed_views() -> None:
    from tenfold import config

    settings = edition("real").settings
    schema = config.PAPERS / "rco" / "settings.schema.yaml"
    config.check(settings, schema, "here")
    with pytest.raises(UserError, match="augment"):
        config.check(config.merged(settings, {"images": {"augment": "crop_flip"}}), schema, "here")


def test_the_example_distils_a_net(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "examples/distil_your_own_net.py"))
    assert capsys.readouterr().out.startswith("anchors [10, 20, 30, 40]: accuracy")
