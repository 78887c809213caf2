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


# One paper's verdicts, and its tables as printed, on a page of Snakemake's report (make report).
rule page:
    input:
        claims=house.verdicts,
        tables=house.printed,
    output:
        page=report(
            "build/{edition}/{paper}.html",
            caption="../report/page.rst",
            category=house.title,
            subcategory="Verdicts and tables",
            labels={"page": "as printed"},
        ),
    params:
        **house.params("report.page", house.page),
    log:
        "logs/{edition}/{paper}/page.log",
    wildcard_constraints:
        paper="|".join(house.slugs),
    shell:
        house.run("report.page")


# A page and a forest plot for each primary claim.
for slug in house.slugs:
    paper = house.paper(slug)

    rule:
        name:
            f"{paper.name}_claim_pages"
        input:
            claims=f"runs/{{edition}}/{slug}/claims.json",
        output:
            pages=paper.pages,
        params:
            **house.params("report.claim_pages", paper.scale),
        log:
            f"logs/{{edition}}/{slug}/claim_pages.log",
        shell:
            house.run("report.claim_pages")


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
