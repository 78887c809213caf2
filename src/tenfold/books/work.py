"""What a job computes, read from its configuration: how many examples go through which nets, and what it keeps.

Nets are built without numbers (`tenfold.measure.cost`). The stages of papers that do more than train and test one net
have a line in `OWN`; of a stage that is unknown here nothing is said.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from tenfold.errors import UserError

Cfg = Mapping[str, Any]

IMAGES = {"cifar-10": (50_000, 10_000), "cifar-100": (50_000, 10_000), "imagenet": (1_281_167, 50_000)}
"""Training and test images of real datasets; stand-ins say theirs."""

CLASSES = {"cifar-10": 10, "cifar-100": 100, "imagenet": 1000}
TRAINS, FROZEN = 3, 2
FOLDED = 2 / 3  # of the layers are left: of convolution, BatchNorm and ReLU the first and the last
AT_ONCE = 500  # examples in a forward pass without gradients
BUILDERS = {"sge": "tenfold.papers.sge.nets.build", "sknet": "tenfold.papers.sknet.nets.build_net"}

# The competition: a gradient of images in forward passes, and how many its attacks take of each image where no setting
# says so; the winners' targeted attack takes 40 at eps 4 and 20 at 8, 12 and 16.
GRADIENT = 2
STEPS_OF = {"no_op": 0, "noise": 0, "fgsm": 1, "step_target": 1, "trained": 1, "smoothed": 15, "augmented": 19,
            "plain_target": 20, "iterative_target": 20, "tsail_targeted": 25}  # fmt: skip

# Melody: what a corpus has, and at which share of its limit the rule of five rises is taken to end a layer. The shares
# are those of `small`, rounded; the paper's own curves (1,370 to 2,290 of 5,000) have the same for notes.
ENDS = {"bar": 0.15, "beat": 0.25, "note": 0.4}
STEPS = {"bar": 1, "beat": 4, "note": 16}  # of a bar
NOTES = 38
OPERATIONS = 20  # between two steps of a piece that is written

# Face parsing: nets that see both sides of a face; how many numbers and operations tanh, pooling, copies and joins make
# of a convolution's one (by the seconds of real: operations as small as these start faster than layers do); planes of
# numbers that a face's labels pass through; how often validation faces are labelled.
SIDES = {"brows": 2, "eyes": 2}
APART = 4, 2
PLANES = 100
LEANINGS, FACES_AT_ONCE = 25, 50

# Video captioning: clips of real datasets, captions of each, words that training captions have and that one caption has
# in the mean and at most in a batch, ends counted; the tags of the paper; how many operations a step takes by the
# seconds of a quiet processor, where small ones start faster than layers do: each word, and what comes once.
CLIPS = {"msvd": (1200, 100, 670), "msvd-captions": (1200, 100, 670), "msr-vtt": (6513, 497, 2990)}
SPOKEN = {"msvd": (40, 9_800, 8, 19), "msvd-captions": (20, 6_900, 8, 19), "msr-vtt": (20, 13_800, 10, 25)}
DRAWN = (60, 6, 14)  # words, and lengths, of moving shapes
TAGS = 300
WIDTHS = {"both": 128, "static": 64, "dynamic": 64, "tags": TAGS}  # of clips without features of others
WORD_OPERATIONS, ONCE, DROPPED = 6, 12, 6
WRITTEN_AT_ONCE, OF_LOGITS = 256, 2


# Detection: training and test pictures of real datasets, and operations on boxes of a picture, which are no layers.
PICTURES = {"coco-2017": (117_266, 5_000), "coco-mini-objects": (80, 79)}
PICTURES_AT_ONCE, BOX_OPERATIONS = 20, 20


@dataclass(frozen=True)
class Size:
    """What one example costs in a net's forward pass.

    Attributes:
        macs: multiply-adds.
        elements: numbers that its layers put out.
        layers: how many layers, each of which has to be started for every batch.
        params: numbers that the net learns.
        kind: ``conv`` or ``recurrent``.
    """

    macs: float
    elements: float
    layers: float
    params: float
    kind: str = "conv"


@dataclass(frozen=True)
class Pass:
    """Examples that go through a net, in batches.

    Attributes:
        size: of the net.
        examples: how many, all epochs counted.
        batch: how many at a time.
        times: what it costs, in forward passes: 1, or `TRAINS`, or `FROZEN` where the net's weights stay as they are.
    """

    size: Size
    examples: float
    batch: int
    times: int = 1

    @property
    def macs(self) -> float:
        """Multiply-adds of all of it."""
        return self.times * self.examples * self.size.macs


@dataclass(frozen=True)
class Work:
    """All that a job computes with nets, and how many numbers it writes down, four bytes each."""

    passes: tuple[Pass, ...] = ()
    kept: float = 0.0

    @property
    def macs(self) -> float:
        """Multiply-adds."""
        return sum(one.macs for one in self.passes)

    @property
    def images(self) -> float:
        """Training examples times epochs."""
        return sum(one.examples for one in self.passes if one.times > 1)


def work_of(module: str, stage: str, cfg: Cfg) -> Work | None:
    """What a job of a stage computes; None where that is not known."""
    name = module.removeprefix("tenfold.papers.")
    name = name if name.endswith(f".{stage}") else f"{name}.{stage}"
    if name not in OWN and "recipe" not in cfg:  # nothing is trained by steps
        return None
    try:
        passes, kept = OWN[name](cfg) if name in OWN else _trained(cfg, paper=name.partition(".")[0])
    except (KeyError, TypeError, UserError):  # no images, no net that is built here, no recipe
        return None
    seeds = len(cfg["seeds"])
    return Work(tuple(replace(one, examples=seeds * one.examples) for one in passes), seeds * kept)


# Nets -------------------------------------------------------------------------------------------------------------


def size_of(net: Cfg, pixels: int, paper: str = "") -> Size:
    """The size of a net for images, as a paper builds it."""
    return _size_of(json.dumps(net, sort_keys=True), pixels, BUILDERS.get(paper, "tenfold.nets.build.build"))


@cache
def _size_of(net: str, pixels: int, builder: str) -> Size:
    build = _of_paper(builder)
    return _counted(lambda: build(json.loads(net)), (3, pixels, pixels))


def _of_paper(name: str) -> Any:
    """A function or class by its whole name: books know of papers what a plan needs, and import none of them."""
    module, _, own = name.rpartition(".")
    return getattr(importlib.import_module(module), own)


def _counted(build: Callable[[], Any], shape: tuple[int, ...]) -> Size:
    from torch import Tensor, nn

    from tenfold.measure.cost import CONV_AND_LINEAR, cost

    def of_leaves(rule: Callable[[Tensor], int]) -> dict[type[nn.Module], Any]:
        def counted(module: nn.Module, _input: Tensor, output: Tensor) -> int:
            is_leaf = next(module.children(), None) is None and isinstance(output, Tensor)
            return rule(output) if is_leaf and not isinstance(module, nn.Identity) else 0

        return {nn.Module: counted}

    conventions = (CONV_AND_LINEAR, of_leaves(lambda output: output.numel()), of_leaves(lambda _: 1))
    found = [cost(build, shape, convention) for convention in conventions]
    macs, elements, layers = (one.macs for one in found)
    return Size(macs, elements, layers, found[0].params)


def lstm(inputs: int, width: int, depth: int, labels: int, steps: int) -> Size:
    """The size of a stack of LSTMs with a linear output for one sequence; its cells are started step by step."""
    weights = [4 * width * (size + width) for size in (inputs, *[width] * (depth - 1))]
    of_step = sum(weights) + width * labels
    return Size(steps * of_step, steps * (5 * width * depth + labels), steps * depth, of_step, "recurrent")


# Images -----------------------------------------------------------------------------------------------------------


def _count(data: Cfg) -> tuple[int, int]:
    """The training and test images of a dataset."""
    made: Cfg = data["prepare"]
    return (made["train"], made["test"]) if made.get("kind") == "shapes" else IMAGES[data["name"]]


def _classes(data: Cfg) -> int:
    return CLASSES.get(data["name"]) or int(data["prepare"].get("classes", 100))


def _shown(cfg: Cfg) -> tuple[int, int, int]:
    """Images to train on, to test on, and their pixels."""
    train, test = _count(cfg["data"])
    if "photos" in cfg:
        return train, test, cfg["photos"]["size"]
    images = cfg["images"]
    validation = cfg.get("validation", cfg.get("gates", {}).get("validation", 0))
    left = train - images.get("held_out", 0) - validation
    return images.get("fit") or left, test, images.get("pixels", images.get("size", 32))


def _net(cfg: Cfg, name: str = "net", paper: str = "") -> Size:
    return size_of({**cfg[name], "classes": cfg[name].get("classes", _classes(cfg["data"]))}, _shown(cfg)[2], paper)


def _evaluations(recipe: Cfg) -> int:
    return math.ceil(recipe["epochs"] / recipe.get("evaluate_every", 1))


# Stages -----------------------------------------------------------------------------------------------------------

Passes = tuple[list[Pass], float]


def _trained(cfg: Cfg, size: Size | None = None, *, paper: str = "") -> Passes:
    """A net that is trained, and tested on the test images and as many of those that it was trained on."""
    fit, test, _ = _shown(cfg)
    size, recipe = size or _net(cfg, paper=paper), cfg["recipe"]
    tests = recipe["epochs"] if "photos" in cfg else 2
    passes = [Pass(size, fit * recipe["epochs"], recipe["batch_size"], times=TRAINS), Pass(size, test * tests, AT_ONCE)]
    if followed := cfg.get("followed", 0) or (fit if cfg.get("followed", 0) is None else 0):
        passes.append(Pass(size, followed * recipe["epochs"], recipe["batch_size"]))
    return passes, size.params


def _narrowed(cfg: Cfg) -> Passes:
    """Pruning from Scratch: a net whose structure, known when it was pruned, has the arm's share of multiply-adds."""
    size, recipe = _net(cfg), cfg["recipe"]
    if cfg["ratio"] is not None:
        left = _net(cfg, "standard").macs * (1 - cfg["ratio"]) / size.macs
        width = math.sqrt(left)
        size = replace(size, macs=size.macs * left, elements=size.elements * width, params=size.params * left)
    passes, kept = _trained(cfg, size)
    if cfg["arm"] == "scratch-b":
        passes[0] = replace(passes[0], examples=passes[0].examples * min(1 / (1 - cfg["ratio"]), 2))
    return [passes[0], Pass(size, _shown(cfg)[1] * (1 + _evaluations(recipe)), AT_ONCE)], kept


