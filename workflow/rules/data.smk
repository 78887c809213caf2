# Data: every dataset becomes one file, fetched and verified, or drawn.
ruleorder:
    data_index_imagenet
    > data_index_coco
    > data_prepare_melodies
    > data_prepare_faces
    > data_prepare_captions
    > data_prepare_features
    > data_prepare_scenes
    > data_prepare_interactions
    > data_prepare_objects
    > data_prepare


rule data_prepare:
    output:
        dataset="data/prepared/{dataset}.safetensors",
    params:
        **house.params("data.prepare", house.dataset),
    log:
        "logs/data/{dataset}.log",
    shell:
        house.run("data.prepare")


# ImageNet and COCO stay in their archives; a file says where in them each image lies, and what is to be seen in it.
rule data_index_imagenet:
    output:
        dataset="data/prepared/{dataset}.safetensors",
    params:
        **house.params("data.imagenet.index", house.dataset),
    log:
        "logs/data/{dataset}.log",
    wildcard_constraints:
        dataset="imagenet",
    shell:
        house.run("data.imagenet.index")


rule data_index_coco:
    output:
        dataset="data/prepared/{dataset}.safetensors",
    params:
        **house.params("data.coco_archives.index", house.dataset),
    log:
        "logs/data/{dataset}.log",
    wildcard_constraints:
        dataset="coco-2017",
    shell:
        house.run("data.coco_archives.index")


# Melodies are read from scores, or drawn; the report says which scores were left out, and why.
rule data_prepare_melodies:
    output:
        dataset="data/prepared/{dataset}.safetensors",
        report="data/reports/{dataset}.json",
    params:
        **house.params("data.prepare_melodies.prepare", house.dataset),
    log:
        "logs/data/{dataset}.log",
    wildcard_constraints:
        dataset="openewld|nottingham|aaba|aaba-smoke|aaba-off",
    shell:
        house.run("data.prepare_melodies.prepare")


# Faces and their label maps are read, or drawn.
rule data_prepare_faces:
    output:
        dataset="data/prepared/{dataset}.safetensors",
    params:
        **house.params("data.prepare_faces.prepare", house.dataset),
    log:
        "logs/data/{dataset}.log",
    wildcard_constraints:
        dataset="celebamask-mini|helen|faces|faces-smoke|faces-thick",
    shell:
        house.run("data.prepare_faces.prepare")


# Clips with captions: drawn, or captions of real videos alone.
rule data_prepare_captions:
    output:
        dataset="data/prepared/{dataset}.safetensors",
    params:
        **house.params("data.prepare_captions.prepare", house.dataset),
    log:
        "logs/data/{dataset}.log",
    wildcard_constraints:
        dataset="moving-shapes.*|msvd-captions",
    shell:
        house.run("data.prepare_captions.prepare")


# Scenes of persons and objects are drawn.
rule data_prepare_scenes:
    output:
        dataset="data/prepared/{dataset}.safetensors",
    params:
        **house.params("data.prepare_scenes.prepare", house.dataset),
    log:
        "logs/data/{dataset}.log",
    wildcard_constraints:
        dataset="scenes.*",
    shell:
        house.run("data.prepare_scenes.prepare")


# Annotations of human-object interactions, and photographs with persons, are read.
rule data_prepare_interactions:
    output:
        dataset="data/prepared/{dataset}.safetensors",
    params:
        **house.params("data.prepare_interactions.prepare", house.dataset),
    log:
        "logs/data/{dataset}.log",
    wildcard_constraints:
        dataset="v-coco-pairs|hicodet|coco-mini",
    shell:
        house.run("data.prepare_interactions.prepare")


# Captions of real videos with the features that others took of their frames.
rule data_prepare_features:
    output:
        dataset="data/prepared/{dataset}.safetensors",
    params:
        **house.params("data.prepare_features.prepare", house.dataset),
    log:
        "logs/data/{dataset}.log",
    wildcard_constraints:
        dataset="msvd|msr-vtt",
    shell:
        house.run("data.prepare_features.prepare")


# Pictures with objects in them, and where these are, are read, or drawn.
rule data_prepare_objects:
    output:
        dataset="data/prepared/{dataset}.safetensors",
    params:
        **house.params("data.prepare_objects.prepare", house.dataset),
    log:
        "logs/data/{dataset}.log",
    wildcard_constraints:
        dataset="coco-mini-objects|objects|objects-smoke",
    shell:
        house.run("data.prepare_objects.prepare")
