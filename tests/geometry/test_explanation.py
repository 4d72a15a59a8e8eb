from coview.geometry.explanation import choose
from coview.geometry.linearisation import Unknowns
from coview.geometry.settling import Tracks, settle
from coview.geometry.timing import Timing, common_times


def chosen(scene, focal, clock):
    timing, unknowns = Timing(scene.late, scene.late * 0), Unknowns("shared", "offset")
    tracks = Tracks(scene.pixels, scene.weights, scene.fps)
    times = common_times(timing, scene.weights, scene.fps, 60)
    found = settle(
        scene.truth,
        timing,
        tracks,
        times,
        unknowns,
        threshold=10.0,
        names=scene.names,
        narrowing=(4.0, 2.0, 1.0),
    )
    return choose(found, scene.lenses, scene.fps, unknowns, focal, clock, 10.0)


def test_the_simplest_explanation_stays(make_walk):
    answer = chosen(make_walk(), "auto", "auto")
    assert answer.unknowns == Unknowns("given", "given")
    assert len(answer.words) == 3
    assert all("p = " in words for words in answer.words)


def test_what_the_data_contradict_goes(make_walk):
    scene = make_walk(1, late=(0.0, 0.02, 0.0), focal=1.05)
    assert chosen(scene, "auto", "auto").unknowns == Unknowns("shared", "offset")
    assert chosen(make_walk(1, focal=(1.0, 1.1, 0.9)), "unknown", "auto").unknowns.focal == "each"


def test_what_the_user_decided_is_not_tested(make_walk):
    answer = chosen(make_walk(), "shared", "drift")
    assert answer.unknowns == Unknowns("shared", "drift")
    assert answer.words == ()
