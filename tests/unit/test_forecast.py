"""What a plan says before anything runs: the work of jobs, the rates of devices, hours, disk and data."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tenfold import config, workflow
from tenfold.books import devices, forecast, order, times
from tenfold.books.devices import Device, Rates, fitted, one_step
from tenfold.books.forecast import Costed, Forecast
from tenfold.books.plan import PlannedJob
from tenfold.books.recorded import Job, Ledger
from tenfold.books.work import OWN, TAGS, TRAINS, Pass, Size, Work, captioner, lstm, size_of, work_of
from tenfold.errors import UserError
from tenfold.identity import signatures
from tenfold.papers.video_captioning.method import Captioner

ROOT = Path(__file__).parents[2]
ORDER = ROOT / "config" / "lab-order.txt"
RECORDED = ("melody", "pruning-from-scratch", "rco", "sge", "sknet", "variance-shift")  # at real, with times
TIMED = (*RECORDED, "adversarial-competition", "icnn-face-parsing")  # the last two beside other runs
ORDERED = (*RECORDED, "video-captioning")  # with rows at lab that follow from its claims
FACTOR = 1.5  # between an estimate and what a paper took
SHARED = "h100-shared"


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the project, without any device of whoever runs the tests."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def recorded_jobs(slug: str) -> dict[str, Job]:
    """The recorded jobs of a paper at real, by each of their outputs."""
    record = Ledger("real", slug).provenance()
    assert record is not None
    return record.job_of


# Work -------------------------------------------------------------------------------------------------------------


def test_the_size_of_a_net_is_what_was_counted_of_it_before() -> None:
    size = size_of({"family": "resnet", "name": "resnet20", "width": 16, "classes": 10}, 32)
    convolutions = (
        27 * 16 * 32**2 + 2304 * 6 * 32**2 + (16 * 32 * 9 + 5 * 9216) * 16**2 + (32 * 64 * 9 + 5 * 36864) * 8**2
    )
    shortcuts = 16 * 32 * 16**2 + 32 * 64 * 8**2
    assert size.macs == convolutions + shortcuts + 640 == 40_813_184
    assert size.params == 272_474
    assert size.layers == 19 * 3 + 2 * 2 + 2, "each convolution with BatchNorm and ReLU, shortcuts without, the end"


def test_the_size_of_an_lstm_is_that_of_torchs_weights() -> None:
    size = lstm(inputs=30, width=7, depth=2, labels=5, steps=11)
    weights = [p.numel() for name, p in nn.LSTM(30, 7, 2).named_parameters() if name.startswith("weight")]
    assert size.params == sum(weights) + 7 * 5
    assert (size.macs, size.layers, size.kind) == (11 * size.params, 22, "recurrent")


@pytest.mark.parametrize(
    ("slug", "output", "images"),
    [  # as their metrics on record count them, over all seeds
        ("sge", "metrics/resnet8-c16/sge/s0-4.json", 5 * 8 * 24_000),
        ("sknet", "metrics/mini/k3-k5-sk/s0-4.json", 5 * 5 * 14_000),
        ("variance-shift", "metrics/cifar-10/wrn10-2/none/s0-4.json", 5 * 4 * 8_000),
        ("pruning-from-scratch", "metrics/resnet20-c8/pruned-p0.7/s0-4.json", 5 * 4 * 50_000),
        ("pruning-from-scratch", "gates/resnet20-c8/random-init/s0-4.json", 5 * 45_000),
        ("pruning-from-scratch", "pretrain/resnet20-c8/s0-4.json", 5 * 4 * 45_000),
        ("rco", "teacher/s0-4.json", 5 * 12 * 16_000),
        ("rco", "metrics/resnet8-c8/eei-4/s0-4.json", 5 * 4 * 3 * 16_000),
        ("rco", "metrics/resnet8-c8/one-stage-3/s0-4.json", 5 * 3 * 16_000),
        ("rco", "metrics/resnet8-c8/from-e6/s0-4.json", 5 * 3 * 16_000),
        ("icnn-face-parsing", "training/thin/icnn/first/s0-4.json", 5 * 14 * 700),
        ("icnn-face-parsing", "training/thin/no-links/second/s0-4.json", 5 * 700 * (2 * 3 + 2 * 3 + 3 + 6)),
        ("icnn-face-parsing", "metrics/thin/joint/s0-4.json", 5 * 700),
        ("icnn-face-parsing", "metrics/thin/fixed/s0-4.json", 5 * 700),
    ],
)
def test_training_images_are_those_that_jobs_have_counted(slug: str, output: str, images: int) -> None:
    job = recorded_jobs(slug)[f"runs/real/{slug}/{output}"]
    work = work_of(job.module, job.stage, job.cfg)
    assert work is not None and work.images == images


def test_a_pruned_net_has_the_arms_share_of_the_standard_nets_macs() -> None:
    jobs = recorded_jobs("pruning-from-scratch")
    full, pruned = (
        jobs[f"runs/real/pruning-from-scratch/metrics/resnet20-c8/{arm}/s0-4.json"] for arm in ("full", "pruned-p0.7")
    )
    works = [work_of(job.module, job.stage, job.cfg) for job in (full, pruned)]
    assert works[0] and works[1] and works[1].macs == pytest.approx(0.3 * works[0].macs)


def test_a_live_teacher_is_run_forward_and_not_for_labels_alone() -> None:
    edition = workflow.House({}).paper("rco").edition("lab")
    grid = workflow.House({}).paper("rco").grid
    works = {}
    for arm in ("alone-1x", "kd-1x"):
        wildcards = type("Wildcards", (), {"arm": arm, "student": "resnet20", "seeds": "s0"})
        works[arm] = work_of("tenfold.papers.rco.distil", "distil", grid.distil(edition, wildcards))
    assert works["alone-1x"] and works["kd-1x"]
    teacher = size_of({"family": "resnet", "name": "resnet56", "width": 16, "classes": 100}, 32)
    assert works["kd-1x"].macs - works["alone-1x"].macs == pytest.approx(60 * 45_000 * teacher.macs)
    assert works["kd-1x"].images == works["alone-1x"].images


def test_the_work_of_the_loop_grows_with_its_turns() -> None:
    paper = workflow.House({}).paper("turbo-hoi")
    edition, macs = paper.edition("small"), []
    made = paper.grid.train(edition, type("Wildcards", (), {"nets": "scenes", "arm": "turbo-2", "seeds": "s0-4"}))
    for arm in ("multitask", "turbo-2", "turbo-3"):
        wildcards = type("Wildcards", (), {"nets": "scenes", "arm": arm, "seeds": "s0-4"})
        work = work_of("tenfold.papers.turbo_hoi.train", "train", paper.grid.train(edition, wildcards))
        assert work is not None
        assert work.images == 5 * made["recipe"]["epochs"] * made["data"]["prepare"]["train"]
        macs.append(work.macs)
    assert macs[0] < macs[1] < macs[2]
    assert macs[2] - macs[1] < macs[1] - macs[0] + 0.01 * macs[0], "what all turns share is counted once"


def test_the_work_of_the_arena_is_gradients_and_labels() -> None:
    """Of an attack on one net its steps and what the net predicts; of a defence what its nets label, drawn or not."""
    paper = workflow.House({}).paper("adversarial-competition")
    edition, a = paper.edition("small"), {"family": "resnet_small", "name": "resnet8", "width": 16, "classes": 10}
    forward = 3 * 100 * size_of(a, 16).macs  # seeds, images

    def macs(stage: str, **of: str) -> float:
        cfg = getattr(paper.grid, stage)(edition, type("Wildcards", (), {"seeds": "s0-2"} | of))
        work = work_of(
            f"tenfold.papers.adversarial_competition.{'defend' if stage == 'through' else stage}", stage, cfg
        )
        assert work is not None and work.images == 0
        return work.macs / forward

    assert macs("craft", attack="no-op") == 0
    assert macs("craft", attack="fgsm") == pytest.approx(2 + 1)
    assert macs("craft", attack="iter-20") == pytest.approx(2 * 20), "a target needs no prediction"
    assert macs("craft", attack="mi-fgsm") == pytest.approx(2 * 10 + 1)
    assert macs("defend", track="arena", defence="a") == pytest.approx(10)
    assert macs("through", defence="a") == pytest.approx(2 * 20 + 2)
    assert macs("defend", track="arena", defence="hgd") > 10, "the denoiser"


@pytest.mark.parametrize(("hidden", "classes", "params"), [(512, 12_594, 15_235_378), (1024, 13_796, 37_772_772)])
def test_a_captioner_learns_as_many_numbers_as_the_official_one(hidden: int, classes: int, params: int) -> None:
    net = {"words": 300, "hidden": hidden}
    size = captioner(net, features=3584, classes=classes, length=8, longest=20, batch=64, own=0.0)
    assert size.params - 300 * classes == params, "embeddings are frozen there"


def test_a_captioner_costs_what_its_matrices_multiply() -> None:
    """Counted in one that is built, by its own modules: what is read once a clip, and what at each word."""
    net = Captioner(torch.zeros(50, 12), tags=TAGS, features=20, hidden=8)
    of_clip = net.first.numel() + sum(part.B.numel() for part in (net.cell.word, net.cell.video, net.cell.state))
    of_clip += net.cell.video.A.numel() + net.cell.video.C.numel()
    of_words = sum(part.A.numel() + part.C.numel() for part in (net.cell.word, net.cell.state))
    logits = net.output.numel() + net.embeddings.numel()
    told, fed = (captioner({"words": 12, "hidden": 8}, 20, 50, 5, 7, 4, own) for own in (0.0, 0.5))
    assert told.macs == of_clip + 5 * (of_words + logits)
    assert fed.macs - told.macs == 5 * 0.5 * (logits + net.cell.word.A.numel() + net.cell.word.C.numel())
    assert told.params == sum(parameter.numel() for parameter in net.parameters())


def test_the_work_of_captioners_and_tag_networks_is_examples_by_epochs() -> None:
    paper = workflow.House({}).paper("video-captioning")

    def work(edition: str, stage: str, **of: str) -> Work:
        cfg = getattr(paper.grid, stage)(paper.edition(edition), type("Wildcards", (), {"seeds": "s0-2"} | of))
        found = work_of(f"tenfold.papers.video_captioning.{stage}", stage, cfg)
        assert found is not None
        return found

    for edition, clips, spoken in (("small", 800, 7), ("real", 1200, 20), ("full", 1200, 40)):
        settings = paper.edition(edition).settings
        of_clip = min(settings["captions"]["of_clip"] or spoken, spoken)
        assert work(edition, "train", arm="full").images == 3 * settings["recipe"]["epochs"] * clips * of_clip
    both, leaky, static = (work("full", "tag", arm=net) for net in ("both", "leaky", "static"))
    assert both.images == 3 * 1000 * 1200
    assert leaky.images == 3 * 1000 * 1970
    assert both.passes[0].size.params == 2_252_076
    assert both.passes[0].size.macs - static.passes[0].size.macs == 1536 * 512


def test_every_stage_with_work_of_its_own_is_one_that_there_is() -> None:
    for name in OWN:
        signatures.read(f"tenfold.papers.{name}")


def test_of_an_unknown_stage_nothing_is_said() -> None:
    assert work_of("tenfold.papers.toy.count", "count", {"seeds": [0], "arm": "plain"}) is None
    job = recorded_jobs("variance-shift")["runs/real/variance-shift/metrics/cifar-10/wrn10-2/none/s0-4.json"]
    assert work_of("tenfold.papers.toy.train", "train", job.cfg) == work_of(job.module, job.stage, job.cfg)
    for strange in ({"net": {"kind": "made-up"}}, {"data": {"name": "made-up", "prepare": {}}}):
        assert work_of("tenfold.papers.toy.train", "train", job.cfg | strange) is None


# Rates ------------------------------------------------------------------------------------------------------------

positive = st.floats(1e-3, 1e3)


@settings(max_examples=25, deadline=None)
@given(st.tuples(positive, positive, positive))
def test_rates_are_found_again_from_the_steps_that_they_give(factors: tuple[float, float, float]) -> None:
    rates = Rates(*(factor * unit for factor, unit in zip(factors, (1e-5, 1e-10, 1e-12), strict=True)))
    sizes = [(1e6, 1e4, 90), (4e8, 2e5, 20), (1e6, 3e6, 10), (5e6, 5e5, 60)]
    steps = [Pass(Size(macs, elements, layers, 0), batch, batch, TRAINS) for batch, (macs, elements, layers) in
             zip((1, 128, 64, 32), sizes, strict=True)]  # fmt: skip
    found = fitted([(step, rates.seconds(step)) for step in steps])
    for step in steps:
        assert found.seconds(step) == pytest.approx(rates.seconds(step), rel=1e-3)


@pytest.mark.parametrize("name", list(devices.devices()))
def test_devices_train_what_they_were_measured_with_as_measured(name: str) -> None:
    device = devices.devices()[name]
    for row in device.rows:
        step = one_step(row)
        rates = device.rates[step.size.kind]
        assert min(rates.layer, rates.element, rates.mac) >= 0
        assert 1 / FACTOR - 0.01 < rates.seconds(step) * row["rate"] / row["batch"] < FACTOR


def taken_and_estimated(slug: str, device: Device) -> tuple[float, float]:
    """Seconds of the jobs of a paper at real: as they are on record, and by a device's rates."""
    took, jobs = times.on_record(), recorded_jobs(slug)
    timed = [(seconds, jobs[output]) for output, seconds in took.items() if output.startswith(f"runs/real/{slug}/")
             and output in jobs]  # fmt: skip
    assert len(timed) > 15
    return sum(seconds for seconds, _ in timed), sum(
        device.seconds(work_of(job.module, job.stage, job.cfg)) for _, job in timed
    )


