# Interlinked CNNs for Face Parsing (Zhou et al., ISNN 2015): find the parts in the reduced face, label them in crops.
icnn = house.paper("icnn-face-parsing")


# 1. Train the net of the first stage, on reduced faces, and the four of the second one, on crops around the parts.
rule icnn_face_parsing_train:
    input:
        data=icnn.files("corpus"),
    output:
        **icnn.course("training/{nets}/{arm}/{stage}/{seeds}"),
        weights="runs/{edition}/icnn-face-parsing/weights/{nets}/{arm}/{stage}/{seeds}.safetensors",
    params:
        **icnn.params("train"),
    log:
        "logs/{edition}/icnn-face-parsing/train/{nets}/{arm}/{stage}/{seeds}.log",
    wildcard_constraints:
        stage="first|second",
    resources:
        gpu=house.gpu,
    shell:
        icnn.run("train")


# 2. Parse the test faces: by the first stage alone, and by both, with crops where it finds the parts and where they are.
rule icnn_face_parsing_evaluate:
    input:
        data=icnn.files("corpus"),
        weights=icnn.files("nets_weights"),
        trained=icnn.files("nets_metrics"),
    output:
        metrics="runs/{edition}/icnn-face-parsing/metrics/{nets}/{arm}/{seeds}.json",
    params:
        **icnn.params("evaluate"),
    log:
        "logs/{edition}/icnn-face-parsing/evaluate/{nets}/{arm}/{seeds}.log",
    wildcard_constraints:
        arm="(?!joint|fixed)[^/]+",
    resources:
        gpu=house.gpu,
    shell:
        icnn.run("evaluate")


# 3. The follow-up: go on from the nets of both stages as one net, through a spatial transformer.
rule icnn_face_parsing_joint:
    input:
        data=icnn.files("corpus"),
        trained=icnn.files("main_weights"),
    output:
        **icnn.course("metrics/{nets}/{arm}/{seeds}"),
        weights="runs/{edition}/icnn-face-parsing/weights/{nets}/{arm}/{seeds}.safetensors",
    params:
        **icnn.params("joint"),
    log:
        "logs/{edition}/icnn-face-parsing/joint/{nets}/{arm}/{seeds}.log",
    wildcard_constraints:
        arm="joint|fixed",
    resources:
        gpu=house.gpu,
    shell:
        icnn.run("joint")


# 4. Keep the nets of one seed as one file that parses any picture.
rule icnn_face_parsing_keep:
    input:
        data=icnn.data,
        weights=icnn.files("kept_weights"),
    output:
        parser="runs/{edition}/icnn-face-parsing/weights/parser.safetensors",
    params:
        **icnn.params("keep"),
    log:
        "logs/{edition}/icnn-face-parsing/keep.log",
    shell:
        icnn.run("keep")


# 5. Show faces on their way through both stages: drawn ones alone, no pictures are made of people.
rule icnn_face_parsing_show:
    input:
        data=icnn.data,
        parser="runs/{edition}/icnn-face-parsing/weights/parser.safetensors",
    output:
        shown="runs/{edition}/icnn-face-parsing/shown.safetensors",
    params:
        **icnn.params("show"),
    log:
        "logs/{edition}/icnn-face-parsing/show.log",
    wildcard_constraints:
        edition="(smoke|small)[^/]*",
    shell:
        icnn.run("show")


rule icnn_face_parsing_draw_faces:
    input:
        shown="runs/{edition}/icnn-face-parsing/shown.safetensors",
    output:
        stages=icnn.figure("figure-stages"),
        faces=icnn.figure("figure-faces"),
    params:
        **icnn.params("report.draw_faces"),
    log:
        "logs/{edition}/icnn-face-parsing/draw_faces.log",
    wildcard_constraints:
        edition="(smoke|small)[^/]*",
    shell:
        icnn.run("report.draw_faces")
