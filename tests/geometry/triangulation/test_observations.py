import torch

from coview.data.synthetic.recordings import random_motion, ring_cameras
from coview.geometry.triangulation.observations import CentredCameras, features


def test_the_image_in_centred_coordinates_is_the_image():
    cameras = ring_cameras(4).to(torch.float64)
    points = random_motion(3, seed=0).double().flatten(0, 1)
    rig = CentredCameras.of(cameras.pixels_from_world[None])
    u, v, depth = rig.image((points - rig.origin).mT[None])
    found = torch.stack([u / depth, v / depth], dim=-1)[0] + rig.centre[0].mT[:, None]
    torch.testing.assert_close(found, cameras.project(points))


def test_the_principal_point_is_taken_out():
    cameras = ring_cameras(3).to(torch.float64)
    rig = CentredCameras.of(cameras.pixels_from_world[None])
    torch.testing.assert_close(rig.centre[0].mT, cameras.principal_point)


def test_the_scale_of_a_projection_means_nothing():
    projections = ring_cameras(3).to(torch.float64).pixels_from_world[None]
    torch.testing.assert_close(
        CentredCameras.of(projections).cameras, CentredCameras.of(7.0 * projections).cameras
    )


def test_features_by_hand():
    # weight 2, hence trust 4, and (u, v) = (3, 4): 4 (9 + 16), 4 · 3, 4 · 4, 4
    u, v, trust = (torch.full((1, 1, 1), value) for value in (3.0, 4.0, 4.0))
    assert features(u, v, trust).flatten().tolist() == [100.0, 12.0, 16.0, 4.0]
