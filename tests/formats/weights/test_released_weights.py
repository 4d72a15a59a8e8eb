import pickle
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save as safetensors

from coview.formats.weights.released_weights import read_released


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


# --- EpipolarPose ------------------------------------------------------------------------------------


def pose_net(rows: int) -> dict[str, torch.Tensor]:
    return {"conv1.weight": torch.ones(64, 3, 7, 7), "final_layer.weight": torch.ones(rows, 256, 1, 1)}


@pytest.mark.parametrize("rows", [16 * 64, 17 * 64])
def test_a_volume_per_joint_is_epipolarpose_in_red_green_blue(saved, rows):
    state = {f"module.{name}": tensor for name, tensor in pose_net(rows).items()}
    training = {
        "state_dict": state,
        "epoch": 139,
        "model": "multiview_pose_resnet",
        "optimizer": {"lr": 1e-3},
    }
    for content in (state, training, training | {"perf": np.float64(448.2)}):
        found = read_released(saved(content))
        assert set(found.tensors) == {"backbone.conv1.weight", "backbone.final_layer.weight"}
        assert (found.of, found.bgr, found.only_backbone, found.notes) == ("epipolar", False, False, ())


def test_one_map_per_joint_is_not_epipolarpose(saved):
    found = read_released(saved(pose_net(16)))
    assert (found.of, found.bgr, found.only_backbone) == ("learnable", True, True)


def test_files_of_old_versions_of_pytorch_are_read(tmp_path):
    path = tmp_path / "model_best.pth.tar"
    torch.save(pose_net(1024), path, _use_new_zipfile_serialization=False)
    assert read_released(path).of == "epipolar"


def refiner(numbers: int = 45) -> dict[str, torch.Tensor]:
    return {"w1.weight": torch.ones(1024, numbers), "linear_stages.0.w1.weight": torch.ones(1024, 1024)}


def test_a_refiner_comes_with_its_statistics_or_says_that_they_are_missing(saved, tmp_path):
    path = saved({"state_dict": refiner(), "epoch": 3, "lr": 1e-3, "step": 7, "err": 60.5, "optimizer": {}})
    without = read_released(path)
    assert set(without.tensors) == {"refiner.w1.weight", "refiner.linear_stages.0.w1.weight"}
    assert (without.of, without.only_backbone) == ("refiner", False)
    assert len(without.notes) == 1
    assert "no norm.pkl beside" in without.notes[0]
    norm = {side: {"mean": np.arange(45.0), "std": np.arange(45.0) + 1} for side in ("data", "label")}
    (tmp_path / "norm.pkl").write_bytes(pickle.dumps(norm))
    found = read_released(path)
    assert found.notes == ()
    torch.testing.assert_close(found.tensors["input_mean"], torch.arange(45.0) / 1000)
    (tmp_path / "data").mkdir()
    (tmp_path / "norm.pkl").rename(tmp_path / "data" / "norm.pkl")
    elsewhere = read_released(path)
    torch.testing.assert_close(elsewhere.tensors, found.tensors)
    assert elsewhere.notes == (
        f"the statistics of its poses are those of {tmp_path.resolve() / 'data' / 'norm.pkl'}.",
    )
    (tmp_path / "norm.pkl").write_bytes(pickle.dumps({"data": Harmful()}))
    with pytest.raises(ValueError, match=r"norm\.pkl was not opened: it asks for 'builtins\.print'"):
        read_released(path)


def test_a_tensor_of_more_numbers_than_the_file_holds_is_refused(saved):
    """A stride of 0 makes ten thousand million numbers of one."""
    with pytest.raises(ValueError, match="of more numbers than the file holds"):
        read_released(saved({"conv1.weight": torch.ones(1).expand(100_000, 100_000)}))


def test_a_packed_archive_is_none_of_pytorchs(saved, tmp_path):
    path = saved({"conv1.weight": torch.zeros(1000)})
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(tmp_path / "packed.pth", "w", 8) as packed:
        for name in archive.namelist():
            packed.writestr(name, archive.read(name))
    with pytest.raises(ValueError, match=r"packed\.pth unpacks to more bytes than it has"):
        read_released(tmp_path / "packed.pth")
