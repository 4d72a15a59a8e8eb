"""Motions for the procedural body: walking on a curve, random smooth movements, and a mix of both."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from coview.body.anthropometry import DOFS, Body, limits, pose
from coview.errors import InputError
from coview.skeletons import H36M_17, Skeleton, skeleton_map
from coview.threads import one_thread

Kind = Literal["gait", "random", "mixed"]
# metres per second; no joint is faster
FASTEST = 10.0
# metres from the origin, on the floor: no pelvis is farther away ...
FARTHEST = 1.6
# ... and a path that would lead there is made smaller, to this
_REACH = 1.5
# times that random angles are brought nearer to rest, at most: to 5 % of their range
_CALMER = 60


@one_thread()
def random_motion(
    frames: int,
    *,
    fps: float = 25.0,
    seed: int,
    kind: Kind = "mixed",
    skeleton: Skeleton = H36M_17,
    stature: float = 1.75,
) -> Float[Tensor, "frames joints 3"]:
    """Joints of a procedurally animated person who stays within 1.6 m of the origin.

    Bone lengths are constant. No joint is faster than 10 m/s: where the random angles exceed that, all of them are
    moved towards rest. The same arguments give the same motion.

    Args:
        frames: number of frames.
        fps: frames per second.
        seed: of proportions and movement.
        kind: `gait` walks on a closed curve; `random` stands, turns, squats and moves the arms; `mixed` blends between
            the two.
        skeleton: of the result; its joints must be derivable from `H36M_17`.
        stature: metres.

    Returns:
        Joints in metres, world z up, floor at z = 0.

    Raises:
        ValueError: no frames, a frame rate that is not positive, or a stature that is not in metres.
        LookupError: a joint of the skeleton cannot be derived from `H36M_17`."""
    if frames < 1 or fps <= 0:
        raise InputError(f"random_motion: needs frames ≥ 1 and fps > 0, got frames={frames}, fps={fps}.")
    mapped = skeleton_map(H36M_17, skeleton)
    generator = torch.Generator().manual_seed(seed)
    body = Body.make(stature, generator)
    # seconds per stride: 96 to 120 steps a minute
    period = 1.0 + 0.25 * torch.rand((), generator=generator).item()
    phase = torch.arange(frames) / (fps * period) + torch.rand((), generator=generator)
    walking = _share_of_gait(kind, frames, fps, generator)
    loose = _random_angles(frames, fps, generator)
    low, rest, high = limits()
    way = torch.cumsum(walking, dim=0) * (walking_speed(body, period) / fps)
    heading, ground = _on_a_curve(way, generator)
    turning = smooth_noise(frames, 1, 1.5, fps, generator)[:, 0] * (2.5 if kind == "random" else 1.0)
    drift = 0.2 * smooth_noise(frames, 2, 1.5, fps, generator).tanh()
    standing = 1 - walking
    place = _within_reach(ground + standing[:, None] * drift)

    def moved(loose: Tensor) -> Tensor:
        angles = loose + walking[:, None] * (gait_angles(phase) + 0.15 * (loose - rest) - loose)
        return pose(body, angles.clamp(low, high), heading + standing * turning, place)

    return mapped.apply(_slow_enough(moved, loose, fps))


def gait_angles(phase: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch dofs"]:
    """Joint angles of level walking, radians.

    Smooth curves of the usual shape of normal gait (compare the walking trial of [Winter09] app. A): hip from 30°
    flexion to 10° extension, knee near 18° in stance and 60° in swing, arms opposite to the legs. Not measured.

    Args:
        phase: gait cycles (strides); whole numbers are left heel strikes."""
    angle = {name: torch.zeros_like(phase) for name in DOFS}
    for side, own in (("left", phase), ("right", phase + 0.5)):
        # the thigh is farthest forward just before heel strike
        swing = _wave(own, 0.97)
        angle[f"{side}_hip_flexion"] = 11 + 20 * swing
        angle[f"{side}_hip_abduction"] = 2 + 0 * own
        angle[f"{side}_knee_flexion"] = 4 + 14 * _bump(own, 0.14, 6.0) + 57 * _bump(own, 0.73, 3.5)
        angle[f"{side}_shoulder_flexion"] = -16 * swing
        angle[f"{side}_shoulder_abduction"] = 10 + 0 * own
        angle[f"{side}_elbow_flexion"] = 28 - 11 * swing
    turning = _wave(phase, 0.97)
    # the left hip goes forward with the left leg
    angle["pelvis_turn"] = -5 * turning
    # the side in the air drops
    angle["pelvis_list"] = 4 * _wave(phase, 0.65)
    angle["pelvis_tilt"] = 5 + 0 * phase
    angle["spine_twist"] = 11 * turning
    angle["neck_twist"] = -6 * turning
    return torch.stack([angle[name] for name in DOFS], dim=-1).deg2rad()


def walking_speed(body: Body, period: float) -> float:
    """Metres per second at which the stance foot of `gait_angles` does not slide, on average.

    Args:
        body: segment lengths.
        period: seconds per stride."""
    steps = 200
    angles = gait_angles(torch.arange(steps) / steps)
    joints = pose(body, angles, torch.zeros(steps), torch.zeros(steps, 2))
    ankles = joints[:, [H36M_17.index("left_ankle"), H36M_17.index("right_ankle")]]
    lower = ankles[..., 2].argmin(dim=-1, keepdim=True)
    forward = (ankles.roll(-1, dims=0) - ankles)[..., 0].gather(-1, lower)
    return -forward.mean().item() * steps / period


def smooth_noise(
    frames: int, channels: int, seconds: float, fps: float, generator: torch.Generator
) -> Float[Tensor, "frames channels"]:
    """Gaussian noise of unit variance with a Gaussian autocorrelation: white noise through a Gaussian kernel.

    Args:
        frames: length.
        channels: independent signals.
        seconds: standard deviation of the kernel.
        fps: frames per second.
        generator: of the noise."""
    width = max(seconds * fps, 1e-3)
    reach = int(3 * width) + 1
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width).square())
    white = torch.randn(channels, 1, frames + 2 * reach, generator=generator)
    smooth = torch.nn.functional.conv1d(white, (kernel / kernel.norm())[None, None])
    return smooth[:, 0].T


def _share_of_gait(kind: Kind, frames: int, fps: float, generator: torch.Generator) -> Tensor:
    """Blend weight of walking: 1 walks, 0 stands and moves, smooth in between."""
    change = (3 * smooth_noise(frames, 1, 2.0, fps, generator)[:, 0]).sigmoid()
    return {"gait": torch.ones(frames), "random": torch.zeros(frames), "mixed": change}[kind]


def _random_angles(frames: int, fps: float, generator: torch.Generator) -> Tensor:
    """Every angle varies around its rest within its range; at times a squat or raised arms are added."""
    low, rest, high = limits()
    lively = torch.tensor([0.9 if _is_arm(name) else 0.3 if _is_leg(name) else 0.45 for name in DOFS])
    noise = (lively * smooth_noise(frames, len(DOFS), 0.5, fps, generator)).tanh()
    angles = rest + torch.where(noise > 0, noise * (high - rest), noise * (rest - low))
    gestures = _now_and_then(smooth_noise(frames, 5, 0.6, fps, generator))
    for gesture, added in zip(gestures.unbind(-1), _GESTURES, strict=True):
        reach = torch.tensor([added.get(name, 0.0) for name in DOFS]).deg2rad()
        angles = angles + gesture[:, None] * reach
    return angles


# degrees added at the height of a gesture
_GESTURES: tuple[dict[str, float], ...] = (
    {
        **{"pelvis_tilt": 18, "spine_flexion": 15, "left_hip_flexion": 90, "right_hip_flexion": 90},
        **{"left_knee_flexion": 105, "right_knee_flexion": 105},
    },
    {"left_shoulder_flexion": 140},
    {"right_shoulder_flexion": 140},
    {"left_shoulder_abduction": 120, "right_shoulder_abduction": 120},
    {"pelvis_tilt": 25, "spine_flexion": 40, "left_hip_flexion": 25, "right_hip_flexion": 25},
)


def _now_and_then(noise: Tensor) -> Tensor:
    """Smooth gate: 0 below the noise's upper range, 1 at its peaks."""
    ramp = ((noise - 0.6) / 0.9).clamp(0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def _on_a_curve(way: Float[Tensor, "frames"], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Heading (radians) and place (metres) after `way` metres on a closed wavy circle, in either direction."""
    size, wave, start, shift, side = torch.rand(5, generator=generator).tolist()
    lobes = int(torch.randint(2, 4, (), generator=generator))
    radius, depth, phase = 0.8 + 0.3 * size, 0.15 * wave, 6.2832 * shift
    first = 6.2832 * start
    angle = first + torch.linspace(0, float(way[-1]) / (0.6 * radius) + 1, 20 + 60 * (int(way[-1]) + 1))
    r = radius * (1 + depth * (lobes * angle + phase).cos())
    slope = -radius * depth * lobes * (lobes * angle + phase).sin()
    pace = (r.square() + slope.square()).sqrt()
    length = torch.cat([pace.new_zeros(1), torch.cumulative_trapezoid(pace, angle)])
    place = torch.stack([r * angle.cos(), r * angle.sin(), angle + torch.atan2(r, slope)], dim=-1)
    x, y, heading = _interpolated(way, length, place).unbind(-1)
    mirror = 1.0 if side < 0.5 else -1.0
    centre = 0.2 * (2 * torch.rand(2, generator=generator) - 1)
    return mirror * heading, torch.stack([x, mirror * y], dim=-1) + centre


def _within_reach(place: Float[Tensor, "frames 2"]) -> Float[Tensor, "frames 2"]:
    """The path, made smaller about the origin where it would lead farther than FARTHEST; metres."""
    farthest = place.norm(dim=-1).max()
    return place * (_REACH / farthest) if farthest >= FARTHEST else place


def _slow_enough(
    moved: Callable[[Tensor], Tensor], loose: Float[Tensor, "frames dofs"], fps: float
) -> Float[Tensor, "frames joints 3"]:
    """What `moved` makes of random angles, or of angles nearer to rest until no joint is faster than FASTEST."""
    rest, joints = limits()[1], moved(loose)
    for _ in range(_CALMER):
        if (joints.diff(dim=0).norm(dim=-1) * fps < FASTEST).all():
            break
        loose = torch.lerp(rest, loose, 0.95)
        joints = moved(loose)
    return joints


def _interpolated(at: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Piecewise linear through rising `knots`."""
    right = torch.searchsorted(knots, at).clamp(1, len(knots) - 1)
    share = (at - knots[right - 1]) / (knots[right] - knots[right - 1])
    return torch.lerp(values[right - 1], values[right], share[:, None])


def _wave(phase: Tensor, top: float) -> Tensor:
    return (2 * torch.pi * (phase - top)).cos()


def _bump(phase: Tensor, top: float, sharpness: float) -> Tensor:
    """1 at `top`, near 0 half a stride away."""
    return (sharpness * (_wave(phase, top) - 1)).exp()


def _is_arm(dof: str) -> bool:
    return "shoulder" in dof or "elbow" in dof


def _is_leg(dof: str) -> bool:
    return "hip" in dof or "knee" in dof
