import builtins
from dataclasses import replace

import pytest
import torch

from coview.report.evidence import gather
from coview.report.scene import MOST_FRAMES, filled, make_scene, playing


def test_the_scene_is_one_document_that_says_what_it_plays(session, capsys):
    evidence = gather(session.path)
    scene = make_scene(evidence.poses, evidence.cameras, session.camera_names)
    assert (scene.first, scene.last, scene.step) == (0, 40, 1)
    assert "__VISER_EMBED_DATA__" in scene.html
    assert len(scene.html) < 2_000_000
    assert capsys.readouterr().out == ""  # viser's announcements are not ours to make


def test_cameras_may_be_unknown_and_joints_missing(session):
    poses = gather(session.path).poses
    nothing = replace(poses, points=torch.full_like(poses.points, torch.nan))
    assert "__VISER_EMBED_DATA__" in make_scene(nothing, None, ()).html


def test_long_and_fast_recordings_are_cut_to_where_most_is_known(session):
    poses = gather(session.path).poses
    points = torch.full((4000, 17, 3), torch.nan)
    points[1500:3500] = 0.0
    first, last, step = playing(
        replace(poses, points=points, fps=60.0, covariance=None, inliers=None, residuals=None)
    )
    assert step == 2
    assert last - first == MOST_FRAMES * 2
    assert first >= 1500
    assert last <= 3500


def test_unknown_joints_hide_in_known_ones():
    points = torch.tensor([[[torch.nan] * 3, [1.0, 2.0, 3.0]], [[torch.nan] * 3, [torch.nan] * 3]])
    shown = filled(points)
    assert shown.isfinite().all()
    assert shown[0].tolist() == [[1.0, 2.0, 3.0]] * 2
    assert (shown[1, :, 2] < -50).all()


def test_without_viser_the_extra_is_named(session, monkeypatch):
    evidence = gather(session.path)
    real = builtins.__import__

    def without(name, *args, **options):
        if name == "viser":
            raise ModuleNotFoundError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'coview\[view\]'"):
        make_scene(evidence.poses, None, ())


def test_several_people_are_in_one_scene(session):
    poses = gather(session.path).poses
    alone, together = make_scene(poses, None, ()), make_scene(poses, None, (), [poses])
    assert len(together.html) > len(alone.html)
