# Selective Kernel Networks (Li et al., CVPR 2019): each channel chooses the size of its receptive field.
sknet = house.paper("sknet")


# 1. Train the nets of each arm.
rule sknet_train:
    input:
        data=sknet.files("dataset"),
    output:
        weights="runs/{edition}/sknet/weights/{net}/{arm}/{seeds}.safetensors",
        metrics="runs/{edition}/sknet/metrics/{net}/{arm}/{seeds}.json",
        history="runs/{edition}/sknet/metrics/{net}/{arm}/{seeds}.csv",
        times="runs/{edition}/sknet/metrics/{net}/{arm}/{seeds}.times.csv",
    params:
        cfg=sknet.cfg("train"),
        code=sknet.code("train"),
    log:
        "logs/{edition}/sknet/train/{net}/{arm}/{seeds}.log",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.sknet.train"
        " --cfg {params.cfg:q} --code {params.code} --log {log} --data {input.data}"
        " --weights {output.weights} --metrics {output.metrics} --history {output.history} --times {output.times}"


# 2. Read the attention of trained nets on images whose objects come at several scales.
rule sknet_attend:
    input:
        data=sknet.files("dataset"),
        weights="runs/{edition}/sknet/weights/{net}/{arm}/{seeds}.safetensors",
    output:
        attention="runs/{edition}/sknet/attention/{net}/{arm}/{seeds}.json",
    params:
        cfg=sknet.cfg("attend"),
        code=sknet.code("attend"),
    log:
        "logs/{edition}/sknet/attend/{net}/{arm}/{seeds}.log",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.sknet.attend"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --weights {input.weights} --attention {output.attention}"


# The same on ImageNet.
ruleorder: sknet_train_photos > sknet_train
ruleorder: sknet_attend_photos > sknet_attend


rule sknet_train_photos:
    input:
        data=sknet.files("dataset"),
    output:
        weights="runs/{edition}/sknet/weights/{net}/{arm}/{seeds}.safetensors",
        metrics="runs/{edition}/sknet/metrics/{net}/{arm}/{seeds}.json",
        history="runs/{edition}/sknet/metrics/{net}/{arm}/{seeds}.csv",
        times="runs/{edition}/sknet/metrics/{net}/{arm}/{seeds}.times.csv",
    params:
        cfg=sknet.cfg("imagenet.train_photos"),
        code=sknet.code("imagenet.train_photos"),
    log:
        "logs/{edition}/sknet/train/{net}/{arm}/{seeds}.log",
    wildcard_constraints:
        net="(imagenet|shufflenet)-[^/]+",
    threads: 8
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.sknet.imagenet train-photos"
        " --cfg {params.cfg:q} --code {params.code} --log {log} --data {input.data}"
        " --weights {output.weights} --metrics {output.metrics} --history {output.history} --times {output.times}"


rule sknet_attend_photos:
    input:
        data=sknet.files("dataset"),
        weights="runs/{edition}/sknet/weights/{net}/{arm}/{seeds}.safetensors",
    output:
        attention="runs/{edition}/sknet/attention/{net}/{arm}/{seeds}.json",
    params:
        cfg=sknet.cfg("imagenet.attend_photos"),
        code=sknet.code("imagenet.attend_photos"),
    log:
        "logs/{edition}/sknet/attend/{net}/{arm}/{seeds}.log",
    wildcard_constraints:
        net="(imagenet|shufflenet)-[^/]+",
    threads: 8
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.sknet.imagenet attend-photos"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --weights {input.weights} --attention {output.attention}"


# 3. Count the nets of the paper.
rule sknet_count:
    output:
        counts="runs/{edition}/sknet/counts.json",
    params:
        cfg=sknet.cfg("costs"),
        code=sknet.code("costs"),
    log:
        "logs/{edition}/sknet/count.log",
    threads: 1
    shell:
        "python -m tenfold.papers.sknet.costs"
        " --cfg {params.cfg:q} --code {params.code} --log {log} --counts {output.counts}"


# 4. Tables, figures and verdicts.
rule sknet_tables:
    input:
        arms=sknet.files("metrics"),
        attention=sknet.files("attention"),
        counts="runs/{edition}/sknet/counts.json",
    output:
        all_arms=sknet.table("table-arms"),
        kernels=sknet.table("table-kernels"),
        equal_cost=sknet.table("table-equal-cost"),
        second_branch=sknet.table("table-second-branch"),
        imagenet=sknet.table("table-imagenet"),
        light=sknet.table("table-light"),
        cifar=sknet.table("table-cifar"),
        units=sknet.table("table-attention"),
        cost=sknet.table("table-cost"),
        metrics="runs/{edition}/sknet/metrics.json",
    params:
        cfg=sknet.cfg("tables"),
        code=sknet.code("tables"),
    log:
        "logs/{edition}/sknet/tables.log",
    threads: 1
    shell:
        "python -m tenfold.papers.sknet.tables"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --arms {input.arms} --attention {input.attention} --counts {input.counts}"
        " --all-arms {output.all_arms} --kernels {output.kernels} --equal-cost {output.equal_cost}"
        " --second-branch {output.second_branch} --imagenet {output.imagenet} --light {output.light}"
        " --cifar {output.cifar} --units {output.units} --cost {output.cost} --metrics {output.metrics}"


rule sknet_figures:
    input:
        arms=sknet.files("metrics"),
        attention=sknet.files("attention"),
    output:
        scales=sknet.figure("figure-attention"),
        classes=sknet.figure("figure-classes"),
        cost=sknet.figure("figure-cost"),
    params:
        cfg=sknet.cfg("figures"),
        code=sknet.code("figures"),
    log:
        "logs/{edition}/sknet/figures.log",
    threads: 1
    shell:
        "python -m tenfold.papers.sknet.figures"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --arms {input.arms} --attention {input.attention}"
        " --scales {output.scales} --classes {output.classes} --cost {output.cost}"


rule sknet_claims:
    input:
        arms=sknet.files("metrics"),
        attention=sknet.files("attention"),
        counts="runs/{edition}/sknet/counts.json",
    output:
        claims="runs/{edition}/sknet/claims.json",
    params:
        cfg=sknet.cfg("verdicts.claims"),
        code=sknet.code("verdicts.claims"),
    log:
        "logs/{edition}/sknet/claims.log",
    threads: 1
    shell:
        "python -m tenfold.papers.sknet.verdicts"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --arms {input.arms} --attention {input.attention} --counts {input.counts} --claims {output.claims}"


# 5. An illustration that no edition ends in, on photographs that stay private:
#    snakemake runs/real/sknet/private/figure-samples.png
rule sknet_illustrate:
    input:
        weights=sknet.files("sample_weights"),
    output:
        figure=[
            "runs/{edition}/sknet/private/figure-samples.png",
            "runs/{edition}/sknet/private/figure-samples.csv",
        ],
    params:
        cfg=sknet.cfg("illustrate"),
        code=sknet.code("illustrate"),
    log:
        "logs/{edition}/sknet/illustrate.log",
    threads: 1
    shell:
        "python -m tenfold.papers.sknet.illustrate"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --weights {input.weights} --figure {output.figure}"
