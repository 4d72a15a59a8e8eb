"""The judgement of cameras by the 2D joints that they saw: good, poor and why, or refused and why.

All stages that write or use cameras ask here. Every limit is a share of the person's size in the image, so that it
means the same for any resolution and distance. What passes was measured on real laboratory calibrations, whose pairs
of cameras disagree by 0.5 to 5 % of the person's size.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.body.body_evidence import BodyEvidence, body_evidence
from coview.cameras import Cameras
from coview.capture.judgement.better_lens import better_lens
from coview.capture.judgement.causes import likely_cause
from coview.errors import InputError
from coview.geometry.sampling import evenly
from coview.geometry.triangulation.inlier_threshold import automatic_threshold
from coview.geometry.triangulation.pair_agreement import LeftOut, PairAgreement, pair_agreement
from coview.geometry.triangulation.triangulate import in_front, triangulate_robust
from coview.skeletons import Skeleton

Verdict = Literal["good", "poor", "refused"]
# says what would make the cameras fit, of all of them or of some views
Cause = Callable[..., str]

# median epipolar distance of the pairs, in person sizes: from which on cameras are poor, and are refused
_POOR, _REFUSED = 0.022, 0.04
# share of the joints in front of the cameras that saw them
_IN_FRONT = 0.6
# spread of limb lengths over time, and difference of left and right
_SPREAD_POOR, _SPREAD_REFUSED = 0.16, 0.4
_UNEVEN_POOR, _UNEVEN_REFUSED = 0.15, 0.5
# metres: statures of people, and of what cannot be a person
_PEOPLE, _POSSIBLE = (1.1, 2.2), (0.5, 2.7)
# cosine of the angle of the bodies' mean direction with z below which they do not stand; a shorter mean tells nothing
_STANDING, _STEADY = 0.5, 0.5
# share of cues by which a body is mirrored
_MIRRORED = 0.8
# frames that are triangulated for the judgement
_FRAMES = 400


class RefusedError(InputError):
    """Cameras that do not fit what they saw; `--force` uses them all the same and marks the result."""


@dataclass(frozen=True)
class Judgement:
    """What is thought of cameras, and why."""

    # the answer
    verdict: Verdict
    # sentences without a full stop: why not good, the most important first
    reasons: tuple[str, ...]
    # sentences that are no fault of the cameras but should be read: bodies that lie, an unusual stature
    notes: tuple[str, ...]
    # camera's name: whether its detections agree with the others, per frame; all true where nothing is left out
    usable: Bool[Tensor, "frames views"]
    # cameras left out, by name: first frame, and the one after the last
    left_out: Mapping[str, tuple[int, int]]
    # median epipolar distance of the pairs that are used, in person sizes
    level: float

    @property
    def words(self) -> str:
        """One line: the verdict, and its reasons."""
        return f"{self.verdict}{': ' if self.reasons else ''}{'; '.join(self.reasons)}"


def judge_cameras(
    cameras: Cameras,
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    skeleton: Skeleton,
    names: tuple[str, ...],
    *,
    people: int = 1,
) -> Judgement:
    """Judge cameras by what they saw: do the pairs agree, which camera does not, and are the bodies possible?

    Args:
        cameras: of batch `views`; metres, z up.
        pixels: raw 2D joints, (frames, views, joints, 2), the joints of one person after those of another.
        weights: of the joints, (frames, views, joints); 0: not seen.
        skeleton: of one person.
        names: of the cameras.
        people: number of people.

    Returns:
        The judgement. Where no two cameras see a joint at the same time it is refused."""
    agreement = pair_agreement(cameras, pixels, weights, people)
    cause = partial(likely_cause, cameras, pixels, weights, people, names)
    usable = agreement.usable
    left_out = {names[one.view]: one.frames for one in agreement.left_out}
    whole = tuple(one.view for one in agreement.left_out if not bool(usable[:, one.view].any()))
    if not agreement.level <= _REFUSED or 2 * (len(names) - len(whole)) <= len(names):
        reason = _no_agreement(agreement, cause)
        return Judgement("refused", (reason,), (), torch.ones_like(usable), {}, agreement.level)
    reasons = [_left_out(one, names[one.view], len(pixels), cause) for one in agreement.left_out]
    if agreement.level > _POOR:
        reasons.append(
            f"the cameras agree only to {agreement.level:.1%} of a person's size (usual is below 1.5 %)"
        )
    kept = torch.where(usable[..., None], weights, 0.0)
    if lens := better_lens(cameras, pixels, kept, people):
        reasons.append(lens)
    bodies, before = _bodies(cameras, pixels, kept, skeleton, people)
    refused = [] if before >= _IN_FRONT else [_behind(before, cause)]
    for person, body in enumerate(bodies, start=1):
        who = f"person {person}" if people > 1 else "the person"
        refused += _impossible(body, who)
        reasons += _unlikely(body, who)
    notes = tuple(note for note in (_lying(bodies), _tall(bodies)) if note)
    verdict: Verdict = "refused" if refused else "poor" if reasons else "good"
    return Judgement(verdict, (*refused, *reasons), notes, usable, left_out, agreement.level)


def refuse(judgement: Judgement, what: str, force: bool) -> None:
    """Raise for cameras that are refused, unless they are wanted all the same.

    Args:
        judgement: of the cameras.
        what: where they are from, for the message.
        force: whether to go on.

    Raises:
        RefusedError: with the reasons, and the way out."""
    if judgement.verdict == "refused" and not force:
        raise RefusedError(
            f"{what} does not fit what the cameras saw: {'; '.join(judgement.reasons)}. Nothing was written. To use it "
            f"all the same, and have the results marked, pass --force."
        )


# --- reasons -----------------------------------------------------------------------------------------


def _no_agreement(agreement: PairAgreement, cause: Cause) -> str:
    if not bool(agreement.pairs.isfinite().any()):
        return "hardly any joint is seen by two cameras at the same time, so nothing can be compared"
    level = float(agreement.pairs.nanmedian())
    apart = f"rays to the same joint miss each other by {level:.0%} of a person's size (median over pairs of cameras)"
    return f"{apart}: {cause() or 'it is of another recording, or the 2D joints are not in pixels of these pictures'}"


def _left_out(one: LeftOut, name: str, frames: int, cause: Cause) -> str:
    first, last = one.frames
    by = f"(by {one.distance:.0%} of a person's size)"
    if (first, last) != (0, frames):
        when = f"from frame {first} on" if last == frames else f"before frame {last}"
        return f"{name} does not agree with the others {when} {by}: it was moved, or fell out of step"
    words = f"{name} does not agree with the others {by} and is left out"
    found = cause((one.view,))
    return f"{words}; {found}" if found else words


def _behind(share: float, cause: Cause) -> str:
    words = f"only {share:.0%} of the joints lie in front of the cameras that saw them"
    return f"{words}: {cause() or 'an axis is reversed, or a centre was taken for a translation'}"


def _bodies(
    cameras: Cameras, pixels: Tensor, weights: Tensor, skeleton: Skeleton, people: int
) -> tuple[list[BodyEvidence], float]:
    """Evidence of every person, and the share of joints in front of the cameras that saw them."""
    some = evenly(len(pixels), _FRAMES)
    perfect, straight = cameras.to(torch.float64).undistorted(pixels[some].double())
    seen = weights[some].double()
    limit = automatic_threshold(perfect, straight, seen)
    found = triangulate_robust(perfect, straight, seen, threshold=limit)
    before = in_front(perfect, straight, seen).nanmean().nan_to_num(0.0)
    return [body_evidence(part, skeleton) for part in found.points.chunk(people, dim=1)], float(before)


def _impossible(body: BodyEvidence, who: str) -> list[str]:
    reasons = []
    if body.limb_spread > _SPREAD_REFUSED:
        reasons.append(
            f"the limbs of {who} change their length by {body.limb_spread:.0%} from frame to frame"
        )
    if body.asymmetry > _UNEVEN_REFUSED:
        reasons.append(f"left and right limbs of {who} differ by {body.asymmetry:.0%}")
    if not _POSSIBLE[0] <= body.stature <= _POSSIBLE[1] and body.stature == body.stature:
        reasons.append(f"{who} would be {_metres(body.stature)} tall: {_rescaling(body.stature)}")
    if body.mirrored > _MIRRORED:
        reasons.append(
            f"{who} would bend the knees backwards: the world is mirrored, or left and right are exchanged in all "
            f"2D joints"
        )
    return reasons


def _unlikely(body: BodyEvidence, who: str) -> list[str]:
    reasons = []
    if _SPREAD_POOR < body.limb_spread <= _SPREAD_REFUSED:
        reasons.append(
            f"the limbs of {who} change their length by {body.limb_spread:.0%} (usual is below 10 %)"
        )
    if _UNEVEN_POOR < body.asymmetry <= _UNEVEN_REFUSED:
        reasons.append(f"left and right limbs of {who} differ by {body.asymmetry:.0%} (usual is below 5 %)")
    return reasons


def _tall(bodies: list[BodyEvidence]) -> str:
    unusual = [body.stature for body in bodies if _POSSIBLE[0] <= body.stature <= _POSSIBLE[1]]
    unusual = [stature for stature in unusual if not _PEOPLE[0] <= stature <= _PEOPLE[1]]
    if not unusual:
        return ""
    return f"the limbs are those of a person of {_metres(unusual[0])}: {_rescaling(unusual[0])}"


def _rescaling(stature: float) -> str:
    """What unit would make it a person, and how to say it."""
    for factor, said in (
        (1000, "millimetres for metres"),
        (100, "centimetres for metres"),
        (10, "decimetres"),
    ):
        for times, verb in ((factor, "were taken"), (1 / factor, "should be taken")):
            if _PEOPLE[0] <= stature / times <= _PEOPLE[1]:
                return f"{said} {verb}? Give --units, or the person's --stature in metres, which rescales the world"
    return "if that is wrong, the unit of length is; the person's --stature in metres rescales the world"


def _metres(value: float) -> str:
    return f"{value:.2f} m" if value >= 0.1 else f"{100 * value:.1f} cm"


def _lying(bodies: list[BodyEvidence]) -> str:
    """Bodies that do not stand along z, though they stand along something."""
    ups = [body.up for body in bodies if float(body.up.norm()) > _STEADY]
    if not ups:
        return ""
    up = torch.stack(ups).mean(dim=0)
    up = up / up.norm()
    if float(up[2]) >= _STANDING:
        return ""
    axis = int(up.abs().argmax())
    along = f"{'-' if float(up[axis]) < 0 else '+'}{'xyz'[axis]}"
    how = f"they stand along {along}" if float(up.abs()[axis]) > 0.8 else "they stand along none of its axes"
    are = "are upside down" if float(up[2]) < -_STANDING else "lie"
    return (
        f"the bodies {are} in this world, which is taken to have z "
        f"up: {how}. If they stood, turn the world by the people: --up people"
    )
