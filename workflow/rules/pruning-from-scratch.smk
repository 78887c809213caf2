# Pruning from Scratch (Wang et al., AAAI 2020): the structure of a net, found before any weight is trained.
pfs = house.paper("pruning-from-scratch")


# 1. Pre-train the expanded net, as classic pipelines do, and keep checkpoints: what the paper does without.
rule pruning_from_scratch_pretrain:
    input:
        data=pfs.data,
    output:
        weights="runs/{edition}/pruning-from-scratch/weights/{net}/pretrain/{seeds}.safetensors",
        summary="runs/{edition}/pruning-from-scratch/pretrain/{net}/{seeds}.json",
        history="runs/{edition}/pruning-from-scratch/pretrain/{net}/{seeds}.csv",
        times="runs/{edition}/pruning-from-scratch/pretrain/{net}/{seeds}.times.csv",
    params:
        cfg=pfs.cfg("pretrain"),
        code=pfs.code("pretrain"),
    log:
        "logs/{edition}/pruning-from-scratch/pretrain/{net}/{seeds}.log",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.pruning_from_scratch.pretrain"
        " --cfg {params.cfg:q} --code {params.code} --log {log} --data {input.data}"
        " --weights {output.weights} --summary {output.summary}"
        " --history {output.history} --times {output.times}"


# 2. Learn a gate for each channel of the expanded net, on random weights or on a checkpoint.
rule pruning_from_scratch_learn_gates:
    input:
        data=pfs.data,
        pretrained=pfs.files("checkpoint"),
    output:
        gates="runs/{edition}/pruning-from-scratch/gates/{net}/{source}/{seeds}.safetensors",
        summary="runs/{edition}/pruning-from-scratch/gates/{net}/{source}/{seeds}.json",
        history="runs/{edition}/pruning-from-scratch/gates/{net}/{source}/{seeds}.csv",
        times="runs/{edition}/pruning-from-scratch/gates/{net}/{source}/{seeds}.times.csv",
    params:
        cfg=pfs.cfg("learn_gates"),
        code=pfs.code("learn_gates"),
    log:
        "logs/{edition}/pruning-from-scratch/learn_gates/{net}/{source}/{seeds}.log",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.pruning_from_scratch.learn_gates"
        " --cfg {params.cfg:q} --code {params.code} --log {log} --data {input.data} --pretrained {input.pretrained}"
        " --gates {output.gates} --summary {output.summary} --history {output.history} --times {output.times}"


# 3. Bisect one threshold on the gates to each MAC budget.
rule pruning_from_scratch_prune:
    input:
        gates="runs/{edition}/pruning-from-scratch/gates/{net}/{source}/{seeds}.safetensors",
    output:
        structures="runs/{edition}/pruning-from-scratch/structures/{net}/{source}/{seeds}.json",
    params:
        cfg=pfs.cfg("prune.prune"),
        code=pfs.code("prune.prune"),
    log:
        "logs/{edition}/pruning-from-scratch/prune/{net}/{source}/{seeds}.log",
    wildcard_constraints:
        source=r"random-init|pretrained-e\d+",
    threads: 1
    shell:
        "python -m tenfold.papers.pruning_from_scratch.prune prune"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --gates {input.gates} --structures {output.structures}"


# 4. Structures of the same budgets without any learning: uniform widths, and a random structure a seed.
rule pruning_from_scratch_baseline:
    output:
        structures="runs/{edition}/pruning-from-scratch/structures/{net}/{kind}/{seeds}.json",
    params:
        cfg=pfs.cfg("prune.baseline"),
        code=pfs.code("prune.baseline"),
    log:
        "logs/{edition}/pruning-from-scratch/baseline/{net}/{kind}/{seeds}.log",
    wildcard_constraints:
        kind="uniform|random",
    threads: 1
    shell:
        "python -m tenfold.papers.pruning_from_scratch.prune baseline"
        " --cfg {params.cfg:q} --code {params.code} --log {log} --structures {output.structures}"


