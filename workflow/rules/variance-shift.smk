# Dropout and BatchNorm (Li et al., CVPR 2019): train with dropout in several places, measure the variances that shift.
variance_shift = house.paper("variance-shift")


# 1. Draw samples, and compare their variances with the formulas. No data.
rule variance_shift_simulate:
    output:
        theory="runs/{edition}/variance-shift/theory.json",
    params:
        **variance_shift.params("theory.simulate"),
    log:
        "logs/{edition}/variance-shift/simulate.log",
    shell:
        variance_shift.run("theory.simulate")


# 2. Train a net with dropout in one place, at one rate: an arm.
rule variance_shift_train:
    input:
        data="data/prepared/{dataset}.safetensors",
    output:
        **variance_shift.course("metrics/{dataset}/{net}/{arm}/{seeds}"),
        weights="runs/{edition}/variance-shift/weights/{dataset}/{net}/{arm}/{seeds}.safetensors",
    params:
        **variance_shift.params("train"),
    log:
        "logs/{edition}/variance-shift/train/{dataset}/{net}/{arm}/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        variance_shift.run("train")


# 3. Measure the shift at each BatchNorm, and the net again with its moving averages adjusted.
rule variance_shift_probe:
    input:
        data="data/prepared/{dataset}.safetensors",
        weights="runs/{edition}/variance-shift/weights/{dataset}/{net}/{arm}/{seeds}.safetensors",
    output:
        shift="runs/{edition}/variance-shift/probe/{dataset}/{net}/{arm}/{seeds}.json",
    params:
        **variance_shift.params("examine.probe"),
    log:
        "logs/{edition}/variance-shift/probe/{dataset}/{net}/{arm}/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        variance_shift.run("examine.probe")


# 4. Adjust the moving averages another way: let them settle while the net uses them.
rule variance_shift_settled:
    input:
        data="data/prepared/{dataset}.safetensors",
        weights="runs/{edition}/variance-shift/weights/{dataset}/{net}/{arm}/{seeds}.safetensors",
    output:
        settling="runs/{edition}/variance-shift/settled/{dataset}/{net}/{arm}/{seeds}.json",
    params:
        **variance_shift.params("examine.settled"),
    log:
        "logs/{edition}/variance-shift/settled/{dataset}/{net}/{arm}/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        variance_shift.run("examine.settled")


# 5. Look at the weights of nets without dropout, and at images that the shift makes wrong.
rule variance_shift_weights:
    input:
        weights="runs/{edition}/variance-shift/weights/{dataset}/{net}/none/{seeds}.safetensors",
    output:
        stats="runs/{edition}/variance-shift/weight_stats/{dataset}/{net}/{seeds}.json",
    params:
        **variance_shift.params("examine.weights_of"),
    log:
        "logs/{edition}/variance-shift/weights/{dataset}/{net}/{seeds}.log",
    shell:
        variance_shift.run("examine.weights_of")


rule variance_shift_flipped:
    input:
        data="data/prepared/{dataset}.safetensors",
        weights="runs/{edition}/variance-shift/weights/{dataset}/{net}/a-0.5/{seeds}.safetensors",
    output:
        logits="runs/{edition}/variance-shift/logits/{dataset}/{net}/a-0.5/{seeds}.json",
    params:
        **variance_shift.params("examine.flipped"),
    log:
        "logs/{edition}/variance-shift/flipped/{dataset}/{net}/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        variance_shift.run("examine.flipped")
