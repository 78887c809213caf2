# Tenfold: papers, reproduced. This file is the table of contents; the rules are in workflow/rules.
import sys

from snakemake.utils import min_version

min_version("9.27")
sys.path.insert(0, f"{workflow.basedir}/src")

from tenfold import workflow as tenfold_workflow
from tenfold.books import start, times

# What happens while this file is read, also for a dry run. The configuration is checked. The process that plans (and not
# those of its jobs) then takes the folder for its run, if it is one, removes the lock of a run that was killed, puts back
# Snakemake's notes on recorded files, so that restored ones count as made here, and makes recorded datasets that are
# missing, if it needs them, with two Snakemakes of their own: one that looks, one that makes. At the end each rule is
# compared with its stage.
tenfold_workflow.set_environment(sources=sys.path[0])
house = tenfold_workflow.configured(config, elsewhere=tenfold_workflow.runs_elsewhere(workflow))
if workflow.is_main_process:
    backend = workflow.workflow_settings.persistence_backend.name.lower()
    start.begin(backend, house, dry_run=workflow.output_settings.dryrun)


# For the estimate of the time that is left.
onstart:
    times.tell(workflow)


report: "workflow/report/workflow.rst"


wildcard_constraints:
    **tenfold_workflow.WILDCARDS,


# `snakemake` alone: the configured edition of all papers.
rule all:
    default_target: True
    input:
        house.targets(house.edition),


# Named targets: small/all, small/pruning-from-scratch, small+hot/sge for variants/hot.yaml, and sge at the configured
# edition.
for edition in house.editions:

    rule:
        name:
            f"{edition}/all"
        input:
            house.goal(edition),

    for slug in house.slugs:

        rule:
            name:
                f"{edition}/{slug}"
            input:
                house.goal(edition, slug),


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


tenfold_workflow.check_files(workflow.rules)
