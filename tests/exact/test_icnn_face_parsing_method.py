"""What interlinked nets and the two stages promise exactly, at any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tenfold.data.faces import BACKGROUND
from tenfold.papers.icnn_face_parsing import method, pipeline, transformer
from tenfold.papers.icnn_face_parsing.method import WIDTHS, InterlinkedCNN
from tenfold.papers.icnn_face_parsing.pipeline import FOREGROUND, PARTS

NARROW = (2, 3, 4, 5)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def face(side: int = 96) -> Tensor:
    """Labels (1, side, side) of a face in rectangles, each part in reach of a crop of its own."""
    labels = torch.full((1, side, side), BACKGROUND, dtype=torch.uint8)
    boxes = {0: (22, 26, 12, 36), 1: (21, 25, 58, 83), 2: (34, 41, 16, 34), 3: (33, 40, 60, 78), 4: (38, 62, 40, 57),
             5: (70, 73, 36, 62), 6: (73, 76, 38, 60), 7: (76, 81, 37, 61)}  # fmt: skip
    for label, (top, bottom, left, right) in boxes.items():
        labels[0, top:bottom, left:right] = label
    return labels


# E1


@pytest.mark.parametrize(("foreground", "parameters"), [(8, 447_729), (1, 422_732), (3, 428_254)])
def test_each_net_has_as_many_parameters_as_the_sheet_says(foreground: int, parameters: int) -> None:
    assert method.parameters_of(foreground, WIDTHS) == parameters


def test_the_five_nets_have_2144179_parameters() -> None:
    assert sum(method.parameters_of(labels, WIDTHS) for labels in FOREGROUND.values()) == 2_144_179


@pytest.mark.parametrize(("foreground", "side"), [(8, 64), (3, 80), (1, 64)])
def test_every_pixel_is_labelled(foreground: int, side: int) -> None:
    with torch.device("meta"):
        assert InterlinkedCNN(foreground)(torch.empty(2, 3, side, side)).shape == (2, foreground + 1, side, side)


@pytest.mark.parametrize("widths", [WIDTHS, (4, 8, 12, 16)])
@pytest.mark.parametrize("foreground", sorted(set(FOREGROUND.values())))
def test_rows_without_links_have_as_many_parameters_within_2_percent(foreground: int, widths: tuple[int, ...]) -> None:
    own = method.widths_without_links(foreground, widths)
    linked = method.parameters_of(foreground, widths)
    assert abs(method.parameters_of(foreground, own, linked=False) / linked - 1) < 0.02


def test_weights_begin_within_the_authors_bounds() -> None:
    torch.manual_seed(0)
    layer = method.conv(16, 32, 5)
    bound = (0.5 / (16 * 25)) ** 0.5
    assert 0.99 * bound < float(layer.weight.detach().abs().max()) <= bound
    assert not layer.bias.any()  # type: ignore[union-attr]


# E2


def test_reducing_takes_the_largest_of_pixels_2i_minus_1_to_2i_plus_1() -> None:
    maps = drawn(2, 3, 8, 12)
    padded = np.pad(maps.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    wanted = np.array([[padded[..., 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((2, 3)) for j in range(6)]
                       for i in range(4)])  # fmt: skip
    np.testing.assert_array_equal(method.down(maps).numpy(), wanted.transpose(2, 3, 0, 1))


def test_enlarging_copies_each_pixel_and_tells_the_copies_apart() -> None:
    maps = drawn(2, 3, 4, 6)
    up, which = method.enlarged(maps)
    for top, left in ((0, 0), (0, 1), (1, 0), (1, 1)):
        assert torch.equal(up[..., top::2, left::2], maps)
        assert torch.equal(which[..., top::2, left::2], torch.tensor([left, top]).view(1, 2, 1, 1).expand(2, 2, 4, 6))
    (alone,) = method.enlarged(maps, calibrated=False)
    assert torch.equal(alone, up)


# E3


@pytest.mark.parametrize("linked", [True, False])
def test_the_coarsest_row_reaches_the_finest_after_three_layers_and_not_without_links(linked: bool) -> None:
    torch.manual_seed(0)
    net = InterlinkedCNN(1, NARROW, linked=linked)
    rows = net.first_layer(drawn(1, 3, 32, 32))
    others = [*rows[:-1], rows[-1] + 1]
    for layer in range(3):
        rows, others = net.interlink(layer, rows), net.interlink(layer, others)
        reached = [not torch.equal(row, other) for row, other in zip(rows, others, strict=True)]
        assert reached == [linked and row + layer >= 2 for row in range(3)] + [True]


def test_no_layer_jumps_two_scales() -> None:
    torch.manual_seed(0)
    net = InterlinkedCNN(1, NARROW)
    rows = net.first_layer(drawn(1, 3, 32, 32))
    moved = net.interlink(0, [rows[0] + 1, *rows[1:]])
    still = net.interlink(0, rows)
    assert [torch.equal(a, b) for a, b in zip(moved, still, strict=True)] == [False, False, True, True]


# E4


class Nothing(torch.nn.Module):
    """A net that is sure that there is background alone."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits of one label and the background."""
        return torch.tensor([-99.0, 99.0]).view(1, 2, 1, 1).expand(len(images), 2, *images.shape[2:])


