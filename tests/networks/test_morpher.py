import json

import pytest
import torch
from safetensors.torch import save_file

from coview.networks.morpher import Morpher, load_morpher


def a_run(path, joints=5, width=8, prefix="morpher."):
    torch.manual_seed(0)
    morpher = Morpher(joints, width)
    torch.nn.init.normal_(morpher.exit.weight)
    path.mkdir()
    save_file(
        {prefix + name: value for name, value in morpher.state_dict().items()}, path / "weights.safetensors"
    )
    (path / "run.json").write_text(json.dumps({}))
    return morpher


def test_the_layers_of_the_paper():
    # methods/canonpose.md §2: Linear(32→1024), two residual blocks of two 1024 × 1024 layers, Linear(1024→32)
    wanted = (32 * 1024 + 1024) + 4 * (1024 * 1024 + 1024) + (1024 * 32 + 32)
    assert sum(p.numel() for p in Morpher(16, 1024).parameters()) == wanted


def test_begins_as_the_identity():
    joints = torch.randn(3, 4, 17, 2)
    torch.testing.assert_close(Morpher(17, 8)(joints), joints)


def test_layout_is_planar():
    morpher, seen = Morpher(3, 8), []
    morpher.entry.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    morpher.exit.register_forward_hook(lambda *_: 10 * torch.arange(6.0))
    moved = morpher(torch.tensor([[0.0, 3], [1, 4], [2, 5]]))
    torch.testing.assert_close(seen[0], torch.arange(6.0))
    torch.testing.assert_close(moved, 11 * torch.tensor([[0.0, 3], [1, 4], [2, 5]]))


def test_a_finished_run_gives_the_frozen_network(tmp_path):
    trained = a_run(tmp_path / "run")
    loaded = load_morpher(tmp_path / "run", 5)
    joints = torch.randn(2, 5, 2)
    torch.testing.assert_close(loaded(joints), trained(joints))
    assert not any(p.requires_grad for p in loaded.parameters())
    with torch.device("meta"):  # how a recipe asks what a method reads
        torch.testing.assert_close(
            load_morpher(tmp_path / "run", 5).exit.weight, trained.exit.weight.detach()
        )


def test_what_cannot_be_used_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere holds no finished run of SkeletonMorphing"):
        load_morpher(tmp_path / "nowhere", 17)
    a_run(tmp_path / "run")
    with pytest.raises(ValueError, match=r"run morphs poses of 5 joints, and these have 17"):
        load_morpher(tmp_path / "run", 17)
    a_run(tmp_path / "other", prefix="lifter.")
    with pytest.raises(ValueError, match=r"other is a run of another method"):
        load_morpher(tmp_path / "other", 5)
