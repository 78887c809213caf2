# A paper without torch, for stories about reruns, restores and faults.
toy = house.paper("toy")


# 1. Count, instead of training.
rule toy_count:
    input:
        data=toy.data,
    output:
        weights="runs/{edition}/toy/weights/{arm}/{seeds}.json",
        metrics="runs/{edition}/toy/metrics/{arm}/{seeds}.json",
        times="runs/{edition}/toy/metrics/{arm}/{seeds}.times.csv",
    params:
        cfg=toy.cfg("count"),
        code=toy.code("count"),
    log:
        "logs/{edition}/toy/count/{arm}/{seeds}.log",
    threads: 1
    shell:
        "python -m tenfold.papers.toy.count"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --weights {output.weights} --metrics {output.metrics} --times {output.times}"


# 2. Sum up.
rule toy_table:
    input:
        metrics=toy.files("metrics"),
    output:
        table=toy.table("table-counts"),
        summary="runs/{edition}/toy/metrics.json",
        claims="runs/{edition}/toy/claims.json",
    params:
        cfg=toy.cfg("table"),
        code=toy.code("table"),
    log:
        "logs/{edition}/toy/table.log",
    threads: 1
    shell:
        "python -m tenfold.papers.toy.table"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --metrics {input.metrics} --table {output.table} --summary {output.summary} --claims {output.claims}"
