import numpy as np
import pytest
import torch

import coview
from coview.errors import InputError, MissingFileError, UnknownNameError
from coview.training.prediction.predict import predict as predict_files


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    made = coview.example_session(tmp_path_factory.mktemp("session") / "walk", minutes=0.05, calibrated=True)
    made.reconstruct()
    return made


@pytest.fixture(scope="module")
def model(session):
    return coview.train("canonpose_session", session, steps=2, progress=False)


def test_a_run_on_a_session_is_kept_there(session, model):
    assert model.path == session.path / "models" / "canonpose_session"
    assert model.recipe.steps == 2
    assert coview.load_model(str(model.path)).recipe == model.recipe


def test_training_again_skips_what_is_done(session, model):
    before = (model.path / "run.json").stat().st_mtime_ns
    coview.train("canonpose_session", str(session.path), steps=2, progress=False)
    assert (model.path / "run.json").stat().st_mtime_ns == before


def test_evaluate_on_a_session(session, model):
    by_run, by_path = coview.evaluate(model), coview.evaluate(model.path, session)
    assert by_run["n_mpjpe_mm"] == pytest.approx(by_path["n_mpjpe_mm"])


def test_predict_is_what_the_command_predicts(session, model, tmp_path):
    (files,) = predict_files(model.path, session.path, camera="cam_2", out=tmp_path)
    pixels, confidence = session.joints2d()
    arrays = coview.predict(model, pixels[:, 1], confidence[:, 1], image_size=(1000, 1000), bone_length=1)
    assert arrays.dtype == np.float32
    ours = arrays / np.linalg.norm(arrays, axis=(-2, -1), keepdims=True)
    theirs = files.points.numpy()
    np.testing.assert_allclose(ours, theirs / np.linalg.norm(theirs, axis=(-2, -1), keepdims=True), atol=1e-5)


def test_predict_in_kind_and_any_batch(session, model):
    pixels = session.joints2d()[0][:8, 0]
    size = {"image_size": (1000, 1000)}
    known = coview.predict(model, pixels, **size)
    assert coview.predict(model, pixels[0], **size).shape == (17, 3)
    assert coview.predict(model, pixels.reshape(2, 4, 17, 2), **size).shape == (2, 4, 17, 3)
    assert coview.predict(model, pixels.astype(np.float64), **size).dtype == np.float64
    tensor = coview.predict(
        str(model.path), torch.from_numpy(pixels), intrinsics=coview.example_cameras(4)[0]
    )
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(tensor.numpy(), known, atol=1e-5)


def test_joints_of_another_detector(model):
    pixels = np.random.default_rng(0).uniform(200, 800, size=(6, 25, 2))
    poses = coview.predict(model, pixels, image_size=(1000, 1000), skeleton="body_25")
    assert poses.shape == (6, 17, 3)
    assert np.isfinite(poses).all()


def test_wrong_joints_are_named(model):
    with pytest.raises(
        InputError, match=r"^pixels: expected .*joints=17, 2.*they must be the 17 joints of h36m_17"
    ):
        coview.predict(model, np.zeros((5, 25, 2)), image_size=(1000, 1000))
    with pytest.raises(InputError, match=r"^pixels: .*joints and coordinates are swapped"):
        coview.predict(model, np.zeros((5, 2, 17)), image_size=(1000, 1000))
    with pytest.raises(InputError, match="a single camera is needed"):
        coview.predict(model, np.zeros((5, 17, 2)), intrinsics=coview.example_cameras(4))
    with pytest.raises(coview.CoviewError, match="image size"):
        coview.predict(model, np.ones((5, 17, 2)))


def test_wrong_names_are_named(session, tmp_path):
    with pytest.raises(InputError, match="train: name a recipe"):
        coview.train()
    with pytest.raises(UnknownNameError, match="no recipe 'nonsense'"):
        coview.train("nonsense")
    with pytest.raises(InputError, match="a recipe has no setting step; it has"):
        coview.train("canonpose_session", session, step=3)
    with pytest.raises(MissingFileError, match="is no run"):
        coview.load_model(tmp_path)
