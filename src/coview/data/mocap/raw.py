"""Reader of raw motion capture (ASF/AMC, BVH, C3D): joints of MOCAP_19 in metres, +Y up."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from coview.data.mocap.bvh import bvh_joints
from coview.data.mocap.skeleton_plausibility import STATURE, TRUNK_TO_LEG, knee_forward, stature, trunk_to_leg
from coview.errors import InputError
from coview.formats.motion import amc as asf_amc
from coview.formats.motion.asf import read_asf
from coview.formats.motion.bvh import read_bvh
from coview.formats.motion.c3d import read_c3d
from coview.formats.motion.marker_names import joint_from_marker, skeleton_of
from coview.skeletons import MOCAP_19, skeleton_map

Unit = Literal["cmu", "m", "cm", "mm", "inch"]
METRES: dict[Unit, float] = {"cmu": 0.0254 / 0.45, "m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254}
_STATED, _GIVEN = "as the file says", "as given by --fps"
_KEPT = "as the file says; --fps is not used, because it is for files that state no rate"
# largest plausible rate; motion capture cameras have 60 to 500 fps
_MAX_FPS = 1000.0
# the rate of CMU's cameras [mocap.cs.cmu.edu]; an AMC file states none
AMC_FPS = 120.0

# The bone of an ASF that ends at each joint of MOCAP_19; the pelvis is the middle of the hips.
_BONES = (
    "rhipjoint rfemur rtibia lhipjoint lfemur ltibia upperback thorax upperneck head "
    "lclavicle lhumerus lradius rclavicle rhumerus rradius ltoes rtoes"
)
ASF_BONES = dict(zip(MOCAP_19.joints[1:], _BONES.split(), strict=True))


@dataclass(frozen=True)
class Take:
    """One file's motion at its own rate."""

    # MOCAP_19, metres, +Y up, float64; NaN: not known
    points: Float[Tensor, "frames joints 3"]
    fps: float
    # source of the rate
    rate: str
    # the file's unit, and how it was determined
    unit: str
    # what was repaired; empty where nothing was
    repair: str
    # A: the original skeleton, B: a conversion of it, M: markers
    grade: str


def read_take(
    path: Path, *, asf: Path | None = None, unit: Unit | None = None, fps: float | None = None
) -> Take:
    """The motion of an .amc (with its .asf), .bvh or .c3d file.

    Args:
        path: of the file.
        asf: skeleton; needed for an .amc, and used for a .bvh that lacks a bone.
        unit: overrides the rule of the format.
        fps: for files that state no rate; an .amc has 120 without it. A stated rate is kept.

    Raises:
        ValueError: `fps` is no rate, the file is malformed, the person is not 1.2 to 2.2 m tall or is reflected, or the
            trunk lacks a bone that cannot be restored."""
    check_rate(fps)
    kind = path.suffix.lower()
    if kind == ".amc":
        take = _amc(path, asf, unit, fps)
    elif kind == ".bvh":
        take = _bvh(path, asf, unit, fps)
    elif kind == ".c3d":
        take = _c3d(path, fps)
    else:
        raise InputError(
            f"{path}: motion is read from .amc (with .asf), .bvh and .c3d, not from '{path.suffix}'."
        )
    _check(take, path)
    return take


def check_rate(fps: float | None) -> None:
    """Checks a frame rate.

    Args:
        fps: given with --fps.

    Raises:
        ValueError: no motion capture camera has this rate."""
    if fps is not None and not (math.isfinite(fps) and 0 < fps <= _MAX_FPS):
        raise InputError(
            f"--fps {fps:g} is no rate of motion capture: give the frames per second of the files, more than 0 and at "
            f"most {_MAX_FPS:g} (CMU's .amc files have 120), or leave --fps out."
        )


def _rate(stated: float, given: float | None) -> tuple[float, str]:
    """The file's own rate where it states one, and its source."""
    if stated > 0 or given is None:
        return stated, _STATED if given is None else _KEPT
    return given, _GIVEN


