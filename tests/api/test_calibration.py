import numpy as np
import pytest
import torch

import coview
from coview.errors import InputError

RIG = coview.example_cameras(4)
PARTS = {"intrinsics": RIG.intrinsics, "rotation": RIG.rotation, "translation": RIG.translation}


def test_cameras_from_matrices_of_any_kind():
    numpy = {name: part.numpy() for name, part in PARTS.items()}
    lists = {name: part.tolist() for name, part in PARTS.items()}
    for parts in (PARTS, numpy, lists, numpy | {"translation": numpy["translation"][..., None]}):
        cameras = coview.make_cameras(**parts, image_size=(1000, 1000))
        assert cameras.intrinsics.dtype == torch.float64
        torch.testing.assert_close(cameras.cam_from_world.float(), RIG.cam_from_world)
        torch.testing.assert_close(cameras.size.float(), RIG.size)


def test_what_all_share_is_given_once():
    parts = PARTS | {"intrinsics": RIG.intrinsics[0]}
    cameras = coview.make_cameras(**parts, image_size=[1000, 1000], distortion=[-0.1, 0.01])
    assert cameras.intrinsics.shape == (4, 3, 3)
    assert cameras.distortion[:, :2].tolist() == [[-0.1, 0.01]] * 4
    assert bool(
        coview.make_cameras(
            **parts, image_size=(1000, 1000), distortion=[0.01] * 4, fisheye=True
        ).fisheye.all()
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"rotation": RIG.rotation[:3]},
            "rotation: expected .*views=4, 3, 3.* the axis of views has length 3",
        ),
        ({"rotation": RIG.rotation * 2}, "make_cameras: camera '0': the rotation is not orthonormal"),
        ({"rotation": -RIG.rotation}, "left-handed"),
        ({"translation": RIG.translation[0]}, "translation: expected"),
        ({"intrinsics": RIG.intrinsics.mT}, "not upper triangular"),
        ({"intrinsics": RIG.intrinsics[:2]}, "intrinsics: expected .*views=4"),
        ({"image_size": (300, 2000)}, "lies outside the image"),
        ({"image_size": [[1000, 1000]] * 3}, "image_size: expected .*views=4, 2"),
        ({"distortion": [0.0] * 9}, "at most 8 are known"),
        ({"distortion": [[0.0] * 5] * 3}, "distortion: expected .*views=4, coefficients"),
    ],
)
def test_numbers_of_no_camera_are_named(changed, words):
    with pytest.raises(coview.CoviewError, match=words):
        coview.make_cameras(**(PARTS | {"image_size": (1000, 1000)} | changed))


@pytest.mark.slow
def test_people_calibrate_cameras_as_well_as_a_session_does(tmp_path):
    session = coview.example_session(tmp_path / "walk")
    pixels, confidence = session.joints2d()
    found = coview.calibrate_from_people(
        torch.from_numpy(pixels),
        confidence,
        skeleton="h36m_17",
        fps=25,
        intrinsics=RIG,
        camera_names=["a", "b", "c", "d"],
        stature=1.75,
        fit_clock="fixed",
    )
    assert found.names == ("a", "b", "c", "d")
    centres, truth = found.cameras.centres.numpy(), RIG.centres.numpy()
    assert np.linalg.norm(coview.align(centres, truth, scale=False) - truth, axis=-1).max() < 0.1


def test_people_need_an_image_size_where_no_intrinsics_are_given():
    with pytest.raises(InputError, match=r"^image_size: without intrinsics"):
        coview.calibrate_from_people(np.zeros((100, 4, 17, 2)), skeleton="h36m_17", fps=25)


def test_people_in_another_layout_are_named():
    with pytest.raises(
        InputError, match=r"^pixels: expected \(frames, views=4, .*frames and views are swapped"
    ):
        coview.calibrate_from_people(
            np.zeros((4, 100, 17, 2)),
            skeleton="h36m_17",
            fps=25,
            image_size=(1000, 1000),
            camera_names="abcd",
        )
