"""What a skeleton is (which joints exist, how they connect, which swap under a mirror), and how one maps to another.

Joint names are shared by all skeletons, so that a map is found by name: `left_hip` is the same place
in each. Where a skeleton has no joint of that name, the place is a mean of its neighbours (a hip
mid-point for `pelvis`); such joints are marked as computed, because a mean of two hips is not a label.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError, UnknownNameError

# A joint that a skeleton lacks may be computed as the mean of these; tried in order.
_MEANS: dict[str, tuple[tuple[str, ...], ...]] = {
    "pelvis": (("left_hip", "right_hip"),),
    "thorax": (("neck",), ("left_shoulder", "right_shoulder")),
    "neck": (("thorax",), ("left_shoulder", "right_shoulder")),
    "spine": (
        ("pelvis", "thorax"),
        ("pelvis", "neck"),
        ("left_hip", "right_hip", "left_shoulder", "right_shoulder"),
    ),
    "head": (("left_ear", "right_ear"), ("nose", "head_top"), ("left_eye", "right_eye")),
    "nose": (("left_eye", "right_eye"),),
    "left_foot": (("left_big_toe", "left_small_toe"), ("left_big_toe",), ("left_toe",)),
    "right_foot": (("right_big_toe", "right_small_toe"), ("right_big_toe",), ("right_toe",)),
    "left_toe": (("left_big_toe", "left_small_toe"), ("left_big_toe",), ("left_foot",)),
    "right_toe": (("right_big_toe", "right_small_toe"), ("right_big_toe",), ("right_foot",)),
}


@dataclass(frozen=True)
class Skeleton:
    """Named joints, the bones between them, the joint that poses are centred on.

    Attributes:
        name: Of the skeleton.
        joints: Names in the order of arrays; the same names mean the same places in all skeletons.
        bones: Pairs of parent and child.
        root: The joint that poses are centred on.
        left_right: Pairs of joints that swap under a mirror.

    Example:
        >>> import coview
        >>> stick = coview.Skeleton("stick", ("head", "foot"), bones=(("head", "foot"),), root="foot")
        >>> len(stick), stick.root_index
        (2, 1)
    """

    name: str
    joints: tuple[str, ...]
    # parent, child
    bones: tuple[tuple[str, str], ...]
    root: str
    # pairs that swap under a mirror
    left_right: tuple[tuple[str, str], ...] = field(default=())

    def __post_init__(self) -> None:
        doubled = sorted({joint for joint in self.joints if self.joints.count(joint) > 1})
        if doubled:
            raise InputError(f"skeleton '{self.name}': joints named twice: {doubled}. Names must be unique.")
        named = {joint for pair in self.bones + self.left_right for joint in pair} | {self.root}
        unknown = sorted(named - set(self.joints))
        if unknown:
            raise InputError(
                f"skeleton '{self.name}': bones, pairs or root name joints it does not have: {unknown}. "
                f"Known joints: {', '.join(self.joints)}."
            )

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Position of a joint in the order of arrays.

        Args:
            joint: Name of the joint.

        Returns:
            Its index.

        Raises:
            UnknownNameError: The skeleton has no such joint; the text lists those it has.
        """
        if joint not in self.joints:
            raise UnknownNameError(
                f"skeleton '{self.name}' has no joint '{joint}'. Known joints: {', '.join(self.joints)}."
            )
        return self.joints.index(joint)

    @property
    def root_index(self) -> int:
        """Index of the root joint."""
        return self.index(self.root)

    @property
    def bone_indices(self) -> tuple[tuple[int, int], ...]:
        """Indices of parent and child of every bone."""
        return tuple((self.index(parent), self.index(child)) for parent, child in self.bones)

    @property
    def mirror(self) -> tuple[int, ...]:
        """Joint order after swapping left and right: `joints[mirror]` re-labels a reflected pose."""
        swap = {a: b for a, b in self.left_right} | {b: a for a, b in self.left_right}
        return tuple(self.index(swap.get(joint, joint)) for joint in self.joints)


