# Tenfold: ten papers, reproduced. This file is the table of contents; the rules are in workflow/rules.
import sys

from snakemake.utils import min_version

min_version("9.27")
sys.path.insert(0, f"{workflow.basedir}/src")

from tenfold import workflow as tenfold_workflow
from tenfold.config import EDITIONS
from tenfold.books import start

tenfold_workflow.set_environment(sources=sys.path[0])
house = tenfold_workflow.configured(config)

# One run at a time; restored files that are the recorded ones count as made here.
if workflow.is_main_process:
    start.begin(workflow.workflow_settings.persistence_backend.name.lower(), house)


onstart:
    start.running()


report: "workflow/report/workflow.rst"


wildcard_constraints:
    **tenfold_workflow.WILDCARDS,


# `snakemake` alone: the configured edition of all papers.
rule all:
    default_target: True
    input:
        house.targets(house.edition),


# Named targets: small/all, small/pruning-from-scratch, and pruning-from-scratch at the configured edition.
for edition in EDITIONS:

    rule:
        name:
            f"{edition}/all"
        input:
            house.targets(edition),

    for slug in house.slugs:

        rule:
            name:
                f"{edition}/{slug}"
            input:
                house.paper(slug).targets(edition),


for slug in house.slugs:

    rule:
        name:
            slug
        input:
            house.paper(slug).targets(house.edition),


include: "workflow/rules/data.smk"
include: "workflow/rules/report.smk"


for slug in house.slugs:

    include: f"workflow/rules/{slug}.smk"