def test_rates_give_what_each_paper_took_at_real_with_the_pace_of_the_others() -> None:
    """The rates are of steps that were measured apart from all papers; the pace is that of the other papers."""
    measured = devices.devices()[devices.HOUSE]
    bare = replace(measured, pace=1.0)
    paces = {}
    for slug in TIMED:
        took, estimated = taken_and_estimated(slug, bare)
        paces[slug] = took / estimated
    for slug, own in paces.items():
        others = [math.log(pace) for other, pace in paces.items() if other != slug]
        assert 1 / FACTOR < math.exp(sum(others) / len(others)) / own < FACTOR, slug
    mean = math.exp(sum(map(math.log, paces.values())) / len(paces))
    assert 1 / FACTOR < measured.pace / mean < FACTOR, f"the record has a pace of {mean:.2f} (config/devices.yaml)"


def test_a_users_device_is_kept_outside_and_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    file = devices.own_file()
    assert file.is_relative_to(tmp_path)
    entry = {"title": "4 cores", "measured": "today", "slots": 4, "rows": [
        {"lstm": {"inputs": 8, "width": 8, "depth": 1, "labels": 3, "steps": 4}, "batch": 4, "rate": 100.0},
        {"lstm": {"inputs": 8, "width": 16, "depth": 2, "labels": 3, "steps": 4}, "batch": 4, "rate": 50.0},
    ]}  # fmt: skip
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"here": entry}))
    assert devices.devices()["here"].slots == 4
    file.write_text(json.dumps({"here": entry | {"slots": 0}}))
    with pytest.raises(UserError, match=r"devices.json: here.slots: 0 is less than.*; remove .*, and measure again"):
        devices.devices()
    file.write_text("{")
    with pytest.raises(UserError, match="measure again"):
        devices.devices()


