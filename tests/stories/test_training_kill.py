"""A training job that is killed at any moment ends, when started again, with the bytes of an undisturbed one."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from tenfold import lease
from tenfold.errors import UserError
from tenfold.files import canonical_json, sha256
from tenfold.launcher import Job, Stopped

from .tiny_training import CFG, train

ROOT = Path(__file__).resolve().parents[2]
OUTPUTS = ("weights.safetensors", "history.csv")


def run(
    folder: Path, resume: Path | None = None, cfg: dict[str, Any] = CFG, job_type: type[Job] = Job
) -> dict[str, str]:
    """Runs the stage in this process; gives the checksums of what must not vary."""
    folder.mkdir(exist_ok=True)
    job = job_type(resume=resume or folder / "resume.safetensors", identity={"cfg": canonical_json(cfg), "code": "c"})
    train(cfg, job, weights=folder / OUTPUTS[0], history=folder / OUTPUTS[1], times=folder / "times.csv")
    return {name: sha256(folder / name) for name in OUTPUTS}


def stopping_after(steps: int) -> type[Job]:
    """A job that is asked to stop after so many steps."""

    class StoppingJob(Job):
        asked = 0

        def stop_between_steps(self) -> bool:
            self.asked += 1
            return self.asked == steps

    return StoppingJob


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return run(tmp_path_factory.mktemp("undisturbed"))


def test_two_runs_give_the_same_bytes(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    assert run(tmp_path) == undisturbed


def test_seeds_give_different_bytes(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    assert run(tmp_path, cfg=CFG | {"seeds": [3, 6]}) != undisturbed


# 5 steps an epoch, 2 epochs a fit, 2 fits a seed, 2 seeds: inside and at the end of epochs, fits and seeds.
@pytest.mark.parametrize("steps", [1, 4, 5, 10, 11, 20, 21, 33, 40])
def test_a_stop_after_any_step_is_not_seen_in_the_result(
    tmp_path: Path, undisturbed: dict[str, str], steps: int
) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, job_type=stopping_after(steps))
    assert not (tmp_path / OUTPUTS[0]).exists()
    assert run(tmp_path) == undisturbed


def test_a_stop_at_every_step_is_not_seen_in_the_result(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    stops = 0
    while True:
        try:
            assert run(tmp_path, job_type=stopping_after(1)) == undisturbed
            break
        except Stopped:
            stops += 1
    assert stops == 40


# --- each part of the state is needed: a resume file that lacks one gives another result


def altered(path: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    """Rewrites a resume file with other tensors."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    change(tensors)
    assert any(not torch.equal(tensors[name], before[name]) for name in before)
    save_file(tensors, path, metadata)


def zero(prefix: str) -> Callable[[dict[str, Tensor]], None]:
    def change(tensors: dict[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            if name.startswith(prefix):
                tensor.zero_()

    return change


def other_generator(name: str) -> Callable[[dict[str, Tensor]], None]:
    def change(tensors: dict[str, Tensor]) -> None:
        tensors[name] = torch.Generator().manual_seed(77).get_state()

    return change


def roll(tensors: dict[str, Tensor]) -> None:
    tensors["fits/0/batches/order"] = tensors["fits/0/batches/order"].roll(1)


def next_place(tensors: dict[str, Tensor]) -> None:
    tensors["fits/0/batches/taken"] += 1


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(zero("fits/0/model/0.weight"), id="model"),
        pytest.param(zero("fits/0/model/1.running_mean"), id="buffers"),
        pytest.param(zero("fits/0/optimiser/"), id="optimiser"),
        pytest.param(zero("fits/0/average/0.weight"), id="average"),
        pytest.param(other_generator("fits/0/random/cpu"), id="dropout"),
        pytest.param(other_generator("fits/0/batches/generator"), id="augmentation"),
        pytest.param(roll, id="order"),
        pytest.param(next_place, id="position"),
        pytest.param(zero("fits/0/sums/"), id="sums"),
    ],
)
def test_no_part_of_the_state_is_redundant(
    tmp_path: Path, undisturbed: dict[str, str], change: Callable[[dict[str, Tensor]], None]
) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, job_type=stopping_after(7))
    altered(tmp_path / "resume.safetensors", change)
    assert run(tmp_path) != undisturbed


def test_end_states_of_finished_fits_are_needed(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, job_type=stopping_after(13))
    altered(tmp_path / "resume.safetensors", zero("fits/0/kept/1/0.weight"))
    assert run(tmp_path) != undisturbed


def test_weights_of_finished_seeds_are_needed(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, job_type=stopping_after(23))
    altered(tmp_path / "resume.safetensors", zero("weights/0/student.0.weight"))
    assert run(tmp_path) != undisturbed


