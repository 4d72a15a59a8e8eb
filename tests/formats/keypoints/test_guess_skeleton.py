"""The number of joints says which skeleton; where two have 25, the poses do."""

import pytest
import torch

from coview.formats.keypoints.guess_skeleton import body_part, which_skeleton
from coview.skeletons import BODY_25, BODY_25B, COCO_17, HALPE_26, OPENPOSE_18, Skeleton

# A standing person seen from the front, as a share of the height; the rest is 0.
PLACES = {
    "nose": (0.5, 0.1), "left_eye": (0.52, 0.08), "right_eye": (0.48, 0.08), "left_ear": (0.54, 0.09),
    "right_ear": (0.46, 0.09), "neck": (0.5, 0.2), "head_top": (0.5, 0.0), "left_shoulder": (0.6, 0.2),
    "right_shoulder": (0.4, 0.2), "left_elbow": (0.65, 0.35), "right_elbow": (0.35, 0.35),
    "left_wrist": (0.66, 0.5), "right_wrist": (0.34, 0.5), "pelvis": (0.5, 0.5), "left_hip": (0.56, 0.5),
    "right_hip": (0.44, 0.5), "left_knee": (0.56, 0.73), "right_knee": (0.44, 0.73),
    "left_ankle": (0.56, 0.95), "right_ankle": (0.44, 0.95), "left_heel": (0.56, 0.97),
    "right_heel": (0.44, 0.97), "left_big_toe": (0.58, 1.0), "left_small_toe": (0.6, 1.0),
    "right_big_toe": (0.42, 1.0), "right_small_toe": (0.4, 1.0),
}  # fmt: skip


def detections(skeleton: Skeleton, seen: set[str] | None = None) -> torch.Tensor:
    rows = [[*(400 * c for c in PLACES[j]), float(seen is None or j in seen)] for j in skeleton.joints]
    points = torch.tensor(rows).expand(2, 10, 1, -1, 3).clone()
    points[..., :2] += torch.randn(points[..., :2].shape, generator=torch.Generator().manual_seed(0)) * 3
    return points


@pytest.mark.parametrize("skeleton", [BODY_25, BODY_25B])
def test_25_joints_are_told_apart(skeleton):
    found, why = which_skeleton(detections(skeleton), None)
    assert found == skeleton
    assert "told from body_25" in why


def test_25_joints_with_too_little_to_go_by():
    with pytest.raises(ValueError, match=r"do not tell which .*--skeleton body_25 or --skeleton body_25b"):
        which_skeleton(detections(BODY_25, seen={"left_wrist", "right_wrist"}), None)


@pytest.mark.parametrize("skeleton", [COCO_17, OPENPOSE_18, HALPE_26])
def test_other_numbers_are_unique(skeleton):
    found, why = which_skeleton(detections(skeleton), None)
    assert found == skeleton
    assert "by where the joints lie" in why


def test_the_user_goes_before_the_file():
    points = detections(BODY_25B)
    assert which_skeleton(points, "body_25b", "body_25") == (BODY_25B, "as asked for")
    assert which_skeleton(points, None, "body_25b") == (BODY_25B, "as the files say")
    found, why = which_skeleton(points, "body_25", "body_25b")
    assert found == BODY_25
    assert why.startswith(
        "as asked for, A GUESS against the poses: the joints that a bone joins lie far apart"
    )


def test_messages():
    with pytest.raises(ValueError, match=r"'coco_17' has 17 joints, and the 2D joints have 25"):
        which_skeleton(detections(BODY_25), "coco_17")
    with pytest.raises(LookupError, match="no skeleton 'cocoa'"):
        which_skeleton(detections(BODY_25), "cocoa")
    with pytest.raises(ValueError, match=r"people have 5 joints, and no skeleton is known by that number"):
        which_skeleton(torch.ones(1, 1, 1, 5, 3), None)


@pytest.mark.parametrize(("whole", "body"), [(133, 23), (135, 25), (136, 26), (17, 17)])
def test_whole_body_detectors_are_cut_to_the_body(whole, body):
    assert body_part(torch.zeros(1, 1, 1, whole, 3)).shape[-2] == body
