from dataclasses import replace

import pytest

from coview import recipes
from coview.capture.calibrate import calibrate_from_people
from coview.capture.reconstruct import reconstruct
from coview.data.recorded import RecordedConfig
from coview.demo import generate
from coview.formats.session import Session
from coview.training.run import train


@pytest.fixture(scope="session")
def session(tmp_path_factory):
    """A generated session, calibrated and reconstructed."""
    path = tmp_path_factory.mktemp("recorded") / "session"
    generate(path, seed=6, minutes=0.2)
    calibrate_from_people(path, stature=1.75)
    reconstruct(path)
    return Session.load(path)


@pytest.fixture(scope="session")
def run(session, tmp_path_factory):
    """A few steps on that session: a finished run."""
    recipe = replace(recipes.load("canonpose_demo"), data=RecordedConfig(sessions=(session.path,)), steps=20)
    recipe = replace(recipe, method=replace(recipe.method, width=16))
    return train(recipe, tmp_path_factory.mktemp("runs") / "run", progress=False)
