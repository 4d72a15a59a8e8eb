from dataclasses import replace

import pytest
import torch

from coview.methods.algebraic_triangulation import AlgebraicTriangulationConfig
from coview.methods.shared.image_method import IMAGENET_MEAN, IMAGENET_STD, ImageConfig
from coview.skeletons import H36M_17

SMALL = AlgebraicTriangulationConfig(depth=18, size=32, deconv=16)


def test_colours_are_red_green_blue_and_in_reference_blue_green_red(dotted):
    images = torch.zeros(1, 1, 3, 32, 32)
    images[:, :, 0] = 1.0  # red
    ours = SMALL.build(H36M_17)._normalised(images[0])
    theirs = replace(SMALL, released_numerics=True).build(H36M_17)._normalised(images[0])
    lit, dark = (
        [(1 - m) / s for m, s in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)],
        [-m / s for m, s in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)],
    )
    assert ours[0, :, 0, 0].tolist() == pytest.approx([lit[0], dark[1], dark[2]])
    # the first channel is blue there, with the statistics of red: as the weights were trained
    assert theirs[0, :, 0, 0].tolist() == pytest.approx([dark[0], dark[1], lit[2]])


def test_images_of_another_size_are_refused(dotted):
    batch = dotted(1, size=64)
    with pytest.raises(
        ValueError, match=r"64 × 64 pixels.*built for a longer side of 32.*method\.size to 64"
    ):
        SMALL.build(H36M_17)(batch)


def test_a_distorted_camera_is_refused(dotted):
    batch = dotted(1)
    # a fisheye lens without coefficients is no perfect lens either
    bent = (
        {"distortion": torch.full_like(batch.cameras.distortion, 0.1)},
        {"fisheye": torch.ones(1, 4).bool()},
    )
    for lens in bent:
        with pytest.raises(ValueError, match="lens distortion"):
            SMALL.build(H36M_17)(batch.replaced(cameras=replace(batch.cameras, **lens)))


def test_any_leading_axes(dotted):
    torch.manual_seed(0)
    method, batch = SMALL.build(H36M_17).eval(), dotted(4)
    whole = method(batch).joints3d
    torch.testing.assert_close(method(batch[1]).joints3d, whole[1], atol=1e-4, rtol=1e-4)
    cameras = batch.cameras.reshape(2, 2, 4)
    folded = batch.only(frozenset({"images"})).replaced(
        images=batch.images.unflatten(0, (2, 2)), cameras=cameras
    )
    assert method(folded).joints2d.shape == (2, 2, 4, 17, 2)
    torch.testing.assert_close(method(folded).joints3d.flatten(0, 1), whole, atol=1e-4, rtol=1e-4)


def test_without_gradients_images_go_through_in_parts_with_the_same_answer(dotted, monkeypatch):
    torch.manual_seed(0)
    method, batch = SMALL.build(H36M_17).eval(), dotted(3)
    together = method(batch)
    monkeypatch.setattr("coview.networks.backbone._PIXELS_AT_ONCE", 5 * 32 * 32)
    with torch.no_grad():
        in_parts = method(batch)
    torch.testing.assert_close(in_parts.heatmaps, together.heatmaps.detach(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(in_parts.weights, together.weights.detach(), atol=1e-5, rtol=1e-4)


def test_fewer_views_only_while_learning(dotted):
    torch.manual_seed(0)
    method = replace(SMALL, fewest_views=2).build(H36M_17)
    batch = dotted(2)
    counts = {method.views(batch).images.shape[1] for _ in range(30)}
    assert counts == {2, 3, 4}
    views = method.views(batch)
    places = [torch.equal(batch.images[:, v], views.images[:, 0]) for v in range(4)]
    assert torch.equal(batch.cameras.intrinsics[:, places.index(True)], views.cameras.intrinsics[:, 0])
    assert torch.equal(
        batch.cameras.cam_from_world[:, places.index(True)], views.cameras.cam_from_world[:, 0]
    )
    assert method.eval().views(batch).images.shape[1] == 4


def test_non_square_images(dotted):
    batch = dotted(2, size=64)
    narrow = batch.cameras.crop(torch.tensor([16.0, 0.0]), torch.tensor([32.0, 64.0]))
    narrow = batch.only(frozenset({"images"})).replaced(images=batch.images[..., 16:48], cameras=narrow)
    method = replace(SMALL, size=64).build(H36M_17).eval()
    pose = method(narrow)
    assert pose.heatmaps.shape[-2:] == (16, 8)
    assert pose.joints3d.isfinite().all()
    with pytest.raises(ValueError, match="48 × 64 pixels; both must be multiples of 32"):
        method(batch.replaced(images=batch.images[..., :48]))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"size": 100}, "multiple of 32"), ({"deconv": 0}, "deconv must be")],
)
def test_settings_that_make_no_sense(wrong, words):
    with pytest.raises(ValueError, match=words):
        AlgebraicTriangulationConfig(**wrong)
    assert issubclass(AlgebraicTriangulationConfig, ImageConfig)
