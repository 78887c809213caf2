# Turbo Learning for Human-Object Interactions and Human Pose (Feng et al., AAAI 2019): each task tells the other.
turbo_hoi = house.paper("turbo-hoi")


# 1. Where boxes are not given, detect persons and objects, with their RoI features.
rule turbo_hoi_detect:
    output:
        detected="runs/{edition}/turbo-hoi/private/detected/{split}.safetensors",
    params:
        **turbo_hoi.params("detect"),
    log:
        "logs/{edition}/turbo-hoi/detect/{split}.log",
    wildcard_constraints:
        split="trainval|test",
    resources:
        gpu=house.gpu,
    shell:
        turbo_hoi.run("detect")


# 2. Train one way to pass messages, and measure both tasks after each turn of the loop.
rule turbo_hoi_train:
    input:
        data=turbo_hoi.files("corpus"),
        off=turbo_hoi.files("switched_off"),
    output:
        **turbo_hoi.course("metrics/{nets}/{arm}/{seeds}"),
        weights="runs/{edition}/turbo-hoi/weights/{nets}/{arm}/{seeds}.safetensors",
    params:
        **turbo_hoi.params("train"),
    log:
        "logs/{edition}/turbo-hoi/train/{nets}/{arm}/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        turbo_hoi.run("train")


# 3. Rank annotated pairs by what they are and where; no image is seen.
rule turbo_hoi_pairs:
    input:
        data=turbo_hoi.files("annotated"),
    output:
        pairs="runs/{edition}/turbo-hoi/pairs.json",
    params:
        **turbo_hoi.params("pairs"),
    log:
        "logs/{edition}/turbo-hoi/pairs.log",
    shell:
        turbo_hoi.run("pairs")


# 4. Show the messages: masks, and heat maps before and after a turn. Drawn scenes alone, no pictures are made of people.
rule turbo_hoi_show:
    input:
        data=turbo_hoi.data,
        weights=turbo_hoi.files("kept_weights"),
    output:
        shown="runs/{edition}/turbo-hoi/shown.safetensors",
    params:
        **turbo_hoi.params("show"),
    log:
        "logs/{edition}/turbo-hoi/show.log",
    wildcard_constraints:
        edition="(smoke|small|lab)[^/]*",
    shell:
        turbo_hoi.run("show")


rule turbo_hoi_draw_scenes:
    input:
        shown="runs/{edition}/turbo-hoi/shown.safetensors",
    output:
        messages=turbo_hoi.figure("figure-messages"),
        scenes=turbo_hoi.figure("figure-scenes"),
    params:
        **turbo_hoi.params("report.draw_scenes"),
    log:
        "logs/{edition}/turbo-hoi/draw_scenes.log",
    wildcard_constraints:
        edition="(smoke|small|lab)[^/]*",
    shell:
        turbo_hoi.run("report.draw_scenes")
