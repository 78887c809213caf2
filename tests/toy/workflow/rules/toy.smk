# A paper without torch, for stories about reruns, restores and faults.
toy = house.paper("toy")


# Count, instead of training.
rule toy_count:
    input:
        data=toy.data,
    output:
        weights="runs/{edition}/toy/weights/{arm}/{seeds}.json",
        metrics="runs/{edition}/toy/metrics/{arm}/{seeds}.json",
        times="runs/{edition}/toy/metrics/{arm}/{seeds}.times.csv",
    params:
        **toy.params("count"),
    log:
        "logs/{edition}/toy/count/{arm}/{seeds}.log",
    threads: toy.threads("count")
    resources:
        **toy.resources("count"),
    shell:
        toy.run("count")
