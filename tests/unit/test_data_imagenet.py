"""The index of ImageNet finds every image in its archive; its batches are the same for each number of threads."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from tenfold import registry
from tenfold.data import imagenet
from tenfold.errors import UserError
from tenfold.files import sha256
from tenfold.launcher import Job
from tenfold.training import photos
from tenfold.training.batches import Batches

from ..mini_imagenet import CLASSES, PER_CLASS, VALIDATION, training_files, validation_files, write

torch.set_num_threads(1)

CPU = torch.device("cpu")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The index of a made-up ImageNet in ``data/raw/imagenet`` of the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENFOLD_MIRROR", raising=False)
    entry = write(Path("data/raw/imagenet"))
    monkeypatch.setattr(imagenet, "entry_of", lambda name: entry)
    path = tmp_path / "imagenet.safetensors"
    imagenet.index({"dataset": {"name": "imagenet"}}, Job(resume=tmp_path / "resume"), dataset=path)
    return path


def test_every_image_is_found_with_its_class(index: Path) -> None:
    data = imagenet.load(index)
    assert data.classes == CLASSES
    wanted = [(content, label) for label, wnid in enumerate(CLASSES)
              for _, content in sorted(training_files(wnid).items())]  # fmt: skip
    assert [(data.train.read(i), int(data.train.labels[i])) for i in range(len(data.train))] == wanted
    assert [data.test.read(i) for i in range(len(data.test))] == [
        item for _, item in sorted(validation_files().items())
    ]
    assert [CLASSES[label] for label in data.test.labels] == VALIDATION


def test_the_index_has_the_same_bytes_each_time(index: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    imagenet.index({"dataset": {"name": "imagenet"}}, Job(resume=tmp_path / "resume"), dataset=again)
    assert sha256(again) == sha256(index)


def test_the_last_images_of_each_class_are_held_out(index: Path) -> None:
    data = imagenet.load(index)
    fitting, held = imagenet.held_out(data.train, 2)
    assert held.labels.tolist() == [0, 0, 1, 1, 2, 2]
    names = sorted(training_files(CLASSES[1]).items())
    assert [held.read(2), held.read(3)] == [content for _, content in names[-2:]]
    assert len(fitting) == sum(PER_CLASS.values()) - 6
    assert not {tuple(row) for row in fitting.places.tolist()} & {tuple(row) for row in held.places.tolist()}


def test_archives_are_found_in_a_mirror_and_missed_in_one_line(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("data/raw/imagenet").rename(tmp_path / "mirror")
    with pytest.raises(UserError, match=r"^ILSVRC2012_img_train.tar of \d+ bytes.*is not in data/raw/imagenet: put it"):
        imagenet.load(index)
    monkeypatch.setenv("TENFOLD_MIRROR", str(tmp_path / "mirror"))
    assert len(imagenet.load(index).train) == sum(PER_CLASS.values())
    with (tmp_path / "mirror/ILSVRC2012_img_val.tar").open("ab") as file:
        file.write(b"x")
    with pytest.raises(UserError, match="ILSVRC2012_img_val.tar of"):
        imagenet.load(index)


def test_without_its_archives_imagenet_is_asked_for_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENFOLD_MIRROR", raising=False)
    cfg = {"dataset": registry.cfg_of("imagenet")}
    with pytest.raises(
        UserError, match="imagenet is not here.*needs an account.*Put ILSVRC2012_img_train.tar"
    ) as error:
        imagenet.index(cfg, Job(resume=tmp_path / "r"), dataset=tmp_path / "x")
    assert "\n" not in str(error.value)


# Views ------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 600), st.integers(1, 600), st.integers(0, 2**30), st.sampled_from([(0.08, 1.0), (0.25, 1.0)]))
def test_a_random_crop_lies_in_the_image_and_has_its_size_and_shape(
    height: int, width: int, seed: int, scale: tuple[float, float]
) -> None:
    (draw,) = photos.draws(1, 0.4, torch.Generator().manual_seed(seed))
    top, left, high, wide = photos.crop_box(height, width, scale, draw.crops)
    assert 0 <= top and top + high <= height and 0 <= left and left + wide <= width and high > 0 and wide > 0
    if min(height, width) >= 100 and max(height, width) <= 4 / 3 * min(height, width):
        assert scale[0] * 0.95 <= high * wide / (height * width) <= 1.0
        assert 0.72 <= wide / high <= 1.4
    assert all(0.6 <= factor <= 1.4 for factor in draw.factors)
    assert sorted(draw.order) == [0, 1, 2]


def test_crops_are_spread_as_torchvision_draws_them() -> None:
    image = torch.zeros(3, 300, 400)
    chance = photos.draws(4000, 0.0, torch.Generator().manual_seed(0))
    ours = np.array([photos.crop_box(300, 400, (0.08, 1.0), draw.crops) for draw in chance])
    torch.manual_seed(0)
    crop = v2.RandomResizedCrop(224, (0.08, 1.0))
    drawn = [crop.make_params([image]) for _ in range(4000)]
    theirs = np.array([[d["top"], d["left"], d["height"], d["width"]] for d in drawn])
    # Means of 4000: their standard error is below 1.5 pixels.
    np.testing.assert_allclose(ours.mean(0), theirs.mean(0), atol=6)
    np.testing.assert_allclose(ours.std(0), theirs.std(0), atol=6)


def test_the_central_view_is_that_of_torchvision() -> None:
    for content in validation_files().values():
        image = Image.open(io.BytesIO(content)).convert("RGB")
        wanted = v2.Compose([v2.Resize(32), v2.CenterCrop(28)])(image)
        np.testing.assert_array_equal(photos.central_view(content, 32, 28), np.asarray(wanted))


def test_a_view_without_jitter_only_crops_and_flips() -> None:
    content = training_files(CLASSES[2])["n02105855_00054.JPEG"]
    (draw,) = photos.draws(1, 0.0, torch.Generator().manual_seed(3))
    image = Image.open(io.BytesIO(content)).convert("RGB")
    top, left, high, wide = photos.crop_box(image.height, image.width, (0.25, 1.0), draw.crops)
    crop = image.crop((left, top, left + wide, top + high)).resize((24, 24), Image.Resampling.BILINEAR)
    wanted = np.asarray(crop)[:, ::-1] if draw.flip else np.asarray(crop)
    np.testing.assert_array_equal(photos.training_view(content, 24, (0.25, 1.0), draw), wanted)


# Batches ----------------------------------------------------------------------------------------------------------


def batches(index: Path, parts: int = 1, lighting: float = 0.1) -> Batches:
    return photos.photo_batches(
        imagenet.load(index).train, batch_size=5, size=24, scale=(0.25, 1.0), mean=MEAN, std=STD, seed=1, device=CPU,
        jitter=0.4, lighting=lighting, parts=parts,
    )  # fmt: skip


def test_batches_are_equal_for_each_number_of_threads(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = batches(index)
    monkeypatch.setattr(photos, "DECODERS", 1)
    one = batches(index)
    for _ in range(6):
        (images, labels), n = many.next()
        (same, as_well), _ = one.next()
        assert torch.equal(images, same) and torch.equal(labels, as_well)
        assert images.shape == (n, 3, 24, 24) and images.is_contiguous(memory_format=torch.channels_last)


def test_a_pass_shows_every_image_once_and_batches_go_on_from_their_state(index: Path) -> None:
    first = batches(index)
    seen = torch.cat([first.next()[0][1] for _ in range(len(first))])
    assert torch.bincount(seen).tolist() == list(PER_CLASS.values())
    state = first.state()
    wanted = first.next()[0][0]
    other = batches(index)
    other.restore(state)
    assert torch.equal(other.next()[0][0], wanted)


def test_lighting_shifts_each_image_along_the_axes_of_colour(index: Path) -> None:
    (with_noise, _), _ = batches(index, lighting=0.1).next()
    (without, _), _ = batches(index, lighting=0.0).next()
    shift = (with_noise - without) * torch.tensor(STD)[:, None, None]
    assert shift.std(dim=(2, 3)).max() < 1e-5  # the same for all pixels of a channel
    amounts = shift.mean(dim=(2, 3)) @ torch.tensor(photos.COLOUR_AXES) / torch.tensor(photos.COLOUR_DEVIATIONS)
    assert 0.02 < amounts.abs().mean() < 0.3  # 0.1 times a normal deviate
    assert amounts.std(dim=0).min() > 0.01


def test_parts_of_a_pass_are_epochs_to_the_loop(index: Path) -> None:
    assert [len(batches(index, parts)) for parts in (1, 2, 5)] == [5, 3, 1]
    assert batches(index, 5).next()[1] == 5
