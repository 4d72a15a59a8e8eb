import pytest
import torch
from torch import nn

from coview.networks.recompute import apply, statistics_kept


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Conv2d(3, 1, 1))


def learned(checkpointing, compiled=False):
    block, features = network(), torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(1))

    def forward(features):
        return apply(block, features, checkpointing=checkpointing).square().mean()

    (torch.compile(forward, backend="aot_eager") if compiled else forward)(features).backward()
    return block


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.filterwarnings("ignore"))])
def test_same_gradients_and_statistics_moved_once(compiled):
    plain, recomputed = learned(False), learned(True, compiled)
    for (name, wanted), found in zip(plain.named_parameters(), recomputed.parameters(), strict=True):
        torch.testing.assert_close(found.grad, wanted.grad, rtol=1e-5, atol=1e-7, msg=name)
    for (name, wanted), found in zip(plain.named_buffers(), recomputed.buffers(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=0, msg=name)
    assert recomputed[1].num_batches_tracked == 1


def test_the_input_need_not_ask_for_a_gradient_and_may():
    for features in (torch.randn(4, 2, 8, 8), torch.randn(4, 2, 8, 8, requires_grad=True)):
        block = network()
        apply(block, features, checkpointing=True).sum().backward()
        assert block[0].weight.grad is not None
        assert (features.grad is not None) == features.requires_grad


def test_statistics_are_their_own_again_after_a_failure():
    def fail(block):
        with statistics_kept(block):
            block(torch.randn(4, 2, 8, 8))
            assert block[1].num_batches_tracked == 1
            raise RuntimeError("on purpose")

    block = network()
    before = block[1].running_mean
    with pytest.raises(RuntimeError, match="on purpose"):
        fail(block)
    assert block[1].running_mean is before
    assert (before == 0).all()
    assert block[1].num_batches_tracked == 0


def test_statistics_kept_answers_alike_in_use():
    block, features = network().eval(), torch.randn(4, 2, 8, 8)
    with torch.no_grad(), statistics_kept(block):
        kept = block(features)
    torch.testing.assert_close(kept, block(features))
