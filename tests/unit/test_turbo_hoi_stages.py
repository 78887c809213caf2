"""What the net of turbo-hoi sees, should say and is scored by: drawn scenes, photographs, and what was detected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tenfold.data import prepare_scenes
from tenfold.data.scenes import ACTIONS, JOINTS, OUTPUTS, Split
from tenfold.errors import UserError
from tenfold.files import canonical_json, read_json, sha256
from tenfold.launcher import Job
from tenfold.papers.turbo_hoi import detect, detected, grid, photos, scenes, show, train
from tenfold.papers.turbo_hoi.method import encode
from tenfold.papers.turbo_hoi.predict import Boxes, Said, trivial

torch.set_num_threads(1)

NAMES = list(ACTIONS)
SIZES: dict[str, Any] = {"channels": 4, "persons": 4, "objects": 2, "pose": 4, "message": 2, "hidden": 8, "guide": 2}
SIDE = 2 * SIZES["persons"]
CPU = {"device": "cpu", "precision": "fp32"}
RECIPE = {"optimiser": "adam", "lr": 1e-3, "epochs": 2, "batch_size": 2}


def a_split(n: int = 4) -> Split:
    """Two persons side by side, one of whom hits with an object at another, and four objects in a row."""
    generator = np.random.default_rng(0)
    persons = np.tile(np.array([[2, 2, 18, 30], [22, 2, 38, 30]]), (n, 1, 1))
    left = np.array([3, 9, 23, 29])
    objects = np.tile(np.stack([left, np.full(4, 24), left + 4, np.full(4, 28)], 1), (n, 1, 1))
    joints = generator.integers(4 * 16, 14 * 16, (n, 2, len(JOINTS), 2)) + np.array([[[0, 0]], [[20 * 16, 0]]])
    seen = np.full((n, 2, len(JOINTS)), 2)
    seen[:, 0, 5], seen[:, 1, 6] = 1, 0
    targets = np.tile(np.array([[1, 0], [3, -1]]), (n, 1, 1))
    actions = np.tile(np.array([NAMES.index("hit"), NAMES.index("hold")]), (n, 1))
    return Split(
        images=generator.integers(0, 256, (n, 32, 40, 3)).astype(np.uint8),
        persons=persons, objects=objects, classes=np.zeros((n, 4), np.int64), joints=joints, seen=seen,
        actions=actions, targets=targets, acting=np.full((n, 2), 5),
    )  # fmt: skip


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    path = tmp_path / "scenes.safetensors"
    prepare_scenes.write(path, "made-up", {"train": a_split(6), "val": a_split(1), "test": a_split()})
    return path


def perfect(of: scenes.Scenes) -> Said:
    """What is true, as it is said."""
    truth, joints, _ = of.people
    n, q = len(joints), of.objects.shape[1]
    pairs = truth.pairs.view(n, q, -1)
    scene = torch.arange(n)[:, None] // of.persons.shape[1]
    objects = torch.where(pairs.amax(1) > 0, pairs.argmax(1), 0) + scene * q
    return Said(truth.actions, objects, truth.actions, joints.nan_to_num(0), torch.ones(joints.shape[:2]))


# Scenes -----------------------------------------------------------------------------------------------------------


def test_scenes_are_read_as_they_were_written(prepared: Path) -> None:
    name, splits = prepare_scenes.read(prepared)
    assert name == "made-up"
    assert np.array_equal(splits["test"].images, a_split().images)
    again = prepared.with_name("again.safetensors")
    prepare_scenes.write(again, name, splits)
    assert sha256(again) == sha256(prepared)


def test_an_action_with_two_roles_has_two_outputs_each_with_its_own_object() -> None:
    of = scenes.scenes_of(a_split(1), SIDE)
    instr, obj, hold = (OUTPUTS.index(one) for one in (("hit", "instr"), ("hit", "obj"), ("hold", "obj")))
    actions, pairs, targets, cells = of.truth
    assert actions[0, 0].nonzero()[:, 0].tolist() == sorted([instr, obj])
    assert actions[0, 1].nonzero()[:, 0].tolist() == [hold]
    of_pairs = pairs[0].view(2, 4, -1)
    assert of_pairs.nonzero().tolist() == sorted([[0, 1, instr], [0, 0, obj], [1, 3, hold]])
    torch.testing.assert_close(targets[0, 0, obj], encode(of.persons[0, 0], of.objects[0, 0]))
    assert targets.isnan().all(3).sum() == 2 * len(OUTPUTS) - 3
    assert cells.shape == (1, 2, len(JOINTS))
    assert (cells >= 0).sum() == 2 * len(JOINTS) - 1
    assert cells[0, 1, 6] == -1


def test_the_truth_scores_all_there_is_and_another_object_nothing_but_the_agent() -> None:
    of = scenes.scenes_of(a_split(), SIDE)
    judge, said = of.judge, perfect(of)
    scores = judge.both(said, ["hoi", "pose"])
    assert scores["hoi"]["role_1"] == scores["hoi"]["role_2_all"] == pytest.approx(1)
    assert scores["pose"]["ap"] == pytest.approx(1)
    assert (scores["pose"]["pck"], scores["pose"]["pck_hidden"]) == (1, 1)
    wrong = judge.hoi(replace(said, objects=said.objects // 4 * 4 + 2))
    assert wrong["hoi"]["role_1"] == 0
    assert wrong["roles"]["hit-instr"] == {"scenario_1": 0, "scenario_2": 0}
    away = judge.pose(replace(said, joints=said.joints + torch.tensor([9.0, 0])))
    assert (away["pose"]["ap"], away["pose"]["pck_seen"]) == (0, 0)


def test_a_hidden_joint_alone_moves_the_measure_of_hidden_joints() -> None:
    of = scenes.scenes_of(a_split(), SIDE)
    said = perfect(of)
    joints = said.joints.clone()
    joints[::2, 5] += 9
    pose = of.judge.pose(replace(said, joints=joints))["pose"]
    assert (pose["pck_hidden"], pose["pck_seen"]) == (0, 1)
    assert pose["pck"] == pytest.approx(1 - 1 / (2 * len(JOINTS) - 1))


def test_parts_of_what_is_said_count_objects_on() -> None:
    one = Said(torch.zeros(1, 2), torch.tensor([[0, -1]]), torch.zeros(1, 2), torch.zeros(1, 3, 2), torch.zeros(1, 3))
    assert Said.joined([(one, 4), (one, 4)]).objects.tolist() == [[0, -1], [4, -1]]


def test_trivial_predictors_know_frequencies_the_nearest_object_and_the_mean_pose() -> None:
    of = scenes.scenes_of(a_split(), SIDE)
    truth, joints, persons = of.people
    boxes = Boxes(torch.tensor([[0, 0], [0, 1]]), torch.tensor([[0.0, 0, 10, 20]]), torch.ones(1),
                  torch.tensor([[0.0, 0, 2, 2], [4, 9, 6, 11]]), torch.ones(2))  # fmt: skip
    said = trivial(truth, joints, persons, boxes)
    assert said.agents[0, OUTPUTS.index(("hold", "obj"))] == 0.5
    assert said.objects.unique().tolist() == [1]
    mean = ((joints - persons[:, None, :2]) / torch.tensor([16.0, 28.0])).nanmean(0)
    torch.testing.assert_close(said.joints[0], mean * torch.tensor([10.0, 20.0]))


def test_who_has_no_object_at_hand_has_an_empty_role() -> None:
    of = scenes.scenes_of(a_split(1), SIDE)
    boxes = Boxes(
        torch.empty(0, 2, dtype=torch.int64), torch.ones(1, 4), torch.ones(1), torch.empty(0, 4), torch.ones(0)
    )
    assert trivial(*of.people, boxes).objects.tolist() == [[-1] * len(OUTPUTS)]


# Training ---------------------------------------------------------------------------------------------------------


def trained(arm: str, prepared: Path, out: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The metrics of an arm, and its weights."""
    losses = {task: float(task in grid.TASKS_OF.get(arm, ["hoi", "pose"])) for task in ("hoi", "pose")}
    cfg = {"corpus": "scenes", "compute": CPU, "seeds": [3], "arm": arm, "sizes": SIZES, "recipe": RECIPE,
           "links": grid.LINKS_OF[arm], "losses": losses, "off": {"again": {}}}  # fmt: skip
    files = {name: out / f"{arm}.{name}" for name in ("weights", "metrics", "history", "times")}
    train.train(cfg, Job(resume=out / f"{arm}.resume"), data=[prepared], off=[prepared], **files)
    return read_json(files["metrics"]), train.net_of(cfg).state_dict()


