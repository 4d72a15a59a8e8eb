"""Which methods can look at a session's videos, and what is said of the others."""

import pytest
import torch

from coview.capture.images.model import image_model
from coview.methods.canonpose import CanonPoseConfig
from coview.skeletons import H36M_17


def test_what_a_method_reads_tells_its_kind(film, tmp_path):
    found = image_model(film.DotConfig(size=96).build(film.DOTS), film.DOTS, tmp_path, "algebraic")
    assert (found.size, found.name, found.needs_root) == (96, "DotFinder", False)
    assert not found.method.training
    told = film.DotConfig(told="base_point").build(film.DOTS)
    assert image_model(told, film.DOTS, tmp_path, "volumetric").needs_root
    with pytest.raises(ValueError, match=r"use --method volumetric with it, not algebraic"):
        image_model(told, film.DOTS, tmp_path, "algebraic")


def test_the_digest_changes_with_weights_and_settings(film, tmp_path):
    def digest(change=0.0, **settings):
        method = film.DotConfig(**settings).build(film.DOTS)
        with torch.no_grad():
            method.offset += change
        return image_model(method, film.DOTS, tmp_path, "algebraic").digest

    assert digest() == digest()
    assert len({digest(), digest(0.1), digest(size=64)}) == 3


def test_normalisations_are_multiplied_into_convolutions(film, tmp_path):
    method = film.DotConfig().build(film.DOTS)
    method.eyes = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.BatchNorm2d(2))
    eyes = image_model(method, film.DOTS, tmp_path, "algebraic").method.eyes
    assert isinstance(eyes[1], torch.nn.Identity)


def test_a_model_of_2d_joints_is_refused(tmp_path):
    lifter = CanonPoseConfig().build(H36M_17)
    with pytest.raises(
        ValueError, match=r"run of CanonPose, which reads confidence, joints2d.* no images.*coview predict"
    ):
        image_model(lifter, H36M_17, tmp_path, "algebraic")


def test_a_method_that_reads_more_than_there_is(film, tmp_path):
    method = film.DotConfig(told="rig").build(film.DOTS)
    with pytest.raises(ValueError, match="reads rig: a session's videos have none"):
        image_model(method, film.DOTS, tmp_path, "algebraic")


def test_a_method_without_a_size(film, tmp_path):
    method = film.DotConfig(size="large").build(film.DOTS)
    with pytest.raises(ValueError, match="does not say for crops of which size"):
        image_model(method, film.DOTS, tmp_path, "algebraic")


def test_crops_are_those_of_the_training_data_or_of_the_methods_numerics(film, tmp_path):
    def crops(released_numerics, **told):
        method = film.DotConfig(released_numerics=released_numerics).build(film.DOTS)
        return image_model(method, film.DOTS, tmp_path, "algebraic", **told).released_crops

    assert [crops(True), crops(False)] == [True, False]
    assert [crops(True, released_crops=False), crops(False, released_crops=True)] == [False, True]
