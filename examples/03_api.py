"""Triangulate in ten lines, then judge and align what came out: the public API on NumPy arrays.

Nothing is read from files: the cameras and the person are made up, so the truth is known.
"""

import tempfile

import numpy as np

import coview

# --- triangulate in ten lines ----------------------------------------------------------------------

cameras = coview.make_cameras(
    intrinsics=[[1145, 0, 499.5], [0, 1145, 499.5], [0, 0, 1]],
    rotation=[[np.pi / 2, 0, 0], [np.pi / 2, 0, 0], [np.pi / 2, 0, 0]],  # rotation vectors; world z is up
    translation=[[-1, 1, 4], [0, 1, 4], [1, 1, 4]],  # metres: where the world's origin is in the camera
    image_size=(1000, 1000),
)
joints = np.random.default_rng(0).uniform([-0.5, -0.5, 0], [0.5, 0.5, 2], size=(100, 17, 3))
pixels = coview.project(cameras, joints)  # (100, 3, 17, 2): frames, views, joints, x and y
pixels[:, 1, 4] += 100  # one camera is wrong about one joint
points = coview.triangulate(cameras, pixels)
print(f"robust: {coview.mpjpe(points, joints):.3f} mm off")
print(f"linear: {coview.mpjpe(coview.triangulate(cameras, pixels, robust=False), joints):.1f} mm off")

# --- what goes wrong is named ----------------------------------------------------------------------

try:
    coview.triangulate(cameras, pixels.swapaxes(1, 2))
except coview.CoviewError as error:
    print(f"refused: {error}")

# --- other worlds, other skeletons ------------------------------------------------------------------

turned = 0.5 * points[..., [1, 0, 2]] * [1, -1, 1] + [3, 0, 0]
print(f"another world: P-MPJPE {coview.p_mpjpe(turned, joints):.3f} mm")
print(f"with pelvis and neck: {coview.convert_joints(points, 'coco_17', 'coco_19').shape}")

# --- a recording in a folder: the same arrays -------------------------------------------------------

with tempfile.TemporaryDirectory() as folder:
    session = coview.example_session(f"{folder}/walk", calibrated=True)  # your own: session.calibrate()
    session.reconstruct(smooth=6.0)
    pixels, confidence = session.joints2d()
    points = coview.triangulate(session.calibration().cameras, pixels, confidence)
    apart = coview.mpjpe(points, session.joints3d())
    print(f"session of {session.frames} frames: smoothing moved the joints by {apart:.1f} mm")