# 5. Train every arm from scratch, and test it.
rule pruning_from_scratch_train:
    input:
        data=pfs.data,
        structure=pfs.files("structure"),
    output:
        weights="runs/{edition}/pruning-from-scratch/weights/{net}/{arm}/{seeds}.safetensors",
        metrics="runs/{edition}/pruning-from-scratch/metrics/{net}/{arm}/{seeds}.json",
        history="runs/{edition}/pruning-from-scratch/metrics/{net}/{arm}/{seeds}.csv",
        times="runs/{edition}/pruning-from-scratch/metrics/{net}/{arm}/{seeds}.times.csv",
    params:
        cfg=pfs.cfg("train"),
        code=pfs.code("train"),
    log:
        "logs/{edition}/pruning-from-scratch/train/{net}/{arm}/{seeds}.log",
    wildcard_constraints:
        arm=r"full|[a-z-]+-p0\.\d+",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.pruning_from_scratch.train"
        " --cfg {params.cfg:q} --code {params.code} --log {log} --data {input.data} --structure {input.structure}"
        " --weights {output.weights} --metrics {output.metrics} --history {output.history} --times {output.times}"


# 6. Of the structures found on random weights, choose one by validation images.
rule pruning_from_scratch_choose:
    input:
        data=pfs.data,
        candidates=pfs.files("candidates"),
    output:
        structures="runs/{edition}/pruning-from-scratch/structures/{net}/chosen/p{ratio}.json",
        history="runs/{edition}/pruning-from-scratch/structures/{net}/chosen/p{ratio}.csv",
        times="runs/{edition}/pruning-from-scratch/structures/{net}/chosen/p{ratio}.times.csv",
    params:
        cfg=pfs.cfg("choose"),
        code=pfs.code("choose"),
    log:
        "logs/{edition}/pruning-from-scratch/choose/{net}/p{ratio}.log",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.pruning_from_scratch.choose"
        " --cfg {params.cfg:q} --code {params.code} --log {log} --data {input.data} --candidates {input.candidates}"
        " --structures {output.structures} --history {output.history} --times {output.times}"


# The same on ImageNet, for the nets that are trained there: its photographs stay in their archives.
ruleorder: pruning_from_scratch_imagenet_learn_gates > pruning_from_scratch_learn_gates
ruleorder: pruning_from_scratch_imagenet_prune > pruning_from_scratch_prune
ruleorder: pruning_from_scratch_imagenet_baseline > pruning_from_scratch_baseline
ruleorder: pruning_from_scratch_imagenet_train > pruning_from_scratch_train


rule pruning_from_scratch_imagenet_learn_gates:
    input:
        data=pfs.files("dataset"),
    output:
        gates="runs/{edition}/pruning-from-scratch/gates/{net}/{source}/{seeds}.safetensors",
        summary="runs/{edition}/pruning-from-scratch/gates/{net}/{source}/{seeds}.json",
        history="runs/{edition}/pruning-from-scratch/gates/{net}/{source}/{seeds}.csv",
        times="runs/{edition}/pruning-from-scratch/gates/{net}/{source}/{seeds}.times.csv",
    params:
        cfg=pfs.cfg("imagenet.learn_gates"),
        code=pfs.code("imagenet.learn_gates"),
    log:
        "logs/{edition}/pruning-from-scratch/learn_gates/{net}/{source}/{seeds}.log",
    wildcard_constraints:
        net="imagenet-[^/]+",
        source="random-init",
    threads: 8
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.pruning_from_scratch.imagenet learn_gates"
        " --cfg {params.cfg:q} --code {params.code} --log {log} --data {input.data}"
        " --gates {output.gates} --summary {output.summary} --history {output.history} --times {output.times}"


rule pruning_from_scratch_imagenet_prune:
    input:
        gates="runs/{edition}/pruning-from-scratch/gates/{net}/{source}/{seeds}.safetensors",
    output:
        structures="runs/{edition}/pruning-from-scratch/structures/{net}/{source}/{seeds}.json",
    params:
        cfg=pfs.cfg("imagenet.prune"),
        code=pfs.code("imagenet.prune"),
    log:
        "logs/{edition}/pruning-from-scratch/prune/{net}/{source}/{seeds}.log",
    wildcard_constraints:
        net="imagenet-[^/]+",
        source="random-init",
    threads: 1
    shell:
        "python -m tenfold.papers.pruning_from_scratch.imagenet prune"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --gates {input.gates} --structures {output.structures}"


rule pruning_from_scratch_imagenet_baseline:
    output:
        structures="runs/{edition}/pruning-from-scratch/structures/{net}/{kind}/{seeds}.json",
    params:
        cfg=pfs.cfg("imagenet.baseline"),
        code=pfs.code("imagenet.baseline"),
    log:
        "logs/{edition}/pruning-from-scratch/baseline/{net}/{kind}/{seeds}.log",
    wildcard_constraints:
        net="imagenet-[^/]+",
        kind="uniform|random",
    threads: 1
    shell:
        "python -m tenfold.papers.pruning_from_scratch.imagenet baseline"
        " --cfg {params.cfg:q} --code {params.code} --log {log} --structures {output.structures}"


