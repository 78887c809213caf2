# Spatial Group-wise Enhance (Li et al., 2019): each group of channels enhances the positions that resemble its mean.
sge = house.paper("sge")


# 1. Train a net with each kind of attention: small nets in memory, ImageNet's by several processes.
rule sge_train:
    input:
        data=sge.data,
    output:
        weights="runs/{edition}/sge/weights/{net}/{arm}/{seeds}.safetensors",
        metrics="runs/{edition}/sge/metrics/{net}/{arm}/{seeds}.json",
        history="runs/{edition}/sge/metrics/{net}/{arm}/{seeds}.csv",
        times="runs/{edition}/sge/metrics/{net}/{arm}/{seeds}.times.csv",
    params:
        cfg=sge.cfg("train"),
        code=sge.code("train"),
    log:
        "logs/{edition}/sge/train/{net}/{arm}/{seeds}.log",
    wildcard_constraints:
        edition="smoke|small|real",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.sge.train"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --weights {output.weights} --metrics {output.metrics}"
        " --history {output.history} --times {output.times}"


rule sge_imagenet_train:
    input:
        data=sge.data,
    output:
        weights="runs/{edition}/sge/weights/{net}/{arm}/{seeds}.safetensors",
        metrics="runs/{edition}/sge/metrics/{net}/{arm}/{seeds}.json",
        history="runs/{edition}/sge/metrics/{net}/{arm}/{seeds}.csv",
        times="runs/{edition}/sge/metrics/{net}/{arm}/{seeds}.times.csv",
    params:
        cfg=sge.cfg("imagenet.train"),
        code=sge.code("imagenet.train"),
    log:
        "logs/{edition}/sge/train/{net}/{arm}/{seeds}.log",
    wildcard_constraints:
        edition="full",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.sge.imagenet"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --weights {output.weights} --metrics {output.metrics}"
        " --history {output.history} --times {output.times}"


# 2. Look at the groups of the last block: how long their vectors are before and behind the gates.
rule sge_examine:
    input:
        data=sge.data,
        weights="runs/{edition}/sge/weights/{net}/sge/{seeds}.safetensors",
    output:
        statistics="runs/{edition}/sge/statistics/{net}/{seeds}.json",
    params:
        cfg=sge.cfg("examine"),
        code=sge.code("examine"),
    log:
        "logs/{edition}/sge/examine/{net}/{seeds}.log",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.sge.examine examine"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --weights {input.weights} --statistics {output.statistics}"


# 3. Show where groups light up. Pictures of data that may not be passed on stay private, and are made when asked for:
#    snakemake runs/real/sge/private/figure-maps.png
rule sge_maps:
    input:
        data=sge.data,
        weights=sge.files("maps_weights"),
    output:
        lit="runs/{edition}/sge/{place}/lit.json",
    params:
        cfg=sge.cfg("examine.maps"),
        code=sge.code("examine.maps"),
    log:
        "logs/{edition}/sge/{place}.log",
    wildcard_constraints:
        place="maps|private",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.sge.examine maps"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --weights {input.weights} --lit {output.lit}"


rule sge_figure_maps:
    input:
        lit="runs/{edition}/sge/maps/lit.json",
    output:
        figure=sge.figure("figure-maps"),
    params:
        cfg=sge.cfg("draw_maps"),
        code=sge.code("draw_maps"),
    log:
        "logs/{edition}/sge/figure_maps.log",
    threads: 1
    shell:
        "python -m tenfold.papers.sge.draw_maps"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --lit {input.lit} --figure {output.figure}"


rule sge_figure_maps_private:
    input:
        lit="runs/{edition}/sge/private/lit.json",
    output:
        figure=multiext("runs/{edition}/sge/private/figure-maps", ".png", ".pdf", ".csv"),
    params:
        cfg=sge.cfg("draw_maps"),
        code=sge.code("draw_maps"),
    log:
        "logs/{edition}/sge/figure_maps_private.log",
    threads: 1
    shell:
        "python -m tenfold.papers.sge.draw_maps"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --lit {input.lit} --figure {output.figure}"


# 4. Count the paper's nets.
rule sge_costs:
    output:
        counted="runs/{edition}/sge/costs.json",
    params:
        cfg=sge.cfg("costs"),
        code=sge.code("costs"),
    log:
        "logs/{edition}/sge/costs.log",
    threads: 1
    shell:
        "python -m tenfold.papers.sge.costs"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --counted {output.counted}"


# 5. Tables, figures and verdicts.
rule sge_tables:
    input:
        arms=sge.files("metrics"),
        statistics=sge.files("statistics"),
        counted="runs/{edition}/sge/costs.json",
    output:
        imagenet=sge.table("table-imagenet"),
        attention=sge.table("table-attention"),
        groups=sge.table("table-groups"),
        initialisation=sge.table("table-initialisation"),
        normalisation=sge.table("table-normalisation"),
        features=sge.table("table-statistics"),
        detection=sge.table("table-detection"),
        retinanet=sge.table("table-retinanet"),
        metrics="runs/{edition}/sge/metrics.json",
    params:
        cfg=sge.cfg("tables"),
        code=sge.code("tables"),
    log:
        "logs/{edition}/sge/tables.log",
    threads: 1
    shell:
        "python -m tenfold.papers.sge.tables"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --arms {input.arms} --statistics {input.statistics} --counted {input.counted}"
        " --imagenet {output.imagenet} --attention {output.attention} --groups {output.groups}"
        " --initialisation {output.initialisation} --normalisation {output.normalisation}"
        " --features {output.features} --detection {output.detection}"
        " --retinanet {output.retinanet} --metrics {output.metrics}"


rule sge_figures:
    input:
        arms=sge.files("metrics"),
        statistics=sge.files("statistics"),
    output:
        lengths=sge.figure("figure-lengths"),
        variance=sge.figure("figure-variance"),
        groups=sge.figure("figure-groups"),
    params:
        cfg=sge.cfg("figures"),
        code=sge.code("figures"),
    log:
        "logs/{edition}/sge/figures.log",
    threads: 1
    shell:
        "python -m tenfold.papers.sge.figures"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --arms {input.arms} --statistics {input.statistics} --lengths {output.lengths}"
        " --variance {output.variance} --groups {output.groups}"


rule sge_claims:
    input:
        arms=sge.files("metrics"),
        statistics=sge.files("statistics"),
        counted="runs/{edition}/sge/costs.json",
    output:
        claims="runs/{edition}/sge/claims.json",
    params:
        cfg=sge.cfg("verdicts.claims"),
        code=sge.code("verdicts.claims"),
    log:
        "logs/{edition}/sge/claims.log",
    threads: 1
    shell:
        "python -m tenfold.papers.sge.verdicts"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --arms {input.arms} --statistics {input.statistics} --counted {input.counted}"
        " --claims {output.claims}"