def _pretrained(cfg: Cfg) -> Passes:
    (trains, _), kept = _trained(cfg)
    judged = Pass(trains.size, cfg["validation"] * _evaluations(cfg["recipe"]), AT_ONCE)
    return [trains, judged], kept * len(cfg["checkpoints"])


def _gates(cfg: Cfg) -> Passes:
    settings = cfg["gates"]
    (trains, *_), _ = _trained({**cfg, "recipe": settings["recipe"]})
    judged = settings.get("validation", settings.get("validation_per_class", 0) * _classes(cfg["data"]))
    judgements = _evaluations(settings["recipe"]) * settings.get("parts", 1)
    return [replace(trains, times=FROZEN), Pass(trains.size, judged * judgements, AT_ONCE)], 0


def _chosen(cfg: Cfg) -> Passes:
    passes, _ = _narrowed({**cfg, "arm": "pruned", "standard": cfg["net"]})
    return passes, 0


def _teacher(cfg: Cfg) -> Passes:
    """RCO's teacher; its checkpoints are asked about held-out and test images, and where outputs are kept about all."""
    fit, test, _ = _shown(cfg)
    (trains, _), kept = _trained(cfg, _net(cfg, "teacher"))
    route = len({*cfg["checkpoints"], *cfg["candidates"]})
    asked = cfg["images"]["held_out"] + test + (fit if cfg["targets"] == "cached" else 0)
    said = _classes(cfg["data"]) / 2 * (asked - test)  # as float16
    return [trains, Pass(trains.size, asked * route, AT_ONCE)], (kept + said) * route