def _amc(path: Path, asf: Path | None, unit: Unit | None, fps: float | None) -> Take:
    if asf is None:
        raise InputError(
            f"{path}: angles without a skeleton. Put the subject's .asf (e.g. 02.asf for 02_01.amc) beside it."
        )
    skeleton = read_asf(asf)
    scale = skeleton.metres_per_unit if unit is None else METRES[unit]
    rule = f"`length {skeleton.length_unit:g}` in {asf.name}: 1/{skeleton.length_unit:g} inch"
    bones = [skeleton.index(bone) for bone in ASF_BONES.values()]
    ends = asf_amc.joint_positions(asf_amc.read_amc(path, skeleton))[:, bones]
    points = torch.cat([ends[:, [0, 3]].mean(dim=1, keepdim=True), ends], dim=1) * scale
    rate = _GIVEN if fps is not None else "assumed: AMC states no rate, CMU's cameras had this one"
    return Take(
        points,
        AMC_FPS if fps is None else fps,
        rate,
        rule if unit is None else f"{unit}, as given by --unit",
        "",
        "A",
    )


def _bvh(path: Path, asf: Path | None, unit: Unit | None, fps: float | None) -> Take:
    bvh = read_bvh(path)
    points, mended = bvh_joints(bvh, None if asf is None else read_asf(asf))
    found, rule = _unit(stature(points), path) if unit is None else (unit, "as given by --unit")
    repair = ""
    if mended is not None:
        size = mended.length * METRES[found] * 1000
        repair = f"the missing bone `thorax` was put back ({size:.0f} mm, {mended.source})"
    return Take(points * METRES[found], *_rate(bvh.fps, fps), f"{found}, {rule}", repair, "B")


def _unit(height: float, path: Path) -> tuple[Unit, str]:
    """The only unit in which the person has a person's stature."""
    low, high = STATURE
    fits: list[Unit] = [unit for unit, metres in METRES.items() if low <= height * metres <= high]
    if not fits:
        raise InputError(
            f"{path}: the person is {height:.4g} tall in the file's unit, which BVH does not state, and no unit "
            f"({', '.join(METRES)}) makes that {low} to {high} m. Give --unit if you know it."
        )
    assert len(fits) == 1, "units differ by a factor of 2.2 and more, statures by 1.8 at most"
    return fits[
        0
    ], f"the unit in which this person is {height * METRES[fits[0]]:.2f} m tall (BVH states none)"


def _c3d(path: Path, fps: float | None) -> Take:
    poses = read_c3d(path)
    names = [joint_from_marker(joint.rsplit(":", 1)[-1]) for joint in poses.skeleton.joints]
    try:
        mapping = skeleton_map(skeleton_of(names, path.stem), MOCAP_19)
    except LookupError as error:
        raise InputError(
            f"{path}: {error} Markers on the skin (LFHD, RASI, …) are not joint centres, and taking one for the other "
            f"is off by centimetres. Use the .asf and .amc of the same take."
        ) from error
    x, y, z = mapping.apply(poses.points.double()).unbind(-1)
    made = [name for name, computed in zip(MOCAP_19.joints, mapping.computed, strict=True) if computed]
    repair = f"means of neighbours: {', '.join(made)}" if made else ""
    return Take(
        torch.stack([x, z, -y], dim=-1),
        *_rate(poses.fps, fps),
        poses.provenance["units"],
        repair,
        "M",
    )


def _check(take: Take, path: Path) -> None:
    height, share = stature(take.points), trunk_to_leg(take.points)
    if not STATURE[0] <= height <= STATURE[1]:
        raise InputError(
            f"{path}: the person would be {height:.3g} m tall (unit: {take.unit}); people are {STATURE[0]} to "
            f"{STATURE[1]} m. Give the unit that is right with --unit ({', '.join(METRES)})."
        )
    if share < TRUNK_TO_LEG:
        raise InputError(
            f"{path}: the trunk is {share:.2f} of the leg, and CMU's skeletons have 0.50 to 0.60: a bone of the trunk "
            f"is missing (conversions to BVH and FBX often drop `thorax`), and it is not plain where. Use the "
            f".asf and .amc of the same take."
        )
    if knee_forward(take.points) <= 0:
        raise InputError(
            f"{path}: knees flex and toes point backwards: the body is mirrored, or left and right are swapped. An "
            f"axis was negated, or two were exchanged, in what made this file; export it with right-handed axes."
        )
