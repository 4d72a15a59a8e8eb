import pytest
import torch

from coview.cli.learning import _take, evaluate, predict, recipes, train
from coview.cli.main import _run
from coview.demo import generate
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.motion.poses3d import Poses3D
from coview.formats.session.session import Session
from coview.recipes import names


def test_options_are_taken_out_in_both_spellings():
    options, rest = _take(["--out", "a", "--steps", "5", "--data=b"], {"--out": None, "--data": None})
    assert options == {"--out": "a", "--data": "b"}
    assert rest == ["--steps", "5"]


def test_an_option_without_a_value_is_refused():
    with pytest.raises(ValueError, match=r"--out needs a value"):
        _take(["--out"], {"--out": None})


def test_recipes_are_listed_with_what_they_need(capsys):
    recipes()
    text = capsys.readouterr().out
    assert all(name in text for name in names())
    assert "joints2d" in text


def test_train_without_a_recipe_shows_what_there_is(capsys):
    train([])
    assert "usage: coview train [RECIPE]" in capsys.readouterr().out


def test_an_unknown_recipe_names_the_known_ones():
    with pytest.raises(LookupError, match=r"no recipe 'canonpoze'. Known: algebraic_human36m"):
        train(["canonpoze"])


def test_prepared_motion_given_as_a_session_is_told_from_one(tmp_path):
    (tmp_path / "meta.json").write_text("{}")
    with pytest.raises(ValueError, match=r"holds prepared motion .*Name it with --data.folder "):
        train(["canonpose_mocap4", "--data", str(tmp_path)])


def test_training_from_the_command_line(tmp_path, capsys):
    train(["canonpose_synthetic", "--out", str(tmp_path / "run"), "--steps", "3", "--data.instants", "64"])
    assert "3 steps" in capsys.readouterr().out
    assert (tmp_path / "run" / "weights.safetensors").is_file()


def test_a_session_alone_trains_our_own_recipe_from_lenses_and_2d_joints(tmp_path, capsys):
    generate(tmp_path / "take", seed=6, minutes=0.05)  # neither calibrated nor reconstructed
    train(["--data", str(tmp_path / "take"), "--steps", "3"])
    assert "no 3D truth to compare with" in capsys.readouterr().out
    run = tmp_path / "take" / "models" / "coview_session"
    assert (run / "pseudo_labels.json").is_file()


def test_neither_recipe_nor_session_is_asked_for():
    with pytest.raises(ValueError, match=r"which recipe\? .*--data SESSION"):
        train(["--steps", "3"])


@pytest.mark.parametrize("joined", [False, True])
def test_weights_to_begin_with_are_named_in_both_spellings(tmp_path, joined):
    where = str(tmp_path / "nowhere")
    words = [f"--init={where}"] if joined else ["--init", where]
    with pytest.raises(FileNotFoundError, match="nowhere is no run"):
        train(["canonpose_synthetic", "--out", str(tmp_path / "run"), *words])


def test_weights_are_measured_as_they_are_from_the_command_line(tmp_path, capsys):
    few = ["--data.instants", "64", "--data.validation-instants", "8"]
    train(["canonpose_synthetic", "--out", str(tmp_path / "run"), "--steps", "3", *few])
    before = (tmp_path / "run" / "weights.safetensors").read_bytes()
    capsys.readouterr()
    words = ["--init", str(tmp_path / "run"), "canonpose_synthetic", "--out", str(tmp_path / "as_is"), *few]
    _run(["evaluate", *words])
    out = capsys.readouterr().out
    assert f"not trained: the weights of {tmp_path / 'run'} as they are" in out
    assert "n_mpjpe_mm" in out
    assert (tmp_path / "as_is" / "weights.safetensors").read_bytes() == before
    evaluate(tmp_path / "as_is")
    assert out.endswith(capsys.readouterr().out)
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere.pth with released weights"):
        _run(["evaluate", f"--init=released:{tmp_path}/nowhere.pth", "canonpose_synthetic"])
    with pytest.raises(ValueError, match=r"which recipe\?"):
        _run(["evaluate", "--init", str(tmp_path / "run")])


def test_prediction_from_the_command_line_says_how_it_compares(tmp_path, capsys):
    truth = generate(tmp_path / "take", seed=6, minutes=0.05)
    session = Session.load(tmp_path / "take")
    cameras = Calibration(session.camera_names, truth.cameras.to(torch.float64))
    train(["canonpose_synthetic", "--out", str(tmp_path / "run"), "--steps", "3", "--data.instants", "64"])
    predict(tmp_path / "run", session.path, camera="cam_1")
    assert "not compared: the session is not reconstructed" in capsys.readouterr().out
    write_calibration(cameras, session.calibration_path)
    Poses3D(truth.joints3d, None, None, None, session.fps, session.skeleton).save(session.poses3d_path)
    predict(tmp_path / "run", session.path, camera="cam_1")
    out, notes = capsys.readouterr()
    for words in (
        "this model: N-MPJPE ",
        "mean pose:  N-MPJPE ",
        "which is not truth",
        "16 joints of h36m_17",
    ):
        assert words in out
    assert "note: The model has had 3 training steps" in notes
    assert (session.path / "predictions" / "run" / "cam_1.json").is_file()
