from dataclasses import replace

import torch

from coview.cameras import Cameras
from coview.data.pseudo_labels.rectified_views import in_reference, reference_cameras, with_extrinsics
from coview.data.synthetic.recordings import random_motion, ring_cameras


def test_lens_and_crop_are_taken_out_of_the_pixels():
    ring = ring_cameras(3)
    lens = Cameras.make(ring.intrinsics, ring.cam_from_world, ring.size, torch.tensor([[-0.2, 0.1]] * 3))
    joints = random_motion(20, seed=0)
    corner = 200 * torch.rand(20, 3, 2, generator=torch.Generator().manual_seed(1))
    size = torch.full((20, 3, 2), 500.0)
    cut = lens.expand(20, 3).crop(corner, size).resize(size * 0.5)
    reference = reference_cameras(lens.expand(20, 3))
    torch.testing.assert_close(reference.intrinsics, ring.intrinsics.double())
    seen = in_reference(cut, reference, cut.project(joints[:, None]))
    torch.testing.assert_close(
        seen, ring.to(torch.float64).project(joints.double()[:, None]), atol=2e-3, rtol=0
    )


def test_the_reference_is_the_median_and_ignores_extrinsics():
    ring = ring_cameras(2).expand(5, 2)
    sharp = ring.intrinsics.clone()
    sharp[0, :, 0, 0] = 1e6
    cameras = with_extrinsics(replace(ring, intrinsics=sharp), torch.full((5, 2, 3, 4), torch.nan))
    reference = reference_cameras(cameras)
    torch.testing.assert_close(reference.intrinsics, ring.intrinsics[0].double())
    assert torch.equal(reference.cam_from_world, torch.eye(3, 4).double().expand(2, 3, 4))


def test_unknown_pixels_stay_unknown():
    ring = ring_cameras(2).expand(1, 2)
    pixels = torch.tensor([[[[1.0, 2.0], [torch.nan, 3.0]]] * 2])
    seen = in_reference(ring, reference_cameras(ring), pixels)
    assert seen.isnan().tolist() == [[[[False, False], [True, True]]] * 2]
