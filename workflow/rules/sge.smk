# Spatial Group-wise Enhance (Li et al., 2019): each group of channels enhances the positions that resemble its mean.
sge = house.paper("sge")


# 1. Train a net with each kind of attention: small nets in memory, ImageNet's by several processes.
SGE_TRAIN = {
    "sge_train": ("train", "(smoke|small|real|lab)[^/]*"),
    "sge_imagenet_train": ("imagenet.train", "full[^/]*"),
}
for rule, (stage, editions) in SGE_TRAIN.items():

    rule:
        name:
            rule
        input:
            data=sge.data,
        output:
            **sge.course("metrics/{net}/{arm}/{seeds}"),
            weights="runs/{edition}/sge/weights/{net}/{arm}/{seeds}.safetensors",
        params:
            **sge.params(stage),
        log:
            "logs/{edition}/sge/train/{net}/{arm}/{seeds}.log",
        wildcard_constraints:
            edition=editions,
        threads: sge.threads(stage)
        resources:
            **sge.resources(stage),
        shell:
            sge.run(SGE_TRAIN[rule][0])


# 2. Train detectors on nets with each kind of attention.
rule sge_detect:
    input:
        data=sge.files("pictures"),
    output:
        **sge.course("detection/metrics/{net}/{arm}/{seeds}"),
        weights="runs/{edition}/sge/detection/weights/{net}/{arm}/{seeds}.safetensors",
    params:
        **sge.params("detect"),
    log:
        "logs/{edition}/sge/detect/{net}/{arm}/{seeds}.log",
    wildcard_constraints:
        edition="(smoke|small|real|lab)[^/]*",
    threads: sge.threads("detect")
    resources:
        **sge.resources("detect"),
    shell:
        sge.run("detect")


rule sge_coco_detect:
    input:
        data=sge.files("pictures"),
        classifier=sge.files("classifier"),
    output:
        **sge.course("detection/metrics/{net}/{arm}/{seeds}"),
        weights="runs/{edition}/sge/detection/weights/{net}/{arm}/{seeds}.safetensors",
    params:
        **sge.params("detect_coco.detect"),
    log:
        "logs/{edition}/sge/detect/{net}/{arm}/{seeds}.log",
    wildcard_constraints:
        edition="full[^/]*",
    threads: sge.threads("detect_coco.detect")
    resources:
        **sge.resources("detect_coco.detect"),
    shell:
        sge.run("detect_coco.detect")


# 3. Look at the groups of the last block: how long their vectors are before and behind the gates.
rule sge_examine:
    input:
        data=sge.data,
        weights="runs/{edition}/sge/weights/{net}/sge/{seeds}.safetensors",
    output:
        statistics="runs/{edition}/sge/statistics/{net}/{seeds}.json",
    params:
        **sge.params("examine"),
    log:
        "logs/{edition}/sge/examine/{net}/{seeds}.log",
    threads: sge.threads("examine")
    resources:
        **sge.resources("examine"),
    shell:
        sge.run("examine")


# 4. Show where groups light up. Pictures of data that may not be passed on stay private, and are made when asked for:
#    snakemake runs/real/sge/private/figure-maps.png
rule sge_maps:
    input:
        data=sge.data,
        weights=sge.files("maps_weights"),
    output:
        lit="runs/{edition}/sge/{place}/lit.json",
    params:
        **sge.params("examine.maps"),
    log:
        "logs/{edition}/sge/{place}.log",
    wildcard_constraints:
        place="maps|private",
    threads: sge.threads("examine.maps")
    resources:
        **sge.resources("examine.maps"),
    shell:
        sge.run("examine.maps")


for of, lit, figure in (
    ("", "maps", sge.figure("figure-maps")),
    ("_private", "private", multiext("runs/{edition}/sge/private/figure-maps", ".png", ".pdf", ".csv")),
):

    rule:
        name:
            f"sge_figure_maps{of}"
        input:
            lit=f"runs/{{edition}}/sge/{lit}/lit.json",
        output:
            figure=figure,
        params:
            **sge.params("report.draw_maps"),
        log:
            f"logs/{{edition}}/sge/figure_maps{of}.log",
        shell:
            sge.run("report.draw_maps")
