# What papers report, in rules of one shape for all: what is counted, tables, figures, and verdicts on the claims.
# (Snakemake reads `shell:` once more when a job runs. The loop is over then, and `rule` is the name of the job's rule.)
for rule, stage in house.reports.items():

    rule:
        name:
            rule
        input:
            **stage.inputs,
        output:
            **stage.outputs,
        params:
            **stage.params,
        log:
            stage.log,
        shell:
            house.reports[rule].command


# All claims of all papers at one edition, with their verdicts.
rule scoreboard:
    input:
        claims=house.claims,
    output:
        scoreboard=[
            report(
                "runs/{edition}/scoreboard.csv",
                caption="../report/scoreboard.rst",
                category="Scoreboard, {edition}",
            ),
            "runs/{edition}/scoreboard.md",
        ],
    params:
        **house.params("report.scoreboard", house.scoreboard),
    log:
        "logs/{edition}/scoreboard.log",
    shell:
        house.run("report.scoreboard")
