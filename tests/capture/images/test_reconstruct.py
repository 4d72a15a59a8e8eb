"""A method that finds dots in crops, applied to videos of dots: what is found, kept, gone on with and refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from coview.capture.images import inference as image_search
from coview.capture.images.model import image_model
from coview.capture.images.reconstruct import reconstruct_images, result_path, results
from coview.capture.reconstruction.reconstruct import NothingReconstructedError, reconstruct
from coview.formats.motion.poses3d import Poses3D
from coview.formats.session.session import Session
from coview.skeletons import Skeleton


@pytest.fixture
def finder(film, tmp_path):
    """Makes the stand-in method, with settings."""

    def make(kind="algebraic", skeleton=film.DOTS, **settings):
        return image_model(film.DotConfig(**settings).build(skeleton), skeleton, tmp_path / "run", kind)

    return make


@pytest.fixture(scope="session")
def filmed(film, tmp_path_factory):
    """A session that no test writes into but its results, and the truth."""
    return film.session(tmp_path_factory.mktemp("filmed") / "s", frames=6)


@pytest.fixture
def fresh(filmed):
    """The same without any result."""
    session, truth = filmed
    for path in session.path.glob("*joints3d*"):
        path.unlink()
    for path in session.path.glob(".joints3d*"):
        path.unlink()
    return session, truth


def errors_mm(points, truth):
    return 1000 * (points - truth).norm(dim=-1)


def test_dots_in_distorted_videos_are_found_in_the_world(fresh, finder):
    session, truth = fresh
    done = reconstruct_images(session, finder())
    assert errors_mm(done.poses.points, truth).max() < 3
    assert (done.found, done.views) == (1.0, 4.0)
    assert done.poses.skeleton.joints == ("pelvis", "head_top", "left_ankle")
    assert done.poses.residuals.nanmedian() < 0.3
    assert results(session) == {"algebraic": done.path}
    saved = Poses3D.load(done.path)
    assert torch.equal(saved.points, done.poses.points)
    assert saved.provenance["method"] == "DotFinder"
    assert saved.provenance["weights"].endswith("run")
    assert "frames_done" not in saved.provenance


def test_the_detections_result_is_made_first_and_stays(fresh, finder):
    session, _ = fresh
    done = reconstruct_images(session, finder())
    assert session.poses3d().skeleton == session.skeleton
    stamp = session.poses3d_path.stat().st_mtime_ns
    assert done.compared.joints == ("pelvis", "head_top", "left_ankle")
    assert done.compared.median_mm < 3
    reconstruct_images(session, finder(), overwrite=True)
    assert session.poses3d_path.stat().st_mtime_ns == stamp


def test_views_without_the_person_take_no_part(film, finder, tmp_path):
    session, truth = film.session(tmp_path / "s", hidden={1: range(0, 8), 2: range(4, 12), 3: range(2, 8)})
    reconstruct(session)
    model = finder()
    done = reconstruct_images(session, model, max_gap=1, at_once=12)
    used = done.poses.inliers.all(dim=-1)
    assert used[0].tolist() == [True, False, True, True]
    assert used[9].tolist() == [True, True, False, True]
    assert done.poses.points[4:8].isnan().all()  # one view only
    known = done.poses.points.isfinite().all(dim=-1)
    assert known.sum(dim=0).tolist() == [8] * 3
    assert errors_mm(done.poses.points, truth)[known].max() < 4
    shapes = sorted(tuple(batch.images.shape[:2]) for batch in model.method.batches)
    assert shapes == [(2, 2), (2, 3), (4, 3)]
    assert done.found == pytest.approx(8 / 12)


def test_a_root_is_told_to_methods_that_ask(fresh, finder):
    session, truth = fresh
    for field in ("base_point", "joints3d"):
        model = finder("volumetric", told=field)
        done = reconstruct_images(session, model)
        assert done.path == result_path(session, "volumetric")
        told = torch.cat([getattr(batch, field) for batch in model.method.batches])
        roots = told if field == "base_point" else told[:, 0]
        assert errors_mm(roots, truth[:, 0]).max() < 3
    assert told[:, 1:].isnan().all()


def test_methods_are_shown_only_what_they_read(fresh, finder):
    model = finder()
    reconstruct_images(fresh[0], model, at_once=4)
    assert model.method.batches[0].fields == {"images", "cameras"}
    assert [len(batch.images) for batch in model.method.batches] == [4, 2]
    assert model.method.batches[0].images.shape[-2:] == (128, 128)


def test_finished_work_is_kept_until_something_changes(fresh, finder):
    session, _ = fresh
    path = reconstruct_images(session, finder()).path
    again = finder()
    assert reconstruct_images(session, again).found == 1.0
    assert not again.method.batches
    stamp = path.stat().st_mtime_ns
    reconstruct_images(session, finder(), margin=1.5)
    assert path.stat().st_mtime_ns != stamp
    first = finder()
    with torch.no_grad():
        first.method.offset += 0.01
    other = image_model(first.method, first.skeleton, first.weights, "algebraic")
    moved = reconstruct_images(session, other, margin=1.5)
    assert other.method.batches, "other weights are another method"
    assert moved.compared.median_mm == pytest.approx(17.3, abs=2)


def test_interrupted_work_goes_on_where_it_was(fresh, finder, monkeypatch):
    session, truth = fresh
    monkeypatch.setattr(image_search, "SAVE_SECONDS", -1.0)
    whole = finder()
    forward = whole.method.forward

    def failing(batch):
        if len(whole.method.batches) == 2:
            raise KeyboardInterrupt
        return forward(batch)

    monkeypatch.setattr(whole.method, "forward", failing)
    with pytest.raises(KeyboardInterrupt):
        reconstruct_images(session, whole, at_once=2)
    assert not results(session)
    assert (session.path / ".joints3d_algebraic.unfinished.npz").is_file()
    rest = finder()
    done = reconstruct_images(session, rest, at_once=2)
    assert len(rest.method.batches) == 1  # of three
    assert errors_mm(done.poses.points, truth).max() < 3
    assert not (session.path / ".joints3d_algebraic.unfinished.npz").exists()
    assert "frames_done" not in done.poses.provenance


def test_unfinished_work_of_other_settings_is_not_gone_on_with(fresh, finder, monkeypatch):
    session, _ = fresh
    monkeypatch.setattr(image_search, "SAVE_SECONDS", -1.0)
    model = finder()
    monkeypatch.setattr(Poses3D, "save", lambda self, path: (_ for _ in ()).throw(OSError("full")))
    reconstructed = session.poses3d_path.is_file()
    assert not reconstructed
    with pytest.raises(OSError, match="full"):
        reconstruct_images(session, model)
    monkeypatch.undo()
    other = finder()
    reconstruct_images(session, other, margin=1.4)
    assert sum(len(batch.images) for batch in other.method.batches) == 6


def test_without_joints_of_the_same_name_there_is_no_comparison(fresh, finder):
    strange = Skeleton("strange", ("tail", "left_wing", "right_wing"), (), "tail")
    done = reconstruct_images(fresh[0], finder(skeleton=strange))
    assert done.compared is None
    assert "no joint of 'strange' is known both" in done.not_compared
    with pytest.raises(LookupError, match="nothing there stands for tail"):
        reconstruct_images(fresh[0], finder("volumetric", skeleton=strange, told="base_point"))


def test_nothing_found_is_an_error_and_writes_nothing(fresh, finder):
    model = finder()
    with torch.no_grad():
        model.method.offset += torch.nan
    with pytest.raises(
        NothingReconstructedError, match=r"DotFinder found not one joint in 6 frames with boxes"
    ):
        reconstruct_images(fresh[0], model)
    assert not results(fresh[0])


def test_too_few_boxes(film, finder, tmp_path):
    session, _ = film.session(tmp_path / "s", frames=4)
    session_poses = reconstruct(session).poses
    for name in film.NAMES[1:]:
        file = session.path / "joints2d" / f"{name}.npz"
        arrays = dict(np.load(file))
        np.savez(file, joints=arrays["joints"] * np.array([1, 1, 0.1], dtype=np.float32))
    # 3D joints that do not say what they were made from
    replace(session_poses, provenance={}).save(session.poses3d_path)
    with pytest.raises(
        NothingReconstructedError, match=r"in no frame do 2 cameras.*north: 100%, east: 0%.*--min-confidence"
    ):
        reconstruct_images(session, finder())


def test_an_uncalibrated_session(film, finder, tmp_path):
    session, _ = film.session(tmp_path / "s", frames=2)
    calibration = session.calibration()
    from coview.formats.calibration.calibration import write_calibration

    write_calibration(calibration.without_extrinsics(), session.calibration_path)
    with pytest.raises(ValueError, match=r"not where the cameras stand\. Run `coview calibrate"):
        reconstruct_images(session, finder())
    session.calibration_path.unlink()
    with pytest.raises(FileNotFoundError, match=r"is not calibrated"):
        reconstruct_images(session, finder())


def test_one_camera(fresh, finder, tmp_path):
    session, _ = fresh
    alone = replace(session, path=tmp_path / "alone", cameras=session.cameras[:1])
    alone.save()
    (tmp_path / "alone" / "calibration.toml").write_bytes(session.calibration_path.read_bytes())
    with pytest.raises(ValueError, match="has one camera"):
        reconstruct_images(alone, finder())


def test_a_triangulation_of_another_calibration_is_refused(fresh, finder):
    session, _ = fresh
    reconstruct(session)
    poses = session.poses3d()
    replace(poses, provenance=poses.provenance | {"calibration_hash": "older"}).save(session.poses3d_path)
    with pytest.raises(ValueError, match=r"made with another calibration.*coview reconstruct"):
        reconstruct_images(session, finder())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"min_confidence": 2.0}, "min_confidence 2 is no confidence"),
        ({"margin": 0.5}, "margin at least 1; got 10, 4, 0.5"),
        ({"at_once": 0}, "at_once 1 or more"),
        ({"smooth": 20.0}, "between 0 and 12.5 Hz"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(filmed, finder, settings, says):
    with pytest.raises(ValueError, match=says):
        reconstruct_images(filmed[0], finder(), **settings)
    assert Session.load(filmed[0].path)