def _students(cfg: Cfg, stages: float, epochs: int, *, labels: bool = False, ways: bool = False) -> Passes:
    """RCO's students; on views of their own a live teacher sees each image, too, its BatchNorm folded away."""
    fit, test, _ = _shown(cfg)
    student, batch = _net(cfg, "student"), cfg["recipe"]["batch_size"]
    seen = stages * epochs * fit
    passes = [Pass(student, seen, batch, times=TRAINS)]
    if cfg["targets"] == "live" and not labels:
        teacher = _net(cfg, "teacher")
        passes.append(Pass(replace(teacher, elements=teacher.elements * FOLDED, layers=teacher.layers * FOLDED), seen,
                           batch))  # fmt: skip
    passes.append(Pass(student, stages * (test + 2 * cfg["images"]["held_out"]), AT_ONCE))
    return passes, student.params * (1 + (stages * epochs if ways else 0))


def _distilled(cfg: Cfg) -> Passes:
    kind, number = cfg["arm"], cfg["value"]
    stages = 1 if kind in ("from", "one-stage") else number
    return _students(cfg, stages, cfg["recipe"]["epochs"], labels=kind == "alone", ways=cfg["keep_way"])


def _searched(cfg: Cfg) -> Passes:
    """RCO's greedy search, taken to choose every candidate, alike for all factors, and as many restarts beside it."""
    stages = max(cfg["restarts"], default=0)
    if cfg["deltas"]:
        stages = len(cfg["candidates"]) + max(stages, len(cfg["candidates"]))
    passes, kept = _students(cfg, stages, cfg["recipe"]["epochs"])
    return passes, kept * (len(cfg["deltas"]) + len(cfg["restarts"]))


