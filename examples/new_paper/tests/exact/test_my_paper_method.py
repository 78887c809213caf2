"""What My Paper promises exactly."""

import torch

from tenfold.papers.my_paper.method import nearest_mean, standardised


def test_brightness_and_contrast_of_an_image_change_nothing() -> None:
    images, labels = torch.tensor([[0.0, 1.0, 5.0], [9.0, 8.0, 0.0]]), torch.tensor([0, 1])
    torch.testing.assert_close(standardised(3 * images + 7), standardised(images))
    assert nearest_mean(standardised(images), labels, standardised(images[[1, 0]] / 2)).tolist() == [1, 0]