def test_a_machine_is_measured_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "SECONDS", 0.0)
    rows = [
        {"lstm": {"inputs": 8, "width": 16, "depth": 1, "labels": 38, "steps": 4}, "batch": 4},
        {"net": {"family": "resnet_small", "name": "resnet8", "width": 4}, "batch": 2},
    ]
    monkeypatch.setattr(devices, "MEASURED", rows)
    assert all(rate > 0 for rate in devices._rates_of_all(on_gpu=False))
    monkeypatch.setattr(devices, "ProcessPoolExecutor", lambda *_args, **_options: Here())
    said: list[str] = []
    device = devices.measure(said.append)
    assert devices.devices()["here"] == device and len(device.rows) == len(devices.MEASURED)
    assert said == [f"measuring {device.title}: 2 nets, about 11 s"]


class Here:
    """Processes that need no measuring."""

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, _function: object, given: Sequence[bool]) -> list[list[float]]:
        """Rates of each process."""
        return [[100.0] * len(devices.MEASURED) for _ in given]


# Hours, disk, data ------------------------------------------------------------------------------------------------


def a_device(**settings: Any) -> Device:
    rows = [{"lstm": {"inputs": 8, "width": 8, "depth": depth, "labels": 3, "steps": 4}, "batch": 4, "rate": 1.0}
            for depth in (1, 2)]  # fmt: skip
    device = Device("made-up", "made up", "never", **{"slots": 1, "rows": rows} | settings)
    device.__dict__["rates"] = {"conv": Rates(0.0, 0.0, 1e-9), "recurrent": Rates(0.0, 0.0, 1e-9)}
    return device