@pytest.mark.parametrize("arm", grid.LINKS_OF)
def test_each_arm_measures_its_tasks_after_each_turn_with_as_many_parameters(
    arm: str, prepared: Path, tmp_path: Path
) -> None:
    metrics, weights = trained(arm, prepared, tmp_path)
    (row,) = metrics["rows"]
    tasks = {"hoi-only": {"role"}, "pose-only": {"keypoints"}}.get(arm, {"role", "keypoints"})
    assert [set(turn) for turn in row["turns"]] == [tasks] * grid.LINKS_OF[arm]["turns"]
    assert set(row["gains"]) == tasks
    assert ("hoi" in row, "pose" in row) == ("role" in tasks, "keypoints" in tasks)
    assert row["params"] == metrics["params"] == sum(weight.numel() for weight in weights.values())
    assert metrics["data"] == "made-up"
    assert row["off"]["again"] == row["turns"][-1]


def test_a_module_alone_gets_no_gradient_from_the_other_task(prepared: Path) -> None:
    _, known, _ = train.read_corpus("scenes", [prepared], SIDE)
    batch, _ = known.batches(2, 0, torch.device("cpu")).next()
    for weights, task in (({"hoi": 1.0, "pose": 0.0}, "joints"), ({"hoi": 0.0, "pose": 1.0}, "actions")):
        net = train.net_of({"sizes": SIZES, "links": grid.LINKS_OF["multitask"]})
        losses = train.loss_of(weights)(net, batch)
        assert isinstance(losses, dict)
        head = {"joints": "enlarge", "actions": "action"}[task]
        (losses["loss"]).backward()
        grads = [parameter.grad for name, parameter in net.named_parameters() if name.split(".")[-2] == head]
        assert grads
        assert all(grad is None or not grad.any() for grad in grads)


