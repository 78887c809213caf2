# All claims of all papers at one edition, with their verdicts.
rule scoreboard:
    input:
        claims=house.claims,
    output:
        csv=report(
            "runs/{edition}/scoreboard.csv",
            caption="../report/scoreboard.rst",
            category="Scoreboard, {edition}",
        ),
        md="runs/{edition}/scoreboard.md",
    params:
        cfg=house.scoreboard_cfg,
        code=house.scoreboard_code,
    log:
        "logs/{edition}/scoreboard.log",
    benchmark:
        "logs/{edition}/scoreboard.benchmark.tsv"
    shell:
        "python -m tenfold.report.scoreboard --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --claims {input.claims:q} --scoreboard {output:q}"