def a_job(output: str, *inputs: str, macs: float | None = 0.0, left: bool = True, **cfg: Any) -> Costed:
    arguments = ("tenfold.papers.toy.train", "--cfg", json.dumps(cfg))
    work = None if macs is None else Work((Pass(Size(macs, 0, 1, 250_000), 1, 1, TRAINS),), 250_000)
    return Costed(PlannedJob("toy_train", inputs, (output, f"{output}.safetensors"), arguments), work, left)


def test_hours_follow_slots_and_what_jobs_wait_for() -> None:
    a, b = (a_job(f"runs/e/toy/{name}", macs=9e9, compute={}) for name in "ab")  # 27 s each, and 3 to start
    c = a_job("runs/e/toy/c", "runs/e/toy/a", macs=1e9, compute={})
    found = Forecast([a, b, c], {}, a_device())
    assert [found.hours([a, b, c], a_device(slots=slots)) for slots in (1, 2, 3)] == [66.0, 36.0, 36.0]
    assert found.hours([c], a_device()) == 6.0, "what it waits for is done"
    assert found.hours([], a_device()) == 0.0
    assert found.hours([a], a_device(pace=2.0)) == 57.0
    assert found.hours([a_job("runs/e/toy/d", macs=None)], a_device()) == devices.START


def test_what_was_measured_of_a_job_counts_on_its_device_alone() -> None:
    a = a_job("runs/e/toy/a", macs=9e9, compute={})
    found = Forecast([a], {"made-up": {"runs/e/toy/a": 5.0}}, a_device())
    assert (found.hours([a], a_device()), found.is_measured(a, a_device())) == (5.0, True)
    other = replace(a_device(), name="other")
    other.__dict__["rates"] = a_device().rates
    assert (found.hours([a], other), found.is_measured(a, other)) == (30.0, False)


