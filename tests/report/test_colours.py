from coview.report.colours import LEFT, MIDDLE, RIGHT, bone_colours, side_colour
from coview.skeletons import SKELETONS


def test_left_and_right_are_told_apart():
    assert (side_colour("left_knee"), side_colour("right_knee"), side_colour("nose")) == (LEFT, RIGHT, MIDDLE)


def test_a_bone_has_the_colour_of_its_far_end():
    for skeleton in SKELETONS:
        ends = [side_colour(child) for _, child in skeleton.bones]
        assert bone_colours(skeleton) == ends
