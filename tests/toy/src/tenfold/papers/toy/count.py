"""Counts, where another paper would train: slow when asked to, and able to go on after a stop."""

from __future__ import annotations

import hashlib
import os
import time

from tenfold.papers.toy.method import step

from tenfold.faults import fault
from tenfold.files import read_json, sha256, write_json, write_text
from tenfold.launcher import Cfg, Input, Job, Output, Stopped, main, stage


@stage
def count(cfg: Cfg, job: Job, *, data: Input, weights: Output, metrics: Output, times: Output) -> None:
    """Takes ``steps`` steps for each seed, with noise drawn from the data's checksum and the seed."""
    began = time.perf_counter()
    start = {"seed": 0, "step": 0, "value": 0, "velocity": 0, "done": [], **job.identity}
    state = read_json(job.resume) if job.resume.exists() else start
    checksum = sha256(data)
    while state["seed"] < len(cfg["seeds"]):
        seed = cfg["seeds"][state["seed"]]
        while state["step"] < cfg["steps"]:
            fault("step")
            noise = hashlib.sha256(f"{checksum} {seed} {state['step']}".encode()).digest()[0] // 64
            state["value"], state["velocity"] = step(
                state["value"], state["velocity"], cfg["rate"], cfg["momentum"], noise
            )
            state["step"] += 1
            if job.stop_between_steps():
                write_json(job.resume, state)
                raise Stopped
            time.sleep(float(os.environ.get("TOY_SECONDS_PER_STEP", "0")))
        state["done"].append({"seed": seed, "count": state["value"]})
        state |= {"seed": state["seed"] + 1, "step": 0, "value": 0, "velocity": 0}
        write_json(job.resume, state)
        job.say(f"seed {seed}: {state['done'][-1]['count']}")
    write_json(weights, {"counts": [row["count"] for row in state["done"]], "padding": "0" * cfg["padding"]})
    write_json(metrics, {"arm": cfg["arm"], "rows": state["done"]})
    write_text(times, f"arm,seconds\n{cfg['arm']},{time.perf_counter() - began!r}\n")


if __name__ == "__main__":
    main(count)