def test_beside_a_gpu_a_processor_does_what_needs_none() -> None:
    drawn, trained = a_job("runs/e/toy/drawn", macs=1e9), a_job("runs/e/toy/trained", macs=1e9, compute={})
    found = Forecast([drawn, trained], {}, a_device(pace=10.0))
    card = a_device(gpu=True, beside=3)
    assert (found.seconds(drawn, card), found.seconds(trained, card)) == (33.0 / 3, 1.0 + 3.0)


def test_disk_is_what_is_here_and_what_is_expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = a_job("a.json")
    assert one.disk == forecast.FILE + 1_000_000
    Path("a.json").write_bytes(b"x" * 77)
    assert a_job("a.json").disk == 77 + 1_000_000


def test_where_a_dataset_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENFOLD_MIRROR", raising=False)
    assert forecast.where("cifar-10") == "to be downloaded (170 MB)"
    assert forecast.where("openewld").startswith("to be brought by hand (size unknown): the folder dataset/")
    assert forecast.where("shapes-10") == "is drawn here"
    monkeypatch.setenv("TENFOLD_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror" / "cifar-10-batches-py").mkdir(parents=True)
    (tmp_path / "mirror" / "openewld").mkdir()
    assert forecast.where("cifar-10") == f"in the mirror {tmp_path / 'mirror'} (170 MB)"
    assert forecast.where("openewld") == f"in the mirror {tmp_path / 'mirror'} (size unknown)"
    (tmp_path / "data/raw/cifar-10").mkdir(parents=True)
    (tmp_path / "data/raw/cifar-10/cifar-10-python.tar.gz").touch()
    assert forecast.where("cifar-10") == "in data/raw/cifar-10 (170 MB)"
    (tmp_path / "data/prepared").mkdir()
    (tmp_path / "data/prepared/cifar-10.safetensors").write_bytes(b"x" * 1500)
    assert forecast.where("cifar-10") == "prepared here (1.5 kB)"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1000, "1 k"), (1.25e6, "1.25 M"), (3.456e15, "3.46 P"), (2e19, "20 E")],
)
def test_large_numbers_are_short(number: float, text: str) -> None:
    assert forecast.scaled(number) == text


# The order --------------------------------------------------------------------------------------------------------