# --- through the launcher, with real signals


@pytest.fixture
def launch(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts the stage as a command, in a folder with Tenfold's sources and this one paper."""
    no_papers = shutil.ignore_patterns(
        "__pycache__", *(p.name for p in (ROOT / "src/tenfold/papers").iterdir() if p.is_dir())
    )
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=no_papers)
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    paper = tmp_path / "src/tenfold/papers/tiny"
    paper.mkdir()
    (paper / "__init__.py").touch()
    shutil.copy(Path(__file__).with_name("tiny_training.py"), paper / "train.py")

    def start(runs: str, cfg: dict[str, Any] = CFG, **env: str) -> subprocess.Popen[str]:
        files = {"weights": OUTPUTS[0], "history": OUTPUTS[1], "times": "times.csv"}
        arguments = [part for name, file in files.items() for part in (f"--{name}", f"runs/{runs}/{file}")]
        command = [sys.executable, "-m", "tenfold.papers.tiny.train", "--cfg", canonical_json(cfg), *arguments]
        return subprocess.Popen(
            command, cwd=tmp_path, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": str(tmp_path / "src"), "TENFOLD_CHECKPOINT_STEPS": "3"} | env,
        )  # fmt: skip

    return start


def test_kill_and_terminate_at_seeded_moments(
    tmp_path: Path, launch: Callable[..., subprocess.Popen[str]], undisturbed: dict[str, str]
) -> None:
    resume = tmp_path / "runs/.resume/a/weights.safetensors"

    def killed_at(point: str) -> None:
        process = launch("a", TENFOLD_FAULT=point)
        process.communicate()
        assert process.returncode == -signal.SIGKILL

    killed_at("step:7")  # between checkpoints: two after 3 and 6 steps
    before = sha256(resume)

    other = launch("a", CFG | {"seeds": [3]})
    assert other.communicate()[1] == (
        "tenfold: runs/.resume/a/weights.safetensors was left by a job that differs in cfg: "
        "delete it, and the job starts afresh\n"
    )
    assert other.returncode == 2

    killed_at("checkpoint-write:1")  # half of a checkpoint is written
    assert sha256(resume) == before
    assert len(list(resume.parent.iterdir())) == 2
    killed_at("rename:2")  # the second of two checkpoints is written but has not got its name
    assert sha256(resume) != before
    killed_at("epoch:2")

    process = launch("a", TINY_SECONDS_PER_STEP="0.05")
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "student  epoch 1/2" in line:
            process.terminate()
            break
    rest = process.communicate()[1]
    assert process.returncode == 143, lines
    assert "goes on after step" in "".join(lines)
    assert "stopped after step" in rest
    assert "Traceback" not in rest

    process = launch("a")
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert not list(resume.parent.iterdir())
    assert {name: sha256(tmp_path / "runs/a" / name) for name in OUTPUTS} == undisturbed


@pytest.mark.parametrize("key", ["cfg", "code", "device", "precision"])
def test_a_resume_file_of_another_job_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, job_type=stopping_after(2))
    path = tmp_path / "resume.safetensors"
    with safe_open(path, "pt") as file:
        text = file.metadata()["tenfold"]
    old = {"cfg": canonical_json(canonical_json(CFG)), "code": '"c"', "device": '"cpu"', "precision": '"fp32"'}[key]
    assert f'"{key}": {old}' in text
    save_file(load_file(path), path, {"tenfold": text.replace(f'"{key}": {old}', f'"{key}": "other"')})
    with pytest.raises(UserError, match=f"differs in {key}.*delete it") as error:
        run(tmp_path)
    assert "\n" not in str(error.value)


def test_a_damaged_resume_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "resume.safetensors").write_bytes(b"half of a che")
    with pytest.raises(UserError, match="not a whole resume file: delete it"):
        run(tmp_path)


@pytest.fixture
def gpu_given_back() -> Iterator[None]:
    """This process lives on after the test, so without this the next test's command would wait for its GPU for ever."""
    yield
    if lease._held is not None:
        lease._held.release()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.usefixtures("gpu_given_back")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_on_a_gpu(tmp_path: Path, precision: str) -> None:
    cfg = CFG | {"device": "cuda", "precision": precision}
    whole = run(tmp_path / "whole", cfg=cfg)
    draw = random.Random(precision)
    for steps in (draw.randint(1, 5) for _ in range(10)):  # of each process; 40 steps in all
        with pytest.raises(Stopped):
            run(tmp_path / "parts", cfg=cfg, job_type=stopping_after(steps))
    assert run(tmp_path / "parts", cfg=cfg) == whole
