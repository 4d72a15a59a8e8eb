"""Guess a detector's skeleton from the number of joints and, where that is ambiguous, from the poses."""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError
from coview.skeletons import BODY_25, BODY_25B, COCO_17, HALPE_26, Skeleton, named_skeleton


def _openpose_18() -> Skeleton:
    """OpenPose's older model: BODY_25 without pelvis and feet."""
    joints = (*BODY_25.joints[:8], *BODY_25.joints[9:19])
    bones = tuple(bone for bone in BODY_25.bones if set(bone) <= set(joints))
    pairs = tuple(pair for pair in BODY_25.left_right if set(pair) <= set(joints))
    hips = (("neck", "left_hip"), ("neck", "right_hip"))
    return Skeleton("openpose_18", joints, bones + hips, "neck", pairs)


OPENPOSE_18 = _openpose_18()
_BY_COUNT = {17: COCO_17, 18: OPENPOSE_18, 26: HALPE_26}
# whole-body detectors: how many of the first joints are the body
_BODY_FIRST = {133: 17, 135: 25, 136: 26}
# ratio of the errors of the two skeletons from which the better one is taken
_CLEAR = 2.0


def body_part(
    points: Float[Tensor, "views frames people joints 3"],
) -> Float[Tensor, "views frames people body 3"]:
    """The body's joints without the face and hands of whole-body detectors, which coview does not use.

    Args:
        points: Shape (views, frames, people, joints, 3).

    Returns:
        Shape (views, frames, people, body, 3); `points` itself for other numbers of joints than 133, 135 and 136.
    """
    return points[..., : _BODY_FIRST.get(points.shape[-2], points.shape[-2]), :]


def which_skeleton(
    points: Float[Tensor, "views frames people joints 3"], asked: str | None, said: str | None = None
) -> tuple[Skeleton, str]:
    """The skeleton of 2D joints, and why.

    BODY_25 and BODY_25B both have 25 joints: with the right one the neck lies between the shoulders, the nose between
    the eyes and the heels at the ankles.

    Args:
        points: Shape (views, frames, people, joints, 3): x, y in pixels, confidence.
        asked: Name of a skeleton that the user gives; goes before everything else.
        said: Name that the file gives.

    Returns:
        The skeleton, and the reason in words.

    Raises:
        ValueError: The name's number of joints differs, no skeleton has this number, or the poses fit both.
    """
    count = points.shape[-2]
    named, by = (asked, "as asked for") if asked else (said, "as the file says")
    if named:
        skeleton = named_skeleton(named)
        if len(skeleton) != count:
            raise InputError(
                f"skeleton '{named}' has {len(skeleton)} joints, and the 2D joints have {count} per person. "
                f"Choose another with --skeleton."
            )
        return skeleton, by
    if count in _BY_COUNT:
        return _BY_COUNT[count], f"from the number of joints, {count}; pass --skeleton if that is wrong"
    if count == 25:
        return _body_25_or_25b(points)
    raise InputError(
        f"people have {count} joints, and no skeleton is known by that number (known: 17, 18, 25, 26, 133, "
        f"135, 136). Pass --skeleton with the name of one that has {count} joints."
    )


def _body_25_or_25b(points: Float[Tensor, "views frames people joints 3"]) -> tuple[Skeleton, str]:
    errors = {skeleton.name: _placement_error(points, skeleton) for skeleton in (BODY_25, BODY_25B)}
    best, worst = sorted((BODY_25, BODY_25B), key=lambda skeleton: errors[skeleton.name])
    shown = f"{best.name} {errors[best.name]:.3f}, {worst.name} {errors[worst.name]:.3f} body sizes off"
    if not errors[worst.name] > _CLEAR * errors[best.name]:
        raise InputError(
            f"25 joints are either body_25 or body_25b, and the poses do not tell which ({shown}). "
            f"Pass --skeleton body_25 or --skeleton body_25b."
        )
    return best, f"25 joints: told from body_25/body_25b by where neck, ears and eyes lie ({shown})"


def _placement_error(points: Float[Tensor, "views frames people joints 3"], skeleton: Skeleton) -> float:
    """How far neck, nose and eyes are from where they belong under `skeleton`, in body sizes; median."""
    xy = torch.where(points[..., 2:] > 0, points[..., :2], torch.nan)
    size = _extent(xy)

    def off(joint: str, *of: str) -> Tensor:
        middle = torch.stack([xy[..., skeleton.index(name), :] for name in of]).mean(dim=0)
        return ((xy[..., skeleton.index(joint), :] - middle).norm(dim=-1) / size).flatten()

    parts = [off("neck", "left_shoulder", "right_shoulder"), off("nose", "left_eye", "right_eye")]
    parts += [off("left_heel", "left_ankle"), off("right_heel", "right_ankle")]
    medians = torch.stack([part.nanmedian() for part in parts])
    return float(medians.nanmean().nan_to_num(torch.inf))


def _extent(xy: Float[Tensor, "*batch joints 2"]) -> Float[Tensor, "*batch"]:
    low = xy.nan_to_num(torch.inf).amin(dim=-2)
    high = xy.nan_to_num(-torch.inf).amax(dim=-2)
    size = (high - low).norm(dim=-1)
    return torch.where(size.isfinite() & (size > 0), size, torch.nan)