@dataclass(frozen=True)
class SkeletonMap:
    """How the joints of `target` come from those of `source`."""

    source: Skeleton
    target: Skeleton
    # per target joint: source joints and their shares; none where nothing in the source stands for the joint
    weights: tuple[tuple[tuple[int, float], ...], ...]
    # whether the joint is a mean of others rather than the same joint
    computed: tuple[bool, ...]

    @property
    def absent(self) -> tuple[str, ...]:
        """Target joints that the source cannot give; empty for a complete map."""
        return tuple(
            joint for joint, shares in zip(self.target.joints, self.weights, strict=True) if not shares
        )

    def matrix(self) -> Float[Tensor, "target source"]:
        """Rows that average source joints; each sums to one, or to zero for an absent joint."""
        matrix = torch.zeros(len(self.target), len(self.source))
        for row, shares in enumerate(self.weights):
            for column, share in shares:
                matrix[row, column] = share
        return matrix

    def apply(self, joints: Float[Tensor, "*batch source dims"]) -> Float[Tensor, "*batch target dims"]:
        """Joints of the target skeleton.

        Args:
            joints: Joints of the source, of any dimension.

        Returns:
            NaN for absent joints, and where a needed source joint is NaN.
        """
        nothing = torch.full_like(joints[..., 0, :], torch.nan)
        picked = [
            sum(joints[..., column, :] * share for column, share in shares) if shares else nothing
            for shares in self.weights
        ]
        return torch.stack(picked, dim=-2)  # type: ignore[arg-type]

    def confidence(self, confidence: Float[Tensor, "*batch source"]) -> Float[Tensor, "*batch target"]:
        """Confidences of the target's joints.

        Args:
            confidence: Confidences of the source's joints.

        Returns:
            Of a mean, the least confidence among its parts; of an absent joint, 0.
        """
        nothing = torch.zeros_like(confidence[..., 0])
        picked = [
            confidence[..., [column for column, _ in shares]].amin(dim=-1) if shares else nothing
            for shares in self.weights
        ]
        return torch.stack(picked, dim=-1)


def skeleton_map(source: Skeleton, target: Skeleton, *, partial: bool = False) -> SkeletonMap:
    """The map from `source` to `target`, by joint names.

    Args:
        source: Skeleton of the joints that are known.
        target: Skeleton of the joints that are wanted.
        partial: Whether the source may lack some joints of the target. These are absent in what the map makes: NaN,
            and confidence 0.

    Returns:
        The map; its `absent` names the joints that the source cannot give.

    Raises:
        LookupError: Naming the joints that cannot be had; with `partial`, only where that is all of them.
    """
    found = {joint: _find(joint, source, frozenset()) for joint in target.joints}
    missing = [joint for joint, shares in found.items() if not shares]
    if missing and not (partial and len(missing) < len(target)):
        raise UnknownNameError(
            f"no map from skeleton '{source.name}' to '{target.name}': nothing there stands for "
            f"{', '.join(missing)}. Choose a target among the joints of '{source.name}': "
            f"{', '.join(source.joints)}."
        )
    weights = tuple(
        tuple((source.index(name), share) for name, share in found[joint].items()) for joint in target.joints
    )
    computed = tuple(joint not in source.joints for joint in target.joints)
    return SkeletonMap(source, target, weights, computed)


def can_map(source: Skeleton, target: Skeleton) -> bool:
    """Whether `skeleton_map` finds every joint.

    Args:
        source: Skeleton of the given joints.
        target: Skeleton of the wanted joints.

    Returns:
        True for a complete map.
    """
    return all(_find(joint, source, frozenset()) for joint in target.joints)


def _find(joint: str, source: Skeleton, tried: frozenset[str]) -> dict[str, float]:
    """Shares of source joints whose mean stands for `joint`; empty where there are none."""
    if joint in source.joints:
        return {joint: 1.0}
    if joint in tried:
        return {}
    for parts in _MEANS.get(joint, ()):
        found = [_find(part, source, tried | {joint}) for part in parts]
        if all(found):
            shares: dict[str, float] = {}
            for name, share in (item for each in found for item in each.items()):
                shares[name] = shares.get(name, 0.0) + share / len(parts)
            return shares
    return {}
