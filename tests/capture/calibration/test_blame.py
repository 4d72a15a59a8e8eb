import pytest

from coview.capture.calibration.blame import with_the_right_camera
from coview.geometry.epipolar.view_graph import NotDeterminedError

NAMES = ("a", "b", "c", "d")
REASON = NotDeterminedError(
    "camera 'b' does not fit the others: 3 of its detections agree with them within 13 px. Usual causes: a mirror."
)


def solver(guilty: set[int]):
    def solve(views: list[int]) -> float:
        if guilty & set(views):
            raise NotDeterminedError("no")
        return 2.0

    return solve


@pytest.mark.parametrize("view", range(4))
def test_the_camera_without_which_the_others_agree_is_named(view: int):
    found = str(with_the_right_camera(REASON, NAMES, solver({view})))
    assert found.startswith(
        f"camera '{NAMES[view]}' does not fit the others, which agree without it. Usual causes"
    )


def test_nobody_is_blamed_where_one_is_not_enough():
    found = str(with_the_right_camera(REASON, NAMES, solver({0, 3})))
    assert "'" not in found
    assert "leaving out any one of them is not enough" in found


def test_of_several_that_could_be_left_out_the_one_with_clearly_smaller_residuals_is_named():
    def solve(views: list[int]) -> float:
        return 2.0 if 3 not in views else 3.5

    assert str(with_the_right_camera(REASON, NAMES, solve)).startswith("camera 'd' does not fit")
    found = str(with_the_right_camera(REASON, NAMES, lambda views: 2.0))
    assert "cannot be told" in found
    assert "'" not in found


def test_other_failures_and_three_cameras_are_left_as_they_are():
    other = NotDeterminedError("the person stands still.")
    assert with_the_right_camera(other, NAMES, solver(set())) is other
    assert with_the_right_camera(REASON, NAMES[:3], solver(set())) is REASON
