# Route Constrained Optimization (Jin et al., ICCV 2019): a student follows the route that its teacher took.
rco = house.paper("rco")


# 1. Train the teacher, and keep its route: one archive of checkpoints, and what they say of the images.
rule rco_teacher:
    input:
        data=rco.data,
    output:
        route="runs/{edition}/rco/weights/route/{seeds}.safetensors",
        outputs="runs/{edition}/rco/weights/outputs/{seeds}.safetensors",
        metrics="runs/{edition}/rco/teacher/{seeds}.json",
        history="runs/{edition}/rco/teacher/{seeds}.csv",
        times="runs/{edition}/rco/teacher/{seeds}.times.csv",
    params:
        cfg=rco.cfg("teacher"),
        code=rco.code("teacher"),
    log:
        "logs/{edition}/rco/teacher/{seeds}.log",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.rco.teacher"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --route {output.route} --outputs {output.outputs}"
        " --metrics {output.metrics} --history {output.history} --times {output.times}"


# 2. Train the students of each arm along the anchors that the arm names, and measure them.
rule rco_distil:
    input:
        data=rco.data,
        outputs="runs/{edition}/rco/weights/outputs/{seeds}.safetensors",
        route=rco.files("route"),
    output:
        weights="runs/{edition}/rco/weights/students/{student}/{arm}/{seeds}.safetensors",
        metrics="runs/{edition}/rco/metrics/{student}/{arm}/{seeds}.json",
        history="runs/{edition}/rco/metrics/{student}/{arm}/{seeds}.csv",
        times="runs/{edition}/rco/metrics/{student}/{arm}/{seeds}.times.csv",
    params:
        cfg=rco.cfg("distil"),
        code=rco.code("distil"),
    log:
        "logs/{edition}/rco/distil/{student}/{arm}/{seeds}.log",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.rco.distil"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --outputs {input.outputs} --route {input.route} --weights {output.weights}"
        " --metrics {output.metrics} --history {output.history} --times {output.times}"


# 3. Choose anchors greedily while the student is trained on them, for each relaxation factor.
rule rco_search:
    input:
        data=rco.data,
        outputs="runs/{edition}/rco/weights/outputs/{seeds}.safetensors",
        route=rco.files("route"),
    output:
        weights="runs/{edition}/rco/weights/search/{student}/{seeds}.safetensors",
        metrics="runs/{edition}/rco/search/{student}/{seeds}.json",
        history="runs/{edition}/rco/search/{student}/{seeds}.csv",
        times="runs/{edition}/rco/search/{student}/{seeds}.times.csv",
    params:
        cfg=rco.cfg("search"),
        code=rco.code("search"),
    log:
        "logs/{edition}/rco/search/{student}/{seeds}.log",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.rco.search"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --outputs {input.outputs} --route {input.route} --weights {output.weights}"
        " --metrics {output.metrics} --history {output.history} --times {output.times}"


# 4. Look at trained students: robustness to noise, and the way of their weights.
rule rco_examine:
    input:
        data=rco.data,
        weights=rco.files("examined_weights"),
    output:
        noise="runs/{edition}/rco/examine/{student}/{seeds}.noise.json",
        landscape="runs/{edition}/rco/examine/{student}/{seeds}.landscape.csv",
    params:
        cfg=rco.cfg("examine"),
        code=rco.code("examine"),
    log:
        "logs/{edition}/rco/examine/{student}/{seeds}.log",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.rco.examine"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --weights {input.weights} --noise {output.noise}"
        " --landscape {output.landscape}"


# 5. The ORL open-set toy, in place of a face experiment whose datasets were withdrawn. Its pictures stay private.
rule rco_prepare_faces:
    output:
        faces="runs/{edition}/rco/private/orl-faces.safetensors",
    params:
        cfg=rco.cfg("faces.prepare_faces"),
        code=rco.code("faces.prepare_faces"),
    log:
        "logs/{edition}/rco/prepare_faces.log",
    threads: 1
    shell:
        "python -m tenfold.papers.rco.faces prepare-faces"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --faces {output.faces}"