def test_the_move_of_the_last_tenth_is_a_share_of_the_loss() -> None:
    assert train.moved([4.0] * 18 + [2.0, 2.0, 1.0, 1.0]) == pytest.approx(0.5)
    assert train.moved([3.0]) == 1.0


def test_a_shown_hidden_joint_is_one_that_is_not_seen(prepared: Path, tmp_path: Path) -> None:
    cfg = {"seed": 3, "show": 2, "sizes": SIZES, "links": grid.LINKS_OF["turbo-2"]}
    trained("turbo-2", prepared, tmp_path)
    show.show(cfg, Job(resume=tmp_path / "r"), data=prepared, weights=tmp_path / "turbo-2.weights",
              shown=tmp_path / "shown.safetensors")  # fmt: skip
    from safetensors.torch import load_file

    shown = load_file(tmp_path / "shown.safetensors")
    assert shown["hidden"].tolist() == [5, 5]
    assert shown["turn1/mask"].unique().tolist() == [1.0]
    assert shown["turn2/heat"].sum((1, 2)) == pytest.approx([1, 1], abs=1e-5)
    assert shown["turn2/object"].max() < 4


# Photographs ------------------------------------------------------------------------------------------------------


def some_photos() -> dict[str, Any]:
    """One photograph with two persons, one without keypoints, and a chair."""
    keypoints = [float(value) for joint in range(17) for value in (10 + joint, 20 + joint, 2 * (joint % 2))]
    common = {"image_id": 7, "iscrowd": 0, "area": 800.0}
    return {
        "images": [{"id": 7, "file_name": "7.jpg", "width": 60, "height": 60}],
        "categories": [{"id": 1, "name": "person"}, {"id": 62, "name": "chair"}],
        "annotations": [
            {"id": 1, "category_id": 1, "bbox": [5, 15, 30, 40], "keypoints": keypoints, "num_keypoints": 8, **common},
            {
                "id": 2,
                "category_id": 1,
                "bbox": [40, 15, 20, 40],
                "keypoints": [0.0] * 51,
                "num_keypoints": 0,
                **common,
            },
            {"id": 3, "category_id": 62, "bbox": [30, 30, 10, 10], **common},
        ],
    }


