# Data: every dataset becomes one file, fetched and verified, or drawn.


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