rule pruning_from_scratch_imagenet_train:
    input:
        data=pfs.files("dataset"),
        structure=pfs.files("structure"),
    output:
        weights="runs/{edition}/pruning-from-scratch/weights/{net}/{arm}/{seeds}.safetensors",
        metrics="runs/{edition}/pruning-from-scratch/metrics/{net}/{arm}/{seeds}.json",
        history="runs/{edition}/pruning-from-scratch/metrics/{net}/{arm}/{seeds}.csv",
        times="runs/{edition}/pruning-from-scratch/metrics/{net}/{arm}/{seeds}.times.csv",
    params:
        cfg=pfs.cfg("imagenet.train"),
        code=pfs.code("imagenet.train"),
    log:
        "logs/{edition}/pruning-from-scratch/train/{net}/{arm}/{seeds}.log",
    wildcard_constraints:
        net="imagenet-[^/]+",
        arm=r"full|[a-z-]+-p0\.\d+",
    threads: 8
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.pruning_from_scratch.imagenet train"
        " --cfg {params.cfg:q} --code {params.code} --log {log} --data {input.data} --structure {input.structure}"
        " --weights {output.weights} --metrics {output.metrics} --history {output.history} --times {output.times}"


# 7. Tables, figures and verdicts.
rule pruning_from_scratch_tables:
    input:
        arms=pfs.files("metrics"),
        structures=pfs.files("structures"),
        searches=pfs.files("searches"),
        search_times=pfs.files("search_times"),
    output:
        accuracy=pfs.table("table-accuracy"),
        comparison=pfs.table("table-comparison"),
        budget=pfs.table("table-budget"),
        correlation=pfs.table("table-correlation"),
        search_cost=pfs.table("table-search-cost"),
        times="runs/{edition}/pruning-from-scratch/tables/table-search-cost.times.csv",
        metrics="runs/{edition}/pruning-from-scratch/metrics.json",
    params:
        cfg=pfs.cfg("tables"),
        code=pfs.code("tables"),
    log:
        "logs/{edition}/pruning-from-scratch/tables.log",
    threads: 1
    shell:
        "python -m tenfold.papers.pruning_from_scratch.tables"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --arms {input.arms} --structures {input.structures}"
        " --searches {input.searches} --search-times {input.search_times}"
        " --accuracy {output.accuracy} --comparison {output.comparison} --budget {output.budget}"
        " --correlation {output.correlation} --search-cost {output.search_cost}"
        " --times {output.times} --metrics {output.metrics}"


rule pruning_from_scratch_table_cost:
    output:
        table=pfs.table("table-cost"),
    params:
        cfg=pfs.cfg("costs"),
        code=pfs.code("costs"),
    log:
        "logs/{edition}/pruning-from-scratch/table_cost.log",
    threads: 1
    shell:
        "python -m tenfold.papers.pruning_from_scratch.costs"
        " --cfg {params.cfg:q} --code {params.code} --log {log} --table {output.table}"


rule pruning_from_scratch_figures:
    input:
        arms=pfs.files("metrics"),
        structures=pfs.files("structures"),
        gate_histories=pfs.files("gate_histories"),
    output:
        accuracy=pfs.figure("figure-accuracy"),
        correlations=pfs.figure("figure-correlation"),
        channels=pfs.figure("figure-channels"),
        gates=pfs.figure("figure-gates"),
    params:
        cfg=pfs.cfg("figures"),
        code=pfs.code("figures"),
    log:
        "logs/{edition}/pruning-from-scratch/figures.log",
    threads: 1
    shell:
        "python -m tenfold.papers.pruning_from_scratch.figures"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --arms {input.arms} --structures {input.structures} --gate-histories {input.gate_histories}"
        " --accuracy {output.accuracy} --correlations {output.correlations}"
        " --channels {output.channels} --gates {output.gates}"


rule pruning_from_scratch_claims:
    input:
        arms=pfs.files("metrics"),
        structures=pfs.files("structures"),
        searches=pfs.files("searches"),
    output:
        claims="runs/{edition}/pruning-from-scratch/claims.json",
    params:
        cfg=pfs.cfg("verdicts.claims"),
        code=pfs.code("verdicts.claims"),
    log:
        "logs/{edition}/pruning-from-scratch/claims.log",
    threads: 1
    shell:
        "python -m tenfold.papers.pruning_from_scratch.verdicts"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --arms {input.arms} --structures {input.structures} --searches {input.searches} --claims {output.claims}"
