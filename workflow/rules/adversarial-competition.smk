# Adversarial Attacks and Defences Competition (Kurakin et al., 2018): every attack meets every defence.
adversarial_competition = house.paper("adversarial-competition")


# 1. Train the nets: plain ones, and ones that see adversarial examples, of their own and of plain nets.
rule adversarial_competition_train:
    input:
        data=adversarial_competition.data,
    output:
        **adversarial_competition.course("metrics/{net}/{seeds}"),
        weights="runs/{edition}/adversarial-competition/weights/{net}/{seeds}.safetensors",
    params:
        **adversarial_competition.params("train"),
    log:
        "logs/{edition}/adversarial-competition/train/{net}/{seeds}.log",
    wildcard_constraints:
        net="(?!(ens-)?adv-)[^/]+",
    resources:
        gpu=house.gpu,
    shell:
        adversarial_competition.run("train")


rule adversarial_competition_harden:
    input:
        data=adversarial_competition.data,
        sources=adversarial_competition.files("sources"),
    output:
        **adversarial_competition.course("metrics/{net}/{seeds}"),
        weights="runs/{edition}/adversarial-competition/weights/{net}/{seeds}.safetensors",
    params:
        **adversarial_competition.params("harden"),
    log:
        "logs/{edition}/adversarial-competition/harden/{net}/{seeds}.log",
    wildcard_constraints:
        net="(ens-)?adv-[^/]+",
    resources:
        gpu=house.gpu,
    shell:
        adversarial_competition.run("harden")


# 2. Some attacks and defences learn beforehand: a denoiser, a net that makes perturbations.
rule adversarial_competition_learn:
    input:
        data=adversarial_competition.data,
        sources=adversarial_competition.files("taught_on"),
    output:
        **adversarial_competition.course("learned/{learned}/{seeds}"),
        weights="runs/{edition}/adversarial-competition/weights/learned/{learned}/{seeds}.safetensors",
    params:
        **adversarial_competition.params("learn"),
    log:
        "logs/{edition}/adversarial-competition/learn/{learned}/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        adversarial_competition.run("learn")


# 3. Run each attack, once, and project its images into the bound. Only their checksums are kept.
rule adversarial_competition_craft:
    input:
        data=adversarial_competition.data,
        weights=adversarial_competition.files("attacked"),
        learned=adversarial_competition.files("attack_learned"),
    output:
        crafted="runs/{edition}/adversarial-competition/private/crafted/{attack}/{seeds}.safetensors",
        metrics="runs/{edition}/adversarial-competition/attacks/{attack}/{seeds}.json",
        times="runs/{edition}/adversarial-competition/attacks/{attack}/{seeds}.times.csv",
    params:
        **adversarial_competition.params("craft"),
    log:
        "logs/{edition}/adversarial-competition/craft/{attack}/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        adversarial_competition.run("craft")


# 4. Run each defence on what the attacks of a track have made, and count; what users' own attacks have made stays private.
for of, place in (("", "counts"), ("_submitted", "private/counts")):

    rule:
        name:
            f"adversarial_competition_defend{of}"
        input:
            data=adversarial_competition.data,
            weights=adversarial_competition.files("defended"),
            learned=adversarial_competition.files("defence_learned"),
            crafted=adversarial_competition.files("crafted"),
        output:
            column=f"runs/{{edition}}/adversarial-competition/{place}/{{track}}/{{defence}}/{{seeds}}.json",
            times=f"runs/{{edition}}/adversarial-competition/{place}/{{track}}/{{defence}}/{{seeds}}.times.csv",
        params:
            **adversarial_competition.params("defend"),
        log:
            f"logs/{{edition}}/adversarial-competition/{place}/{{track}}/{{defence}}/{{seeds}}.log",
        resources:
            gpu=house.gpu,
        shell:
            adversarial_competition.run("defend")


# 5. Attack each defence through itself, as one who knows it: what hides a gradient is not robust.
rule adversarial_competition_through:
    input:
        data=adversarial_competition.data,
        weights=adversarial_competition.files("defended"),
        learned=adversarial_competition.files("defence_learned"),
    output:
        column="runs/{edition}/adversarial-competition/through/{defence}/{seeds}.json",
    params:
        **adversarial_competition.params("defend.through"),
    log:
        "logs/{edition}/adversarial-competition/through/{defence}/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        adversarial_competition.run("defend.through")


# 6. Users' own attacks and defences, each in a process of its own. Nothing of the above depends on them:
#    snakemake runs/small/adversarial-competition/private/standings.md
rule adversarial_competition_submitted_attack:
    input:
        data=adversarial_competition.data,
        weights=adversarial_competition.files("given"),
        submission="submissions/attacks/{submission}.py",
    output:
        crafted="runs/{edition}/adversarial-competition/private/submitted/attacks/{submission}/{seeds}.safetensors",
        outcome="runs/{edition}/adversarial-competition/private/submitted/attacks/{submission}/{seeds}.json",
    params:
        **adversarial_competition.params("submit.submitted_attack"),
    log:
        "logs/{edition}/adversarial-competition/submitted/attacks/{submission}/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        adversarial_competition.run("submit.submitted_attack")


rule adversarial_competition_submitted_defence:
    input:
        data=adversarial_competition.data,
        weights=adversarial_competition.files("given"),
        submission="submissions/defences/{submission}.py",
        crafted=adversarial_competition.files("met"),
    output:
        column="runs/{edition}/adversarial-competition/private/submitted/defences/{submission}/{seeds}.json",
    params:
        **adversarial_competition.params("submit.submitted_defence"),
    log:
        "logs/{edition}/adversarial-competition/submitted/defences/{submission}/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        adversarial_competition.run("submit.submitted_defence")


rule adversarial_competition_standings:
    input:
        counts=adversarial_competition.files("counts"),
        outcomes=adversarial_competition.files("submitted_outcomes"),
        columns=adversarial_competition.files("submitted_columns"),
    output:
        standings=multiext("runs/{edition}/adversarial-competition/private/standings", ".md", ".csv"),
    params:
        **adversarial_competition.params("report.standings"),
    log:
        "logs/{edition}/adversarial-competition/standings.log",
    shell:
        adversarial_competition.run("report.standings")
