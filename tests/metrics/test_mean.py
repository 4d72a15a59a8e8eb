import pytest
import torch

from coview.metrics.mean import Mean


class Plain(Mean):
    def update(self, values: torch.Tensor, counted: torch.Tensor) -> None:
        self.add(values, counted)


def test_only_what_counts_is_in_the_mean_and_nan_is_not_spread():
    mean = Plain()
    mean.update(torch.tensor([1.0, torch.nan, 5.0]), torch.tensor([True, False, True]))
    mean.update(torch.tensor([9.0]), torch.tensor([False]))
    assert mean.compute() == 3


def test_how_the_data_is_cut_does_not_matter():
    values = 1e3 * torch.rand(1000, generator=torch.Generator().manual_seed(0))
    whole, parts = Plain(), Plain()
    whole.update(values, values > 0)
    for part in values.split(7):
        parts.update(part, part > 0)
    assert parts.compute().item() == pytest.approx(whole.compute().item(), rel=1e-6)


def test_nothing_counted_is_nan():
    nothing = Plain()
    nothing.update(torch.tensor([1.0]), torch.tensor([False]))
    assert nothing.compute().isnan()