def test_photographs_have_their_persons_with_keypoints_and_the_object_beside_each() -> None:
    of = photos.photos_of(some_photos(), torch.zeros(1, 64, 64, 3, dtype=torch.uint8), SIDE)
    assert (len(of), of.persons.tolist(), of.objects.tolist()) == (1, [[5, 15, 35, 55]], [[30, 30, 40, 40]])
    assert (of.truth.joints[0] >= 0).tolist() == [joint % 2 == 1 for joint in range(17)]
    assert of.truth.actions.isnan().all()
    joints = of.joints.nan_to_num(0)
    said = Said(torch.zeros(1, 9), torch.zeros(1, 9).long(), torch.zeros(1, 9), joints, torch.ones(1, 17))
    pose = of.judge.pose(said)["pose"]
    assert pose.pop("pck_hidden") is None
    assert pose == pytest.approx(dict.fromkeys(("ap", "ap50", "pck", "pck_seen"), 1))


def test_a_photograph_with_one_person_alone_has_that_person_for_an_object() -> None:
    content = some_photos()
    content["annotations"] = content["annotations"][:1]
    assert photos.beside(content["annotations"][0], content) is content["annotations"][0]


# Detections -------------------------------------------------------------------------------------------------------


def some_detections(path: Path) -> Path:
    """Two images: a person who holds the second of two objects, and one whom nobody labelled, with one object."""
    actions, roles = ["hold", "stand"], [(0, "obj")]
    person, other = [10.0, 10, 50, 90], [60.0, 10, 90, 80]
    keypoints = [float(value) for joint in range(17) for value in (12 + 2 * joint, 20 + 4 * joint, 2)]
    held = [42.0, 40, 60, 60]
    tensors = {
        "persons/features": torch.rand(2, SIZES["channels"], 4, 4).half(),
        "persons/boxes": torch.tensor([person, other]),
        "persons/scores": torch.tensor([0.9, 0.8]),
        "persons/images": torch.tensor([0, 1]),
        "objects/features": torch.rand(3, SIZES["channels"], 2, 2).half(),
        "objects/boxes": torch.tensor([[0.0, 0, 9, 9], held, [70, 10, 80, 20]]),
        "objects/scores": torch.tensor([0.9, 0.7, 0.5]),
        "objects/images": torch.tensor([0, 0, 1]),
    }
    truth = {
        "image_ids": torch.tensor([4, 9]), "images": torch.tensor([0, 1]),
        "boxes": torch.tensor([person, other]).double(), "labels": torch.tensor([[1, 0], [-1, -1]], dtype=torch.int8),
        "role_boxes": torch.tensor([[held], [[torch.nan] * 4]]).double(),
    }  # fmt: skip
    coco = {
        "images": [{"id": 4}, {"id": 9}], "categories": [{"id": 1}],
        "annotations": [{"id": 1, "image_id": 4, "category_id": 1, "bbox": [10, 10, 40, 80], "area": 2000.0,
                         "iscrowd": 0, "keypoints": keypoints, "num_keypoints": 17}],
    }  # fmt: skip
    arrays = {name: tensor.numpy() for name, tensor in truth.items()}
    known = detect.Annotations(**arrays, actions=actions, roles=roles)
    tensors |= detect.truth_of(known, coco, tensors["persons/images"], tensors["persons/boxes"])
    tensors |= {f"annotations/{name}": tensor for name, tensor in truth.items()}
    said = {"name": "made-up", "actions": actions, "roles": roles, "keypoints": coco}
    save_file(tensors, path, {detect.KEY: canonical_json(said)})
    return path


