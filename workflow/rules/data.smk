# Data: every dataset becomes one file, fetched and verified, or drawn.
ruleorder: data_index_imagenet > data_index_coco > data_prepare_melodies > data_prepare_faces > data_prepare_objects > data_prepare


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


# Pictures with objects in them, and where these are, are read, or drawn.
rule data_prepare_objects:
    output:
        dataset="data/prepared/{dataset}.safetensors",
    params:
        **house.params("data.prepare_objects.prepare", house.dataset),
    log:
        "logs/data/{dataset}.log",
    wildcard_constraints:
        dataset="coco-mini|objects|objects-smoke",
    shell:
        house.run("data.prepare_objects.prepare")
