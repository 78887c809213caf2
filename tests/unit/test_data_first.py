from __future__ import annotations

from tenfold.books.data_first import outputs_of

PLAN = """
rule data_prepare:
    output: data/prepared/cifar-10.safetensors
    log: logs/data/cifar-10.log
rule data_prepare_melodies:
    input: data/raw/a.zip
    output: data/prepared/aaba.safetensors, data/reports/aaba.json
    reason: Missing output files: data/prepared/aaba.safetensors
"""


def test_all_outputs_of_a_plan_are_found_also_where_a_job_has_several() -> None:
    assert outputs_of(PLAN) == {
        "data/prepared/cifar-10.safetensors",
        "data/prepared/aaba.safetensors",
        "data/reports/aaba.json",
    }
    assert outputs_of("Nothing to be done.") == set()
