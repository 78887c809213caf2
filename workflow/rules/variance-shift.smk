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
