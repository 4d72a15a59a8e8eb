import torch

from coview.networks.encoders import CropEncoder, PoseEncoder, PoseHead


def test_a_2d_pose_becomes_a_unit_vector_with_gradients_everywhere():
    encoder = PoseEncoder(17, 32, 128)
    found = encoder(torch.randn(5, 4, 17, 2), torch.rand(5, 4, 17))
    assert found.shape == (5, 4, 128)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(5, 4))
    found[..., 0].sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


def test_a_crop_of_any_shape_becomes_a_unit_vector():
    encoder = CropEncoder(18, 8, 128)
    found = encoder(torch.randn(3, 3, 64, 96))
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(3))
    assert found.shape == (3, 128)
    found[..., 0].sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


def test_the_embedding_itself_is_never_dropped():
    head = PoseHead(128, 64, 48, dropout=0.5)
    kinds = [type(layer).__name__ for layer in head]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Linear"]
    assert head(torch.randn(2, 3, 128)).shape == (2, 3, 48)
