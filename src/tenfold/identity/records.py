"""Run records: what each output was made from, by which code, on which machine."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from tenfold.errors import UserError
from tenfold.files import copy_whole, read_json, sha256, write_json
from tenfold.identity.equivalences import representative

FORMAT = 1
FIELDS = {"module": str, "stage": str, "cfg": dict, "code": str, "seeds": list, "inputs": dict, "platform": dict,
          "output": str, "sha256": str}  # fmt: skip
# Variables with which a user has torch, numpy and their libraries run the kernels of another processor.
KERNELS = ("ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "NPY_DISABLE_CPU_FEATURES",
           "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE")  # fmt: skip


def record_path(output: Path) -> Path:
    """Where the run record of an output lies: in a hidden folder beside it."""
    return output.parent / ".run" / f"{output.name}.json"


def checksums(paths: Iterable[Path]) -> dict[str, str]:
    """The SHA-256 of each file, by its path with forward slashes."""
    return {path.as_posix(): sha256(path) for path in paths}


def run_record(
    *, module: str, stage: str, cfg: dict[str, Any], code: str, inputs: dict[str, str], compute: dict[str, Any]
) -> dict[str, Any]:
    """What is known of a job when it ends, the same for each of its outputs. No times: equal runs, equal records."""
    return {
        "format": FORMAT,
        "module": module,
        "stage": stage,
        "cfg": cfg,
        "code": code,
        "seeds": cfg.get("seeds", []),
        "inputs": inputs,
        "platform": fingerprint() | compute,
    }


def write_run_record(output: Path, record: dict[str, Any]) -> None:
    """Writes the record of one output, with the checksum of what lies there now."""
    write_json(record_path(output), record | {"output": output.as_posix(), "sha256": sha256(output)})


def read_run_record(output: Path) -> dict[str, Any] | None:
    """The record of an output, or None where there is none; a damaged one is none."""
    try:
        record = read_json(record_path(output))
    except (FileNotFoundError, ValueError):
        return None
    is_whole = isinstance(record, dict) and record.get("format") == FORMAT and FIELDS.keys() <= record.keys()
    return record if is_whole and all(isinstance(record[key], kind) for key, kind in FIELDS.items()) else None


def made_here(output: Path) -> bool:
    """Whether an output is as a job on this machine left it."""
    record = read_run_record(output)
    return record is not None and record["sha256"] == sha256(output)


def taken_over(outputs: list[Path], cfg: dict[str, Any], code: str, inputs: dict[str, str]) -> bool:
    """Copies a variant's outputs from its edition, if the same job made them there: equal settings, code and inputs."""
    if not all(_VARIANT.match(output.as_posix()) for output in outputs):
        return False
    twins = [Path(_at_edition(output.as_posix())) for output in outputs]
    wanted = cfg, representative(code), {_at_edition(path): checksum for path, checksum in inputs.items()}
    found = [read_run_record(twin) for twin in twins]
    for twin, record in zip(twins, found, strict=True):
        if record is None or (record["cfg"], representative(record["code"]), record["inputs"]) != wanted:
            return False
        if not (twin.exists() and made_here(twin)):
            return False
    for output, twin, record in zip(outputs, twins, found, strict=True):
        copy_whole(twin, output)
        write_run_record(output, {**(record or {}), "inputs": inputs})
    return True


_VARIANT = re.compile(r"runs/([a-z]+)\+[^/]+/")


def _at_edition(path: str) -> str:
    """``runs/small+hot/sge/...`` -> ``runs/small/sge/...``."""
    return _VARIANT.sub(r"runs/\1/", path)


def refuse_other_data(cfg: Any, inputs: dict[str, str]) -> None:
    """Checks prepared datasets against the checksums that the configuration has for them.

    Raises:
        UserError: a dataset has other bytes than the configuration says.
    """
    if isinstance(cfg, dict):
        path = f"data/prepared/{cfg.get('name')}.safetensors"
        if path in inputs and cfg.get("sha256") not in (None, inputs[path]):
            raise UserError(
                f"{path}: has SHA-256 {inputs[path]}, config/datasets.yaml says {cfg['sha256']}; "
                f"make it again: snakemake -f {path}"
            )
    for value in cfg.values() if isinstance(cfg, dict) else cfg if isinstance(cfg, list) else ():
        refuse_other_data(value, inputs)


def fingerprint() -> dict[str, Any]:
    """What of this machine and environment can change a result: Python, packages, processor."""
    facts: dict[str, Any] = {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "system": platform.system(),
        "machine": platform.machine(),
        "numpy": metadata.version("numpy"),
        "cpu": _processor(),
    }
    chosen = {name: os.environ[name] for name in KERNELS if name in os.environ}
    if chosen:
        facts["kernels"] = chosen
    torch = sys.modules.get("torch")
    if torch is not None:
        facts["torch"] = torch.__version__
        facts["torch_build"] = torch.version.git_version[:12]
        facts["cpu_capability"] = torch.backends.cpu.get_cpu_capability()
        facts["threads"] = torch.get_num_threads()
    return facts


def _processor() -> dict[str, str]:
    """Vendor, family, model and the vector instruction sets of the processor, where the system tells."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {"name": platform.processor()}
    lines = (line.partition(":") for line in path.read_text().split("\n\n")[0].splitlines())
    facts = {key.strip(): value.strip() for key, _, value in lines}
    flags = sorted(flag for flag in facts.get("flags", "").split() if flag.startswith(("avx", "amx", "fma", "f16c")))
    return {
        "vendor": facts.get("vendor_id", ""),
        "family": facts.get("cpu family", ""),
        "model": facts.get("model", ""),
        "name": facts.get("model name", ""),
        "instructions": " ".join(flags),
    }
