"""What we say when something is wrong, word for word. Change a message on purpose, and read the difference here."""

from pathlib import Path

import pytest
import torch

from coview import recipes
from coview.body.stature_scale import scale_from_stature
from coview.cameras import Cameras
from coview.capture.reconstruction.filtering import low_pass
from coview.formats.session.session import Session
from coview.geometry.rotations import check_rotation
from coview.geometry.triangulation.undistorted import triangulate_undistorted
from coview.sample import MultiView
from coview.skeletons import COCO_17, H36M_17, Skeleton, named_skeleton, skeleton_map

HIP = Skeleton("toy", ("hip",), (), "hip")
MESSAGES = {
    "a field that is not there": (
        lambda: MultiView(HIP, joints3d=torch.zeros(1, 3)).cameras,
        "this MultiView has no 'cameras'; it has: joints3d. "
        "A method reads only what it lists in `inputs` or `supervision`.",
    ),
    "a bone without its joint": (
        lambda: Skeleton("toy", ("hip",), (("hip", "knee"),), "hip"),
        "skeleton 'toy': bones, pairs or root name joints it does not have: ['knee']. Known joints: hip.",
    ),
    "a joint named twice": (
        lambda: Skeleton("toy", ("hip", "hip"), (), "hip"),
        "skeleton 'toy': joints named twice: ['hip']. Names must be unique.",
    ),
    "an unknown joint": (
        lambda: HIP.index("knee"),
        "skeleton 'toy' has no joint 'knee'. Known joints: hip.",
    ),
    "a skeleton without a map": (
        lambda: skeleton_map(COCO_17, H36M_17),
        "no map from skeleton 'coco_17' to 'h36m_17': nothing there stands for head_top. Choose a target among the "
        f"joints of 'coco_17': {', '.join(COCO_17.joints)}.",
    ),
    "an unknown skeleton": (
        lambda: named_skeleton("h36m"),
        "no skeleton 'h36m'. Known: body_25, body_25b, canonpose_16, coco_133, coco_17, coco_19, coco_23, "
        "epipolar_16, h36m_17, h36m_32, halpe_26, learnable_17, mediapipe_33, mocap_19, mpi_inf_3dhp_17, "
        "mpi_inf_3dhp_28, mpii_16, openpose_18, panoptic_19, skipose_17.",
    ),
    "too many coefficients": (
        lambda: Cameras.make(torch.eye(3), torch.eye(3, 4), torch.ones(2), torch.zeros(14)),
        "Cameras: 14 distortion coefficients given, at most 8 are known for a Brown-Conrady lens. "
        "Drop the ones that are zero.",
    ),
    "a stature in centimetres": (
        lambda: scale_from_stature(torch.zeros(1, 1, 3), HIP, 175.0),
        "stature 175.0 m is not a person's height (0.5 to 2.5 m). Give it in metres, e.g. --stature 1.75.",
    ),
    "an impossible cut-off": (
        lambda: low_pass(torch.zeros(9, 1, 3), fps=25.0, cutoff=20.0),
        "smoothing at 20 Hz is impossible at 25 frames per second: the cut-off must lie between 0 and 12.5 Hz. "
        "Human movement is mostly below 6 Hz, fast sport below 12 Hz.",
    ),
    "no session": (
        lambda: Session.load(Path("nowhere")),
        "no session at nowhere: session.toml is not there. "
        "Make one with `coview import <recording folder> nowhere`.",
    ),
    "an unknown recipe": (
        lambda: recipes.load("canonpoze"),
        f"no recipe 'canonpoze'. Known: {', '.join(recipes.names())}. Or give a dotted module path.",
    ),
    "one view": (
        lambda: triangulate_undistorted(torch.zeros(1, 4, 2), torch.zeros(1, 3, 4), torch.ones(1, 4)),
        "triangulate: 1 view(s) given in points of shape (1, 4, 2), and one ray has no depth. "
        "Give two or more calibrated views (axis -3), or use a monocular model.",
    ),
    "a left-handed rotation": (
        lambda: check_rotation(torch.diag(torch.tensor([1.0, 1.0, -1.0])), "camera 'left'"),
        "camera 'left': this rotation is left-handed (determinant -1.0000, must be +1). With it the world is seen in a "
        "mirror: left and right limbs swap. Often an axis was negated when converting from software with left-handed "
        "axes; negate one axis of the *world* for all cameras, or export with right-handed axes.",
    ),
}


@pytest.mark.parametrize("mistake", MESSAGES)
def test_message(mistake):
    provoke, expected = MESSAGES[mistake]
    with pytest.raises((ValueError, LookupError, OSError)) as caught:
        provoke()
    assert str(caught.value) == expected
