"""Batches: augmentation against a picture-by-picture reference, order, and resuming."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torchvision.transforms import functional as TF

from tenfold.errors import UserError
from tenfold.training.batches import Batches, crop_flip, draw_crop_flip, image_batches, normalise

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
CPU = torch.device("cpu")


def images(n: int, height: int = 32, width: int = 32) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def make(n: int, **options: object) -> Batches:
    settings = {"batch_size": 8, "augment": "crop_flip", "mean": MEAN, "std": STD, "seed": 5, "device": CPU}
    return image_batches(images(n), torch.arange(n), **(settings | options))  # type: ignore[arg-type]


@pytest.mark.parametrize(("height", "width"), [(32, 32), (16, 24)])
def test_crop_and_flip_match_a_reference(height: int, width: int) -> None:
    pixels = images(40, height, width).permute(0, 2, 3, 1).contiguous()
    top, left, flip = draw_crop_flip(40, torch.Generator().manual_seed(1))
    found = crop_flip(pixels, top, left, flip)
    for i, picture in enumerate(pixels.numpy()):
        padded = np.pad(picture, ((4, 4), (4, 4), (0, 0)))
        cut = padded[top[i] : top[i] + height, left[i] : left[i] + width]
        assert np.array_equal(found[i].numpy(), cut[:, ::-1] if flip[i] else cut)


def test_a_batch_equals_torchvisions_transforms_with_the_same_draws() -> None:
    batch, labels = make(30).next()[0]
    generator = torch.Generator().manual_seed(5)
    order = torch.randperm(30, generator=generator)[:8]
    top, left, flip = draw_crop_flip(8, generator)
    assert labels.tolist() == order.tolist()
    for i, index in enumerate(order):
        picture = TF.pad(TF.to_pil_image(images(30)[index]), 4)
        picture = TF.crop(picture, int(top[i]), int(left[i]), 32, 32)
        picture = TF.hflip(picture) if flip[i] else picture
        assert torch.equal(batch[i], TF.normalize(TF.to_tensor(picture), MEAN, STD))


def test_draws_are_uniform() -> None:
    top, left, flip = draw_crop_flip(90_000, torch.Generator().manual_seed(2))
    places = torch.bincount(top * 9 + left, minlength=81)
    assert places.numel() == 81
    assert chisquare(places).pvalue > 0.001
    assert chisquare(torch.bincount(flip.long())).pvalue > 0.001


def test_normalise_gives_channels_last() -> None:
    found = normalise(images(4).permute(0, 2, 3, 1).contiguous(), MEAN, STD)
    assert found.shape == (4, 3, 32, 32)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_without_augmentation_the_images_are_only_normalised() -> None:
    batches = make(8, augment="none")
    (batch, labels), _ = batches.next()
    assert torch.equal(batch, TF.normalize(images(8)[labels] / 255, MEAN, STD))


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [8, 8, 4]), (True, [8, 8])])
def test_each_epoch_shows_each_image_once(drop_last: bool, sizes: list[int]) -> None:
    batches = make(20, drop_last=drop_last)
    assert len(batches) == len(sizes)
    epochs = []
    for _ in range(2):
        drawn = [batches.next() for _ in sizes]
        assert [n for _, n in drawn] == sizes
        epochs.append([int(label) for (_, labels), _ in drawn for label in labels])
        assert len(set(epochs[-1])) == sum(sizes)
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("taken", range(7))
def test_a_restored_sequence_goes_on_as_the_first_did(taken: int) -> None:
    first, second = make(20), make(20, seed=99)
    for _ in range(taken):
        first.next()
    second.restore(first.state())
    for _ in range(5):
        (images_1, labels_1), n_1 = first.next()
        (images_2, labels_2), n_2 = second.next()
        assert n_1 == n_2
        assert torch.equal(labels_1, labels_2)
        assert torch.equal(images_1, images_2)


def test_the_seed_alone_decides() -> None:
    assert torch.equal(make(20).next()[0][0], make(20).next()[0][0])
    assert not torch.equal(make(20).next()[0][1], make(20, seed=6).next()[0][1])


def test_torchs_default_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    make(20).next()
    assert torch.equal(torch.get_rng_state(), before)


def test_unknown_augmentation() -> None:
    with pytest.raises(UserError, match="'flip' is not one of none, crop_flip"):
        make(20, augment="flip")