def _robust(cfg: Cfg) -> Passes:
    """Test images at each level of noise, and held-out ones on a grid of weights."""
    looked = len(cfg["noise"]) * len(cfg["arms"]) * _shown(cfg)[1] + AT_ONCE * cfg["grid"] ** 2
    return [Pass(_net(cfg, "student"), looked, AT_ONCE)], 0


def _faces(cfg: Cfg) -> Passes:
    """RCO's open-set toy: a teacher and three students on ten pictures of each person."""
    recipe = cfg["recipe"]
    sizes = [size_of({**cfg[role], "classes": cfg["people"]}, 24) for role in ("teacher", *["student"] * 3)]
    return [Pass(size, 10 * cfg["people"] * recipe["epochs"], recipe["batch_size"], times=TRAINS) for size in sizes], 0


def _probed(cfg: Cfg, passes: float) -> Passes:
    """Variance Shift: training images that go through a trained net some times, and the test images."""
    fit, test, _ = _shown(cfg)
    size, seen = _net(cfg), cfg["examined"] or fit
    return [Pass(size, passes * min(seen, fit), cfg["batch_size"]), Pass(size, 3 * test, AT_ONCE)], 0


def _looked_at(cfg: Cfg, paper: str) -> Passes:
    """Test images that go through a trained net, at each scale where there are several."""
    return [Pass(_net(cfg, paper=paper), _shown(cfg)[1] * len(cfg.get("scales", [1])), AT_ONCE)], 0


# The competition --------------------------------------------------------------------------------------------------


def _frozen(cfg: Cfg, pixels: int | None = None) -> list[Size]:
    """The nets that a job is given, their BatchNorm folded away."""
    side, classes = pixels or _shown(cfg)[2], _classes(cfg["data"])
    sizes = [size_of({**of["net"], "classes": classes}, side) for of in cfg["nets"]]
    return [replace(size, elements=size.elements * FOLDED, layers=size.layers * FOLDED) for size in sizes]


def _unet(learned: Cfg, pixels: int) -> Size:
    """What is learned beforehand, a U-net within a denoiser or an attacker."""
    unet = _of_paper("tenfold.papers.adversarial_competition.nets.UNet")

    def built() -> Any:
        model = _of_paper(learned["call"])([], **learned["settings"]).model
        return next(module for module in model.modules() if isinstance(module, unet))

    in_channels = next(built().parameters()).shape[1]
    return _counted(built, (in_channels, pixels, pixels))


def _hardened(cfg: Cfg) -> Passes:
    """A net of whose batches one half is attacked in one step, each by one of the nets and itself."""
    passes, kept = _trained(cfg)
    trains, sizes = passes[0], [_net(cfg), *_frozen(cfg)]
    share = cfg["adversarial"]["settings"].get("share", 0.5)
    return [*passes, *(Pass(size, GRADIENT * share * trains.examples / len(sizes), share * trains.batch)
                       for size in sizes)], kept  # fmt: skip


