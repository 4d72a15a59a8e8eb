import pytest

from coview.geometry.bundle.residuals import Unknowns
from coview.geometry.self_calibration.camera_clocks import Timing
from coview.geometry.self_calibration.iterative_refinement import Tracks
from coview.geometry.self_calibration.model_selection import choose


@pytest.fixture
def chosen(refine_walk):
    def answer(scene, focal, clock):
        unknowns = Unknowns("shared", "offset")
        found = refine_walk(scene, unknowns, Timing(scene.late, scene.late * 0))
        return choose(
            found,
            scene.lenses,
            Tracks(scene.pixels, scene.weights, scene.fps),
            unknowns,
            focal,
            clock,
            "given",
            10.0,
        )

    return answer


def test_the_simplest_explanation_stays(make_walk, chosen):
    answer = chosen(make_walk(), "auto", "auto")
    assert answer.unknowns == Unknowns("given", "given")
    assert len(answer.words) == 3
    assert all("p = " in words for words in answer.words)


def test_what_the_data_contradict_goes(make_walk, chosen):
    scene = make_walk(1, late=(0.0, 0.02, 0.0), focal=1.05)
    assert chosen(scene, "auto", "auto").unknowns == Unknowns("shared", "offset")
    assert chosen(make_walk(1, focal=(1.0, 1.1, 0.9)), "unknown", "auto").unknowns.focal == "each"


def test_what_the_user_decided_is_not_tested(make_walk, chosen):
    answer = chosen(make_walk(), "shared", "drift")
    assert answer.unknowns == Unknowns("shared", "drift")
    assert answer.words == ()
