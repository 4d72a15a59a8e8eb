"""Motions of people who stay where they are: standing and talking, sitting, or hardly moving."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from coview.body.anthropometry import DOFS, Body, limits, pose
from coview.body.procedural_motion import smooth_noise

Rest = Literal["talk", "sit", "still"]

# degrees, of a person on a chair with both feet on the floor
_SEATED = {
    **{"left_hip_flexion": 86, "right_hip_flexion": 86, "left_knee_flexion": 88, "right_knee_flexion": 88},
    **{"pelvis_tilt": 0, "left_shoulder_flexion": 25, "right_shoulder_flexion": 25},
    **{"left_elbow_flexion": 60, "right_elbow_flexion": 60},
}
# share of an angle's range that trunk and head, legs, and arms move in
_LIVELY = {"talk": (0.18, 0.08, 0.55), "sit": (0.15, 0.04, 0.35), "still": (0.04, 0.02, 0.04)}
# metres: standard deviation of the place, and radians: of where the body faces
_SWAY = {"talk": (0.04, 0.25), "sit": (0.008, 0.06), "still": (0.008, 0.03)}
# seconds: time scale of the sway and of gestures
_SLOW, _QUICK = 1.0, 0.35


def resting_motion(
    frames: int, *, fps: float = 25.0, seed: int, how: Rest, stature: float = 1.75
) -> Float[Tensor, "frames joints 3"]:
    """Joints of a person about the origin who does not go anywhere. The same arguments give the same motion.

    Args:
        frames: number of frames.
        fps: frames per second.
        seed: of proportions, orientation and movement.
        how: `talk` stands, sways and gestures; `sit` sits and moves head and arms a little; `still` stands at ease.
        stature: metres.

    Returns:
        Joints of `H36M_17` in metres, world z up, floor at z = 0."""
    generator = torch.Generator().manual_seed(seed)
    body = Body.make(stature, generator)
    low, rest, high = limits()
    if how == "sit":
        seated = [_SEATED.get(name, float(rest[index].rad2deg())) for index, name in enumerate(DOFS)]
        rest = torch.tensor(seated).deg2rad()
    trunk, legs, arms = _LIVELY[how]
    lively = torch.tensor(
        [
            arms if "shoulder" in n or "elbow" in n else legs if "hip" in n or "knee" in n else trunk
            for n in DOFS
        ]
    )
    noise = (lively * smooth_noise(frames, len(DOFS), _QUICK, fps, generator)).tanh()
    angles = rest + torch.where(noise > 0, noise * (high - rest), noise * (rest - low))
    place, turn = _SWAY[how]
    sway = smooth_noise(frames, 3, _SLOW, fps, generator)
    heading = 6.2832 * torch.rand((), generator=generator) + turn * sway[:, 2]
    return pose(body, angles.clamp(low, high), heading, place * sway[:, :2])
