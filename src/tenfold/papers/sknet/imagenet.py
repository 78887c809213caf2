"""The stages of SKNet on ImageNet: the same nets, on photographs that are decoded as they are needed.

Run on small made-up archives in tests; no net was trained on ImageNet with it yet.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from tenfold.data.imagenet import load
from tenfold.files import write_json
from tenfold.launcher import Cfg, Input, Job, Output, main, stage
from tenfold.papers.sknet.attend import rows_of, zoomed
from tenfold.papers.sknet.nets import build_net
from tenfold.stages.imagenet import TEST_BATCH, train_imagenet
from tenfold.stages.seeds import Files
from tenfold.training.compute import start
from tenfold.training.photos import central_pixels
from tenfold.weights import load_weights


@stage
def train_photos(
    cfg: Cfg, job: Job, *, data: Input, weights: Output, metrics: Output, history: Output, times: Output
) -> None:
    """An arm as `train_imagenet` trains it; the last epoch is what is reported."""
    train_imagenet(cfg, job, data, Files(weights, metrics, history, times), build_net=build_net)


@stage
def attend_photos(cfg: Cfg, job: Job, *, data: Input, weights: Input, attention: Output) -> None:
    """As `tenfold.papers.sknet.attend.attend`, on the middle of every validation photograph (Sec. 4.4)."""
    compute = start(cfg["compute"], job)
    images, view = load(data), cfg["photos"]["test"][0]

    def views(scale: float) -> Iterator[tuple[Tensor, Tensor]]:
        for pixels, labels in central_pixels(images.test, TEST_BATCH, view["resize"], view["size"]):
            yield zoomed(pixels.permute(0, 3, 1, 2), scale), labels

    rows = rows_of(cfg, job, compute, load_weights(weights), len(images.classes), views, cfg["photos"])
    write_json(attention, {"rows": rows})


if __name__ == "__main__":
    main(train_photos, attend_photos)