def test_braces_are_short_for_several_targets_as_in_a_shell() -> None:
    assert order.expanded("a/{x,y-z}/s{9..11}.json") == [
        "a/x/s9.json", "a/x/s10.json", "a/x/s11.json", "a/y-z/s9.json", "a/y-z/s10.json", "a/y-z/s11.json",
    ]  # fmt: skip
    assert order.expanded("lab/rco") == ["lab/rco"]


def test_a_file_of_targets_has_rows_and_comments(tmp_path: Path) -> None:
    file = tmp_path / "order.txt"
    file.write_text("# the first\n\nruns/a/{b,c}  runs/d # two\nlab/rco\nruns/d\n")
    rows = order.rows_of([f"@{file}", "small/sge"])
    assert [(row.text, row.targets) for row in rows] == [
        ("runs/a/{b,c} runs/d", ("runs/a/b", "runs/a/c", "runs/d")),
        ("lab/rco", ("lab/rco",)),
        ("runs/d", ("runs/d",)),
        ("small/sge", ("small/sge",)),
    ]
    assert order.in_order(rows) == ["runs/a/b", "runs/a/c", "runs/d", "lab/rco", "small/sge"]
    file.write_text("# nothing\n")
    with pytest.raises(UserError, match="order.txt: names no target"):
        order.rows_of([f"@{file}"])
    with pytest.raises(UserError, match="no.txt: No such file or directory; a file of targets is needed"):
        order.rows_of([f"@{tmp_path / 'no.txt'}"])


@pytest.fixture(scope="module")
def ordered() -> Forecast:
    """The jobs of the rows of lab, in their order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return forecast.forecast(order.in_order(order.rows_of([f"@{ORDER}"])))


def test_every_row_of_lab_is_a_target_that_some_job_makes(ordered: Forecast) -> None:
    made = {output for one in ordered.jobs for output in one.job.outputs}
    targets = order.in_order(order.rows_of([f"@{ORDER}"]))
    assert [target for target in targets if target not in made] == []
    assert all(target.startswith("runs/lab/") for target in targets)


# What decides the primary claims of lab: arms, where the evidence is a measure of the paper's own, and the files that
# measures are read from, by the first word of what they are of.
SPECIAL = {("melody", "M5-accuracy"): ["1L", "3L"], ("variance-shift", "C4"): ["none", "a-0.5"]}
READ_FROM = {"probe": "probe", "settled": "settled", "gates.moves": "statistics", "attention": "attention"}
UNDECIDED = {("melody", "M1-votes"), ("video-captioning", "C1")}  # by listeners; by features of videos, at full
PART_2 = 16  # its first row
HALF_AN_HOUR = 30.0  # minutes of a shared H100 for the primary claims of a paper with three seeds, as it should be
OVER = {"rco": 40.0}  # where it is not: two thirds of it are students of four stages and the teachers of all


def primary(slug: str) -> list[tuple[list[str], list[str]]]:
    """For each primary claim of a paper at lab the files of the gate's baseline, and all files that decide it."""
    paper = workflow.House({}).paper(slug)
    edition, found = paper.edition("lab"), []
    arms = [without_ratio(of["arm"]) for of, _ in paper.grid.trained(edition)]
    for claim in paper.config.claims:
        if claim["role"] != "primary" or (slug, claim["id"]) in UNDECIDED:
            continue
        assert "lab" in claim["editions"]
        gate, evidence = claim["gate"], config.evidence_of(claim)
        of = gate.get("baseline") or gate["converged"]
        baseline = next(arm for arm in of["of"] if arm in arms)
        named = [arm for one in evidence for pair in one["of"] for arm in ([pair] if isinstance(pair, str) else pair)]
        for one in gate.get("acted", []):
            named += [one["of"]] if isinstance(one["of"], str) else one["of"]
        named += SPECIAL.get((slug, claim["id"]), [])
        aliases = getattr(paper.grid, "MOST", {})
        if slug == "rco":
            most = paper.grid.largest_m(arms)
            named = [aliases[arm].format(most) if arm in aliases else arm for arm in named]
        assert set(named) <= set(arms), "lab trains all of them"
        measures = [measure for one in [*evidence, *gate.get("acted", []), gate.get("baseline", {})]
                    for measure in sides(one.get("measure"))]  # fmt: skip
        folders = {READ_FROM[word] for measure in measures for word in READ_FROM if measure["of"].startswith(word)}
        found.append((files_of(slug, [baseline], set()), files_of(slug, [baseline, *named], folders)))
    return found


