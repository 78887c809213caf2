"""The stages of SKNet on tiny data: what they write, scales of objects, and what reading attention gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from tenfold import registry
from tenfold.data import imagenet as archives
from tenfold.data import shapes
from tenfold.data.images import Images
from tenfold.data.prepare import write_tensors
from tenfold.errors import UserError
from tenfold.files import read_json
from tenfold.launcher import Job
from tenfold.measure.cost import Cost
from tenfold.papers.sknet import grid
from tenfold.papers.sknet.attend import attend, grouped, read_units, summary_of, views_at, zoomed
from tenfold.papers.sknet.costs import net_cost
from tenfold.papers.sknet.imagenet import attend_photos, train_photos
from tenfold.papers.sknet.method import attention_difference, attention_weights
from tenfold.papers.sknet.nets import build_net, selective_kernels
from tenfold.papers.sknet.report import illustrate
from tenfold.papers.sknet.report.results import Attention, read_attention
from tenfold.papers.sknet.train import train
from tenfold.training.compute import Compute
from tenfold.workflow import Edition, House

from ..mini_imagenet import VALIDATION, photo, write

torch.set_num_threads(1)

NET = {"stem": "strided", "stem_channels": 4, "width": 4, "outputs": 8, "groups": 2, "depths": [1, 2], "reduction": 2,
       "floor": 2, "kernels": [[3, 1], [3, 2]], "fuse": "attention"}  # fmt: skip
IMAGES = {"labels": "fine", "pixels": 32, "fit": 40, "held_out": 0, "augment": "none",
          "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}  # fmt: skip
CFG: dict[str, Any] = {
    "compute": {"device": "cpu", "precision": "fp32"},
    "seeds": [0, 1],
    "net": NET,
    "images": IMAGES,
    "recipe": {"epochs": 1, "batch_size": 20, "lr": 0.05, "momentum": 0.9},
    "scales": [1.0, 1.5, 2.0],
}
COMPUTE = Compute(torch.device("cpu"), "fp32")
FILES = {"weights": "w.safetensors", "metrics": "m.json", "history": "h.csv", "times": "t.csv"}


def edition(name: str) -> Edition:
    return House({}).paper("sknet").edition(name)


def parameters(**changes: Any) -> dict[str, Any]:
    return registry.dataset("shapes-zoom-smoke").prepare | {"train": 40, "test": 60} | changes


def write_shapes(path: Path, same_scale: bool = False) -> Path:
    """The stand-in; with its factor switched off, what is called 100, 150 and 200 is all drawn at 100."""
    off = {"paired_scales": [100, 100, 100]} if same_scale else {}
    tensors, names = shapes.generate(parameters(**off))
    if same_scale:
        tensors["test_scale"] = np.tile(np.array([100, 150, 200], dtype=np.uint8), 20)
    write_tensors(path, tensors, {"name": "shapes", "classes": str(names["classes"]).replace("'", '"')})
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, and with what training two nets leaves."""
    folder = tmp_path_factory.mktemp("sknet")
    write_shapes(folder / "data.safetensors")
    files = {name: folder / file for name, file in FILES.items()}
    train(CFG, Job(resume=folder / "resume"), data=folder / "data.safetensors", **files)
    return folder


def read(folder: Path, data: Path, **changes: Any) -> Attention:
    """The attention of the trained nets on a dataset."""
    out = folder / "attention.json"
    attend(CFG | changes, Job(resume=folder / "r"), data=data, weights=folder / FILES["weights"], attention=out)
    return read_attention([out])


def test_training_leaves_metrics_of_the_net_that_was_asked_for(trained: Path) -> None:
    metrics = read_json(trained / FILES["metrics"])
    assert [row["seed"] for row in metrics["rows"]] == [0, 1]
    assert Cost(metrics["params"], metrics["macs"]) == net_cost({**NET, "classes": 10}, 32)


