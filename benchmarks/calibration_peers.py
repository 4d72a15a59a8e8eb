"""What other tools make of the scenes of `calibration.py`, each through its own Python functions, where installed.

    python -m venv /tmp/peers && /tmp/peers/bin/pip install caliscope==0.11.8 humancalib==0.5.4 -e .
    /tmp/peers/bin/python benchmarks/calibration.py --part table

Caliscope is given what coview is: detections and lenses. HumanCalib needs besides what a monocular 3D network says
in each camera; it is given the truth at that camera's own time, with 30 mm of noise per joint and 3 % of the
distance per frame (along the rays, as size and distance are confused), in MeTRAbs's millimetres.
Neither is told that a camera is late.
"""

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import torch
from calibration_scenes import FPS, Recording
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.skeletons import H36M_17

Peer = Callable[[Recording], Cameras | None]  # None where the tool refuses
JOINT_NOISE, DISTANCE_NOISE = 0.03, 0.03  # metres; share
FRAME_BUDGET = 100  # HumanCalib's own default


def installed() -> Iterator[tuple[str, Peer]]:
    """Name with version, and the tool; says which are not here."""
    for name, peer in (("Caliscope", caliscope), ("HumanCalib", humancalib)):
        if importlib.util.find_spec(name.lower()) is None:
            print(
                f"{name} is not installed, so the table goes without it: see calibration_peers.py", flush=True
            )
        else:
            yield f"{name} {version(name.lower())}", peer


def caliscope(scene: Recording) -> Cameras | None:
    """Its pipeline in one call, with its defaults: poses from pairs, adjustment, robust adjustment, the worst 2.5 %
    left out, adjustment."""
    import pandas
    from caliscope.api import CalibrationError, CameraArray, CameraData, ImagePoints, calibrate_extrinsics

    frames, views, joints = (scene.weights > 0).nonzero(as_tuple=True)
    x, y = scene.pixels[frames, views, joints].unbind(-1)
    columns = {"sync_index": frames, "cam_id": views, "keypoint_id": joints, "img_loc_x": x, "img_loc_y": y}
    table = pandas.DataFrame({name: column.numpy() for name, column in columns.items()} | {"object_id": 0})
    cameras = {
        view: CameraData(view, tuple(lens.size.int().tolist()), matrix=lens.intrinsics.numpy(),
                         distortions=np.zeros(5))
        for view, lens in enumerate(scene.lenses[view] for view in range(len(scene.lenses)))
    }  # fmt: skip
    try:
        run = calibrate_extrinsics(ImagePoints(table), CameraArray(cameras), None)
    except CalibrationError as reason:
        print("Caliscope:", reason, flush=True)
        return None
    found = run.capture_volume.camera_array.cameras
    return _posed(scene, np.stack([found[view].transformation[:3] for view in range(len(scene.lenses))]))


def humancalib(scene: Recording) -> Cameras:
    """The two steps of its pipeline for networks that say metric 3D, with its defaults: Procrustes between cameras,
    then adjustment, of 100 frames. Its own start and adjustment only: no people to choose and no videos to read."""
    from humancalib.calibration.ba import ba_main
    from humancalib.calibration.calib_linear import calib_procrustes
    from humancalib.core.sampling import budget_frame_skip

    step = budget_frame_skip(len(scene.pixels), FRAME_BUDGET)
    bodies, known = monocular(scene)
    pixels, weights = scene.pixels.nan_to_num().transpose(0, 1), scene.weights.transpose(0, 1)
    x2, s2, x3, s3 = (each[:, ::step].numpy() for each in (pixels, weights, 1000 * bodies, known))
    lenses, bones = scene.lenses.intrinsics.numpy(), np.array(H36M_17.bone_indices)
    rotation, translation, _ = calib_procrustes(x3, s3, lenses, x2, s2)
    rotation, translation, _, _ = ba_main(
        range(len(lenses)), lenses, rotation, translation, x2, s2, x3, s3, 1.0, 1.0,
        bone_idx=bones, jac_mode="analytic",
    )  # fmt: skip
    return _posed(scene, np.concatenate([rotation, translation.reshape(-1, 3, 1)], axis=-1))


def monocular(
    scene: Recording,
) -> tuple[Float[Tensor, "views frames 26 3"], Float[Tensor, "views frames 26"]]:
    """What a network would say in each camera's frame, metres, and 1 where it does: where the joint is detected."""
    g = torch.Generator().manual_seed(int(1e6 * scene.world[0].abs().sum()))  # each scene its own
    own = torch.arange(len(scene.world), dtype=torch.float64)
    places = own + FPS * scene.late[:, None] + scene.drift[:, None] * own
    before = places.floor().long().clamp(0, len(own) - 2)
    world = torch.lerp(scene.world[before], scene.world[before + 1], (places - before)[..., None, None])
    inside = (places >= 0) & (places <= len(own) - 1)
    bodies = torch.stack([scene.truth[view].to_camera(world[view]) for view in range(len(world))])
    bodies = bodies + JOINT_NOISE * torch.randn(bodies.shape, generator=g, dtype=torch.float64)
    bodies = (
        bodies
        * (1 + DISTANCE_NOISE * torch.randn(places.shape, generator=g, dtype=torch.float64))[..., None, None]
    )
    return bodies, scene.weights.transpose(0, 1) * inside[..., None]


def _posed(scene: Recording, cam_from_world: np.ndarray) -> Cameras:
    return replace(scene.lenses, cam_from_world=torch.from_numpy(cam_from_world))
