"""Shows what both modules say to each other of some test scenes, for the figures that are drawn of it."""

from __future__ import annotations

import torch
from torch import Tensor

from tenfold.data.scenes import ACTIONS, JOINTS, OUTPUTS
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.papers.turbo_hoi.method import Turn
from tenfold.papers.turbo_hoi.predict import said_of
from tenfold.papers.turbo_hoi.scenes import Scenes, boxes_of, read_scenes
from tenfold.papers.turbo_hoi.train import net_of
from tenfold.weights import Tensors, below, load_weights, save_weights

HIDDEN = 1  # of a labelled joint, as COCO has it
CPU = torch.device("cpu")


@stage
def show(cfg: Cfg, job: Job, *, data: Input, weights: Input, shown: Output) -> None:
    """Looks at the first test scenes in which a joint of the first person is hidden.

    Args:
        cfg: ``seed``, ``show``: how many scenes; ``links`` and ``sizes`` as ``train`` has them.
        job: what surrounds the run.
        data: the prepared scenes.
        weights: of the loop.
        shown: ``images`` (n, H, W, 3), boxes of ``persons`` (n, P, 4) and ``objects`` (n, Q, 4), true ``joints``
            (n, P, K, 2) in pixels, ``actions`` (n, P), ``target`` (n, P; -1: none) and the ``hidden`` joint of the
            first person (n,); and of each turn, ``turn1/`` and on: ``heat`` of that joint (n, side, side) in [0, 1],
            ``mask`` with which it was found (n, R, R), ``joints``, ``action`` and ``object`` as they are said; with the
            names of actions and joints.
    """
    name, splits = read_scenes(data, 2 * cfg["sizes"]["persons"])
    test = splits["test"]
    hidden = hidden_first(test)
    chosen = (hidden >= 0).nonzero()[: cfg["show"], 0]
    net = net_of(cfg)
    net.load_state_dict(below(f"seed{cfg['seed']}", load_weights(weights)))
    net.eval()
    images, persons, objects = test.seen(chosen, CPU)
    with torch.no_grad():
        turns = net(images, persons, objects)
    tensors: Tensors = {
        "images": test.images[chosen],
        "persons": persons,
        "objects": objects,
        "joints": test.joints[chosen],
        "actions": torch.from_numpy(test.split.actions)[chosen],
        "target": torch.from_numpy(test.split.targets)[chosen, :, 0],
        "hidden": hidden[chosen],
    }
    for number, turn in enumerate(turns, 1):
        of_turn = answers(turn, persons, objects, hidden[chosen])
        tensors |= {f"turn{number}/{key}": tensor for key, tensor in of_turn.items()}
    save_weights(shown, tensors, {"data": name, "actions": list(ACTIONS), "joints": list(JOINTS), "turns": len(turns)})
    job.say(f"{len(chosen)} scenes")


def hidden_first(scenes: Scenes) -> Tensor:
    """The first hidden joint of each scene's first person, (N,); -1 where all of them are seen."""
    hidden = torch.from_numpy(scenes.split.seen)[:, 0] == HIDDEN
    return torch.where(hidden.any(1), hidden.int().argmax(1), -1)


def answers(turn: Turn, persons: Tensor, objects: Tensor, hidden: Tensor) -> Tensors:
    """What one turn says of scenes, of a joint of the first person where it is."""
    (n, p), q = persons.shape[:2], objects.shape[1]
    said = said_of(turn, boxes_of(persons, objects))
    heat = turn.joints.view(n, p, *turn.joints.shape[1:])[torch.arange(n), 0, hidden]
    likely = said.agents.argmax(1, keepdim=True)
    names = list(ACTIONS)
    action_of = torch.tensor([names.index(action) for action, _ in OUTPUTS])
    return {
        "heat": heat.flatten(1).softmax(1).view_as(heat),
        "mask": turn.mask.view(n, p, *turn.mask.shape[1:])[:, 0].mean(1),
        "joints": said.joints.view(n, p, -1, 2),
        "action": action_of[likely].view(n, p),
        "object": said.objects.gather(1, likely).view(n, p) % q,
    }


if __name__ == "__main__":
    main(show)
