"""The skeleton of a session as `session.toml` holds it."""

from typing import Any

from coview.skeletons import SKELETONS, Skeleton, named_skeleton


def skeleton_to_table(skeleton: Skeleton) -> str | dict[str, Any]:
    """The name of a skeleton that coview knows; any other joint by joint.

    Args:
        skeleton: The skeleton.

    Returns:
        A name, or a table for TOML.
    """
    if skeleton in SKELETONS:
        return skeleton.name
    return {
        "name": skeleton.name,
        "root": skeleton.root,
        "joints": list(skeleton.joints),
        "bones": [list(bone) for bone in skeleton.bones],
        "left_right": [list(pair) for pair in skeleton.left_right],
    }


def skeleton_from_table(table: str | dict[str, Any]) -> Skeleton:
    """The skeleton that `skeleton_to_table` wrote.

    Args:
        table: A name, or a table of TOML.

    Returns:
        The skeleton.

    Raises:
        LookupError: No skeleton has that name, or the table lacks a key.
        ValueError: Joints, bones and pairs do not fit together.
    """
    if isinstance(table, str):
        return named_skeleton(table)
    return Skeleton(
        table["name"],
        tuple(table["joints"]),
        tuple((parent, child) for parent, child in table["bones"]),
        table["root"],
        tuple((left, right) for left, right in table.get("left_right", [])),
    )
