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
        cfg=melody.cfg("cluster"),
        code=melody.code("cluster"),
    log:
        "logs/{edition}/melody/cluster/{seeds}.log",
    threads: 1
    shell:
        "python -m tenfold.papers.melody.cluster"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --profiles {output.profiles}"


# 2. Train the layers of each model, and measure them on held-out pieces. Notes can be read off weights: private.
rule melody_train:
    input:
        data=melody.files("corpus"),
    output:
        weights="runs/{edition}/melody/private/weights/{variant}/{seeds}.safetensors",
        metrics="runs/{edition}/melody/models/{variant}/{seeds}.json",
        history="runs/{edition}/melody/models/{variant}/{seeds}.csv",
        times="runs/{edition}/melody/models/{variant}/{seeds}.times.csv",
    params:
        cfg=melody.cfg("train"),
        code=melody.code("train"),
    log:
        "logs/{edition}/melody/train/{variant}/{seeds}.log",
    threads: 1
    resources:
        gpu=house.gpu,
    shell:
        "python -m tenfold.papers.melody.train"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --weights {output.weights} --metrics {output.metrics}"
        " --history {output.history} --times {output.times}"


# 3. Compose. Pieces that are too much like a training piece, or have the rhythm of a real one, stay private.
rule melody_generate:
    input:
        data=melody.files("corpus"),
        weights="runs/{edition}/melody/private/weights/{variant}/{seeds}.safetensors",
    output:
        every="runs/{edition}/melody/private/generated/{variant}/{decoding}/{seeds}.safetensors",
        shown="runs/{edition}/melody/generated/{variant}/{decoding}/{seeds}.safetensors",
    params:
        cfg=melody.cfg("generate"),
        code=melody.code("generate"),
    log:
        "logs/{edition}/melody/generate/{variant}/{decoding}/{seeds}.log",
    threads: 1
    shell:
        "python -m tenfold.papers.melody.generate"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --weights {input.weights} --every {output.every} --shown {output.shown}"


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
        cfg=melody.cfg("midi"),
        code=melody.code("midi"),
    log:
        "logs/{edition}/melody/midi/{variant}.log",
    threads: 1
    shell:
        "python -m tenfold.papers.melody.midi"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --shown {input.shown} --examples {output.examples}"


# 4. Measure what was composed, and real pieces in the same way.
rule melody_measure:
    input:
        data=melody.data,
        generated="runs/{edition}/melody/private/generated/{variant}/{decoding}/{seeds}.safetensors",
        profiles="runs/{edition}/melody/profiles/{seeds}.json",
    output:
        measures="runs/{edition}/melody/measures/{variant}/{decoding}/{seeds}.json",
    params:
        cfg=melody.cfg("measure"),
        code=melody.code("measure"),
    log:
        "logs/{edition}/melody/measure/{variant}/{decoding}/{seeds}.log",
    threads: 1
    shell:
        "python -m tenfold.papers.melody.measure measure"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --generated {input.generated} --profiles {input.profiles}"
        " --measures {output.measures}"


rule melody_measure_real:
    input:
        data=melody.data,
        profiles="runs/{edition}/melody/profiles/{seeds}.json",
    output:
        training="runs/{edition}/melody/measures/real/training/{seeds}.json",
        held_out="runs/{edition}/melody/measures/real/held-out/{seeds}.json",
    params:
        cfg=melody.cfg("measure.measure_real"),
        code=melody.code("measure.measure_real"),
    log:
        "logs/{edition}/melody/measure_real/{seeds}.log",
    threads: 1
    shell:
        "python -m tenfold.papers.melody.measure measure-real"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --data {input.data} --profiles {input.profiles}"
        " --training {output.training} --held-out {output.held_out}"


