# My Paper (Its Authors): say in a line what it does. Tables, figures and verdicts need no rule.
my_paper = house.paper("my-paper")


# Fit an arm and test it, for some seeds.
rule my_paper_fit:
    input:
        data=my_paper.data,
    output:
        metrics="runs/{edition}/my-paper/metrics/{arm}/{seeds}.json",
    params:
        **my_paper.params("fit"),
    log:
        "logs/{edition}/my-paper/fit/{arm}/{seeds}.log",
    shell:
        my_paper.run("fit")
