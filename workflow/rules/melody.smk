# A Hierarchical Recurrent Neural Network for Symbolic Melody Generation (Wu et al., IEEE Trans. Cybernetics 2020).
melody = house.paper("melody")


ruleorder: melody_measure_real > melody_measure


# 1. Divide the corpus by pieces, and find the profiles of bars and of beats among those to train on.
rule melody_cluster:
    input:
        data=melody.data,
    output:
        profiles="runs/{edition}/melody/profiles/{seeds}.json",
    params:
        **melody.params("cluster"),
    log:
        "logs/{edition}/melody/cluster/{seeds}.log",
    shell:
        melody.run("cluster")


# 2. Train the layers of each model, and measure them on held-out pieces. Notes can be read off weights: private.
rule melody_train:
    input:
        data=melody.files("corpus"),
    output:
        **melody.course("models/{variant}/{seeds}"),
        weights="runs/{edition}/melody/private/weights/{variant}/{seeds}.safetensors",
    params:
        **melody.params("train"),
    log:
        "logs/{edition}/melody/train/{variant}/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        melody.run("train")


# 3. Compose. Pieces that are too much like a training piece, or have the rhythm of a real one, stay private.
rule melody_generate:
    input:
        data=melody.files("corpus"),
        weights="runs/{edition}/melody/private/weights/{variant}/{seeds}.safetensors",
    output:
        every="runs/{edition}/melody/private/generated/{variant}/{decoding}/{seeds}.safetensors",
        shown="runs/{edition}/melody/generated/{variant}/{decoding}/{seeds}.safetensors",
    params:
        **melody.params("generate"),
    log:
        "logs/{edition}/melody/generate/{variant}/{decoding}/{seeds}.log",
    shell:
        melody.run("generate")


rule melody_midi:
    input:
        shown=melody.files("examples"),
    output:
        examples=report(
            "runs/{edition}/melody/midi/{variant}.mid",
            caption="../report/midi.rst",
            category="A Hierarchical Recurrent Neural Network for Symbolic Melody Generation, {edition}",
            subcategory="Melodies",
            labels={"melodies": "HRNN-{variant}"},
        ),
    params:
        **melody.params("midi"),
    log:
        "logs/{edition}/melody/midi/{variant}.log",
    shell:
        melody.run("midi")


# 4. Measure what was composed, and real pieces in the same way.
rule melody_measure:
    input:
        data=melody.data,
        generated="runs/{edition}/melody/private/generated/{variant}/{decoding}/{seeds}.safetensors",
        profiles="runs/{edition}/melody/profiles/{seeds}.json",
    output:
        measures="runs/{edition}/melody/measures/{variant}/{decoding}/{seeds}.json",
    params:
        **melody.params("measure"),
    log:
        "logs/{edition}/melody/measure/{variant}/{decoding}/{seeds}.log",
    shell:
        melody.run("measure")


rule melody_measure_real:
    input:
        data=melody.data,
        profiles="runs/{edition}/melody/profiles/{seeds}.json",
    output:
        training="runs/{edition}/melody/measures/real/training/{seeds}.json",
        held_out="runs/{edition}/melody/measures/real/held-out/{seeds}.json",
    params:
        **melody.params("measure.measure_real"),
    log:
        "logs/{edition}/melody/measure_real/{seeds}.log",
    shell:
        melody.run("measure.measure_real")


# 5. For people: a page on which they compare melodies blindly. Nothing depends on it (make listening-page).
rule melody_listening:
    input:
        generated=melody.files("compared"),
    output:
        page="runs/{edition}/melody/listening/page.html",
        key="runs/{edition}/melody/listening/key.json",
    params:
        **melody.params("report.listening.listening"),
    log:
        "logs/{edition}/melody/listening.log",
    shell:
        melody.run("report.listening.listening")
