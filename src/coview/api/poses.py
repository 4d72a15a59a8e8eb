"""Poses as arrays: laid onto each other (`align`), and from one skeleton to another (`skeleton`, `convert_joints`)."""

from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from coview.api.arrays import ArrayLike, read, read_beside
from coview.api.axes import Axis, expect, expect_equal
from coview.errors import InputError
from coview.geometry.alignment import rigid_alignment, similarity_alignment
from coview.skeletons import Skeleton, named_skeleton, skeleton_map

Array = TypeVar("Array")


class Alignment(NamedTuple):
    """What `align(..., transform=True)` returns: aligned = scale · rotation @ source + translation.

    Attributes:
        aligned: (*batch, points, 3), the source in the frame and unit of the target.
        rotation: (*batch, 3, 3), target from source, determinant +1.
        translation: (*batch, 3), in the unit of the target.
        scale: (*batch), target units per source unit; 1 where none was asked for.
    """

    aligned: Any
    rotation: Any
    translation: Any
    scale: Any


def align(
    source: Array,
    target: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    scale: bool = True,
    transform: bool = False,
) -> Any:
    """Align one set of points with another by Procrustes analysis: the similarity, or rigid motion, of least squares.

    Each batch entry (a pose, a frame) is aligned by itself; to lay a whole recording onto another by one motion, make
    it one set of points first: `points.reshape(-1, 3)`. Left and right never swap: the rotation has determinant +1.
    [Umeyama91 eq. 40-42; without scale Kabsch76]

    Args:
        source: (*batch, points, 3), any unit; NaN: not known. NumPy array, tensor or nested lists.
        target: The same shape, the points in the same order.
        weights: (*batch, points), 0 or more. Default: points known in both count alike, the others not at all.
        scale: Find a scale factor as well as rotation and translation.
        transform: Return rotation, translation and scale too.

    Returns:
        (*batch, points, 3), the source in the frame of the target, in the kind that `source` came in; or with
        `transform` an `Alignment`. NaN where fewer than three points are known. Meaningless for points on one line.

    Raises:
        CoviewError: Shapes that differ, or no last axis of x, y, z.

    Example:
        >>> import coview, numpy as np
        >>> target = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]])
        >>> source = 10 * target[:, [1, 0, 2]] * [1, -1, 1] + 5  # larger, turned by 90 degrees, elsewhere
        >>> bool(np.allclose(coview.align(source, target), target))
        True
    """
    from_points, kind = read("source", source)
    to_points, other_kind = read("target", target)
    expect("source", from_points, Axis("points"), Axis("", 3))
    expect_equal("target", to_points, "source", tuple(from_points.shape), ("points", ""))
    kind = kind.joined(other_kind)
    from_points, to_points = (each.to(kind.device, kind.dtype) for each in (from_points, to_points))
    weight = _weights(from_points, to_points, weights)
    found = (similarity_alignment if scale else rigid_alignment)(from_points, to_points, weight)
    aligned = kind.give(found.apply(from_points))
    if not transform:
        return aligned
    return Alignment(aligned, *(kind.give(part) for part in (found.rotation, found.translation, found.scale)))


def _weights(source: Tensor, target: Tensor, weights: ArrayLike | None) -> Tensor:
    valid = source.isfinite().all(dim=-1) & target.isfinite().all(dim=-1)
    if weights is None:
        return valid.to(source)
    given = read_beside("weights", weights, source).to(source)
    expect_equal("weights", given, "source", tuple(source.shape[:-1]), ("points",))
    if not bool((given >= 0).all()):
        raise InputError(
            "weights: they must be 0 or more, and not NaN; give 0 to a point that is not to count."
        )
    return torch.where(valid, given, 0.0)


def skeleton(name: str | Skeleton) -> Skeleton:
    """Look up one of the skeletons that coview knows by its name: h36m_17, coco_17, body_25b, halpe_26, ...

    Args:
        name: Of the skeleton; a `Skeleton` is returned as it is.

    Returns:
        Its joints in order, bones, root, and left-right pairs.

    Raises:
        CoviewError: No such skeleton; the message lists the known ones.

    Example:
        >>> import coview
        >>> coview.skeleton("h36m_17").root
        'pelvis'
        >>> len(coview.skeleton("body_25b"))
        25
    """
    return name if isinstance(name, Skeleton) else named_skeleton(name)


def convert_joints(
    joints: Array,
    source: str | Skeleton,
    target: str | Skeleton,
    *,
    confidence: ArrayLike | None = None,
) -> Any:
    """Convert joints from one skeleton to another, by the names of the joints.

    A joint that the source lacks becomes the mean of the joints around it (a pelvis of both hips) where that is the
    usual definition.

    Args:
        joints: (*batch, joints, 2) pixels or (*batch, joints, 3) in any unit, in the order of `source`; NaN: not known.
            NumPy array, tensor or nested lists.
        source: Skeleton that the joints are of, or its name.
        target: Skeleton that they are to be of, or its name.
        confidence: (*batch, joints); a mean is as sure as its least sure part.

    Returns:
        (*batch, joints of the target, 2 or 3) in the kind that `joints` came in, NaN where a joint that is needed is;
        with `confidence` both, converted.

    Raises:
        CoviewError: Unknown skeletons, another number of joints than `source` has, or joints of `target` for which
            the source has nothing.

    Example:
        >>> import coview, numpy as np
        >>> pose = np.random.default_rng(0).normal(size=(100, 17, 3))
        >>> coview.convert_joints(pose, "coco_17", "coco_19").shape  # with pelvis and neck
        (100, 19, 3)
    """
    mapped = skeleton_map(skeleton(source), skeleton(target))
    values, kind = read("joints", joints)
    last = 3 if values.ndim and values.shape[-1] == 3 else 2
    expect(
        "joints",
        values,
        Axis("joints", len(mapped.source)),
        Axis("", last),
        more=_other_joints(values, mapped.source),
    )
    converted = kind.give(mapped.apply(values))
    if confidence is None:
        return converted
    sure, sure_kind = read("confidence", confidence)
    expect_equal("confidence", sure, "joints", tuple(values.shape[:-1]), ("joints",))
    return converted, sure_kind.give(mapped.confidence(sure))


def _other_joints(values: Tensor, source: Skeleton) -> str:
    count = values.shape[-2] if values.ndim > 1 else 0
    return f"skeleton '{source.name}' has {len(source)} joints, not {count}: the joints are of another one."
