# Route Constrained Optimization (Jin et al., ICCV 2019): a student follows the route that its teacher took.
rco = house.paper("rco")


# 1. Train the teacher, and keep its route: one archive of checkpoints, and what they say of the images. Candidates of the
# greedy search have a file of their own, so that another choice of them concerns no other student.
rule rco_teacher:
    input:
        data=rco.data,
    output:
        **rco.course("teacher/{seeds}"),
        route="runs/{edition}/rco/weights/route/{seeds}.safetensors",
        outputs="runs/{edition}/rco/weights/outputs/{seeds}.safetensors",
        candidates="runs/{edition}/rco/weights/candidates/{seeds}.safetensors",
    params:
        **rco.params("teacher"),
    log:
        "logs/{edition}/rco/teacher/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        rco.run("teacher")


# 2. Train the students of each arm along the anchors that the arm names, and measure them.
rule rco_distil:
    input:
        data=rco.data,
        outputs="runs/{edition}/rco/weights/outputs/{seeds}.safetensors",
        route=rco.files("route"),
    output:
        **rco.course("metrics/{student}/{arm}/{seeds}"),
        weights="runs/{edition}/rco/weights/students/{student}/{arm}/{seeds}.safetensors",
    params:
        **rco.params("distil"),
    log:
        "logs/{edition}/rco/distil/{student}/{arm}/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        rco.run("distil")


# 3. Choose anchors greedily while the student is trained on them, for each relaxation factor, and distil with as many
# restarts of the schedule: both in one job, for stages that begin alike are trained once.
rule rco_search:
    input:
        data=rco.data,
        candidates="runs/{edition}/rco/weights/candidates/{seeds}.safetensors",
        route=rco.files("route"),
    output:
        **rco.course("search/{student}/{seeds}"),
        weights="runs/{edition}/rco/weights/search/{student}/{seeds}.safetensors",
    params:
        **rco.params("search"),
    log:
        "logs/{edition}/rco/search/{student}/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        rco.run("search")


# 4. Look at trained students: robustness to noise, and the way of their weights.
rule rco_examine:
    input:
        data=rco.data,
        weights=rco.files("examined_weights"),
    output:
        noise="runs/{edition}/rco/examine/{student}/{seeds}.noise.json",
        landscape="runs/{edition}/rco/examine/{student}/{seeds}.landscape.csv",
    params:
        **rco.params("examine"),
    log:
        "logs/{edition}/rco/examine/{student}/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        rco.run("examine")


# 5. The ORL open-set toy, in place of a face experiment whose datasets were withdrawn. Its pictures stay private.
rule rco_prepare_faces:
    output:
        faces="runs/{edition}/rco/private/orl-faces.safetensors",
    params:
        **rco.params("faces.prepare_faces"),
    log:
        "logs/{edition}/rco/prepare_faces.log",
    shell:
        rco.run("faces.prepare_faces")


rule rco_open_set:
    input:
        faces="runs/{edition}/rco/private/orl-faces.safetensors",
    output:
        **rco.course("faces/{seeds}"),
    params:
        **rco.params("faces.open_set"),
    log:
        "logs/{edition}/rco/open_set/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        rco.run("faces.open_set")