def without_ratio(arm: str) -> str:
    """Pruning from Scratch: an arm as evidence calls it."""
    return arm.partition("-p0")[0]


def sides(measure: Any) -> list[dict[str, Any]]:
    """The measures of an evidence, which may have one for each side."""
    if measure is None:
        return []
    if isinstance(measure, list):
        return [one for each in measure for one in sides(each)]
    return [measure] if "of" in measure else [one for each in measure.values() for one in sides(each)]


def files_of(slug: str, arms: Sequence[str], folders: set[str]) -> list[str]:
    """The metrics of arms of three seeds at lab, and what else is read of them."""
    paper = workflow.House({}).paper(slug)
    edition = paper.edition("lab")
    metrics = [path if path.endswith(".json") else f"{path}.json" for of, path in paper.grid.trained(edition)
               if without_ratio(of["arm"]) in arms and path.partition("/s")[2][:1] != ""]  # fmt: skip
    three = [path for path in metrics if Path(path).stem in ("s0", "s1", "s2")]
    assert len(three) == 3 * len(set(arms))
    others = []
    if {"probe", "settled"} & folders:
        others = [path.replace("/metrics/", f"/{folder}/") for path in three for folder in folders]
        others = [path for path in others if "/settled/" not in path or "/a-0.5/" in path]
    elif folders:
        listed = getattr(paper.grid, next(iter(folders)))(edition, None)
        others = [path for path in listed if Path(path).stem in ("s0", "s1", "s2")]
        assert len(others) == 3
    return [*three, *others]


@pytest.mark.parametrize("slug", ORDERED)
def test_what_decides_primary_claims_is_in_the_order_with_three_seeds_the_gates_baseline_first(
    slug: str, ordered: Forecast
) -> None:
    place = {output: number for number, one in enumerate(ordered.jobs) for output in one.job.outputs}
    later = min(place[target] for target in order.rows_of([f"@{ORDER}"])[PART_2].targets)
    claims = primary(slug)
    assert claims
    for baseline, files in claims:
        assert [path for path in files if path not in place] == []
        assert max(place[path] for path in files) < later
        rest = [place[path] for path in files if path not in baseline and "/metrics/" in path]
        assert max(place[path] for path in baseline) < min(rest, default=later)


def test_the_whole_arena_is_in_the_order_with_three_seeds_the_gates_baseline_first(ordered: Forecast) -> None:
    paper = workflow.House({}).paper("adversarial-competition")
    place = {output: number for number, one in enumerate(ordered.jobs) for output in one.job.outputs}
    rows = order.rows_of([f"@{ORDER}"])
    arena = [path for of, path in paper.grid.columns(paper.edition("lab")) if of["net"] == "arena"]
    three = [path for path in arena if Path(path).stem in ("s0", "s1", "s2")]
    assert len(three) == 33
    baseline = [place[f"runs/lab/adversarial-competition/metrics/a/s{seed}.json"] for seed in range(3)]
    assert max(baseline) < min(place[path] for path in three)
    assert max(place[path] for path in three) < min(place[target] for target in rows[PART_2].targets)
    card = devices.devices()[SHARED]
    assert ordered.hours([one for one in ordered.jobs if one.paper == paper.slug], card) / 60 < HALF_AN_HOUR


@pytest.mark.parametrize("slug", ORDERED)
def test_the_rows_of_a_paper_take_an_hour_of_a_shared_h100_at_most(slug: str, ordered: Forecast) -> None:
    device = devices.devices()[SHARED]
    makers = {output: one for one in ordered.jobs for output in one.job.outputs}
    waiting = [path for _, files in primary(slug) for path in files]
    needed: dict[str, Costed] = {}
    while waiting:
        one = makers[waiting.pop()]
        if needed.setdefault(one.job.outputs[0], one) is one:
            waiting += [path for path in one.job.inputs if path in makers and makers[path].job.outputs[0] not in needed]
    minutes = ordered.hours(needed.values(), device) / 60
    assert HALF_AN_HOUR * (slug in OVER) < minutes <= OVER.get(slug, HALF_AN_HOUR)
    assert ordered.hours([one for one in ordered.jobs if one.paper == slug], device) / 60 <= 60
