import pytest

from coview.cli.learning import _take, recipes, train
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
    assert "usage: coview train RECIPE" in capsys.readouterr().out


def test_an_unknown_recipe_names_the_known_ones():
    with pytest.raises(LookupError, match=r"no recipe 'canonpoze'. Known: canonpose"):
        train(["canonpoze"])


def test_training_from_the_command_line(tmp_path, capsys):
    train(["canonpose_synthetic", "--out", str(tmp_path / "run"), "--steps", "3", "--data.instants", "64"])
    assert "3 steps" in capsys.readouterr().out
    assert (tmp_path / "run" / "weights.safetensors").is_file()
