"""The runner of a bundle with made-up jobs, its archives, and what stages may import on a machine that has little."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold import config, launcher, lease
from tenfold.books import run
from tenfold.books.pack import in_order
from tenfold.books.plan import PlannedJob
from tenfold.identity import records, signatures

# Writes what it is told to, with run records, and says what it was given; or does not.
FAKE = """
import json, os, pathlib, sys, time
cfg = json.loads(sys.argv[2])
print(cfg.get("say", "at work"), flush=True)
time.sleep(cfg.get("seconds", 0))
if "fail" in cfg and not pathlib.Path("mended").exists():
    sys.exit("tenfold: " + cfg["fail"])
keys = ("CUDA_VISIBLE_DEVICES", "TENFOLD_LEASED", "OMP_NUM_THREADS")
for name in sys.argv[3:]:
    path = pathlib.Path(name)
    (path.parent / ".run").mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({key: os.environ.get(key) for key in keys}))
    (path.parent / ".run" / (path.name + ".json")).write_text(json.dumps({"cfg": cfg, "code": "c0de"}))
"""


def a_job(*outputs: str, inputs: tuple[str, ...] = (), processes: int = 1, **cfg: object) -> dict[str, object]:
    arguments = ["fake", "--cfg", json.dumps(cfg), *outputs]
    return {"arguments": arguments, "code": "c0de", "inputs": inputs, "outputs": outputs, "processes": processes}


def lay(folder: Path, *jobs: dict[str, object], **data: str) -> None:
    (folder / "src").mkdir(exist_ok=True)
    (folder / "src/fake.py").write_text(FAKE)
    (folder / "jobs.json").write_text(json.dumps({"jobs": jobs, "data": data}))
    shutil.copy(run.__file__, folder / "run.py")


def call(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "run.py", *arguments]
    return subprocess.run(command, cwd=folder, env=env, text=True, capture_output=True, timeout=60, check=False)


def listed(folder: Path, name: str = "results.tar") -> set[str]:
    content = b"".join(part.read_bytes() for part in sorted(folder.glob(f"{name}.[0-9]*")))
    return set(tarfile.open(fileobj=io.BytesIO(content)).getnames())


def test_what_the_runner_says_of_paths_is_what_the_launcher_does() -> None:
    output = "runs/full/sge/metrics/resnet/sge/s0.json"
    assert run.Job([], "", [], [output]).resume == launcher.resume_path(Path(output))
    assert run.record_of(output) == records.record_path(Path(output))
    assert run.LEASED == lease.LEASED


def test_followers_of_a_failed_job_are_skipped_others_go_on_and_the_next_call_tries_again(tmp_path: Path) -> None:
    lay(
        tmp_path,
        a_job("runs/e/p/a.json", fail="no gates are left"),
        a_job("runs/e/p/b.json", inputs=("runs/e/p/a.json",)),
        a_job("runs/e/p/c.json", inputs=("runs/e/p/b.json",)),
        a_job("runs/e/p/d.json", "runs/e/p/weights/d.safetensors"),
        a_job("runs/e/p/e.json", inputs=("runs/e/p/d.json", "data/prepared/images.safetensors")),
    )
    first = call(tmp_path, "--workers", "2")
    assert first.returncode == 1
    assert "1 finished, 0 running, 0 waiting, 1 failed, 3 skipped" in first.stdout
    assert "runs/e/p/a.json: tenfold: no gates are left" in first.stdout
    assert "skipped  runs/e/p/c.json: needs runs/e/p/b.json" in first.stdout
    assert "skipped  runs/e/p/e.json: data/prepared/images.safetensors is not here" in first.stdout
    assert listed(tmp_path) == {"runs/e/p/d.json", "runs/e/p/.run/d.json.json", "resume.json"}
    made = (tmp_path / "runs/e/p/d.json").read_bytes()
    (tmp_path / "mended").touch()
    (tmp_path / "data/prepared").mkdir(parents=True)
    (tmp_path / "data/prepared/images.safetensors").touch()
    second = call(tmp_path, "--workers", "2", "--weights")
    assert second.returncode == 0 and "5 finished" in second.stdout
    assert (tmp_path / "runs/e/p/d.json").read_bytes() == made, "what is finished is left alone"
    assert "runs/e/p/weights/d.safetensors" in listed(tmp_path)


def test_one_worker_takes_jobs_in_the_order_of_the_list(tmp_path: Path) -> None:
    names = [f"runs/e/p/{name}.json" for name in "cabd"]
    lay(tmp_path, *(a_job(name) for name in names))
    said = call(tmp_path, "--workers", "1").stdout
    assert [line.rpartition("  ")[2] for line in said.splitlines() if "  runs/" in line] == names


def test_jobs_run_side_by_side_each_on_a_gpu(tmp_path: Path) -> None:
    lay(tmp_path, *(a_job(f"runs/e/p/{n}.json", seconds=0.3) for n in range(6)), a_job("runs/e/p/t.json", processes=2))
    assert call(tmp_path, "--workers", "4", CUDA_VISIBLE_DEVICES="3,5").returncode == 0
    made = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "runs/e/p").glob("*.json")}
    assert [made[str(n)]["CUDA_VISIBLE_DEVICES"] for n in range(4)] == ["3", "5", "3", "5"]
    assert set(made["t"]["TENFOLD_LEASED"].split(",")) == {"3", "5"}
    assert made["0"]["TENFOLD_LEASED"] == "3"
    assert {one["OMP_NUM_THREADS"] for one in made.values()} == {"1"}
    (tmp_path / "runs/e/p/t.json").unlink()
    assert call(tmp_path, CUDA_VISIBLE_DEVICES="").returncode == 0
    made = json.loads((tmp_path / "runs/e/p/t.json").read_text())
    assert (made["CUDA_VISIBLE_DEVICES"], made["TENFOLD_LEASED"]) == ("", ""), "no GPU is made up"


def test_the_time_is_kept_and_results_can_be_had_at_any_moment(tmp_path: Path) -> None:
    lay(tmp_path, a_job("runs/e/p/quick.json"), a_job("runs/e/p/long.json", seconds=60))
    (tmp_path / "runs/.resume/e/p").mkdir(parents=True)
    (tmp_path / "runs/.resume/e/p/long.json").write_text("half")
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-I", "run.py", "--workers", "1", "--seconds", "4"], cwd=tmp_path,
                               stdout=subprocess.PIPE, text=True)  # fmt: skip
    while not (tmp_path / "runs/e/p/.run/quick.json.json").exists():
        time.sleep(0.05)
    meanwhile = call(tmp_path, "--seconds", "0", "--out", "now.tar")
    assert "1 finished" in meanwhile.stdout
    rows = {"runs/e/p/quick.json", "runs/e/p/.run/quick.json.json", "runs/.resume/e/p/long.json", "resume.json"}
    assert listed(tmp_path, "now.tar") == rows
    second = call(tmp_path)
    assert (second.returncode, second.stderr.count("\n")) == (2, 1) and "another call runs jobs here" in second.stderr
    said = process.communicate(timeout=30)[0]
    assert process.returncode == 0 and "1 finished, 0 running, 1 waiting" in said
    assert time.monotonic() - began < 30
    assert listed(tmp_path) == rows


def test_rows_of_another_bundle_do_not_count(tmp_path: Path) -> None:
    lay(tmp_path, a_job("runs/e/p/a.json", lr=1))
    assert call(tmp_path).returncode == 0
    lay(tmp_path, a_job("runs/e/p/a.json", lr=2))
    assert "0 finished, 0 running, 1 waiting" in call(tmp_path, "--seconds", "0").stdout


def test_weights_that_nothing_needs_any_more_need_not_come_along(tmp_path: Path) -> None:
    teacher = ("runs/e/p/t.json", "runs/e/p/weights/t.safetensors")
    lay(tmp_path, a_job(*teacher), a_job("runs/e/p/s.json", inputs=teacher[1:]))
    assert call(tmp_path).returncode == 0
    other = tmp_path / "other"
    other.mkdir()
    lay(other, *json.loads((tmp_path / "jobs.json").read_text())["jobs"])
    for part in tmp_path.glob("results.tar.*"):
        shutil.copy(part, other)
    assert "2 finished, 0 running, 0 waiting" in call(other).stdout
    (other / "runs/e/p/s.json").unlink()
    again = call(other).stdout
    assert again.index("finished 0 s  runs/e/p/t.json") < again.index("finished 0 s  runs/e/p/s.json")


def test_data_and_bundles_are_checked_before_use(tmp_path: Path) -> None:
    shutil.copy(run.__file__, tmp_path / "run.py")
    nothing = call(tmp_path)
    assert (nothing.returncode, nothing.stderr.count("\n")) == (2, 1) and "no bundle is here" in nothing.stderr
    run.write_archive(tmp_path / "b.tar", {"jobs.json": b'{"jobs": [], "data": {"data/x": "0"}}', "data/x": b"x"}, 4096)
    (tmp_path / "b.tar.001").rename(tmp_path / "aside")
    missing = call(tmp_path)
    assert missing.stderr == "run.py: b.tar.001 is missing: bring all parts that b.tar.sha256 lists\n"
    (tmp_path / "aside").rename(tmp_path / "b.tar.001")
    other_data = call(tmp_path)
    assert (other_data.returncode, other_data.stderr) == (
        2, "run.py: data/x: has another SHA-256 than 0; bring it again\n",
    )  # fmt: skip
    run.write_archive(tmp_path / "c.tar", {"jobs.json": b'{"jobs": [], "data": {}}'}, 4096)
    assert "jobs.json is of another bundle than this folder's" in call(tmp_path).stderr


NAMES = st.from_regex(r"[a-z]{1,9}(/[a-z0-9.]{0,90}[a-z])?", fullmatch=True)


@settings(deadline=None, max_examples=30)
@given(files=st.dictionaries(NAMES, st.binary(max_size=3000)), part_size=st.integers(512, 20000))
def test_parts_join_to_what_was_packed(
    files: dict[str, bytes], part_size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = {
        name: content for name, content in files.items() if not any(other.startswith(f"{name}/") for other in files)
    }
    folder = tmp_path_factory.mktemp("parts")
    run.write_archive(folder / "a.tar", {"old": bytes(40000)}, part_size)
    run.write_archive(folder / "a.tar", files, part_size)
    run.write_archive(folder / "b.tar", dict(reversed(files.items())), 1 << 20)
    assert all(part.stat().st_size <= part_size for part in folder.glob("a.tar.[0-9]*"))
    joined = b"".join(part.read_bytes() for part in sorted(folder.glob("a.tar.[0-9]*")))
    assert joined == (folder / "b.tar.000").read_bytes(), "in any order, in parts of any size: the same bytes"
    (folder / "out").mkdir()
    assert sorted(run.extract(folder / "a.tar.sha256", folder / "out")) == sorted(files)
    assert {name: (folder / "out" / name).read_bytes() for name in files} == files


def hand_made(folder: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(folder / "x.tar.000", "w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    (folder / "x.tar.sha256").write_text(f"{run.sha256(folder / 'x.tar.000')}  x.tar.000\n")
    return folder / "x.tar.sha256"


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("../outside", tarfile.REGTYPE, ""),
        ("a/../../outside", tarfile.REGTYPE, ""),
        ("/tmp/outside", tarfile.REGTYPE, ""),  # noqa: S108
        ("link", tarfile.SYMTYPE, "/etc/passwd"),
        ("link", tarfile.LNKTYPE, "fine"),
        ("pipe", tarfile.FIFOTYPE, ""),
        ("device", tarfile.CHRTYPE, ""),
    ],
)
def test_only_plain_files_within_the_folder_are_unpacked(tmp_path: Path, name: str, kind: bytes, link: str) -> None:
    bad = tarfile.TarInfo(name)
    bad.type, bad.linkname = kind, link
    listing = hand_made(tmp_path, tarfile.TarInfo("fine"), bad)
    (tmp_path / "out").mkdir()
    with pytest.raises(run.BundleError, match="is no plain file within the folder; nothing was unpacked"):
        run.extract(listing, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_damaged_parts_are_refused(tmp_path: Path) -> None:
    run.write_archive(tmp_path / "a.tar", {"runs/a": bytes(9000)}, 4096)
    (tmp_path / "a.tar.001").write_bytes(b"\1" + (tmp_path / "a.tar.001").read_bytes()[1:])
    with pytest.raises(run.BundleError, match=r"a\.tar\.001 is damaged"):
        run.extract(tmp_path / "a.tar.sha256", tmp_path)
    (tmp_path / "x.tar.000").write_bytes(b"no archive at all" * 100)
    (tmp_path / "x.tar.sha256").write_text(f"{run.sha256(tmp_path / 'x.tar.000')}  x.tar.000\n")
    with pytest.raises(run.BundleError, match="are no archive"):
        run.extract(tmp_path / "x.tar.sha256", tmp_path)


def test_sizes_are_read_as_written() -> None:
    assert [run.size(text) for text in ("100", "3K", "64M", "2g")] == [100, 3 << 10, 64 << 20, 2 << 31 >> 1]
    for wrong in ("0", "-1M", "M", "1T"):
        with pytest.raises(ValueError, match=r".*"):
            run.size(wrong)


def test_each_job_comes_after_what_it_needs_and_what_was_asked_for_first_comes_first() -> None:
    def planned(output: str, *inputs: str) -> PlannedJob:
        return PlannedJob("rule", inputs, (output,), ("module",))

    plan = [planned("table", "a2", "b2"), planned("b2", "b1"), planned("a2", "a1"), planned("b1"), planned("a1"),
            planned("other")]  # fmt: skip
    assert [job.outputs[0] for job in in_order(plan)] == ["other", "a1", "a2", "b1", "b2", "table"]
    assert [job.outputs[0] for job in in_order(plan, ["b2"])] == ["b1", "b2", "other", "a1", "a2", "table"]


# Stages that are of no use without what they import: they decode photographs or videos, align boxes with maps by
# torchvision, or compute with scipy or mido throughout.
WITH_MORE = {"tenfold.data.coco_archives", "tenfold.data.prepare_interactions", "tenfold.data.prepare_melodies",
             "tenfold.papers.sge.detect", "tenfold.papers.sge.detect_coco",
             *(f"tenfold.papers.turbo_hoi.{name}" for name in ("detect", "pairs", "show", "train")),
             "tenfold.papers.melody.measure", "tenfold.papers.melody.midi", "tenfold.papers.video_captioning.look",
             *(f"tenfold.papers.{name}.imagenet" for name in ("pruning_from_scratch", "sge", "sknet"))}  # fmt: skip
FORBIDDING = """
import importlib, sys
class Forbidding:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"jsonschema", "referencing", "requests", "pandas", "scipy", "snakemake", "dvc",
                                      "matplotlib", "seaborn", "torchvision", "PIL", "av", "mido", "music21", "tqdm"}:
            raise ModuleNotFoundError(f"{name} is forbidden here")
sys.meta_path.insert(0, Forbidding())
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        print(name, error)
"""


def test_whatever_computes_is_imported_without_what_plans_and_reports() -> None:
    stages = [
        module
        for package in ("data", *(f"papers.{config.package_of(slug)}" for slug in config.papers()))
        for module in signatures.modules(f"tenfold.{package}")
        if signatures.stages(module) and ".report." not in module
    ]
    assert {f"tenfold.papers.{config.package_of(slug)}" for slug in config.papers()} <= {
        module.rpartition(".")[0] for module in stages
    }
    asked = [module for module in stages if module not in WITH_MORE]
    done = subprocess.run([sys.executable, "-c", FORBIDDING, *asked], capture_output=True, text=True, check=True)
    assert done.stdout == ""
