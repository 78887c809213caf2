# Dropout and BatchNorm (Li et al., CVPR 2019): train with dropout in several places, measure the variances that shift.
variance_shift = house.paper("variance-shift")


# 1. Draw samples, and compare their variances with the formulas. No data.
rule variance_shift_simulate:
    output:
        theory="runs/{edition}/variance-shift/theory.json",
    params:
        cfg=variance_shift.cfg("theory.simulate"),
        code=variance_shift.code("theory.simulate"),
    log:
        "logs/{edition}/variance-shift/simulate.log",
    threads: 1
    shell:
        "python -m tenfold.papers.variance_shift.theory"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --theory {output.theory}"


# 2. Train a net with dropout in one place, at one rate: an arm.
rule variance_shift_train:
    input:
        data="data/prepared/{dataset}.safetensors",
    output:
        weights="runs/{edition}/variance-shift/weights/{dataset}/{net}/{arm}/{seeds}.safetensors",
        metrics="runs/{edition}/variance-shift/metrics/{dataset}/{net}/{arm}/{seeds}.json",
        history="runs/{edition}/variance-shift/metrics/{dataset}/{net}/{arm}/{seeds}.csv",
        times="runs/{edition}/variance-shift/metrics/{dataset}/{net}/{arm}/{seeds}.times.csv",
    params:
        cfg=variance_shift.cfg("train"),
        code=variance_shift.code("train"),
    log:
        "logs/{edition}/variance-shift/train/{dataset}/{net}/{arm}/{seeds}.log",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.variance_shift.train"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --weights {output.weights} --metrics {output.metrics}"
        " --history {output.history} --times {output.times}"


# 3. Measure the shift at each BatchNorm, and the net again with its moving averages adjusted.
rule variance_shift_probe:
    input:
        data="data/prepared/{dataset}.safetensors",
        weights="runs/{edition}/variance-shift/weights/{dataset}/{net}/{arm}/{seeds}.safetensors",
    output:
        shift="runs/{edition}/variance-shift/probe/{dataset}/{net}/{arm}/{seeds}.json",
    params:
        cfg=variance_shift.cfg("examine.probe"),
        code=variance_shift.code("examine.probe"),
    log:
        "logs/{edition}/variance-shift/probe/{dataset}/{net}/{arm}/{seeds}.log",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.variance_shift.examine probe"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --weights {input.weights} --shift {output.shift}"


# 4. Look at the weights of nets without dropout, and at images that the shift makes wrong.
rule variance_shift_weights:
    input:
        weights="runs/{edition}/variance-shift/weights/{dataset}/{net}/none/{seeds}.safetensors",
    output:
        stats="runs/{edition}/variance-shift/weight_stats/{dataset}/{net}/{seeds}.json",
    params:
        cfg=variance_shift.cfg("examine.weights_of"),
        code=variance_shift.code("examine.weights_of"),
    log:
        "logs/{edition}/variance-shift/weights/{dataset}/{net}/{seeds}.log",
    threads: 1
    shell:
        "python -m tenfold.papers.variance_shift.examine weights-of"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --weights {input.weights} --stats {output.stats}"


rule variance_shift_flipped:
    input:
        data="data/prepared/{dataset}.safetensors",
        weights="runs/{edition}/variance-shift/weights/{dataset}/{net}/a-0.5/{seeds}.safetensors",
    output:
        logits="runs/{edition}/variance-shift/logits/{dataset}/{net}/a-0.5/{seeds}.json",
    params:
        cfg=variance_shift.cfg("examine.flipped"),
        code=variance_shift.code("examine.flipped"),
    log:
        "logs/{edition}/variance-shift/flipped/{dataset}/{net}/{seeds}.log",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.variance_shift.examine flipped"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --weights {input.weights} --logits {output.logits}"


# 5. Tables, figures and verdicts.
rule variance_shift_tables:
    input:
        metrics=variance_shift.files("metrics"),
        probes=variance_shift.files("probes"),
        weight_stats=variance_shift.files("weight_stats"),
    output:
        weights=variance_shift.table("table-weights"),
        adjust=variance_shift.table("table-adjust"),
        last=variance_shift.table("table-last"),
        imagenet=variance_shift.table("table-imagenet"),
        uout=variance_shift.table("table-uout"),
        ratios=variance_shift.table("table-ratios"),
        metrics="runs/{edition}/variance-shift/metrics.json",
    params:
        cfg=variance_shift.cfg("tables"),
        code=variance_shift.code("tables"),
    log:
        "logs/{edition}/variance-shift/tables.log",
    threads: 1
    shell:
        "python -m tenfold.papers.variance_shift.tables"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --metrics {input.metrics} --probes {input.probes} --weight-stats {input.weight_stats}"
        " --weights {output.weights} --adjust {output.adjust} --last {output.last}"
        " --imagenet {output.imagenet} --uout {output.uout} --ratios {output.ratios}"
        " --metrics-out {output.metrics}"


rule variance_shift_table_nets:
    output:
        table=variance_shift.table("table-nets"),
    params:
        cfg=variance_shift.cfg("costs"),
        code=variance_shift.code("costs"),
    log:
        "logs/{edition}/variance-shift/table_nets.log",
    threads: 1
    shell:
        "python -m tenfold.papers.variance_shift.costs"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --table {output.table}"


rule variance_shift_figures:
    input:
        metrics=variance_shift.files("metrics"),
        histories=variance_shift.files("histories"),
        probes=variance_shift.files("probes"),
        weight_stats=variance_shift.files("weight_stats"),
        logits=variance_shift.files("logits"),
    output:
        shift=variance_shift.figure("figure-shift"),
        cosine=variance_shift.figure("figure-cosine"),
        ratios=variance_shift.figure("figure-ratios"),
        modes=variance_shift.figure("figure-modes"),
        flipped=variance_shift.figure("figure-logits"),
    params:
        cfg=variance_shift.cfg("figures"),
        code=variance_shift.code("figures"),
    log:
        "logs/{edition}/variance-shift/figures.log",
    threads: 1
    shell:
        "python -m tenfold.papers.variance_shift.figures"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --metrics {input.metrics} --histories {input.histories} --probes {input.probes}"
        " --weight-stats {input.weight_stats} --logits {input.logits} --shift {output.shift}"
        " --cosine {output.cosine} --ratios {output.ratios} --modes {output.modes}"
        " --flipped {output.flipped}"


rule variance_shift_claims:
    input:
        metrics=variance_shift.files("metrics"),
        probes=variance_shift.files("probes"),
        weight_stats=variance_shift.files("weight_stats"),
        theory="runs/{edition}/variance-shift/theory.json",
    output:
        claims="runs/{edition}/variance-shift/claims.json",
    params:
        cfg=variance_shift.cfg("verdicts.claims"),
        code=variance_shift.code("verdicts.claims"),
    log:
        "logs/{edition}/variance-shift/claims.log",
    threads: 1
    shell:
        "python -m tenfold.papers.variance_shift.verdicts"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --metrics {input.metrics} --probes {input.probes} --weight-stats {input.weight_stats}"
        " --theory {input.theory} --claims {output.claims}"
