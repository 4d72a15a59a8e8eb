import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.representations.morphed import morphed
from coview.representations.normalised import unit_norm


def some_pixels(seed=0):
    draw = torch.Generator().manual_seed(seed)
    return 500 + 80 * torch.randn(3, 17, 2, generator=draw), torch.rand(3, 17, generator=draw) + 0.1


def test_the_network_sees_what_the_lifter_sees():
    pixels, confidence = some_pixels()
    confidence[0, 4] = 0
    seen = []
    moved = morphed(pixels, confidence, 2, lambda pose: seen.append(pose) or pose)
    kept = torch.where(confidence[..., None] > 0, pixels, pixels[:, 2, None])
    torch.testing.assert_close(seen[0], unit_norm(kept - kept[:, 2, None], confidence > 0))
    assert moved[0, 4].isnan().all()
    torch.testing.assert_close(moved[confidence > 0], pixels[confidence > 0])


@settings(deadline=None, max_examples=20)
@given(st.floats(0.2, 5.0), st.floats(-300.0, 300.0))
def test_size_and_place_in_the_image_go_through(size, shift):
    pixels, confidence = some_pixels()
    change = torch.linspace(-0.1, 0.1, 34).view(17, 2)
    once = morphed(pixels, confidence, 0, lambda pose: pose + change)
    other = morphed(size * pixels + shift, confidence, 0, lambda pose: pose + change)
    torch.testing.assert_close(other, size * once + shift, atol=1e-2, rtol=1e-4)


def test_without_a_root_nothing_is_known_and_gradients_are_finite():
    pixels, confidence = some_pixels()
    confidence[1, 0] = 0
    pixels[1, 0] = torch.nan
    factor = torch.ones(17, 2, requires_grad=True)
    moved = morphed(pixels, confidence, 0, lambda pose: pose * factor)
    assert moved[1].isnan().all()
    moved.nan_to_num().sum().backward()
    assert factor.grad.isfinite().all()
