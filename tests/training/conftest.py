from dataclasses import replace

import pytest
import torch

from coview import recipes
from coview.data.session_dataset import RecordedConfig
from coview.demo import generate
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.motion.poses3d import Poses3D
from coview.formats.session.session import Session
from coview.training.run import train


@pytest.fixture(scope="session")
def session(tmp_path_factory):
    """A generated session as it looks when calibrated and reconstructed, with the truth in their place:
    those two stages have tests of their own, and take half a minute."""
    path = tmp_path_factory.mktemp("recorded") / "session"
    truth = generate(path, seed=6, minutes=0.2)
    session = Session.load(path)
    write_calibration(
        Calibration(session.camera_names, truth.cameras.to(torch.float64)), session.calibration_path
    )
    Poses3D(truth.joints3d, None, None, None, session.fps, session.skeleton).save(session.poses3d_path)
    return session


@pytest.fixture(scope="session")
def run(session, tmp_path_factory):
    """A few steps on that session: a finished run."""
    recipe = replace(recipes.load("canonpose_demo"), data=RecordedConfig(sessions=(session.path,)), steps=20)
    recipe = replace(recipe, method=replace(recipe.method, width=16))
    return train(recipe, tmp_path_factory.mktemp("runs") / "run", progress=False)