def _learned(cfg: Cfg) -> Passes:
    """A denoiser, or an attacker: what trains it, and the gradients of the nets that this takes."""
    fit, _, pixels = _shown(cfg)
    learned, recipe, sizes = cfg["learned"], cfg["recipe"], _frozen(cfg)
    seen, batch, unet = fit * recipe["epochs"], recipe["batch_size"], _unet(cfg["learned"], pixels)
    if learned["call"].endswith(".denoiser"):
        steps = learned["settings"].get("steps", (1, 2, 4, 8))
        times = [(1 + GRADIENT * sum(steps) / len(steps)) / len(sizes)] * len(sizes)
        times[0] += 1 + GRADIENT
    else:
        times = [float(GRADIENT * learned["settings"].get("levels_in_batch", 2))] * len(sizes)
        times[0] += GRADIENT
    of_nets = [Pass(size, count * seen, batch) for size, count in zip(sizes, times, strict=True)]
    return [Pass(unet, seen, batch, times=TRAINS), *of_nets], unet.params


def _steps(attack: Cfg) -> float:
    """Gradients that an attack takes of each image."""
    name = attack["call"].rpartition(".")[2]
    return float(attack["settings"].get("steps") or STEPS_OF.get(name, 10))


def _crafted(cfg: Cfg) -> Passes:
    """Gradients of an attack's nets, the labels that these predict, and what it keeps: images, four times smaller."""
    attack, count, batch, pixels = cfg["attack"], cfg["test_images"], cfg["batch_size"], _shown(cfg)[2]
    times = GRADIENT * _steps(attack) + (not attack["targeted"])
    passes = [Pass(size, times * count, batch) for size in _frozen(cfg)]
    if "learned" in attack:
        passes.append(Pass(_unet(attack["learned"], pixels), count, batch))
    return passes, 3 * pixels**2 * count / 4


def _labelled(cfg: Cfg, images: float) -> list[Pass]:
    """Images that a defence labels."""
    defence, batch, (_, _, pixels) = cfg["defence"], cfg["batch_size"], _shown(cfg)
    settings, name = defence["settings"], defence["call"].rpartition(".")[2]
    draws = settings.get("draws", 30 if name == "randomised" else 1) * (2 if name == "voting" else 1)
    passes = [Pass(size, draws * images, batch) for size in _frozen(cfg, settings.get("padded"))]
    return passes + ([Pass(_unet(defence["learned"], pixels), images, batch)] if "learned" in defence else [])


def _defended(cfg: Cfg) -> Passes:
    return _labelled(cfg, cfg["test_images"] * len(cfg["attacks"])), 0


def _pierced(cfg: Cfg) -> Passes:
    """A defence that is attacked through itself: gradients of all of it, and the labels before and after."""
    return _labelled(cfg, cfg["test_images"] * (2 + GRADIENT * _steps(cfg["attack"]))), 0


# Melodies ---------------------------------------------------------------------------------------------------------


def _layers(variant: Cfg, profiles: Cfg, bars: int) -> Iterator[tuple[str, str, Size]]:
    """The layers of a model with the coding of their labels, and their sizes for so many bars."""
    classes = {"bar": profiles["bar"], "beat": profiles["beat"], "note": NOTES}
    look, told = variant["lookback"], 0
    for layer in ("bar", "beat", "note"):
        if layer not in variant["layers"]:
            continue
        distances = len(look[layer])
        inputs = classes[layer] * (1 + distances) + look["counter"] + distances + told
        for coding in variant["codings"] if layer == "note" else ["plain"]:
            labels = classes[layer] + (distances if coding == "repeat" else 0)
            net = variant["net"]
            yield layer, coding, lstm(inputs, net["width"], net["depth"], labels, bars * STEPS[layer])
        told += classes[layer]


def _melodies(cfg: Cfg) -> Passes:
    """Layers that are trained until a rule ends them, by expectation at `ENDS` of their limit."""
    passes, training = [], cfg["training"]
    for layer, _, size in _layers(cfg["variant"], cfg["profiles"], cfg["windows"]["bars"]):
        iterations = ENDS[layer] * training["most"][layer]
        passes.append(Pass(size, iterations * training["batch_size"], training["batch_size"], times=TRAINS))
    return passes, sum(one.size.params for one in passes)


def _composed(cfg: Cfg) -> Passes:
    """Pieces that are written step by step, free ones and under the conditions that the model knows."""
    conditions = 3 + len(cfg["probes"]["beats"]) + len(cfg["probes"]["bars"])
    pieces = cfg["pieces"] + (cfg["guided"] * conditions if len(cfg["variant"]["layers"]) > 1 else 0)
    beams = cfg["beam"] if cfg["decoding"] == "beam" else 1
    layers = _layers(cfg["variant"], {"bar": 16, "beat": 8}, cfg["bars"])
    written = [  # each step starts the operations that read it off, too, and none is fused with the next
        replace(size, layers=size.layers + OPERATIONS * cfg["bars"] * STEPS[layer], kind="conv")
        for layer, coding, size in layers
        if coding == "plain"
    ]
    return [Pass(size, pieces * beams, cfg["guided"] * beams) for size in written], 0


