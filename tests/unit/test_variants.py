"""Variants and recipes of single arms: what they change, what they leave, and what is said of a mistake."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenfold import config, variants, workflow
from tenfold.books.plan import PlannedJob, planned
from tenfold.errors import UserError
from tenfold.workflow import Edition, House

ROOT = config.ROOT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder for the files of variants."""
    monkeypatch.setattr(config, "ROOT", tmp_path)
    variants.overlay.cache_clear()
    variants.settings_of.cache_clear()
    (tmp_path / "variants").mkdir()
    yield tmp_path / "variants"
    variants.overlay.cache_clear()
    variants.settings_of.cache_clear()


@pytest.mark.parametrize(
    ("given", "settings", "told"),
    [
        (["recipe.lr=0.1"], {"recipe": {"lr": 0.1}}, "recipe.lr=0.1"),
        (["recipe.lr=1.0e-3", "recipe.epochs=2"], {"recipe": {"lr": 0.001, "epochs": 2}},
         "recipe.lr=0.001, recipe.epochs=2"),
        (["seeds=[0, 1]"], {"seeds": [0, 1]}, "seeds=[0,1]"),
        (["images.fit=null", "images.augment=none"], {"images": {"fit": None, "augment": "none"}},
         "images.fit=null, images.augment=none"),
        (["arm_recipes.pruned-p0.5.lr=0.1"], {"arm_recipes": {"pruned-p0.5": {"lr": 0.1}}},
         "arm_recipes.pruned-p0.5.lr=0.1"),
        (["variants.3L.width=8"], {"variants": {"3L": {"width": 8}}}, "variants.3L.width=8"),
        (["data=a=b"], {"data": "a=b"}, "data=a=b"),
    ],
)  # fmt: skip
def test_settings_are_read_as_in_the_configuration_and_told(given: list[str], settings: Any, told: str) -> None:
    assert variants.parsed(given) == settings
    assert variants.told(settings) == told


def test_a_variant_lies_over_one_edition_and_leaves_the_edition(folder: Path) -> None:
    (folder / "hot.yaml").write_text("sge: { recipe: { lr: 0.1 } }\n")
    before = config.paper("sge").editions["small"]["recipe"]
    assert variants.settings_of("small+hot", "sge")["recipe"] == before | {"lr": 0.1}
    assert variants.settings_of("small", "sge")["recipe"] == before
    hot, small = (House({}).paper("sge").edition(name) for name in ("small+hot", "small"))
    assert (hot.runs, hot.label) == ("runs/small+hot/sge", "small+hot (recipe.lr=0.1)")
    assert (small.runs, small.label) == ("runs/small/sge", "small")
    assert hot.claims[0]["claim"] == small.claims[0]["claim"] + " (recipe.lr=0.1)"
    assert hot.claims[0]["editions"] == ["small", "real", "lab", "full", "small+hot"]
    assert hot.claims[1]["editions"] == small.claims[1]["editions"] == ["full"], "no variant of an edition tests more"