# 5. Tables, figures and verdicts.
rule melody_tables:
    input:
        models=melody.files("models"),
        measures=melody.files("measures"),
    output:
        likelihood=melody.table("table-likelihood"),
        accuracy=melody.table("table-accuracy"),
        guidance=melody.table("table-guidance"),
        structure=melody.table("table-structure"),
        mgeval=melody.table("table-mgeval"),
        classifier=melody.table("table-classifier"),
        ablations=melody.table("table-ablations"),
        votes=melody.table("table-votes"),
        metrics="runs/{edition}/melody/metrics.json",
    params:
        cfg=melody.cfg("tables"),
        code=melody.code("tables"),
    log:
        "logs/{edition}/melody/tables.log",
    threads: 1
    shell:
        "python -m tenfold.papers.melody.tables"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --models {input.models} --measures {input.measures} --likelihood {output.likelihood}"
        " --accuracy {output.accuracy} --guidance {output.guidance} --structure {output.structure}"
        " --mgeval {output.mgeval} --classifier {output.classifier}"
        " --ablations {output.ablations} --votes {output.votes} --metrics {output.metrics}"


rule melody_figures:
    input:
        models=melody.files("models"),
        histories=melody.files("histories"),
        measures=melody.files("measures"),
        profiles=melody.files("profiles"),
    output:
        profile_samples=melody.figure("figure-profiles"),
        coding=melody.figure("figure-coding"),
        accuracy=melody.figure("figure-accuracy"),
        elbow=melody.figure("figure-elbow"),
        repetition=melody.figure("figure-repetition"),
        similarity=melody.figure("figure-similarity"),
        overlap=melody.figure("figure-overlap"),
    params:
        cfg=melody.cfg("figures"),
        code=melody.code("figures"),
    log:
        "logs/{edition}/melody/figures.log",
    threads: 1
    shell:
        "python -m tenfold.papers.melody.figures"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --models {input.models} --histories {input.histories} --measures {input.measures}"
        " --profiles {input.profiles} --profile-samples {output.profile_samples}"
        " --coding {output.coding} --accuracy {output.accuracy} --elbow {output.elbow}"
        " --repetition {output.repetition} --similarity {output.similarity} --overlap {output.overlap}"


rule melody_scores:
    input:
        models=melody.files("models"),
        generated=melody.files("shown"),
        profiles=melody.files("profiles"),
    output:
        hierarchy=melody.figure("figure-hierarchy"),
        beat_guidance=melody.figure("figure-beats"),
        bar_guidance=melody.figure("figure-bars"),
        tune=melody.figure("figure-tune"),
        samples=melody.figure("figure-samples"),
    params:
        cfg=melody.cfg("scores"),
        code=melody.code("scores"),
    log:
        "logs/{edition}/melody/scores.log",
    threads: 1
    shell:
        "python -m tenfold.papers.melody.scores"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --models {input.models} --generated {input.generated} --profiles {input.profiles}"
        " --hierarchy {output.hierarchy} --beat-guidance {output.beat_guidance}"
        " --bar-guidance {output.bar_guidance} --tune {output.tune} --samples {output.samples}"


rule melody_claims:
    input:
        models=melody.files("models"),
        measures=melody.files("measures"),
    output:
        claims="runs/{edition}/melody/claims.json",
    params:
        cfg=melody.cfg("verdicts.claims"),
        code=melody.code("verdicts.claims"),
    log:
        "logs/{edition}/melody/claims.log",
    threads: 1
    shell:
        "python -m tenfold.papers.melody.verdicts"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --models {input.models} --measures {input.measures} --claims {output.claims}"


# 6. For people: a page on which they compare melodies blindly. Nothing depends on it (make listening-page).
rule melody_listening:
    input:
        generated=melody.files("compared"),
    output:
        page="runs/{edition}/melody/listening/page.html",
        key="runs/{edition}/melody/listening/key.json",
    params:
        cfg=melody.cfg("listening"),
        code=melody.code("listening"),
    log:
        "logs/{edition}/melody/listening.log",
    threads: 1
    shell:
        "python -m tenfold.papers.melody.listening listening"
        " --cfg {params.cfg:q} --code {params.code} --log {log}"
        " --generated {input.generated} --page {output.page} --key {output.key}"