# Face parsing -----------------------------------------------------------------------------------------------------


def face_net(net: dict[str, Any]) -> Any:
    """A net of iCNN face parsing: ``name``, and what `tenfold.papers.icnn_face_parsing.train.net_of` wants."""
    return _of_paper("tenfold.papers.icnn_face_parsing.train.net_of")(net, net["name"])


def _parsers(cfg: Cfg) -> dict[str, Size]:
    """The nets of both stages that a job has, with what is no module: tanh, and what rows exchange (`APART`)."""
    found = {}
    for name, side in cfg["sides"].items():
        net = json.dumps({"name": name, "widths": cfg["widths"], "form": cfg["form"]}, sort_keys=True)
        size = _size_of(net, side, f"{__name__}.face_net")
        found[name] = replace(size, elements=APART[0] * size.elements, layers=APART[1] * size.layers)
    return found


def _together(sizes: Mapping[str, Size], *, first: bool) -> Size:
    """What all crops of a face cost, with the first stage or without."""
    of = [size for name, size in sizes.items() if first or name != "face" for _ in range(SIDES.get(name, 1))]
    return Size(sum(one.macs for one in of), sum(one.elements for one in of), sum(one.layers for one in of), 0)


def _face_counts(cfg: Cfg) -> list[int]:
    return [cfg["faces"][split] or cfg["data"]["prepare"][split] for split in ("train", "val", "test")]


def _parsers_trained(cfg: Cfg) -> Passes:
    """The nets of a stage, each on its view or both of its views of a face, and asked twice about validation faces."""
    (train, val, _), passes, sizes = _face_counts(cfg), [], _parsers(cfg)
    for name, size in sizes.items():
        recipe, views = cfg["recipes"][name], SIDES.get(name, 1)
        passes.append(Pass(size, views * train * recipe["epochs"], recipe["batch_size"], times=TRAINS))
        passes.append(Pass(size, 2 * views * val, FACES_AT_ONCE))
    return passes, sum(size.params for size in sizes.values())


def _parsed(cfg: Cfg) -> Passes:
    """Test faces by one stage, and three times by crops; labels of whole validation faces for each leaning."""
    (_, val, test), sizes = _face_counts(cfg), _parsers(cfg)
    labels = Size(0, PLANES * cfg["faces"]["side"] ** 2, 1, 0)
    passes = [Pass(sizes["face"], val + test, FACES_AT_ONCE), Pass(labels, LEANINGS * val + test, FACES_AT_ONCE)]
    if len(sizes) > 1:
        passes += [Pass(_together(sizes, first=False), 3 * test, FACES_AT_ONCE), Pass(labels, 3 * test, FACES_AT_ONCE)]
    return passes, 0


def _joined(cfg: Cfg) -> Passes:
    """The localisation net, small itself, behind the first stage as it is; then the second stage, or both, go on."""
    (train, _, test), sizes = _face_counts(cfg), _parsers(cfg)
    localise, go_on = (cfg["joint"][fit] for fit in ("localise", "go_on"))
    seen, batch = train * go_on["epochs"], go_on["batch_size"]
    passes = [
        Pass(sizes["face"], train * localise["epochs"], localise["batch_size"]),
        Pass(_together(sizes, first=cfg["is_joint"]), seen, batch, times=TRAINS),
        Pass(_together(sizes, first=True), test, FACES_AT_ONCE),
    ]
    if not cfg["is_joint"]:
        passes.append(Pass(sizes["face"], seen, batch))
    return passes, sum(size.params for size in sizes.values())


# Turbo learning ---------------------------------------------------------------------------------------------------


def scene_net(of: dict[str, Any]) -> Any:
    """A net of turbo-hoi, as `tenfold.papers.turbo_hoi.train.net_of` wants it, with some boxes in each image."""
    from torch import Tensor

    net = _of_paper("tenfold.papers.turbo_hoi.train.net_of")(of)
    forward = net.forward
    net.forward = lambda images: forward(images, *(Tensor(len(images), of[kind], 4) for kind in ("persons", "objects")))
    return net