def test_mirrored_faces_are_parsed_into_mirrored_brows_and_eyes() -> None:
    """The right part of a face is what the left part of the mirrored face is, so both share a net."""
    torch.manual_seed(0)
    nets = {name: InterlinkedCNN(1, NARROW, kernel=5) if name in ("brows", "eyes") else Nothing()
            for name in FOREGROUND}  # fmt: skip
    nets["mouth"] = InterlinkedCNN(3, NARROW, kernel=5)
    sides = {"brows": 32, "eyes": 32, "nose": 32, "mouth": 8}
    parser = pipeline.Parser(nets, 32, sides, torch.full((6, 2), 0.5), "mean", torch.device("cpu"))
    images = torch.randint(256, (1, 96, 96, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    centres = torch.tensor([[[30.0, 24], [30, 70], [40, 24], [40, 70], [50, 48], [90, 48]]])
    # A crop begins half its side before its centre, so a mirrored one has its centre a pixel further.
    mirrored = torch.stack([centres[..., 0], 96 - centres[..., 1]], 2)[:, [1, 0, 3, 2, 4, 5]]
    with torch.no_grad():
        found = parser.second_stage(images, centres)[:, :80]
        other = parser.second_stage(images.flip(2), mirrored).flip(2)[:, :80]
    assert torch.equal(found, torch.tensor([1, 0, 3, 2, *range(4, 9)], dtype=torch.uint8)[other.long()])
    assert {0, 1, 2, 3} <= set(found.unique().tolist())


# E6


@pytest.mark.parametrize("how", ["mean", "median"])
def test_true_crops_pasted_back_give_the_true_face(how: str) -> None:
    labels = face()
    centres = pipeline.part_centres(labels, how)
    crops = []
    for number, part in enumerate(PARTS):
        shown = pipeline.crop(labels, centres[:, number], 40, outside=BACKGROUND)
        crops.append(pipeline.one_hot(shown)[:, part.labels])
    assert torch.equal(pipeline.paste(crops, centres, 96, 96), labels)


def test_crops_beyond_the_border_are_black_and_are_pasted_within_it() -> None:
    images = torch.full((1, 16, 16, 3), 7, dtype=torch.uint8)
    shown = pipeline.crop(images, torch.tensor([[0.0, 15]]), 8)
    assert shown[0, 4:, :5].eq(7).all()
    assert not shown[0, :4].any()
    assert not shown[0, :, 5:].any()
    centres = torch.tensor([[[0.0, 0]] * 6])
    sure = [torch.ones(1, len(part.labels), 8, 8) / len(part.labels) for part in PARTS]
    assert (pipeline.paste(sure, centres, 16, 16) != BACKGROUND).sum() == 16


def test_a_crop_shows_whole_pixels_of_the_original() -> None:
    images = torch.arange(20 * 20).view(1, 20, 20)
    assert torch.equal(pipeline.crop(images, torch.tensor([[9.0, 12.0]]), 8), images[:, 5:13, 8:16])


# Centres


def test_centres_are_those_of_numpy() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, BACKGROUND + 1, (3, 24, 20)).astype(np.uint8)
    labels[0][labels[0] == 4] = BACKGROUND  # a face without a nose
    for how, of in (("mean", np.mean), ("median", np.median)):
        found = pipeline.label_centres(torch.from_numpy(labels), how)
        for n, label in ((n, label) for n in range(3) for label in range(BACKGROUND)):
            places = np.argwhere(labels[n] == label)
            wanted = of(places, axis=0) if len(places) else [np.nan, np.nan]
            np.testing.assert_allclose(found[n, label].numpy(), wanted, rtol=1e-12)


def test_the_centre_of_the_mouth_is_the_mean_of_those_that_are_there() -> None:
    labels = face()
    of_labels, of_parts = pipeline.label_centres(labels, "mean"), pipeline.part_centres(labels, "mean")
    assert torch.equal(of_parts[0, 5], of_labels[0, 5:8].mean(0))
    labels[labels == 6] = BACKGROUND
    assert torch.equal(pipeline.part_centres(labels, "mean")[0, 5], of_labels[0, [5, 7]].mean(0))
    labels[labels == 4] = BACKGROUND
    missing = pipeline.part_centres(labels, "mean")
    assert missing[0, 4].isnan().all()
    assert torch.equal(pipeline.or_usual(missing, torch.ones(6, 2))[0, 4], torch.ones(2, dtype=torch.float64))


def test_boxes_are_those_of_the_outermost_pixels() -> None:
    assert pipeline.box_centres(face())[0].tolist() == [[23.5, 23.5], [22.5, 70], [37, 24.5], [36, 68.5], [49.5, 48],
                                                        [75, 48.5]]  # fmt: skip
    assert pipeline.box_centres(torch.full((1, 8, 8), BACKGROUND)).isnan().all()


def test_thin_parts_survive_the_reduction_where_sampling_loses_them() -> None:
    labels = torch.full((1, 64, 64), BACKGROUND, dtype=torch.uint8)
    labels[0, 13] = 0  # a brow one pixel high covers a quarter of a reduced pixel
    assert (pipeline.reduced_labels(labels, 16) == 0).sum() == 16
    assert not (labels[:, ::4, ::4] == 0).any()


# E7


def test_the_width_softmax_is_that_of_the_published_code() -> None:
    logits, labels = drawn(2, 4, 3, 5).double(), torch.randint(4, (2, 3, 5), generator=torch.Generator().manual_seed(1))
    rows = logits.numpy().reshape(-1, 5)  # (B C H, W), as the code reshapes it
    log_share = (rows - np.log(np.exp(rows).sum(1, keepdims=True))).reshape(2, 4, 3, 5)
    one_hot = np.eye(4)[labels.numpy()].transpose(0, 3, 1, 2)
    assert float(method.width_softmax_loss(logits, labels)) == pytest.approx(-(one_hot * log_share).sum(), rel=1e-6)


def test_the_channel_softmax_is_cross_entropy() -> None:
    logits, labels = drawn(2, 4, 3, 5), torch.randint(4, (2, 3, 5), generator=torch.Generator().manual_seed(1))
    wanted = sum(F.cross_entropy(logits[n, :, i, j][None], labels[n, i, j][None])
                 for n in range(2) for i in range(3) for j in range(5))  # fmt: skip
    assert float(method.channel_softmax_loss(logits, labels)) == pytest.approx(float(wanted), rel=1e-6)


def test_pixels_are_standardised_image_by_image() -> None:
    pixels = torch.randint(256, (2, 3, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    raw = pixels.numpy().astype(np.float64)
    wanted = (raw - raw.mean((2, 3), keepdims=True)) / (raw.std((2, 3), keepdims=True) + 1e-10)
    np.testing.assert_allclose(method.standardised(pixels).numpy(), wanted, rtol=1e-4, atol=1e-5)
    assert not method.standardised(torch.full((1, 3, 4, 4), 9)).any()


# E8


def test_true_transformations_cut_whole_pixels_out() -> None:
    images = drawn(2, 3, 44, 44)
    centres = torch.tensor([[15.0, 20.0], [24.0, 13.0]])
    theta = transformer.theta_of(centres, 21, 44)
    wanted = torch.stack([images[0, :, 5:26, 10:31], images[1, :, 14:35, 3:24]])
    torch.testing.assert_close(transformer.sample(images, theta, 21), wanted, rtol=0, atol=2e-5)
    assert torch.allclose(transformer.centres_of(theta, 44), centres)
    labels = torch.randint(9, (2, 44, 44), generator=torch.Generator().manual_seed(0))
    cut = torch.stack([labels[0, 5:26, 10:31], labels[1, 14:35, 3:24]])
    assert torch.equal(transformer.sample_labels(labels, theta, 21), cut)


def test_a_square_that_is_put_back_lies_where_it_was_cut_out() -> None:
    images = drawn(1, 2, 33, 33)
    theta = transformer.theta_of(torch.tensor([[15.0, 20.0]]), 11, 33)
    back = transformer.sample(transformer.sample(images, theta, 11), transformer.inverse(theta), 33)
    torch.testing.assert_close(back[..., 10:21, 15:26], images[..., 10:21, 15:26], rtol=0, atol=2e-5)
    assert float(back.abs().sum() - back[..., 10:21, 15:26].abs().sum()) == pytest.approx(0, abs=1e-3)


def test_sampling_and_its_gradient_are_those_of_grid_sample() -> None:
    images = drawn(2, 3, 20, 24).double()
    found = []
    for form in ("ours", "torch"):
        theta = torch.tensor([[[0.5, 0, 0.31], [0, 0.7, -0.62]], [[0.9, 0, -0.4], [0, 0.4, 0.17]]]).double()
        theta.requires_grad_()
        if form == "ours":
            crops = transformer.sample(images, theta, 9)
        else:
            grid = F.affine_grid(theta, [2, 3, 9, 9], align_corners=True)
            crops = F.grid_sample(images, grid, align_corners=True, padding_mode="zeros")
        (gradient,) = torch.autograd.grad((crops**2).sum(), theta)
        found.append((crops, gradient * torch.tensor([[1.0, 0, 1], [0, 1, 1]])))
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-6)


def test_the_localisation_net_begins_at_the_usual_places_and_never_turns() -> None:
    torch.manual_seed(0)
    usual = transformer.theta_of(torch.tensor([[10.0, 12.0]] * 6), 21, 40)
    net = transformer.Localisation(32, usual)
    maps = drawn(2, 9, 32, 32).softmax(1)
    assert torch.equal(net(maps), usual.expand(2, 6, 2, 3))
    torch.nn.init.normal_(net.theta.weight)
    assert not net(maps)[:, :, [0, 1], [1, 0]].any()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_the_loss_of_a_gpu_is_that_of_a_processor_and_the_same_each_time() -> None:
    logits = torch.randn(3, 9, 16, 16, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, 9, (3, 16, 16), generator=torch.Generator().manual_seed(1))
    found = []
    torch.use_deterministic_algorithms(True)
    for device in ("cpu", "cuda", "cuda"):
        own = logits.to(device).requires_grad_()
        loss = method.channel_softmax_loss(own, labels.to(device))
        loss.backward()
        found.append((loss.detach().cpu(), own.grad.cpu()))
    torch.testing.assert_close(found[1], found[0])
    assert all(torch.equal(one, other) for one, other in zip(found[1], found[2], strict=True))