def test_a_row_for_each_seed_scale_and_unit(trained: Path) -> None:
    found = read(trained, trained / "data.safetensors")
    assert found.units == ["SK_2_1", "SK_3_1", "SK_3_2"]
    assert found.shown == ["SK_2_1", "SK_3_2"]
    for unit in found.units:
        assert list(found.rows[unit]) == [1.0, 1.5, 2.0]
        assert set(found.slope(unit)) == {0, 1}
        for row in found.rows[unit][1.0].values():
            assert abs(row["difference"]) <= 1
            assert row["difference"] == pytest.approx(2 * np.mean(row["curve"]) - 1, abs=1e-6)
            assert row["difference"] == pytest.approx(np.mean(list(row["classes"].values())), abs=1e-6)  # 2 of each
            assert row["sd"] > 0


def test_with_the_scale_switched_off_attention_has_no_slope(trained: Path, tmp_path: Path) -> None:
    null = read(trained, write_shapes(tmp_path / "null.safetensors", same_scale=True))
    real = read(trained, trained / "data.safetensors")
    for unit in null.units:
        assert null.slope(unit) == pytest.approx({0: 0.0, 1: 0.0}, abs=1e-9)
        assert all(abs(value) > 1e-6 for value in real.slope(unit).values())


def test_reading_gives_what_the_units_say_and_leaves_the_net_as_it_was() -> None:
    torch.manual_seed(0)
    net = build_net({**NET, "classes": 3})
    pixels = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    net.train()
    found = read_units(net, [(pixels[:4], labels[:4]), (pixels[4:], labels[4:])], COMPUTE, IMAGES)
    assert all(module.training for module in net.modules())
    assert not any(unit.attention._forward_hooks for unit in selective_kernels(net).values())
    net.eval()
    kept: list[Tensor] = []
    unit = selective_kernels(net)["SK_3_2"]
    unit.attention.register_forward_hook(lambda _module, _inputs, logits: kept.append(logits.detach()))
    net((pixels.float() / 255 - 0.5) / 0.25)
    weights = attention_weights(kept[0])
    d = attention_difference(weights)
    row = found["SK_3_2"]
    assert row["difference"] == pytest.approx(float(d.mean()), abs=1e-6)
    assert row["sd"] == pytest.approx(float(d.std()), abs=1e-6)
    assert row["classes"] == pytest.approx({k: float(d[labels == k].mean()) for k in range(3)}, abs=1e-6)
    assert row["curve"] == pytest.approx(weights[:, 1].mean(0).tolist(), abs=1e-6)  # 8 channels, 8 points


def test_a_curve_averages_consecutive_channels() -> None:
    attention = torch.arange(256.0).repeat(2, 1)
    assert grouped(attention)[0].tolist() == [16 * k + 7.5 for k in range(16)]
    assert grouped(torch.arange(8.0)[None]).tolist() == [list(range(8))]


def test_a_summary_by_hand() -> None:
    found = summary_of(torch.tensor([1.0, 3.0, 8.0]), torch.tensor([[0.0, 1.0]] * 3), torch.tensor([4, 4, 7]))
    assert found == {"difference": 4.0, "sd": pytest.approx(13**0.5), "curve": [0.0, 1.0], "classes": {4: 2.0, 7: 8.0}}


# Scales -----------------------------------------------------------------------------------------------------------


def test_at_scale_one_an_image_is_itself() -> None:
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(zoomed(pixels, 1.0), pixels)


@pytest.mark.parametrize(("scale", "side"), [(1.5, 21), (2.0, 16)])
def test_zooming_shows_the_central_square_of_side_w_over_scale(scale: float, side: int) -> None:
    pixels = torch.full((1, 3, 32, 32), 9, dtype=torch.uint8)
    first = (32 - side) // 2
    pixels[..., first : first + side, first : first + side] = 200
    assert (zoomed(pixels, scale) == 200).all()
    pixels[..., first, first] = 0
    assert zoomed(pixels, scale)[0, 0, 0, 0] < 200, "its corner is the corner of what is shown"


