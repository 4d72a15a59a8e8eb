"""Kept tensors come back as they were written, or not at all."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from coview.formats.io.tensor_cache import keep, kept

TENSORS = {
    "points": torch.arange(6.0).reshape(2, 3),
    "seen": torch.tensor([[True], [False]]),
    "nothing": torch.zeros(2, 0, 2),
    "number": torch.tensor(3),
}


def test_what_is_kept_comes_back(tmp_path):
    path = tmp_path / "deep" / "x.safetensors"
    keep(path, TENSORS)
    found = kept(path)
    assert found is not None
    assert set(found) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_nothing_there_is_none(tmp_path):
    assert kept(tmp_path / "x.safetensors") is None


@pytest.mark.parametrize(
    "damage", ["value", "shape", "type", "column", "name", "no digest", "cut", "other file"]
)
def test_damage_is_as_good_as_nothing(tmp_path, damage):
    path = tmp_path / "x.safetensors"
    keep(path, TENSORS)
    content, tensors = path.read_bytes(), load_file(path)
    if damage == "value":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "cut":
        path.write_bytes(content[:-5])
    elif damage == "other file":
        path.write_bytes(b"hello")
    else:
        if damage == "shape":
            tensors["points"] = tensors["points"].reshape(3, 2)
        elif damage == "type":
            tensors["points"] = tensors["points"].view(torch.int32)
        elif damage == "column":
            del tensors["seen"]
        elif damage == "name":
            tensors["other"] = tensors.pop("seen")
        save_file(tensors, path, metadata=None if damage == "no digest" else _metadata(content))
    assert kept(path) is None


def test_a_folder_that_cannot_be_made_is_said_with_the_way_out(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot be kept in .*file: .*COVIEW_DATA"):
        keep(tmp_path / "file" / "x.safetensors", TENSORS)


def _metadata(content: bytes) -> dict[str, str]:
    import json

    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size])["__metadata__"]
