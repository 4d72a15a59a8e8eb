"""One set of colours for every picture: left, right and middle of the body tell apart for everybody."""

from coview.skeletons import Skeleton

RGB = tuple[int, int, int]

LEFT: RGB = (232, 116, 38)  # orange
RIGHT: RGB = (38, 132, 214)  # blue
MIDDLE: RGB = (140, 150, 160)  # grey
CAMERA: RGB = (38, 140, 110)
CANVAS: RGB = (30, 34, 40)  # where there is no video
DETECTION: RGB = (250, 232, 90)  # yellow


def side_colour(joint: str) -> RGB:
    """Colour of a joint by the side of the body that its name states.

    Args:
        joint: Name of the joint.

    Returns:
        RGB, 0 to 255.
    """
    return LEFT if joint.startswith("left_") else RIGHT if joint.startswith("right_") else MIDDLE


def bone_colours(skeleton: Skeleton) -> list[RGB]:
    """Colour of every bone: that of its child joint.

    Args:
        skeleton: The skeleton.

    Returns:
        RGB, 0 to 255, per bone.
    """
    return [side_colour(child) for _, child in skeleton.bones]