def test_an_object_of_twice_the_size_is_what_zooming_by_two_shows() -> None:
    small, large = torch.zeros(1, 1, 32, 32, dtype=torch.uint8), torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    small[..., 12:20, 12:20] = 255
    large[..., 8:24, 8:24] = 255
    assert (zoomed(small, 2.0).int() - large.int()).abs().float().mean() < 10


def test_where_the_dataset_has_scales_its_scenes_are_shown() -> None:
    pixels = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)
    labels = torch.arange(6)
    drawn = Images(pixels, labels, scale=torch.tensor([100, 150, 200] * 2))
    for scale, chosen in ((1.0, [0, 3]), (1.5, [1, 4]), (2.0, [2, 5])):
        ((shown, of),) = views_at(drawn, scale)
        assert torch.equal(shown, pixels[chosen])
        assert of.tolist() == chosen
    ((shown, of),) = views_at(Images(pixels, labels), 2.0)
    assert torch.equal(shown, zoomed(pixels, 2.0))
    assert torch.equal(of, labels)


# Photographs ------------------------------------------------------------------------------------------------------


def test_the_same_on_photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENFOLD_MIRROR", raising=False)
    entry = write(Path("data/raw/imagenet"))
    monkeypatch.setattr(archives, "entry_of", lambda name: entry)
    archives.index({"dataset": {"name": "imagenet"}}, Job(resume=tmp_path / "r"), dataset=tmp_path / "index")
    photos = {"size": 32, "scale": [0.5, 1.0], "mean": [0.5] * 3, "std": [0.25] * 3,
              "test": [{"resize": 36, "size": 32}, {"resize": 48, "size": 40}]}  # fmt: skip
    cfg = CFG | {"photos": photos, "processes": 1, "seeds": [0], "recipe": CFG["recipe"] | {"batch_size": 4}}
    files = {name: tmp_path / file for name, file in FILES.items()}
    train_photos(cfg, Job(resume=tmp_path / "resume"), data=tmp_path / "index", **files)
    row = read_json(files["metrics"])["rows"][0]
    assert row["correct"] == row["accuracy"] * len(VALIDATION)
    assert {"accuracy_40", "cross_entropy"} <= set(row)
    out = tmp_path / "attention.json"
    attend_photos(cfg, Job(resume=tmp_path / "r"), data=tmp_path / "index", weights=files["weights"], attention=out)
    found = read_attention([out])
    assert found.units == ["SK_2_1", "SK_3_1", "SK_3_2"]
    assert set(found.rows["SK_2_1"][2.0][0]["classes"]) == {"0", "1", "2"}


def illustrated() -> dict[str, Any]:
    return CFG | {"edition": "small", "seed": 1, "trained_on": "shapes", "net": {**NET, "classes": 10}}