def _looped(cfg: Cfg) -> Passes:
    """A net on scenes, whose turns its modules are called in, and the test scenes once."""
    made, recipe = cfg["data"]["prepare"], cfg["recipe"]
    persons, objects, height, width = (
        _of_paper(f"tenfold.data.scenes.{name}") for name in ("PERSONS", "OBJECTS", "HEIGHT", "WIDTH")
    )
    net = {"sizes": cfg["sizes"], "links": cfg["links"], "persons": persons, "objects": persons * objects}
    size = _size_of(json.dumps(net, sort_keys=True), round(math.sqrt(height * width)), f"{__name__}.scene_net")
    passes = [
        Pass(size, made["train"] * recipe["epochs"], recipe["batch_size"], times=TRAINS),
        Pass(size, made["test"], AT_ONCE),
    ]
    return passes, size.params


# Captions ---------------------------------------------------------------------------------------------------------


def _clips(data: Cfg) -> tuple[int, int, int]:
    made = data["prepare"]
    return CLIPS[data["name"]] if data["name"] in CLIPS else (made["train"], made["val"], made["test"])


def _width(data: Cfg, features: str) -> int:
    """How many features a clip has."""
    given = data["prepare"].get("features")
    kinds = ("static", "dynamic") if features == "both" else (features,)
    return sum(given[kind] for kind in kinds) if given else WIDTHS[features]


def captioner(net: Cfg, features: int, classes: int, length: float, longest: float, batch: int, own: float) -> Size:
    """The size of an S-LSTM captioner for one caption; a cell without tags is taken to cost as much.

    Args:
        net: ``words`` and ``hidden``.
        features: of a clip.
        classes: words of the vocabulary.
        length: words of a caption.
        longest: of the longest one of a batch, for as many steps are started.
        batch: captions, for all of which each matrix is read once a step, and its gradients are added up.
        own: the share of steps that are fed the model's own word.
    """
    words, hidden = net["words"], net["hidden"]
    matrices = {"word": words, "video": features, "state": hidden}
    word, video, state = (4 * (width * hidden + hidden * hidden) for width in matrices.values())
    told, first, output = 4 * TAGS * hidden, features * words, words * hidden
    logits = output + words * classes
    of_word = word + state + logits + own * (word + logits)
    params = word + video + state + len(matrices) * told + first + output + 4 * hidden + classes + words * classes
    return Size(
        macs=video + len(matrices) * told + first + length * of_word,
        elements=length * (1 + own) * OF_LOGITS * classes + (params + longest * state) / batch,
        layers=ONCE + longest * WORD_OPERATIONS * (1 + own / 2),
        params=params,
    )


def _captioned(cfg: Cfg) -> Passes:
    """A captioner that is trained, writes validation captions at times, and three times those of test clips."""
    data, variant, recipe = cfg["data"], cfg["variant"], cfg["recipe"]
    train, val, test = _clips(data)
    if data["name"] in SPOKEN:
        of_clip, classes, length, longest = SPOKEN[data["name"]]
    else:
        of_clip, (classes, length, longest) = sum(data["prepare"]["captions"]) // 2, DRAWN
    of_clip, batch = min(of_clip, cfg["captions"]["of_clip"] or of_clip), recipe["batch_size"]
    sizes = {
        steps: captioner(cfg["net"], _width(data, variant["features"]), classes, mean, steps, at_once, own)
        for mean, steps, at_once, own in (
            (length, longest, batch, variant["sampling"] / 2),
            (cfg["decode"]["steps"], cfg["decode"]["steps"] + 1, WRITTEN_AT_ONCE, 0.0),
        )
    }
    learns, writes = sizes.values()
    captions = _evaluations(recipe) * val + (2 + cfg["decode"]["beam"]) * test
    return [
        Pass(learns, train * of_clip * recipe["epochs"], batch, times=TRAINS),
        Pass(writes, captions, WRITTEN_AT_ONCE),
    ], learns.params


