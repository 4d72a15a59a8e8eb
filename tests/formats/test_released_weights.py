import pickle

import pytest
import torch
from safetensors.torch import save as safetensors

from coview.formats.released_weights import read_released


@pytest.fixture
def saved(tmp_path):
    def save(content):
        torch.save(content, tmp_path / "weights.pth")
        return tmp_path / "weights.pth"

    return save


def test_names_of_distributed_training_and_a_wrapper_are_seen_through(saved):
    bare = {"backbone.conv1.weight": torch.ones(2), "volume_net.output_layer.bias": torch.arange(3)}
    inside = {f"module.{name.replace('conv1', 'module.conv1')}": t for name, t in bare.items()}
    for content in (bare, inside, {"state_dict": inside, "epoch": 3}):
        found = read_released(saved(content))
        assert not found.only_backbone
        assert found.bgr
        torch.testing.assert_close(found.tensors, bare)


def test_a_2d_network_gets_the_name_that_methods_give_it(saved):
    found = read_released(saved({"module.conv1.weight": torch.ones(2), "final_layer.bias": torch.ones(33)}))
    assert set(found.tensors) == {"backbone.conv1.weight", "backbone.final_layer.bias"}
    assert found.only_backbone
    assert found.bgr


def test_a_classifier_expects_red_first(saved):
    assert not read_released(saved({"conv1.weight": torch.ones(2), "fc.weight": torch.ones(2)})).bgr


class Harmful:
    def __reduce__(self):
        return (print, ("this must not be printed",))


def test_what_could_run_is_refused_and_not_run(saved, capsys):
    with pytest.raises(ValueError, match=r"weights.pth was not opened: .*Only PyTorch files") as caught:
        read_released(saved({"conv1.weight": Harmful()}))
    assert "weights_only" not in str(caught.value)  # PyTorch advises to switch the protection off
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not opened: it is empty"),
        (b"not weights at all", "not opened: it begins with b'not weigh'"),
        (b"PK\x03\x04 and then the line went dead", "not opened: its end is missing; download it again"),
        (pickle.dumps({"a": 1}), "not opened: it is damaged, or holds more than tensors"),
        (safetensors({"a": torch.ones(1)}), "is a safetensors file.*give its folder, without released:"),
    ],
)
def test_other_files_are_named(tmp_path, content, message):
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(ValueError, match=rf"weights\.pth.*{message}"):
        read_released(tmp_path / "weights.pth")
    with pytest.raises(FileNotFoundError, match=r"no file .*other\.pth with released weights"):
        read_released(tmp_path / "other.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(1)], "holds a list, and a dict of named tensors is needed"),
        ({}, "holds no weights: its dict is empty"),
        ({"epoch": 3, "model": {}}, "holds a int called 'epoch' among its tensors"),
        ({"conv1.weight": torch.tensor([1.0, torch.nan])}, "are not all finite numbers; the file is damaged"),
        ({"module.a": torch.ones(1), "a": torch.ones(1)}, "two of its names are the same"),
    ],
)
def test_what_is_no_network_is_refused(saved, content, message):
    with pytest.raises(ValueError, match=message):
        read_released(saved(content))