rule rco_open_set:
    input:
        faces="runs/{edition}/rco/private/orl-faces.safetensors",
    output:
        metrics="runs/{edition}/rco/faces/{seeds}.json",
        history="runs/{edition}/rco/faces/{seeds}.csv",
        times="runs/{edition}/rco/faces/{seeds}.times.csv",
    params:
        cfg=rco.cfg("faces.open_set"),
        code=rco.code("faces.open_set"),
    log:
        "logs/{edition}/rco/open_set/{seeds}.log",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.rco.faces open-set"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --faces {input.faces} --metrics {output.metrics} --history {output.history}"
        " --times {output.times}"


# 6. Tables, figures and verdicts.
rule rco_tables:
    input:
        arms=rco.files("metrics"),
        searches=rco.files("searches"),
        teachers=rco.files("teachers"),
        faces=rco.files("faces"),
    output:
        all_arms=rco.table("table-arms"),
        early=rco.table("table-early"),
        methods=rco.table("table-methods"),
        one_stage=rco.table("table-one-stage"),
        strategies=rco.table("table-strategies"),
        sweep=rco.table("table-sweep"),
        face=rco.table("table-faces"),
        metrics="runs/{edition}/rco/metrics.json",
    params:
        cfg=rco.cfg("tables"),
        code=rco.code("tables"),
    log:
        "logs/{edition}/rco/tables.log",
    threads: 1
    shell:
        "python -m tenfold.papers.rco.tables"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --arms {input.arms} --searches {input.searches} --teachers {input.teachers}"
        " --faces {input.faces} --all-arms {output.all_arms} --early {output.early}"
        " --methods {output.methods} --one-stage {output.one_stage} --strategies {output.strategies}"
        " --sweep {output.sweep} --face {output.face} --metrics {output.metrics}"


rule rco_table_cost:
    output:
        table=rco.table("table-cost"),
    params:
        cfg=rco.cfg("costs"),
        code=rco.code("costs"),
    log:
        "logs/{edition}/rco/table_cost.log",
    threads: 1
    shell:
        "python -m tenfold.papers.rco.costs"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --table {output.table}"


rule rco_figures:
    input:
        arms=rco.files("metrics"),
        searches=rco.files("searches"),
        teachers=rco.files("teachers"),
        noise=rco.files("noise"),
        landscapes=rco.files("landscapes"),
    output:
        hardness=rco.figure("figure-hardness"),
        complexity=rco.figure("figure-complexity"),
        trajectory=rco.figure("figure-trajectory"),
        robustness=rco.figure("figure-noise"),
    params:
        cfg=rco.cfg("figures"),
        code=rco.code("figures"),
    log:
        "logs/{edition}/rco/figures.log",
    threads: 1
    shell:
        "python -m tenfold.papers.rco.figures"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --arms {input.arms} --searches {input.searches} --teachers {input.teachers}"
        " --noise {input.noise} --landscapes {input.landscapes} --hardness {output.hardness}"
        " --complexity {output.complexity} --trajectory {output.trajectory}"
        " --robustness {output.robustness}"


rule rco_claims:
    input:
        arms=rco.files("metrics"),
        searches=rco.files("searches"),
        teachers=rco.files("teachers"),
        noise=rco.files("noise"),
    output:
        claims="runs/{edition}/rco/claims.json",
    params:
        cfg=rco.cfg("verdicts.claims"),
        code=rco.code("verdicts.claims"),
    log:
        "logs/{edition}/rco/claims.log",
    threads: 1
    shell:
        "python -m tenfold.papers.rco.verdicts"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --arms {input.arms} --searches {input.searches} --teachers {input.teachers}"
        " --noise {input.noise} --claims {output.claims}"
