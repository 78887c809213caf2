"""The arena's stages on a made-up dataset and small random nets: what is given to whom, what is counted, what fails."""

from __future__ import annotations

import hashlib
import re
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tenfold import config
from tenfold.data.prepare import write_tensors
from tenfold.errors import UserError
from tenfold.files import read_json
from tenfold.launcher import Job
from tenfold.nets.build import build
from tenfold.papers.adversarial_competition import contest, craft, defend, grid, harden, learn, submission, submit
from tenfold.papers.adversarial_competition.defences.training import adversarial_loss
from tenfold.papers.adversarial_competition.nets import Normalised
from tenfold.training.compute import Compute
from tenfold.weights import load_weights, save_weights, under
from tenfold.workflow import House

torch.set_num_threads(1)

PACKAGE = "tenfold.papers.adversarial_competition"
NET = {"family": "resnet_small", "name": "resnet8", "width": 4}
IMAGES = {"labels": "fine", "pixels": 8, "fit": 30, "held_out": 0, "augment": "none",
          "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}  # fmt: skip
MEETING: dict[str, Any] = {
    "compute": {"device": "cpu", "precision": "fp32"}, "images": IMAGES, "seeds": [0, 1], "test_images": 10,
    "batch_size": 4, "nets": [{"name": "a", "net": NET}],
}  # fmt: skip
RECIPE = {"epochs": 1, "batch_size": 15, "lr": 0.05}
ARENA = (config.ROOT / "docs/arena.md").read_text()


def attack_arm(call: str, *, targeted: bool = False, eps: tuple[int, ...] = (4, 8), **settings: Any) -> dict[str, Any]:
    return {"name": call.rpartition(".")[2], "call": f"{PACKAGE}.{call}", "targeted": targeted, "eps": list(eps),
            "settings": settings}  # fmt: skip


def defence_arm(call: str, **settings: Any) -> dict[str, Any]:
    return {"name": call.rpartition(".")[2], "call": f"{PACKAGE}.{call}", "settings": settings}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of noise, and the weights of a random net for two seeds."""
    path = tmp_path_factory.mktemp("arena")
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for part, n in (("train", 30), ("test", 12)):
        tensors[f"{part}_images"] = torch.randint(0, 256, (n, 3, 8, 8), dtype=torch.uint8, generator=generator)
        tensors[f"{part}_labels"] = torch.arange(n).remainder(3)
    content = {name: tensor.numpy() for name, tensor in tensors.items()}
    write_tensors(path / "data.safetensors", content, {"name": "noise", "classes": '["x", "y", "z"]'})
    weights = {}
    for seed in (0, 1):
        torch.manual_seed(seed)
        weights |= under(f"seed{seed}", build({**NET, "classes": 3}).state_dict())
    save_weights(path / "a.safetensors", weights)
    return path


def crafted(folder: Path, out: Path, arm: dict[str, Any], **inputs: Any) -> tuple[dict[str, torch.Tensor], Any]:
    files = {"data": folder / "data.safetensors", "weights": [folder / "a.safetensors"], "learned": []} | inputs
    cfg = MEETING | {"attack": arm, "nets": MEETING["nets"][: len(files["weights"])]}
    craft.craft(cfg, Job(resume=out / "r"), **files, crafted=out / "crafted.safetensors",
                metrics=out / "made.json", times=out / "made.times.csv")  # fmt: skip
    return load_weights(out / "crafted.safetensors"), read_json(out / "made.json")


def column(folder: Path, out: Path, arm: dict[str, Any], files: list[Path], attacks: list[str], **inputs: Any) -> Any:
    given = {"data": folder / "data.safetensors", "weights": [folder / "a.safetensors"], "learned": []} | inputs
    cfg = MEETING | {"defence": arm, "attacks": attacks}
    defend.defend(cfg, Job(resume=out / "r"), **given, crafted=files, column=out / "column.json",
                  times=out / "column.times.csv")  # fmt: skip
    return read_json(out / "column.json")


# The contest ------------------------------------------------------------------------------------------------------


def test_batches_have_their_eps_in_turn_and_targets_are_never_the_truth(folder: Path) -> None:
    found = contest.read_contest(MEETING, folder / "data.safetensors")
    batches = list(found.batches([4, 8]))
    assert [(batch.number, batch.eps, len(batch.labels)) for batch in batches] == [(0, 4, 4), (1, 8, 4), (2, 4, 2)]
    assert len(found) == 10, "the first test images"
    assert not (found.targets == found.labels).any()
    assert torch.equal(found.targets, contest.read_contest(MEETING, folder / "data.safetensors").targets)
    assert torch.equal(torch.cat([batch.images for batch in batches]), found.images)


def test_a_named_generator_depends_on_its_names_alone() -> None:
    first = torch.rand(3, generator=contest.generator_of("attack", "fgsm", 0, 1))
    torch.rand(5)
    assert torch.equal(first, torch.rand(3, generator=contest.generator_of("attack", "fgsm", 0, 1)))
    assert not torch.equal(first, torch.rand(3, generator=contest.generator_of("attack", "fgsm", 1, 0)))


# Attacks and defences ---------------------------------------------------------------------------------------------


def test_crafted_images_keep_their_bound_and_are_counted_and_hashed(folder: Path, tmp_path: Path) -> None:
    images, made = crafted(folder, tmp_path, attack_arm("method.fgsm"))
    clean = contest.read_contest(MEETING, folder / "data.safetensors").images
    moved = (images["seed0"].int() - clean.int()).abs().amax((1, 2, 3))
    assert moved.tolist() == [4] * 4 + [8] * 4 + [4] * 2
    assert [row["images"] for row in made["rows"]] == [10, 10]
    for row in made["rows"]:
        expected = hashlib.sha256(images[f"seed{row['seed']}"].numpy().tobytes()).hexdigest()
        assert row["sha256"] == expected
    assert made["rows"][0]["sha256"] != made["rows"][1]["sha256"], "each seed attacks its own net"
    again, _ = crafted(folder, tmp_path / "again", attack_arm("method.fgsm"))
    assert all(torch.equal(images[name], again[name]) for name in images)


def test_doing_nothing_gives_the_images_and_noise_moves_every_pixel(folder: Path, tmp_path: Path) -> None:
    clean = contest.read_contest(MEETING, folder / "data.safetensors").images
    images, made = crafted(folder, tmp_path, attack_arm("attacks.baselines.no_op"), weights=[])
    assert torch.equal(images["seed0"], clean)
    assert made["rows"][0]["largest"] == 0
    assert made["rows"][0]["sha256"] == hashlib.sha256(clean.numpy().tobytes()).hexdigest()
    _, noisy = crafted(folder, tmp_path, attack_arm("attacks.baselines.noise"), weights=[])
    assert noisy["rows"][0]["largest"] == 8


def test_counts_are_those_of_labels_computed_another_way(folder: Path, tmp_path: Path) -> None:
    images, _ = crafted(folder, tmp_path, attack_arm("method.iterative_target", targeted=True, steps=3))
    made = tmp_path / "crafted.safetensors"
    found = column(folder, tmp_path, defence_arm("defences.plain.plain"), [made, made], ["one", "two"])
    truth = contest.read_contest(MEETING, folder / "data.safetensors")
    for row in found["rows"]:
        net = build({**NET, "classes": 3}).eval()
        weights = load_weights(folder / "a.safetensors")
        prefix = f"seed{row['seed']}/"
        net.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})
        with torch.no_grad():
            labels = net((images[f"seed{row['seed']}"].float() / 255 - 0.5) / 0.25).argmax(1)
        counts = row["attacks"]["one"]
        assert counts == row["attacks"]["two"]
        assert (counts["images"], counts["made"], counts["labelled"]) == ([4, 4, 2],) * 3
        right, hit = (labels == truth.labels).int(), (labels == truth.targets).int()
        assert counts["correct"] == [int(part.sum()) for part in right.split(4)]
        assert counts["hit"] == [int(part.sum()) for part in hit.split(4)]


def test_images_that_an_attack_did_not_make_are_neither_labelled_nor_counted(folder: Path, tmp_path: Path) -> None:
    clean = contest.read_contest(MEETING, folder / "data.safetensors").images
    made = torch.ones(10, dtype=torch.bool)
    made[:5] = False
    images = {f"seed{seed}": clean for seed in (0, 1)} | {f"made/seed{seed}": made for seed in (0, 1)}
    save_weights(tmp_path / "half.safetensors", images)
    found = column(folder, tmp_path, defence_arm("defences.plain.plain"), [tmp_path / "half.safetensors"], ["half"])
    counts = found["rows"][0]["attacks"]["half"]
    assert (counts["images"], counts["made"], counts["labelled"]) == ([4, 4, 2], [0, 3, 2], [0, 3, 2])
    assert counts["correct"][0] == counts["hit"][0] == 0


@pytest.mark.parametrize(
    ("call", "settings"),
    [
        ("defences.plain.plain", {}),
        ("defences.median.median", {}),
        ("defences.jpeg.jpeg", {"quality": 50}),
        ("defences.randomisation.randomised", {"smallest": 8, "largest": 9, "padded": 10, "draws": 3}),
    ],
)
def test_a_defence_is_attacked_through_itself(
    folder: Path, tmp_path: Path, call: str, settings: dict[str, Any]
) -> None:
    """A net whose own predictions are the labels is right on all images, until its own gradient is followed."""
    splits = load_weights(folder / "data.safetensors")
    pixels = splits["test_images"].view(12, 3, 8, 8).float() / 255
    nets = contest.load_nets(MEETING, [folder / "a.safetensors"], 0, 3, Compute(torch.device("cpu"), "fp32"))
    splits["test_labels"] = nets[0](pixels).argmax(1).to(splits["test_labels"].dtype)
    write_tensors(tmp_path / "data.safetensors", {name: tensor.numpy() for name, tensor in splits.items()},
                  {"name": "noise", "classes": '["x", "y", "z"]'})  # fmt: skip
    cfg = MEETING | {"seeds": [0], "defence": defence_arm(call, **settings)}
    counts = {}
    for eps in (0, 40):
        arm = attack_arm("method.mi_fgsm", steps=5, eps=(eps,))
        defend.through(cfg | {"attack": arm}, Job(resume=tmp_path / "r"), data=tmp_path / "data.safetensors",
                       weights=[folder / "a.safetensors"], learned=[], column=tmp_path / "column.json")  # fmt: skip
        (row,) = read_json(tmp_path / "column.json")["rows"]
        assert row["through"]["images"] == [4, 4, 2]
        counts[eps] = sum(row["through"]["correct"])
    assert counts[0] >= 8
    assert counts[40] < counts[0]


# What is trained --------------------------------------------------------------------------------------------------


def outputs(out: Path) -> dict[str, Path]:
    return {
        "weights": out / "w.safetensors",
        "metrics": out / "m.json",
        "history": out / "h.csv",
        "times": out / "t.csv",
    }


def test_a_hardened_net_learns_with_all_its_weights(folder: Path, tmp_path: Path) -> None:
    cfg = {
        **MEETING, "seeds": [0], "arm": "adv-a", "net": NET, "recipe": RECIPE,
        "adversarial": {"call": f"{PACKAGE}.defences.training.adversarial_loss", "settings": {}},
    }  # fmt: skip
    harden.harden(cfg, Job(resume=tmp_path / "r"), data=folder / "data.safetensors",
                  sources=[folder / "a.safetensors"], **outputs(tmp_path))  # fmt: skip
    torch.manual_seed(0)
    before, after = build({**NET, "classes": 3}).state_dict(), load_weights(tmp_path / "w.safetensors")
    assert {name.removeprefix("seed0/") for name in after} == set(before)
    floats = [name for name, value in before.items() if value.is_floating_point()]
    assert [name for name in floats if torch.equal(before[name], after[f"seed0/{name}"])] == []
    (row,) = read_json(tmp_path / "m.json")["rows"]
    assert 0 <= row["accuracy"] <= 1


def test_in_bf16_every_weight_gets_a_gradient_though_the_attack_looked_at_it_without() -> None:
    """Autocast keeps casts of weights; those that were made without gradients must not be taken for the net's own."""
    torch.manual_seed(0)
    net = Normalised(build({**NET, "classes": 3}), [0.5] * 3, [0.25] * 3).train()
    images, labels = torch.rand(8, 3, 8, 8), torch.arange(8).remainder(3)
    with torch.autocast("cpu", torch.bfloat16):
        loss = adversarial_loss(net, images, labels, torch.Generator().manual_seed(0))
    loss.backward()
    assert [name for name, weight in net.named_parameters() if weight.grad is None or not weight.grad.any()] == []


@pytest.mark.parametrize(
    ("learner", "settings", "arm"),
    [
        ("denoiser", {"widths": [4, 4], "units": [1, 1]}, defence_arm("defences.hgd.hgd")),
        ("attacker", {"widths": [4, 4]}, attack_arm("attacks.trained.trained")),
    ],
)
def test_what_is_learned_meets_the_others(
    folder: Path, tmp_path: Path, learner: str, settings: dict[str, Any], arm: dict[str, Any]
) -> None:
    learned = {"call": f"{PACKAGE}.learning.{learner}", "settings": settings}
    learn.learn(MEETING | {"recipe": RECIPE, "learned": learned}, Job(resume=tmp_path / "r"),
                data=folder / "data.safetensors", sources=[folder / "a.safetensors"], **outputs(tmp_path))  # fmt: skip
    assert [row["seed"] for row in read_json(tmp_path / "m.json")["rows"]] == [0, 1]
    whole, given = arm | {"learned": learned}, {"learned": [tmp_path / "w.safetensors"]}
    if learner == "attacker":
        _, made = crafted(folder, tmp_path, whole, **given)
        assert [row["images"] for row in made["rows"]] == [10, 10]
        assert made["rows"][0]["largest"] <= 8
    else:
        crafted(folder, tmp_path, attack_arm("method.fgsm"))
        found = column(folder, tmp_path, whole, [tmp_path / "crafted.safetensors"], ["fgsm"], **given)
        assert found["rows"][0]["attacks"]["fgsm"]["labelled"] == [4, 4, 2]


# Users' own -------------------------------------------------------------------------------------------------------

SUBMITTED = MEETING | {"eps": [4, 8], "name": "mine", "seconds": 6000.0, "seeds": [0]}


def enter(folder: Path, out: Path, kind: str, code: str, **changes: Any) -> tuple[str, Any]:
    """Enters a submission; why it failed, and what came of it."""
    file = out / "mine.py"
    file.write_text("import torch\n" + textwrap.dedent(code))
    files = {"data": folder / "data.safetensors", "weights": [folder / "a.safetensors"], "submission": file}
    cfg, job = SUBMITTED | changes, Job(resume=out / "r", log=out / "log")
    if kind == "attack":
        submit.submitted_attack(cfg, job, **files, crafted=out / "made.safetensors", outcome=out / "why.json")
        return read_json(out / "why.json")["why"], load_weights(out / "made.safetensors")
    clean = contest.read_contest(MEETING, folder / "data.safetensors").images
    save_weights(out / "clean.safetensors", {"seed0": clean})
    submit.submitted_defence(cfg | {"attacks": ["no-op"]}, job, **files, crafted=[out / "clean.safetensors"],
                             column=out / "column.json")  # fmt: skip
    found = read_json(out / "column.json")
    return found["why"], found


GOOD_ATTACK = """
    def attack(nets, images, labels, eps, generator):
        noise = torch.randn(images.shape, generator=generator).sign()
        return (images + eps * noise).clamp(0, 1)
"""


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Submissions run in this process, for the time."""

    def run(folder: Path, job: Job, seconds: float) -> None:
        if submission.run_task(folder / "task.json"):
            raise submit.SubmissionError((folder / submission.WHY).read_text())

    monkeypatch.setattr(submit, "run", run)


def test_a_users_attack_joins(folder: Path, tmp_path: Path, here: None) -> None:
    why, made = enter(folder, tmp_path, "attack", GOOD_ATTACK)
    clean = contest.read_contest(MEETING, folder / "data.safetensors").images
    assert why == ""
    assert made["made/seed0"].all()
    assert (made["seed0"].int() - clean.int()).abs().amax((1, 2, 3)).tolist() == [4] * 4 + [8] * 4 + [4] * 2


def test_the_line_is_named_where_the_path_is_relative_as_rules_give_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("mine.py")
    file.write_text("def attack():\n    return epsilon\n")
    with pytest.raises(NameError) as failed:
        submission.function_of(file, "attack")()
    assert submission.told(failed.value, file) == "NameError: name 'epsilon' is not defined (line 2)"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("raise ValueError('no idea')", r"ValueError: no idea \(line 3\)"),
        ("return images[:, :, 1:]", r"it gave \(4, 3, 7, 8\) for batch 0, where \(4, 3, 8, 8\) is needed"),
        ("return images * float('nan')", "it gave numbers that are not finite for batch 0"),
        (
            "return (images + 1.5 * eps * (images < 0.5)).clamp(0, 1)",
            "it moved a pixel of batch 0 by 6 of 255, allowed are 4",
        ),
        ("return images - 1", r"it gave pixels outside of \[0, 1\] for batch 0"),
        ("return images.tolist()", "TypeError: gave list for batch 0, where a torch.Tensor is needed"),
        ("raise SystemExit('enough')", r"SystemExit: enough \(line 3\)"),
    ],
)
def test_an_attack_that_fails_says_why_and_has_made_nothing(
    folder: Path, tmp_path: Path, here: None, body: str, why: str
) -> None:
    said, made = enter(folder, tmp_path, "attack", f"def attack(nets, images, labels, eps, generator):\n    {body}\n")
    assert re.fullmatch(why, said), said
    assert not made["made/seed0"].any()
    assert "loses its points" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("import os; os._exit(0)", "its process ended before it had answered batch 0"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "its process was ended by SIGSEGV"),
    ],
)
def test_an_attack_that_ends_its_process_ends_no_other(folder: Path, tmp_path: Path, body: str, why: str) -> None:
    said, made = enter(folder, tmp_path, "attack", f"def attack(nets, images, labels, eps, generator):\n    {body}\n")
    assert said == why
    assert not made["made/seed0"].any()


def test_an_attack_that_hangs_is_ended_with_all_that_it_started(folder: Path, tmp_path: Path) -> None:
    code = """
        import subprocess, time
        def attack(nets, images, labels, eps, generator):
            subprocess.Popen(["sleep", "60"])
            time.sleep(60)
    """
    said, made = enter(
        folder, tmp_path, "attack", code, seconds=40.0
    )  # 4 s for 10 images; importing torch is part of it
    assert said == "it ran for longer than the 4 s that it has"
    assert not made["made/seed0"].any()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("def defend(nets, images, generator):\n    return sum(net(images) for net in nets)\n", ""),
        ("def defend(nets, images, generator):\n    return nets[0](images)[:, :2]\n",
         r"it gave \(4, 2\) for batch 0, where \(4, 3\) is needed"),
        ("def defend(nets, images, generator):\n    return 0 / 0\n", r"ZeroDivisionError: division by zero \(line 3\)"),
        ("def attack(nets):\n    pass\n", r"AttributeError: it has no function defend\(nets, images, generator\)"),
        ("def defend(:\n", r"SyntaxError: .*"),
    ],
)  # fmt: skip
def test_a_users_defence(folder: Path, tmp_path: Path, here: None, code: str, why: str) -> None:
    said, found = enter(folder, tmp_path, "defend", code)
    assert re.fullmatch(why, said), said
    counts = found["rows"][0]["attacks"]["no-op"]
    assert sum(counts["labelled"]) == (0 if why else 10)
    assert sum(counts["images"]) == 10


def test_the_example_in_readme_joins(folder: Path, tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n# submissions/attacks/.*?\n(.*?)```", ARENA, flags=re.DOTALL)
    why, made = enter(folder, tmp_path, "attack", code)
    assert why == ""
    assert made["made/seed0"].all()


def test_submissions_have_names_that_arms_can_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert grid.submissions("attacks") == []
    Path("submissions/attacks").mkdir(parents=True)
    Path("submissions/attacks/more-steps.py").touch()
    assert grid.submissions("attacks") == ["more-steps"]
    Path("submissions/attacks/More Steps.py").touch()
    with pytest.raises(UserError, match=r"More Steps.py: its name becomes that of an arm"):
        grid.submissions("attacks")


# Grid -------------------------------------------------------------------------------------------------------------


def test_no_result_of_the_arena_depends_on_submissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paper = House({}).paper("adversarial-competition")
    before = paper.targets("small")
    monkeypatch.chdir(tmp_path)
    Path("submissions/attacks").mkdir(parents=True)
    Path("submissions/attacks/mine.py").touch()
    assert paper.targets("small") == before
    edition = paper.edition("small")
    wildcards = SimpleNamespace(seeds="s0-2", defence="a", track="arena")
    assert not any("submi" in path for path in grid.crafted(edition, wildcards))
    mine = SimpleNamespace(seeds="s0-2", defence="a", track="submitted")
    assert grid.crafted(edition, mine) == [f"{edition.runs}/private/submitted/attacks/mine/s0-2.safetensors"]


@pytest.mark.parametrize("name", config.EDITIONS)
def test_every_arm_of_an_edition_has_its_function_and_its_nets(name: str) -> None:
    edition = House({}).paper("adversarial-competition").edition(name)
    seeds = edition.seed_groups[0]
    for attack in grid.all_of(edition, "attacks"):
        cfg = grid.craft(edition, SimpleNamespace(seeds=seeds, attack=attack))
        assert {net["name"] for net in cfg["nets"]} <= set(grid.trained_nets(edition))
    for defence in grid.all_of(edition, "defences"):
        cfg = grid.through(edition, SimpleNamespace(seeds=seeds, defence=defence))
        assert {net["name"] for net in cfg["nets"]} <= set(grid.trained_nets(edition))
    for net in grid.trained_nets(edition):
        stage = grid.harden if "adversarial" in edition.settings["nets"][net] else grid.train
        assert stage(edition, SimpleNamespace(seeds=seeds, net=net))["net"]["family"]


def test_an_attack_knows_the_nets_that_it_learned_on() -> None:
    real = House({}).paper("adversarial-competition").edition("real")
    shown = grid.report(real, SimpleNamespace())
    assert grid.nets_of(real.settings, "attacks", "iwiwi") == ["ens-adv-b"]
    assert shown["attacks"]["iwiwi"]["nets"] == ["ens-adv-b", "a", "b", "c"]
    assert shown["defences"]["hgd"]["nets"] == ["a"]


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [("attacks", "fgsmm", "'fgsmm' is none of the attacks; allowed: "), ("nets", "d", "'d' is none of the nets")],
)
def test_an_unknown_arm_is_refused(kind: str, name: str, said: str) -> None:
    settings = House({}).paper("adversarial-competition").edition("small").settings
    with pytest.raises(UserError, match=said):
        grid.called(settings, kind, name)


def test_a_call_of_no_function_is_refused() -> None:
    with pytest.raises(UserError, match=r"call: 'method.fgsmm' is no function; method would have to define it"):
        grid.function("method.fgsmm")


def test_real_is_as_the_competition_where_it_can_be() -> None:
    real = House({}).paper("adversarial-competition").edition("real").settings
    assert (real["eps"], real["test_images"], len(real["seeds"])) == ([4, 8, 12, 16], 200, 5)
    assert {"no-op", "noise"} <= set(real["tracks"]["arena"]["attacks"])
    nets = list(real["nets"])
    assert {f"without-{net}" for net in nets} <= set(real["tracks"]["arena"]["attacks"]), "leave one out"
    for net in nets:
        assert sorted([net, *grid.nets_of(real, "attacks", f"without-{net}")]) == sorted(nets)
    submitted = submission.SIGNATURES
    assert set(submitted) == set(grid.SUBMISSIONS.values())


def test_nets_of_full_are_those_of_variance_shift_and_lab_has_resnet_20s() -> None:
    papers = {slug: House({}).paper(slug) for slug in ("adversarial-competition", "variance-shift")}
    full = papers["adversarial-competition"].edition("full").settings
    theirs = papers["variance-shift"].edition("full").settings["nets"].values()
    known = [{key: net[key] for key in net if key not in ("arms", "recipe")} for net in theirs]
    for name in ("a", "b", "c"):
        net = {key: value for key, value in full["nets"][name].items() if key not in ("adversarial", "recipe")}
        assert any(build_of(net) == build_of(other) for other in known), name
    lab = papers["adversarial-competition"].edition("lab").settings["nets"]
    assert build_of(lab["a"]) == build_of(lab["adv-a"]) == 272_474, "ResNet-20 of He et al., 0.27 M"


def build_of(net: dict[str, Any]) -> int:
    """The parameters of a net of 10 classes."""
    options = {key: value for key, value in net.items() if key != "adversarial"}
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build({**options, "classes": 10}).parameters())
