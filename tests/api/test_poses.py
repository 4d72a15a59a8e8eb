import numpy as np
import pytest
import torch

import coview
from coview.errors import InputError, UnknownNameError

TARGET = np.random.default_rng(0).normal(size=(5, 17, 3))
TURNED = 2 * TARGET[..., [1, 0, 2]] * [1, -1, 1] + [1, 2, 3]  # a rotation by 90 degrees about z


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_similarity_is_undone_in_kind(dtype):
    aligned = coview.align(TURNED.astype(dtype), TARGET.astype(dtype))
    assert aligned.dtype == dtype
    np.testing.assert_allclose(aligned, TARGET, atol=1e-5)
    assert isinstance(coview.align(torch.from_numpy(TURNED), TARGET), torch.Tensor)
    np.testing.assert_allclose(coview.align(TURNED.tolist(), torch.from_numpy(TARGET)), TARGET, atol=1e-9)


def test_the_transform_is_what_was_applied():
    found = coview.align(TURNED, TARGET, transform=True)
    np.testing.assert_allclose(found.scale, 0.5)
    np.testing.assert_allclose(np.linalg.det(found.rotation), 1)
    moved = found.scale[:, None, None] * TURNED @ found.rotation.swapaxes(-2, -1) + found.translation[:, None]
    np.testing.assert_allclose(moved, found.aligned)


def test_without_scale_nothing_shrinks():
    aligned = coview.align(TURNED, TARGET, scale=False)
    sizes = [np.linalg.norm(pose - pose.mean(axis=-2, keepdims=True)) for pose in (aligned, TURNED)]
    np.testing.assert_allclose(sizes[0], sizes[1])


def test_points_that_are_not_known_or_do_not_count():
    source = TURNED.copy()
    source[0, 0] = np.nan
    aligned = coview.align(source, TARGET)
    assert np.isnan(aligned[0, 0]).all()
    np.testing.assert_allclose(aligned[0, 1:], TARGET[0, 1:], atol=1e-9)
    source[:, 1] += 10
    weights = np.ones((5, 17), dtype=int)
    weights[:, 1] = 0
    np.testing.assert_allclose(coview.align(source, TARGET, weights)[:, 2:], TARGET[:, 2:], atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((TURNED, TARGET[:4]), r"^target: expected \(batch=5, points=17, 3\) to go with source"),
        ((TURNED, TARGET.swapaxes(1, 2)), "^target: .*points and coordinates are swapped"),
        ((TURNED.swapaxes(1, 2), TARGET), "^source: .*points and coordinates are swapped"),
        ((TURNED, TARGET, np.ones((17, 5))), "^weights: .*batch and points are swapped"),
        ((TURNED, TARGET, -np.ones((5, 17))), "^weights: they must be 0 or more"),
    ],
)
def test_wrong_shapes_are_named(arguments, words):
    with pytest.raises(InputError, match=words):
        coview.align(*arguments)


# --- skeletons -----------------------------------------------------------------------------------


def test_a_skeleton_by_name():
    found = coview.skeleton("coco_17")
    assert isinstance(found, coview.Skeleton)
    assert coview.skeleton(found) is found
    with pytest.raises(UnknownNameError, match="no skeleton 'coco'"):
        coview.skeleton("coco")


@pytest.mark.parametrize("dims", [2, 3])
def test_joints_are_converted_in_kind(dims):
    joints = np.random.default_rng(0).normal(size=(6, 4, 17, dims)).astype(np.float32)
    converted = coview.convert_joints(joints, "coco_17", "coco_19")
    assert converted.shape == (6, 4, 19, dims)
    assert converted.dtype == np.float32
    source, target = coview.skeleton("coco_17"), coview.skeleton("coco_19")
    hips = joints[..., [source.index("left_hip"), source.index("right_hip")], :].mean(axis=-2)
    np.testing.assert_allclose(converted[..., target.index("pelvis"), :], hips, atol=1e-6)
    assert isinstance(coview.convert_joints(torch.from_numpy(joints), source, target), torch.Tensor)


def test_a_mean_is_as_sure_as_its_least_sure_part():
    joints, confidence = np.zeros((17, 2)), np.arange(17) / 17
    _, sure = coview.convert_joints(joints, "coco_17", "coco_19", confidence=confidence)
    assert sure.shape == (19,)
    assert sure[coview.skeleton("coco_19").index("pelvis")] == confidence[11]


def test_wrong_joints_are_named():
    with pytest.raises(
        InputError, match=r"joints=17, 3\), got \(5, 16, 3\): skeleton 'coco_17' has 17 joints, not 16"
    ):
        coview.convert_joints(np.zeros((5, 16, 3)), "coco_17", "coco_19")
    with pytest.raises(InputError, match=r"^joints: .*joints and coordinates are swapped"):
        coview.convert_joints(np.zeros((5, 2, 17)), "coco_17", "coco_19")
    with pytest.raises(coview.CoviewError, match="nothing there stands for head_top"):
        coview.convert_joints(np.zeros((5, 17, 3)), "coco_17", "h36m_17")
    with pytest.raises(InputError, match=r"^confidence: expected"):
        coview.convert_joints(np.zeros((5, 17, 3)), "coco_17", "coco_19", confidence=np.zeros((5, 16)))