def test_the_recipe_of_an_arm_is_told_at_the_edition_too() -> None:
    settings = {"arm_recipes": {"a": {"lr": 0.1}}}
    edition = Edition("real", "sge", settings, {}, [], {})
    assert edition.label == "real (arm_recipes.a.lr=0.1)"
    recipe = {"lr": 1.0, "schedule": {"name": "cosine", "per": "step"}}
    assert edition.recipe_of("a", recipe) == recipe | {"lr": 0.1}
    assert edition.recipe_of("b", recipe) == recipe


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("Hot", "sge: {}", "variants/Hot.yaml: 'Hot' cannot name a variant; allowed: small letters and digits"),
        ("a b", "sge: {}", "'a b' cannot name"),
        ("a+b", "sge: {}", "'a+b' cannot name"),
        ("hot", "", "variants/hot.yaml: settings by paper are wanted"),
        ("hot", "sge: 3", "variants/hot.yaml: settings by paper are wanted"),
        ("hot", "segge: { recipe: { lr: 0.1 } }", "variants/hot.yaml: 'segge' is not a paper; allowed: "),
        ("hot", "rco: { seeds: [0] }", "variants/hot.yaml: has no settings of sge; it has some of: rco"),
        ("hot", "sge: { recipe: { lrr: 0.1 } }", "hot.yaml: sge at small: recipe: unknown key 'lrr'; allowed: batch_"),
        ("hot", "sge: { recipe: { lr: 1e-3 } }", "recipe.lr: '1e-3' is text to YAML, a number is needed; write 1.0e-3"),
        ("hot", "sge: { small: { seeds: [0] } }", "unknown key 'small'; allowed: arm_recipes, attention"),
        ("hot", "sge: { seeds: [0, 2] }", "seeds: [0, 2] are for one job"),
        ("cold", "sge: { seeds: [0] }", "variants/hot.yaml is missing: there is no variant 'hot'; variants: cold"),
        ("hot", "sge: [", "variants/hot.yaml, line "),
    ],
)
def test_a_mistake_in_a_variant_is_one_line(folder: Path, name: str, text: str, says: str) -> None:
    (folder / f"{name}.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        workflow.check_target("small+hot", "sge")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_variant_of_an_unknown_edition_is_refused(folder: Path) -> None:
    (folder / "hot.yaml").write_text("sge: { seeds: [0] }")
    with pytest.raises(UserError, match="'tiny' is not an edition; allowed: smoke, small, real, lab, full"):
        workflow.check_target("tiny+hot", "sge")
    with pytest.raises(UserError, match="edition: 'tiny' is not allowed"):
        config.house({"edition": "tiny+hot"})
    assert workflow.check_target("real+hot", "sge") == "real+hot/sge"
    assert House({"edition": "real+hot"}).concerned("real+hot") == ["sge"]


@pytest.mark.parametrize("given", ["", "=1", "recipe.lr"])
def test_a_setting_is_a_key_and_a_value(given: str) -> None:
    with pytest.raises(UserError, match="KEY=VALUE is wanted, such as recipe.lr=0.1"):
        variants.parsed([given])


def test_a_recipe_of_an_arm_that_is_not_trained_is_refused() -> None:
    with pytest.raises(UserError, match="sge at small: arm_recipes: 'sge-g2' is no arm .*; allowed: plain, se, "):
        workflow.check_settings("small", "sge", {"arm_recipes": {"sge-g2": {"lr": 0.1}}}, "--set")


def test_a_dataset_that_there_is_not_is_refused_before_anything_is_written() -> None:
    with pytest.raises(UserError, match="'nope' is not a dataset of datasets.yaml; allowed: cifar-10, "):
        workflow.check_settings("small", "sge", {"data": "nope"}, "--set")


def test_a_variant_is_written_once_under_a_name_that_says_its_settings(folder: Path) -> None:
    own = variants.parsed(["arm_recipes.pruned-p0.5.lr=0.1"])
    assert variants.write("sge", own) == variants.write("sge", own) == "arm-recipes.pruned-p0.5.lr-0.1"
    assert variants.overlay("arm-recipes.pruned-p0.5.lr-0.1") == {"sge": own}
    assert variants.write("sge", own, "hot") == "hot"
    with pytest.raises(UserError, match=r"variants/hot.yaml: has other settings already"):
        variants.write("sge", {"seeds": [0]}, "hot")
    with pytest.raises(UserError, match="too long"):
        variants.write("sge", {"seeds": list(range(40))})


# On the real plan. For each paper one arm, by the name that its files have.
ARMS = {
    "adversarial-competition": "b", "icnn-face-parsing": "no-links", "melody": "2L", "rco": "kd-1x", "sge": "se",
    "pruning-from-scratch": "pruned-p0.3", "sknet": "k3", "turbo-hoi": "hoi-to-pose",
    "variance-shift": "a-0.5", "video-captioning": "beta-0",
}  # fmt: skip


def test_the_recipe_of_an_arm_concerns_its_training_and_no_other_job(tmp_path: Path) -> None:
    for name in ("Snakefile", "config", "profiles", "workflow", "src", "requirements.lock"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "variants").mkdir()
    laid = "".join(f"{slug}: {{ arm_recipes: {{ {arm}: {{ lr: 0.0123 }} }} }}\n" for slug, arm in ARMS.items())
    (tmp_path / "variants/one.yaml").write_text(laid)
    edition = {job.outputs: job for job in planned("small/all", root=tmp_path)}
    variant = {at_edition(job): job for job in planned("small+one/all", root=tmp_path)}
    assert set(variant) == set(edition)
    changed = [outputs for outputs, job in variant.items() if job.cfg != edition[outputs].cfg]
    reports = {outputs for outputs in edition if ".report." in edition[outputs].module}
    trainings = {
        outputs
        for outputs in edition
        for slug, arm in ARMS.items()
        if f"/{slug}/" in outputs[0] and f"/{arm}/" in outputs[0] and "history" in " ".join(edition[outputs].arguments)
    }
    assert {Path(outputs[0]).parts[2] for outputs in trainings} == set(ARMS)
    of_editions = ("runs/small/scoreboard.csv", "runs/small/scoreboard.md")
    assert {outputs for outputs in changed if outputs not in reports} == trainings
    assert {outputs for outputs in reports if outputs not in changed} <= {
        outputs for outputs in reports if edition[outputs].rule == "melody_midi"
    } | {of_editions}
    assert all(job.code == edition[outputs].code for outputs, job in variant.items())


def at_edition(job: PlannedJob) -> tuple[str, ...]:
    """A job's outputs, as those of its edition are called."""
    return tuple(output.replace("runs/small+one/", "runs/small/") for output in job.outputs)
