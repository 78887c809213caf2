# A Hierarchical Recurrent Neural Network for Symbolic Melody Generation (Wu et al., IEEE Trans. Cybernetics 2020).
melody = house.paper("melody")


# 1. Divide the corpus by pieces, and find the profiles of bars and of beats among those to train on.
rule melody_cluster:
    input:
        data=melody.data,
    output:
        profiles="runs/{edition}/melody/profiles/{seeds}.json",
    params:
        cfg=melody.cfg("cluster"),
        code=melody.code("cluster"),
    log:
        "logs/{edition}/melody/cluster/{seeds}.log",
    threads: 1
    shell:
        "python -m tenfold.papers.melody.cluster"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --profiles {output.profiles}"


# 2. Train the layers of each model, and measure them on held-out pieces. Notes can be read off weights: private.
rule melody_train:
    input:
        data=melody.files("corpus"),
    output:
        weights="runs/{edition}/melody/private/weights/{variant}/{seeds}.safetensors",
        metrics="runs/{edition}/melody/models/{variant}/{seeds}.json",
        history="runs/{edition}/melody/models/{variant}/{seeds}.csv",
        times="runs/{edition}/melody/models/{variant}/{seeds}.times.csv",
    params:
        cfg=melody.cfg("train"),
        code=melody.code("train"),
    log:
        "logs/{edition}/melody/train/{variant}/{seeds}.log",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.melody.train"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --weights {output.weights} --metrics {output.metrics}"
        " --history {output.history} --times {output.times}"


# 3. Compose. Pieces that are too much like a training piece stay private.
rule melody_generate:
    input:
        data=melody.files("corpus"),
        weights="runs/{edition}/melody/private/weights/{variant}/{seeds}.safetensors",
    output:
        every="runs/{edition}/melody/private/generated/{variant}/{decoding}/{seeds}.safetensors",
        shown="runs/{edition}/melody/generated/{variant}/{decoding}/{seeds}.safetensors",
    params:
        cfg=melody.cfg("generate"),
        code=melody.code("generate"),
    log:
        "logs/{edition}/melody/generate/{variant}/{decoding}/{seeds}.log",
    threads: 1
    shell:
        "python -m tenfold.papers.melody.generate"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --weights {input.weights} --every {output.every} --shown {output.shown}"


rule melody_midi:
    input:
        shown=melody.files("examples"),
    output:
        examples="runs/{edition}/melody/midi/{variant}.mid",
    params:
        cfg=melody.cfg("midi"),
        code=melody.code("midi"),
    log:
        "logs/{edition}/melody/midi/{variant}.log",
    threads: 1
    shell:
        "python -m tenfold.papers.melody.midi"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --shown {input.shown} --examples {output.examples}"
