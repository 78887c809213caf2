"""Device, precision and determinism; accuracy; weights files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tenfold.errors import UserError
from tenfold.files import sha256
from tenfold.launcher import Job
from tenfold.measure.accuracy import evaluate
from tenfold.training import compute as compute_module
from tenfold.training.batches import normalise
from tenfold.training.compute import Compute, bf16_in_hardware, start
from tenfold.weights import load_weights, save_weights

torch.set_num_threads(1)
CPU = Compute(torch.device("cpu"), "fp32")
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(resume=tmp_path / "resume", identity={"cfg": "{}", "code": "c"})


def test_start_says_what_it_resolved(job: Job) -> None:
    compute = start({"device": "cpu", "precision": "fp32"}, job)
    assert (compute.device.type, compute.precision) == ("cpu", "fp32")
    assert job.compute == {"device": "cpu", "precision": "fp32"}
    assert job.identity == {"cfg": "{}", "code": "c", "device": "cpu", "precision": "fp32"}
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark


@pytest.mark.parametrize(("hardware", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_takes_bf16_only_from_hardware(
    job: Job, monkeypatch: pytest.MonkeyPatch, hardware: bool, precision: str
) -> None:
    monkeypatch.setattr(compute_module, "bf16_in_hardware", lambda device: hardware)
    assert start({"device": "cpu"}, job).precision == precision


def test_bf16_in_hardware_agrees_with_the_system() -> None:
    path = Path("/proc/cpuinfo")
    if not path.exists() or "flags" not in path.read_text():
        pytest.skip("this system does not list the processor's flags")
    flags = path.read_text().partition("flags")[2].partition("\n")[0].split()
    assert bf16_in_hardware("cpu") == bool({"avx512_bf16", "amx_bf16"} & set(flags))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "gpu"}, "device: 'gpu' is not one of auto, cpu, cuda"),
        ({"precision": "fp16"}, "precision: 'fp16' is not one of auto, fp32, bf16"),
        ({"device": "cuda"}, "device: cuda is asked for, but torch finds no GPU here"),
        ({"device": "cpu", "precision": "bf16"}, "precision: this processor has no bf16 arithmetic"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(
    job: Job, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], message: str
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    with pytest.raises(UserError, match=message) as error:
        start(settings, job)
    assert "\n" not in str(error.value)


def test_autocast_and_layout() -> None:
    model = Compute(torch.device("cpu"), "bf16").place(nn.Conv2d(3, 8, 3))
    assert model.weight.is_contiguous(memory_format=torch.channels_last)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with Compute(torch.device("cpu"), precision).autocast():
            assert model(torch.randn(1, 3, 8, 8)).dtype == dtype


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_is_leased_and_reported(tmp_path: Path) -> None:
    code = (
        "import os, torch; from pathlib import Path; from tenfold.launcher import Job;"
        "from tenfold.training.compute import start; job = Job(Path('r'));"
        "c = start({'device': 'cuda'}, job); x = torch.randn(64, 64, device=c.device);"
        "print(os.environ.get('CUDA_VISIBLE_DEVICES'), os.environ['CUBLAS_WORKSPACE_CONFIG'], job.compute)"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert ":4096:8" in said
    assert "'device': 'cuda'" in said
    assert "'driver': 'unknown'" not in said


# --- accuracy


def classifier() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 5))
    net[1].eval()
    return net


@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_accuracy_is_an_exact_count(batch_size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (23, 3, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 5, (23,), generator=generator)
    net = classifier()
    modes = [module.training for module in net.modules()]
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    found = evaluate(net, images, labels, CPU, mean=MEAN, std=STD, batch_size=batch_size)
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())
    net.eval()
    with torch.no_grad():
        logits = [net(normalise(image.permute(1, 2, 0)[None].contiguous(), MEAN, STD))[0] for image in images]
    expected = sum(int(row.argmax()) == int(label) for row, label in zip(logits, labels, strict=True))
    assert (found.correct, found.n, found.accuracy) == (expected, 23, expected / 23)
    assert found.cross_entropy == pytest.approx(float(F.cross_entropy(torch.stack(logits), labels)), rel=1e-5)


def test_modes_are_restored_after_an_error() -> None:
    net = classifier()
    images = torch.zeros(2, 3, 9, 9, dtype=torch.uint8)
    with pytest.raises(RuntimeError):
        evaluate(net, images, torch.zeros(2, dtype=torch.int64), CPU, mean=MEAN, std=STD)
    assert [net.training, net[1].training, net[2].training] == [True, False, True]  # type: ignore[index]


# --- weights files


def test_weights_files_are_equal_for_equal_content(tmp_path: Path) -> None:
    net = classifier().to(memory_format=torch.channels_last)
    facts = {"classes": ["a", "b"], "width": 4, "seed": 1}
    save_weights(tmp_path / "one.safetensors", net.state_dict(), facts)
    save_weights(tmp_path / "two.safetensors", dict(reversed(net.state_dict().items())), dict(reversed(facts.items())))
    assert sha256(tmp_path / "one.safetensors") == sha256(tmp_path / "two.safetensors")
    for name, value in load_weights(tmp_path / "one.safetensors").items():
        assert torch.equal(value, net.state_dict()[name])


def test_tied_weights_are_saved(tmp_path: Path) -> None:
    tied = torch.arange(4.0)
    save_weights(tmp_path / "tied.safetensors", {"a": tied, "b": tied})
    assert torch.equal(load_weights(tmp_path / "tied.safetensors")["b"], tied)
