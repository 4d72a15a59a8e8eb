import math

import torch

from coview.metrics.image_error import ImageError


def test_pixels_are_averaged_over_what_is_known():
    metric = ImageError()
    truth = torch.zeros(2, 3, 2)
    found = truth + torch.tensor([3.0, 4.0])
    found[0, 0], truth[1, 2] = torch.nan, torch.nan
    metric.update(found, truth)
    assert float(metric.compute()) == 5
    metric.update(truth[:1], truth[:1])
    assert float(metric.compute()) == 5 * 4 / 7


def test_nothing_known_is_not_zero():
    metric = ImageError()
    metric.update(torch.full((1, 2, 2), torch.nan), torch.zeros(1, 2, 2))
    assert math.isnan(float(metric.compute()))
