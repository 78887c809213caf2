# A Semantics-Assisted Video Captioning Model Trained with Scheduled Sampling (Chen et al., Frontiers in Robotics and AI 2020).
video_captioning = house.paper("video-captioning")


ruleorder: video_captioning_look > data_prepare


# Videos of one's own: features of their frames, taken here.
rule video_captioning_look:
    output:
        dataset="data/prepared/{dataset}.safetensors",
    params:
        **house.params("papers.video_captioning.look", house.dataset),
    log:
        "logs/data/{dataset}.log",
    wildcard_constraints:
        dataset="own-videos",
    resources:
        gpu=house.gpu,
    shell:
        house.run("papers.video_captioning.look")


# 1. Count the words of captions: the vocabulary, and the tags. Words of others' captions stay private.
rule video_captioning_words:
    input:
        data=video_captioning.data,
    output:
        words="runs/{edition}/video-captioning/private/words/{vocabulary}.json",
    params:
        **video_captioning.params("words"),
    log:
        "logs/{edition}/video-captioning/words/{vocabulary}.log",
    wildcard_constraints:
        vocabulary="[a-z]+",
    shell:
        video_captioning.run("words")


# 2. Look at the clips: static features of frames, dynamic ones of differences. Without videos, which tags may be told.
rule video_captioning_features:
    input:
        data=video_captioning.data,
        words=video_captioning.files("first_vocabulary"),
    output:
        features="runs/{edition}/video-captioning/private/features.safetensors",
    params:
        **video_captioning.params("features"),
    log:
        "logs/{edition}/video-captioning/features.log",
    shell:
        video_captioning.run("features")


# 3. Train the semantic detection network, and let it tell the tags of all clips.
rule video_captioning_tag:
    input:
        data=video_captioning.data,
        words=video_captioning.files("first_vocabulary"),
        features="runs/{edition}/video-captioning/private/features.safetensors",
    output:
        **video_captioning.course("tags/{arm}/{seeds}"),
        tags="runs/{edition}/video-captioning/private/tags/{arm}/{seeds}.safetensors",
    params:
        **video_captioning.params("tag"),
    log:
        "logs/{edition}/video-captioning/tag/{arm}/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        video_captioning.run("tag")


# 4. Train a captioner, let it write, and measure what it wrote. Captions can be read off weights: private.
rule video_captioning_train:
    input:
        data=video_captioning.data,
        words=video_captioning.files("vocabulary"),
        features="runs/{edition}/video-captioning/private/features.safetensors",
        tags=video_captioning.files("told"),
    output:
        **video_captioning.course("captioners/{arm}/{seeds}"),
        weights="runs/{edition}/video-captioning/private/weights/{arm}/{seeds}.safetensors",
        captions="runs/{edition}/video-captioning/private/captions/{arm}/{seeds}.json",
    params:
        **video_captioning.params("train"),
    log:
        "logs/{edition}/video-captioning/train/{arm}/{seeds}.log",
    resources:
        gpu=house.gpu,
    shell:
        video_captioning.run("train")
