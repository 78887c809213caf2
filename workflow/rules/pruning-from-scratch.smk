# Pruning from Scratch (Wang et al., AAAI 2020): the structure of a net, found before any weight is trained.
pfs = house.paper("pruning-from-scratch")

# Small nets learn from images in memory, those of ImageNet from photographs in their archives.
PFS_SMALL, PFS_LARGE = r"(?!imagenet-)[^/]+", r"imagenet-[^/]+"


# 1. Pre-train the expanded net, as classic pipelines do, and keep checkpoints: what the paper does without.
rule pruning_from_scratch_pretrain:
    input:
        data=pfs.data,
    output:
        **pfs.course("pretrain/{net}/{seeds}", "summary"),
        weights="runs/{edition}/pruning-from-scratch/weights/{net}/pretrain/{seeds}.safetensors",
    params:
        **pfs.params("pretrain"),
    log:
        "logs/{edition}/pruning-from-scratch/pretrain/{net}/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        pfs.run("pretrain")


# 2. Learn a gate for each channel of the expanded net, on random weights or on a checkpoint.
rule pruning_from_scratch_learn_gates:
    input:
        data=pfs.data,
        pretrained=pfs.files("checkpoint"),
    output:
        **pfs.course("gates/{net}/{source}/{seeds}", "summary"),
        gates="runs/{edition}/pruning-from-scratch/gates/{net}/{source}/{seeds}.safetensors",
    params:
        **pfs.params("learn_gates"),
    log:
        "logs/{edition}/pruning-from-scratch/learn_gates/{net}/{source}/{seeds}.log",
    wildcard_constraints:
        net=PFS_SMALL,
    resources:
        gpu=house.gpu,
    shell:
        pfs.run("learn_gates")


rule pruning_from_scratch_imagenet_learn_gates:
    input:
        data=pfs.files("dataset"),
    output:
        **pfs.course("gates/{net}/{source}/{seeds}", "summary"),
        gates="runs/{edition}/pruning-from-scratch/gates/{net}/{source}/{seeds}.safetensors",
    params:
        **pfs.params("imagenet.learn_gates"),
    log:
        "logs/{edition}/pruning-from-scratch/learn_gates/{net}/{source}/{seeds}.log",
    wildcard_constraints:
        net=PFS_LARGE,
        source="random-init",
    threads: 8
    resources:
        gpu=house.gpu,
    shell:
        pfs.run("imagenet.learn_gates")


# 3. Bisect one threshold on the gates to each MAC budget.
rule pruning_from_scratch_prune:
    input:
        gates="runs/{edition}/pruning-from-scratch/gates/{net}/{source}/{seeds}.safetensors",
    output:
        structures="runs/{edition}/pruning-from-scratch/structures/{net}/{source}/{seeds}.json",
    params:
        **pfs.params("prune.prune"),
    log:
        "logs/{edition}/pruning-from-scratch/prune/{net}/{source}/{seeds}.log",
    wildcard_constraints:
        source=r"random-init|pretrained-e\d+",
    shell:
        pfs.run("prune.prune")


# 4. Structures of the same budgets without any learning: uniform widths, and a random structure a seed.
rule pruning_from_scratch_baseline:
    output:
        structures="runs/{edition}/pruning-from-scratch/structures/{net}/{kind}/{seeds}.json",
    params:
        **pfs.params("prune.baseline"),
    log:
        "logs/{edition}/pruning-from-scratch/baseline/{net}/{kind}/{seeds}.log",
    wildcard_constraints:
        kind="uniform|random",
    shell:
        pfs.run("prune.baseline")


# 5. Train every arm from scratch, and test it.
PFS_TRAIN = {
    "pruning_from_scratch_train": ("train", PFS_SMALL, 1),
    "pruning_from_scratch_imagenet_train": ("imagenet.train", PFS_LARGE, 8),
}
for rule, (stage, nets, cores) in PFS_TRAIN.items():

    rule:
        name:
            rule
        input:
            data=pfs.files("dataset"),
            structure=pfs.files("structure"),
        output:
            **pfs.course("metrics/{net}/{arm}/{seeds}"),
            weights="runs/{edition}/pruning-from-scratch/weights/{net}/{arm}/{seeds}.safetensors",
        params:
            **pfs.params(stage),
        log:
            "logs/{edition}/pruning-from-scratch/train/{net}/{arm}/{seeds}.log",
        wildcard_constraints:
            net=nets,
            arm=r"full|[a-z-]+-p0\.\d+",
        threads: cores
        resources:
            gpu=house.gpu,
        shell:
            pfs.run(PFS_TRAIN[rule][0])


# 6. Of the structures found on random weights, choose one by validation images.
rule pruning_from_scratch_choose:
    input:
        data=pfs.data,
        candidates=pfs.files("candidates"),
    output:
        **pfs.course("structures/{net}/chosen/p{ratio}", "structures"),
    params:
        **pfs.params("choose"),
    log:
        "logs/{edition}/pruning-from-scratch/choose/{net}/p{ratio}.log",
    resources:
        gpu=house.gpu,
    shell:
        pfs.run("choose")
