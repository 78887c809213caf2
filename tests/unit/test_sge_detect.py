"""SGE's detection stages on few drawn scenes and on made-up archives of COCO; what is measured of groups, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tenfold import registry
from tenfold.data import coco_archives
from tenfold.data.objects import generate
from tenfold.data.prepare_objects import write
from tenfold.errors import UserError
from tenfold.files import read_json
from tenfold.launcher import Job
from tenfold.papers.sge import detect_coco
from tenfold.papers.sge.detect import detect, lit, picture_batches
from tenfold.papers.sge.examine import Lengths
from tenfold.papers.sge.nets import build
from tenfold.weights import by_seed, save_weights

from .test_data_objects import coco_archives_at

torch.set_num_threads(1)

SGE = {"kind": "sge", "groups": 4}
SMALL = {"frozen": 0, "coarser": False, "channels": 8, "anchor": 8, "hidden": 8, "proposals": 10, "sampled": 8}


def cfg_of(kind: str, attention: Any, **changes: Any) -> dict[str, Any]:
    return {
        "compute": {"device": "cpu", "precision": "fp32"}, "seeds": [0, 1], "name": f"{kind}-resnet18-c8", "arm": "x",
        "net": {"family": "resnet_imagenet", "name": "resnet18", "width": 8, "attention": attention},
        "detector": {"kind": kind, "stages": [1, 2, 3], **SMALL}, "mean": [0.5] * 3, "std": [0.25] * 3, "stage": 2,
        "recipe": {"optimiser": "adam", "lr": 0.002, "epochs": 1, "batch_size": 4, "clip_norm": 35.0},
    } | changes  # fmt: skip


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenes") / "objects"
    write(path, "objects", *generate(registry.cfg_of("objects-smoke")["prepare"] | {"train": 8, "test": 4}))
    return path


def made_in(folder: Path) -> dict[str, Path]:
    return {name: folder / name for name in ("weights", "metrics", "history", "times")}


@pytest.mark.parametrize(("kind", "attention"), [("retinanet", SGE), ("mask", None), ("cascade", SGE)])
def test_a_detector_is_trained_and_measured(scenes: Path, tmp_path: Path, kind: str, attention: Any) -> None:
    detect(cfg_of(kind, attention), Job(resume=tmp_path / "r"), data=scenes, **made_in(tmp_path))
    found = read_json(tmp_path / "metrics")
    assert (found["net"], found["data"], found["fit_images"]) == (f"{kind}-resnet18-c8", "objects", 8)
    assert [row["seed"] for row in found["rows"]] == [0, 1]
    for row in found["rows"]:
        assert 0 <= row["ap"] <= row["ap50"] <= 1 and row["moved"] >= 0
        assert ("lit" in row) == ("gates" in row) == (attention is not None)
        if attention:
            assert len(row["gates"]["gamma"]) == 4 and min(row["lit"].values()) > 0
    weights = load_file(tmp_path / "weights")
    assert {name.partition("/")[0] for name in weights} == {"seed0", "seed1"}
    assert "loss" in (tmp_path / "history").read_text().partition("\n")[0].split(",")


def test_equal_seeds_give_equal_order_whatever_the_detector(scenes: Path) -> None:
    from tenfold.data.pictures import load

    train = load(scenes).train
    one, other = (picture_batches(train, 4, 3, torch.device("cpu")) for _ in range(2))
    halves = [picture_batches(train, 4, 3, torch.device("cpu"), share=(k, 2)) for k in range(2)]
    for _ in range(3):
        (images, targets), n = one.next()
        again, _ = other.next()
        assert n == 4 and all(map(torch.equal, images, again[0]))
        shares = [batches.next()[0][0] for batches in halves]
        assert all(map(torch.equal, images, [shares[k % 2][k // 2] for k in range(4)])), "every second picture"
        assert all(len(target["boxes"]) == len(target["masks"]) for target in targets)


def test_lit_is_how_much_longer_vectors_are_on_objects() -> None:
    instances = torch.zeros(2, 4, 4, dtype=torch.uint8)
    instances[0, :2, :2] = 1  # all of the first position
    instances[1, 2:, 2] = 1  # half of the last one
    before = torch.tensor([[[3.0, 1.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, 5.0]]])[:, None].repeat(1, 2, 1, 1)
    before[:, 1] *= 7
    behind = before.clone()
    behind[0, 0, 0, 0], behind[1, 1, 0, 0] = 5.0, 13.0
    seen = Lengths([before[:1], before[1:]], [behind])
    found = lit(seen, instances)
    assert found["before"] == pytest.approx(4.0)
    assert found["behind"] == pytest.approx((5 / 1 + 28 / ((5 * 7 + 13) / 6)) / 2)


# At full


@pytest.fixture
def archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    entry = coco_archives_at(tmp_path, both=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENFOLD_MIRROR", raising=False)
    monkeypatch.setattr(coco_archives, "entry_of", lambda name: entry)
    coco_archives.index({"dataset": {"name": "coco-2017"}}, Job(resume=tmp_path / "r"), dataset=tmp_path / "index")
    return tmp_path / "index"


@pytest.mark.filterwarnings("ignore:Grad strides do not match bucket view strides")  # of gates; slower, not wrong
@pytest.mark.parametrize(("kind", "processes"), [("mask", 1), ("retinanet", 1), ("cascade", 2)])
def test_on_coco_a_detector_begins_with_a_classifier(archives: Path, tmp_path: Path, kind: str, processes: int) -> None:
    cfg = cfg_of(kind, SGE, seeds=[1], sizes=[64, 96], processes=processes)
    cfg["detector"] |= {"frozen": 1, "coarser": True}
    cfg["recipe"] |= {"batch_size": 2}
    torch.manual_seed(5)
    classifier = build({**cfg["net"], "classes": 10}).state_dict()
    save_weights(tmp_path / "classifier", by_seed({1: classifier}))
    detect_coco.detect(cfg, Job(resume=tmp_path / "resume"), data=archives, classifier=tmp_path / "classifier",
                       **made_in(tmp_path))  # fmt: skip
    found = read_json(tmp_path / "metrics")
    assert (found["data"], found["fit_images"], found["test_images"]) == ("coco-2017", 2, 1)
    assert found["processes"] == processes
    (row,) = found["rows"]
    assert (row["seed"], row["ap_small"]) == (1, 0.0) and row["ap_large"] is None
    weights = load_file(tmp_path / "weights")
    still = [name for name in classifier if name.startswith(("stem", "blocks.0.", "blocks.1."))]
    assert all(torch.equal(weights[f"seed1/backbone.stages.{name}"], classifier[name]) for name in still)
    changed = [name for name in classifier if name.startswith("blocks.2.") and "running" not in name]
    assert any(not torch.equal(weights[f"seed1/backbone.stages.{name}"], classifier[name]) for name in changed)


def test_processes_that_do_not_share_a_batch_are_refused(tmp_path: Path) -> None:
    cfg = cfg_of("faster", None, sizes=[64, 96], processes=3)
    with pytest.raises(UserError, match="processes: 3 do not share a batch of 4 evenly"):
        detect_coco.detect(cfg, Job(resume=tmp_path / "r"), data=tmp_path / "d", classifier=tmp_path / "c",
                           **made_in(tmp_path))  # fmt: skip
