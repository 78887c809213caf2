# Data: every dataset becomes one file, fetched and verified, or drawn.
ruleorder: data_index_imagenet > data_prepare_melodies > data_prepare


rule data_prepare:
    output:
        dataset="data/prepared/{dataset}.safetensors",
    params:
        cfg=house.dataset_cfg,
        code=house.dataset_code,
    log:
        "logs/data/{dataset}.log",
    threads: 1
    shell:
        "python -m tenfold.data.prepare --cfg {params.cfg:q} --code {params.code}"
        " --log {log} --dataset {output.dataset}"


# ImageNet stays in its archives; its file says where in them each image lies.
rule data_index_imagenet:
    output:
        dataset="data/prepared/{dataset}.safetensors",
    params:
        cfg=house.dataset_cfg,
        code=house.imagenet_code,
    log:
        "logs/data/{dataset}.log",
    wildcard_constraints:
        dataset="imagenet",
    threads: 1
    shell:
        "python -m tenfold.data.imagenet --cfg {params.cfg:q} --code {params.code}"
        " --log {log} --dataset {output.dataset}"


# Melodies are read from scores, or drawn; the report says which scores were left out, and why.
rule data_prepare_melodies:
    output:
        dataset="data/prepared/{dataset}.safetensors",
        report="data/reports/{dataset}.json",
    params:
        cfg=house.dataset_cfg,
        code=house.melodies_code,
    log:
        "logs/data/{dataset}.log",
    wildcard_constraints:
        dataset="openewld|nottingham|aaba|aaba-smoke|aaba-off",
    threads: 1
    shell:
        "python -m tenfold.data.prepare_melodies --cfg {params.cfg:q} --code {params.code}"
        " --log {log} --dataset {output.dataset} --report {output.report}"
