# Selective Kernel Networks (Li et al., CVPR 2019): each channel chooses the size of its receptive field.
sknet = house.paper("sknet")

# Small nets learn from images in memory, those of ImageNet from photographs in their archives.
SKNET_SMALL, SKNET_LARGE = "(?!imagenet-|shufflenet-)[^/]+", "(imagenet|shufflenet)-[^/]+"


# 1. Train the nets of each arm.
SKNET_TRAIN = {
    "sknet_train": ("train", SKNET_SMALL),
    "sknet_train_photos": ("imagenet.train_photos", SKNET_LARGE),
}
for rule, (stage, nets) in SKNET_TRAIN.items():

    rule:
        name:
            rule
        input:
            data=sknet.files("dataset"),
        output:
            **sknet.course("metrics/{net}/{arm}/{seeds}"),
            weights="runs/{edition}/sknet/weights/{net}/{arm}/{seeds}.safetensors",
        params:
            **sknet.params(stage),
        log:
            "logs/{edition}/sknet/train/{net}/{arm}/{seeds}.log",
        wildcard_constraints:
            net=nets,
        threads: sknet.threads(stage)
        resources:
            **sknet.resources(stage),
        shell:
            sknet.run(SKNET_TRAIN[rule][0])


# 2. Read the attention of trained nets on images whose objects come at several scales.
SKNET_ATTEND = {
    "sknet_attend": ("attend", SKNET_SMALL),
    "sknet_attend_photos": ("imagenet.attend_photos", SKNET_LARGE),
}
for rule, (stage, nets) in SKNET_ATTEND.items():

    rule:
        name:
            rule
        input:
            data=sknet.files("dataset"),
            weights="runs/{edition}/sknet/weights/{net}/{arm}/{seeds}.safetensors",
        output:
            attention="runs/{edition}/sknet/attention/{net}/{arm}/{seeds}.json",
        params:
            **sknet.params(stage),
        log:
            "logs/{edition}/sknet/attend/{net}/{arm}/{seeds}.log",
        wildcard_constraints:
            net=nets,
        threads: sknet.threads(stage)
        resources:
            **sknet.resources(stage),
        shell:
            sknet.run(SKNET_ATTEND[rule][0])


# 3. An illustration that no edition ends in, on photographs that stay private:
#    snakemake runs/real/sknet/private/figure-samples.png
rule sknet_illustrate:
    input:
        weights=sknet.files("sample_weights"),
    output:
        figure=multiext("runs/{edition}/sknet/private/figure-samples", ".png", ".csv"),
    params:
        **sknet.params("report.illustrate"),
    log:
        "logs/{edition}/sknet/illustrate.log",
    shell:
        sknet.run("report.illustrate")
