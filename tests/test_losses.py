import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.losses import scale_free_error


def poses(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    predicted, observed = torch.randn(2, 5, 8, 2, generator=generator)
    return predicted, observed, torch.rand(5, 8, generator=generator)


def slowly(predicted, observed, confidence):
    """The textbook: [Wandt21] eq. 5 for one pose, coordinate by coordinate."""
    joints = len(confidence)
    scale = [sum(float(v) ** 2 for p in pose for v in p) / (2 * joints) for pose in (predicted, observed)]
    total = 0.0
    for j in range(joints):
        for axis in range(2):
            a, b = predicted[j, axis] / scale[0] ** 0.5, observed[j, axis] / scale[1] ** 0.5
            total += float(confidence[j]) * abs(float(a - b))
    return total / (2 * joints)


def test_equals_the_slow_twin():
    predicted, observed, confidence = poses()
    expected = [slowly(p, o, c) for p, o, c in zip(predicted, observed, confidence, strict=True)]
    torch.testing.assert_close(scale_free_error(predicted, observed, confidence), torch.tensor(expected))


@settings(deadline=None, max_examples=20)
@given(scale=st.floats(1e-2, 1e3), seed=st.integers(0, 100))
def test_size_is_not_seen(scale, seed):
    predicted, observed, confidence = poses(seed)
    once, again = (scale_free_error(s * predicted, observed, confidence) for s in (1.0, scale))
    torch.testing.assert_close(once, again, rtol=1e-3, atol=1e-5)
    zero = scale_free_error(scale * observed, observed, confidence)
    torch.testing.assert_close(zero, torch.zeros(5), atol=1e-5, rtol=0)


def test_joints_without_confidence_do_not_count():
    predicted, observed, confidence = poses()
    confidence[:, 3] = 0
    expected = scale_free_error(predicted, observed, confidence)
    predicted[:, 3], observed[:, 3] = 100.0, -70.0
    torch.testing.assert_close(scale_free_error(predicted, observed, confidence), expected)


def test_batches_broadcast():
    predicted, observed, confidence = poses()
    every = scale_free_error(predicted[:, None], observed[None], confidence[None])
    assert every.shape == (5, 5)
    torch.testing.assert_close(every.diagonal(), scale_free_error(predicted, observed, confidence))


@pytest.mark.parametrize("seen", [0.0, 1.0])
def test_a_pose_of_no_extent_has_a_finite_gradient(seen):
    predicted = torch.zeros(3, 8, 2, requires_grad=True)
    _, observed, _ = poses()
    error = scale_free_error(predicted, observed[:3], torch.full((3, 8), seen))
    error.sum().backward()
    assert error.isfinite().all()
    assert predicted.grad.isfinite().all()
    assert seen or not error.any()


def test_gradient():
    predicted, observed, confidence = (part.double() for part in poses())
    assert torch.autograd.gradcheck(
        lambda p: scale_free_error(p, observed, confidence), predicted.requires_grad_()
    )


def test_sized_by_weights_an_unsure_joint_does_not_shrink_the_rest():
    predicted = torch.randn(17, 2, generator=torch.Generator().manual_seed(0))
    observed = predicted.clone()
    observed[3] += 40.0
    confidence = torch.ones(17)
    confidence[3] = 1e-6
    assert scale_free_error(predicted, observed, confidence) > 0.2
    assert scale_free_error(predicted, observed, confidence, sized_by=confidence) < 1e-3
    unsized = scale_free_error(predicted, observed, torch.ones(17))
    same = scale_free_error(predicted, observed, torch.ones(17), sized_by=torch.ones(17))
    torch.testing.assert_close(unsized, same)
