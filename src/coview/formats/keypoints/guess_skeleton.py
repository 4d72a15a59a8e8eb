"""Find a detector's skeleton from the number of joints and from the poses."""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError
from coview.formats.keypoints.skeleton_evidence import best_exchange, can_be_checked, order_cost, people_seen
from coview.skeletons import SKELETONS, Skeleton, named_skeleton

# whole-body detectors: how many of the first joints are the body
_BODY_FIRST = {133: 23, 135: 25, 136: 26}
# cost above which the joints are in no order that is known; right ones stay below −0.55 in 26 clips of motion capture
# seen from anywhere with large errors and missing joints, 95 of 100 random orders are above 0.1
_ABSOLUTE = -0.4
# difference in cost below which two orders are not told apart; 0.5 and more between orders of whole bodies
_CLEAR = 0.3
# what exchanging two joints may gain; in right orders 0.08 at most
_EXCHANGE = 0.25


def body_part(
    points: Float[Tensor, "views frames people joints 3"], asked: str | Skeleton | None = None
) -> Float[Tensor, "views frames people body 3"]:
    """The body and feet without the face and hands of whole-body detectors.

    Args:
        points: Shape (views, frames, people, joints, 3).
        asked: Skeleton, or its name, that the user or the file gives; all joints stay where it has as many.

    Returns:
        Shape (views, frames, people, body, 3); `points` itself for other numbers of joints than 133, 135 and 136.
    """
    count = points.shape[-2]
    if asked is not None:
        skeleton = named_skeleton(asked) if isinstance(asked, str) else asked
        if len(skeleton) == count:
            return points
    return points[..., : _BODY_FIRST.get(count, count), :]


def which_skeleton(
    points: Float[Tensor, "views frames people joints 3"],
    asked: str | None,
    said: str | Skeleton | None = None,
) -> tuple[Skeleton, str]:
    """The skeleton of 2D joints, and why.

    Without a name, the skeletons with as many joints are compared by how well the poses fit (`skeleton_evidence`): the
    best must fit well, clearly better than the next, and no two of its joints may look exchanged.

    Args:
        points: Shape (views, frames, people, joints, 3): x, y in pixels, confidence.
        asked: Name of a skeleton that the user gives; goes before everything else.
        said: Skeleton that the file gives, or its name.

    Returns:
        The skeleton, and the reason in words.

    Raises:
        InputError: The name's number of joints differs, no skeleton has this number, or the poses fit none or several.
        UnknownNameError: No skeleton has that name.
    """
    count = points.shape[-2]
    if asked or said:
        return _named(points, asked or said, "as asked for" if asked else "as the files say")  # type: ignore[arg-type]
    candidates = _candidates(count)
    if not candidates:
        known = sorted({len(skeleton) for skeleton in SKELETONS} | _BODY_FIRST.keys())
        raise InputError(
            f"people have {count} joints, and no skeleton is known by that number (known: "
            f"{', '.join(map(str, known))}). Pass --skeleton with the name of one that has {count} joints."
        )
    people = people_seen(points)
    costs = _costs(people, candidates)
    best, *others = sorted(candidates, key=lambda skeleton: costs[skeleton.name])
    shown = ", ".join(f"{skeleton.name} {costs[skeleton.name]:.2f}" for skeleton in (best, *others))
    if len(people) and costs[best.name] > _ABSOLUTE:
        raise InputError(
            f"people have {count} joints, as {', '.join(one.name for one in (best, *others))}, but in another order: "
            f"the joints that a bone joins lie far apart (cost {shown}; {_ABSOLUTE} at most for human bodies). A wrong "
            f"order would make a wrong body. Put the joints into the order of a skeleton that coview knows, or say "
            f"with --skeleton which it is all the same."
        )
    if others and not costs[others[0].name] - costs[best.name] > _CLEAR:
        names = sorted(s.name for s in (best, *others) if not costs[s.name] - costs[best.name] > _CLEAR)
        raise InputError(
            f"{count} joints are either {' or '.join(names)}, and the poses do not tell which (cost of each: {shown}). "
            f"A wrong name would make a wrong body. Pass --skeleton {' or --skeleton '.join(names)}."
        )
    if not len(people) or not can_be_checked(best):
        return best, f"from the number of joints, {count}, A GUESS: their order cannot be checked"
    _check_order(people, best, costs[best.name], count)
    told = f"told from {', '.join(other.name for other in others)} by" if others else "confirmed by"
    return best, f"{count} joints: {told} where the joints lie (cost {shown}; below {_ABSOLUTE} fits)"


def _candidates(count: int) -> list[Skeleton]:
    """One skeleton of each order of joints."""
    orders = {skeleton.joints: skeleton for skeleton in reversed(SKELETONS) if len(skeleton) == count}
    return [skeleton for skeleton in orders.values() if can_be_checked(skeleton)] or list(orders.values())[:1]


def _costs(people: Float[Tensor, "people joints 2"], candidates: list[Skeleton]) -> dict[str, float]:
    """Median cost of each order; infinite where nothing can be said."""
    if not len(people):
        return {skeleton.name: torch.inf for skeleton in candidates}
    return {
        skeleton.name: float(order_cost(people, skeleton).nanmedian().nan_to_num(torch.inf))
        if can_be_checked(skeleton)
        else -torch.inf
        for skeleton in candidates
    }


def _check_order(
    people: Float[Tensor, "people joints 2"], skeleton: Skeleton, cost: float, count: int
) -> None:
    if not can_be_checked(skeleton):
        return
    why = _contradiction(people, skeleton, cost)
    if why:
        raise InputError(
            f"people have {count} joints, as {skeleton.name} has, but they are in another order: {why}. A wrong order "
            f"would make a wrong body. Put the joints into the order of a skeleton that coview knows, or pass "
            f"--skeleton {skeleton.name} if they are in its order all the same."
        )


def _contradiction(people: Float[Tensor, "people joints 2"], skeleton: Skeleton, cost: float) -> str:
    """What speaks against an order of joints; empty where nothing does."""
    if cost > _ABSOLUTE:
        return f"the joints that a bone joins lie far apart (cost {cost:.2f}, {_ABSOLUTE} at most for human bodies)"
    gain, (one, other) = best_exchange(people, skeleton)
    if gain > _EXCHANGE:
        return f"'{one}' and '{other}' look exchanged (cost falls by {gain:.2f})"
    return ""


def _named(
    points: Float[Tensor, "views frames people joints 3"], named: str | Skeleton, by: str
) -> tuple[Skeleton, str]:
    skeleton = named if isinstance(named, Skeleton) else named_skeleton(named)
    count = points.shape[-2]
    if len(skeleton) != count:
        raise InputError(
            f"skeleton '{skeleton.name}' has {len(skeleton)} joints, and the 2D joints have {count} per person. "
            f"Choose another with --skeleton."
        )
    people = people_seen(points)
    if not len(people) or not can_be_checked(skeleton):
        return skeleton, by
    why = _contradiction(people, skeleton, _costs(people, [skeleton])[skeleton.name])
    return skeleton, f"{by}, A GUESS against the poses: {why}" if why else by