def test_detected_persons_have_the_truth_of_the_annotated_ones(tmp_path: Path) -> None:
    name, of = detected.read_detected(some_detections(tmp_path / "d.safetensors"), SIDE)
    assert (name, of.outputs) == ("made-up", [("hold", "obj"), ("stand", "")])
    assert of.boxes.pairs.tolist() == [[0, 0], [0, 1], [1, 2]]
    assert of.truth.actions[0].tolist() == [1, 0]
    assert of.truth.actions[1].isnan().all()
    assert of.truth.pairs[:2].tolist() == [[0, 0], [1, 0]]
    assert of.truth.pairs[2].isnan().all()
    assert (of.truth.joints[0] >= 0).all()
    assert (of.truth.joints[1] == -1).all()


def test_some_images_have_their_own_persons_objects_and_pairs(tmp_path: Path) -> None:
    _, of = detected.read_detected(some_detections(tmp_path / "d.safetensors"), SIDE)
    (persons, objects, pairs), boxes, truth = of.part(torch.tensor([1]), torch.device("cpu"))
    assert (len(persons), len(objects), pairs.tolist()) == (1, 1, [[0, 0]])
    assert boxes.objects.tolist() == [[70, 10, 80, 20]]
    assert truth.pairs.isnan().all()


def test_detections_that_are_right_score_all_there_is(tmp_path: Path) -> None:
    _, of = detected.read_detected(some_detections(tmp_path / "d.safetensors"), SIDE)
    joints = torch.stack([of.tensors["truth/joints"][0]] * 2)
    said = Said(torch.ones(2, 2), torch.tensor([[1, 1], [2, 2]]), torch.ones(2, 2), joints, torch.ones(2, 17))
    scores = of.judge.both(said, ["hoi", "pose"])
    assert (scores["hoi"]["role_1"], scores["pose"]["ap"]) == (pytest.approx(1), pytest.approx(1))
    assert "pck" not in scores["pose"]


def test_the_modules_train_on_what_was_detected(tmp_path: Path) -> None:
    file = some_detections(tmp_path / "d.safetensors")
    cfg = {"corpus": "detected", "compute": CPU, "seeds": [0], "arm": "turbo-2", "off": {}, "sizes": SIZES,
           "links": grid.LINKS_OF["turbo-2"], "losses": {"hoi": 1.0, "pose": 1.0}, "recipe": RECIPE}  # fmt: skip
    files = {name: tmp_path / name for name in ("weights", "metrics", "history", "times")}
    train.train(cfg, Job(resume=tmp_path / "r"), data=[file, file], off=[], **files)
    (row,) = read_json(files["metrics"])["rows"]
    assert [set(turn) for turn in row["turns"]] == [{"role", "keypoints"}] * 2


def test_weights_are_taken_by_the_checksum_in_their_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file; it needs weights of torchvision's keypointrcnn_resnet50_fpn"):
        detect.detector(tmp_path / "none-00000000.pth", "persons")
    torch.save({"a": torch.ones(1)}, tmp_path / "some.pth")
    named = tmp_path / f"net-{sha256(tmp_path / 'some.pth')[:8]}.pth"
    (tmp_path / "some.pth").rename(named)
    with pytest.raises(UserError, match="not weights of torchvision's fasterrcnn_resnet50_fpn"):
        detect.detector(named, "objects")
    wrong = named.rename(tmp_path / "net-00000000.pth")
    with pytest.raises(UserError, match="its name must end with"):
        detect.detector(wrong, "objects")


def test_what_a_detector_finds_has_features_of_the_size_that_modules_want() -> None:
    torch.manual_seed(0)
    nets = {kind: build(weights=None, weights_backbone=None, num_classes=classes, min_size=64, max_size=96).eval()
            for kind, (build, classes) in detect.KINDS.items()}  # fmt: skip
    found = detect.look(nets, torch.rand(3, 60, 80), {"score": 0.0, "most": 3}, position=5)
    n, o = len(found["persons/boxes"]), len(found["objects/boxes"])
    assert max(n, o) <= 3
    assert found["persons/features"].shape == (n, 256, 14, 14)
    assert found["objects/features"].shape == (o, 256, 7, 7)
    assert found["objects/images"].tolist() == [5] * o