def test_photographs_that_are_not_here_are_one_line(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENFOLD_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(UserError, match=r"imagenet-sample is not here \(looked in data/raw/.*set TENFOLD_MIRROR") as e:
        illustrate.illustrate(
            illustrated(), Job(resume=tmp_path / "r"), weights=[trained / FILES["weights"]], figure=[]
        )
    assert "\n" not in str(e.value)


def test_an_illustration_shows_two_photographs_and_the_mean_of_all(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data/raw/imagenet-sample/images"
    folder.mkdir(parents=True)
    for number, name in enumerate(("n01_sea_slug", "n02_cup", "n03_owl"), start=1):
        (folder / f"{name}.jpg").write_bytes(photo(number, number))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENFOLD_MIRROR", raising=False)
    figure = [tmp_path / "figure.png", tmp_path / "figure.csv"]
    illustrate.illustrate(
        illustrated(), Job(resume=tmp_path / "r"), weights=[trained / FILES["weights"]], figure=figure
    )
    rows = pd.read_csv(figure[1])
    assert list(rows["image"].unique()) == ["sea slug", "cup", "mean of 3 photographs"]
    assert len(rows) == 3 * (8 * 3 + 3 * 3)  # a curve of 8 channels, and 3 units, at 3 scales
    assert figure[0].stat().st_size > 10_000


# What runs --------------------------------------------------------------------------------------------------------


def test_controls_cost_about_as_much_as_selective_kernels_or_more() -> None:
    settings = edition("real").settings
    costs = {arm: net_cost(grid.options(settings, "mini", arm), 32) for arm in settings["nets"]["mini"]["arms"]}
    ours = costs["k3-k5-sk"]
    controls = [arm for arm in ("wider", "deeper", "cardinality") if arm in costs]
    assert controls
    for arm in controls:
        assert costs[arm].macs > ours.macs
        assert costs[arm].params > 0.98 * ours.params
    assert costs["k3"].params < ours.params


def test_arms_differ_in_what_their_name_says_and_in_nothing_else() -> None:
    settings = edition("real").settings
    base = settings["nets"]["mini"]["base"]
    for arm in settings["nets"]["mini"]["arms"]:
        options = grid.options(settings, "mini", arm)
        parts = arm.split("-")
        if parts[0] not in ("se", "wider", "deeper", "cardinality"):
            assert [[3, ["k3", "k5", "k7"].index(part) + 1] for part in parts if part[0] == "k"] == options["kernels"]
            assert options.get("fuse", "sum") == ("attention" if parts[-1] == "sk" else "sum")
            assert {key: options[key] for key in base} == base


def test_a_last_batch_of_one_image_is_refused_before_anything_runs() -> None:
    real = edition("real")
    wildcards = SimpleNamespace(net="mini", arm="k3-k5-sk", seeds="s0")
    assert grid.train(real, wildcards)["images"] == real.settings["images"]
    odd = replace(real, settings=real.settings | {"images": real.settings["images"] | {"fit": 6401}})
    with pytest.raises(UserError, match=r"images\.fit 6401 leaves one image in the last batch of 64.*sknet\.yaml"):
        grid.train(odd, wildcards)


def test_what_is_private_is_no_target_and_what_is_trained_is() -> None:
    for name in ("smoke", "small", "real", "full"):
        targets = House({}).paper("sknet").targets(name)
        assert not any("private" in target for target in targets)
        attended = grid.attention(edition(name), None)
        net, arm = grid.attended(edition(name))
        assert len(attended) == len(grid.of_net(edition(name), net).seed_groups)
        assert arm in edition(name).settings["nets"][net]["arms"]
    assert grid.metrics(edition("small"), None)[0] == "runs/small/sknet/metrics/mini/k3/s0-4.json"


def test_nets_of_cifar_have_seeds_and_data_of_their_own_at_full() -> None:
    full = edition("full")
    assert sum(path.startswith("runs/full/sknet/metrics/cifar-100/sk/") for path in grid.metrics(full, None)) == 10
    assert sum(path.startswith("runs/full/sknet/metrics/imagenet-50/k3/") for path in grid.metrics(full, None)) == 3
    wildcards = SimpleNamespace(net="cifar-100", arm="sk", seeds="s9")
    assert grid.dataset(full, wildcards) == ["data/prepared/cifar-100.safetensors"]
    cfg = grid.train(full, wildcards)
    assert cfg["data"]["name"] == "cifar-100"
    assert (cfg["recipe"]["epochs"], cfg["recipe"]["weight_decay"], cfg["images"]["augment"]) == (
        300,
        5e-4,
        "crop_flip",
    )
    light = grid.train_photos(full, SimpleNamespace(net="shufflenet-0.5", arm="with-sk", seeds="s0"))
    assert light["net"] == {"kind": "shufflenet", "size": 0.5, "attention": "sk"}
    assert light["recipe"]["weight_decay"] == 4e-5
    assert light["recipe"]["batch_size"] % light["processes"] == 0
