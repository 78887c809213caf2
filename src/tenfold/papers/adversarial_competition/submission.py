"""Runs a user's own attack or defence in a process of its own, so that whatever it does ends this process alone.

``python -m tenfold.papers.adversarial_competition.submission task.json``: see `run_task`.
It is no sandbox: a submission may do what its user may do.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.files import read_json, write_text
from tenfold.launcher import Job
from tenfold.papers.adversarial_competition.contest import generator_of, load_nets, read_contest
from tenfold.papers.adversarial_competition.nets import predicted_labels
from tenfold.training.compute import Compute, start
from tenfold.weights import load_weights, save_weights

SIGNATURES = {
    "attack": "attack(nets, images, labels, eps, generator)",
    "defend": "defend(nets, images, generator)",
}
WHY = "why.txt"


def run_task(task: Path) -> int:
    """Runs what a task says, and writes the answer to each batch; or one line in ``why.txt``, and fails.

    Args:
        task: JSON: the ``submission`` (a Python file), its ``function`` (attack or defend), ``cfg``, ``data``,
            ``weights``, ``seed``, for a defence the ``crafted`` images, and the ``folder`` of the answers, in which the
            k-th has the name ``k.safetensors``.
    """
    of = read_json(task)
    folder, file = Path(of["folder"]), Path(of["submission"])
    try:
        function = function_of(file, of["function"])
        for number, answer in enumerate(answers(of, function)):
            if not isinstance(answer, Tensor):
                raise TypeError(f"gave {type(answer).__name__} for batch {number}, where a torch.Tensor is needed")
            save_weights(folder / f"{number}.safetensors", {"answer": answer.detach().float()})
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        write_text(folder / WHY, told(error, file))
        return 1
    return 0


def function_of(file: Path, name: str) -> Callable[..., Any]:
    """The function of a Python file.

    Raises:
        AttributeError: the file does not define it.
    """
    spec = spec_from_file_location("submission", file)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    if not callable(getattr(module, name, None)):
        raise AttributeError(f"it has no function {SIGNATURES[name]}")
    found: Callable[..., Any] = getattr(module, name)
    return found


def answers(of: dict[str, Any], function: Callable[..., Any]) -> Iterator[Any]:
    """What the function gives for each batch: of an attack images, of a defence scores, attack by attack."""
    cfg, seed, folder = of["cfg"], of["seed"], Path(of["folder"])
    compute = start(cfg["compute"], Job(resume=folder / "resume"))
    contest = read_contest(cfg, Path(of["data"]))
    nets = load_nets(cfg, [Path(path) for path in of["weights"]], seed, contest.classes, compute)
    if of["function"] == "attack":
        for batch in contest.batches(cfg["eps"]):
            pixels = batch.pixels.to(compute.device)
            labels = predicted_labels(nets, pixels)
            chance = generator_of("submission", cfg["name"], seed, batch.number, device=compute.device)
            yield function(nets, pixels, labels, batch.eps / 255, chance)
    for attack, path in zip(cfg.get("attacks", ()), of.get("crafted", ()), strict=True):
        yield from labelled(function, nets, load_weights(Path(path)), compute, cfg, attack, seed)


def labelled(
    function: Callable[..., Any], nets: list[nn.Module], crafted: dict[str, Tensor], compute: Compute,
    cfg: dict[str, Any], attack: str, seed: int,
) -> Iterator[Any]:  # fmt: skip
    """A defence's scores of one attack's images, batch by batch."""
    for number, some in enumerate(crafted[f"seed{seed}"].split(cfg["batch_size"])):
        chance = generator_of("submission", cfg["name"], attack, seed, number, device=compute.device)
        with torch.no_grad():
            yield function(nets, some.to(compute.device).float() / 255, chance)


def told(error: BaseException, file: Path) -> str:
    """What went wrong, on one line, with the line of the submission."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).absolute() == file.absolute()]
    where = f" (line {lines[-1]})" if lines else ""
    what = " ".join(str(error).split())
    return f"{type(error).__name__}: {what}{where}" if what else f"{type(error).__name__}{where}"


if __name__ == "__main__":
    sys.exit(run_task(Path(sys.argv[1])))
