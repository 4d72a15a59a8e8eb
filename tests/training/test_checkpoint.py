import pickle

import pytest
import torch

from coview.training.checkpoint import Checkpoint, flat_state, nested_state


def stepped(optimiser: torch.optim.Optimizer, parameter: torch.Tensor, gradient: float) -> torch.Tensor:
    parameter.grad = torch.full_like(parameter, gradient)
    optimiser.step()
    return parameter.detach().clone()


def test_everything_comes_back(tmp_path):
    saved = Checkpoint(7, 1.5, {"a.weight": torch.randn(2, 3)}, {"0/step": torch.tensor(7.0)}, {"flag": True})
    saved.save(tmp_path / "c.safetensors")
    loaded = Checkpoint.load(tmp_path / "c.safetensors")
    assert (loaded.step, loaded.seconds, loaded.facts) == (7, 1.5, {"flag": True})
    assert torch.equal(loaded.weights["a.weight"], saved.weights["a.weight"])
    assert torch.equal(loaded.optimiser["0/step"], torch.tensor(7.0))


def test_an_optimiser_goes_on_as_if_nothing_had_happened(tmp_path):
    one, other = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3))
    first = torch.optim.Adam([one], lr=0.1, fused=True)
    stepped(first, one, 1.0)
    memory = flat_state(first.state_dict()["state"])
    Checkpoint(1, 0.0, {"w": one}, memory).save(tmp_path / "c.safetensors")
    loaded = Checkpoint.load(tmp_path / "c.safetensors")
    other.data = loaded.weights["w"]
    second = torch.optim.Adam([other], lr=0.1, fused=True)
    settings = second.state_dict()["param_groups"]
    second.load_state_dict({"state": nested_state(loaded.optimiser), "param_groups": settings})
    assert torch.equal(stepped(first, one, -0.3), stepped(second, other, -0.3))


def test_foreign_files_are_refused_and_never_unpickled(tmp_path):
    path = tmp_path / "c.safetensors"
    for content in (b"", b"nonsense" * 100, pickle.dumps({"weights": 1})):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"c\.safetensors is no checkpoint of coview"):
            Checkpoint.load(path)


@pytest.mark.parametrize(
    ("step", "changed", "words"),
    [
        (5, {"bias": None}, r"of 1 weights, bias is missing there and \(3,\) in the method"),
        (5, {"slope": torch.ones(1)}, r"of 1 weights, slope is \(1,\) there and missing in the method"),
        (5, {"bias": torch.ones(4)}, r"of 1 weights, bias is \(4,\) there and \(3,\) in the method"),
        (50, {}, "it is of step 50, and the recipe has 40"),
    ],
)
def test_a_checkpoint_that_does_not_fit_says_so_with_the_way_out(tmp_path, step, changed, words):
    method = torch.nn.Linear(2, 3)
    weights = {n: w for n, w in {**method.state_dict(), **changed}.items() if w is not None}
    with pytest.raises(
        ValueError, match=rf"c\.safetensors does not fit the recipe beside it: {words}\. .*--overwrite"
    ):
        Checkpoint(step, 0.0, weights, {}).check_fits(method, 40, tmp_path / "c.safetensors")


def test_a_checkpoint_that_fits_is_taken(tmp_path):
    method, path = torch.nn.Linear(2, 3), tmp_path / "c.safetensors"
    last = Checkpoint(40, 0.0, dict(method.state_dict()), {})
    last.check_fits(method, 40, path)
    with pytest.raises(ValueError, match="it is of step 40, and the recipe has 39"):
        last.check_fits(method, 39, path)