def _tagged(cfg: Cfg) -> Passes:
    """A tag network that is trained, and asked about all clips each time that it is kept."""
    clips = dict(zip(("train", "val", "test"), _clips(cfg["data"]), strict=True))
    features, hidden, recipe = _width(cfg["data"], cfg["features"]), cfg["net"]["hidden"], cfg["recipe"]
    macs = features * hidden + hidden * hidden + hidden * TAGS
    size = Size(macs, 2 * hidden + TAGS + macs / recipe["batch_size"], DROPPED, macs + 2 * hidden + TAGS)
    fit, told = sum(clips[split] for split in cfg["splits"]), len(cfg["after"]) * sum(clips.values())
    kept = len(cfg["after"]) * size.params + told * TAGS
    return [Pass(size, fit * recipe["epochs"], recipe["batch_size"], times=TRAINS), Pass(size, told, AT_ONCE)], kept


# Detection --------------------------------------------------------------------------------------------------------


def detector(of: dict[str, Any]) -> Any:
    """The layers of one of SGE's detectors: at all positions of a picture, and for boxes of which it is trained."""
    import torch
    from torch import Tensor, nn

    class Layers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            views = {"image_mean": of["mean"], "image_std": of["std"]}
            self.whole = _of_paper("tenfold.papers.sge.detectors.build_detector")(of, of["classes"], views)

        def forward(self, images: Tensor) -> None:
            whole, channels, sampled = self.whole, of["detector"]["channels"], of["detector"]["sampled"]
            maps = list(whole.backbone(images).values())
            if of["detector"]["kind"] == "retinanet":
                whole.head(maps)
                return
            whole.rpn.head(maps)
            for heads in getattr(whole.roi_heads, "stages", [whole.roi_heads]):
                heads.box_predictor(heads.box_head(torch.empty(sampled, channels, 7, 7, device=images.device)))
                if getattr(heads, "mask_head", None) is not None:
                    pooled = torch.empty(sampled // 4, channels, 14, 14, device=images.device)
                    heads.mask_predictor(heads.mask_head(pooled))

    return Layers()


def _detected(cfg: Cfg) -> Passes:
    """A detector that is trained, and tested after nine tenths of it and at the end."""
    made, recipe = cfg["data"]["prepare"], cfg["recipe"]
    train, test = PICTURES.get(cfg["data"]["name"]) or (made["train"], made["test"])
    height, width = cfg.get("sizes") or (made["side"], made["side"])
    of = {key: cfg[key] for key in ("net", "detector", "mean", "std")} | {"classes": made.get("classes", 80)}
    size = _counted(lambda: detector(of), (3, height, width))
    in_training = replace(size, layers=size.layers + BOX_OPERATIONS * recipe["batch_size"])
    in_tests = replace(size, layers=size.layers + BOX_OPERATIONS * PICTURES_AT_ONCE)
    return [
        Pass(in_training, train * recipe["epochs"], recipe["batch_size"], times=TRAINS),
        Pass(in_tests, 2 * test, PICTURES_AT_ONCE),
    ], size.params


OWN: dict[str, Callable[[Cfg], Passes]] = {
    "pruning_from_scratch.train": _narrowed,
    "pruning_from_scratch.pretrain": _pretrained,
    "pruning_from_scratch.learn_gates": _gates,
    "pruning_from_scratch.choose": _chosen,
    "pruning_from_scratch.imagenet.train": _narrowed,
    "pruning_from_scratch.imagenet.learn_gates": _gates,
    "rco.teacher": _teacher,
    "rco.distil": _distilled,
    "rco.search": _searched,
    "rco.examine": _robust,
    "rco.faces.open_set": _faces,
    "variance_shift.examine.probe": lambda cfg: _probed(cfg, 3),
    "variance_shift.examine.settled": lambda cfg: _probed(cfg, cfg["passes"] + 1),
    "variance_shift.examine.flipped": lambda cfg: _probed(cfg, 2),
    "icnn_face_parsing.train": _parsers_trained,
    "icnn_face_parsing.evaluate": _parsed,
    "icnn_face_parsing.joint": _joined,
    "turbo_hoi.train": _looped,
    "sge.detect": _detected,
    "sge.detect_coco.detect": _detected,
    "sge.examine": lambda cfg: _looked_at(cfg, "sge"),
    "sknet.attend": lambda cfg: _looked_at(cfg, "sknet"),
    "adversarial_competition.harden": _hardened,
    "adversarial_competition.learn": _learned,
    "adversarial_competition.craft": _crafted,
    "adversarial_competition.defend": _defended,
    "adversarial_competition.defend.through": _pierced,
    "melody.train": _melodies,
    "melody.generate": _composed,
    "video_captioning.tag": _tagged,
    "video_captioning.train": _captioned,
}
