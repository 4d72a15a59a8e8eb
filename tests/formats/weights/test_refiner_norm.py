import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch

from coview.formats.weights.refiner_norm import find_norm, read_norm

MEAN, SPREAD, LABEL_MEAN, LABEL_SPREAD = (np.linspace(k, k + 100, 45) for k in (-50.0, 1.0, 10.0, 2.0))
KNOWN = {
    "two levels": {
        "data": {"mean": MEAN, "std": SPREAD},
        "label": {"mean": LABEL_MEAN, "std": LABEL_SPREAD},
    },
    "one level": OrderedDict(
        data_mean=MEAN[None], data_std=SPREAD, label_mean=LABEL_MEAN.tolist(), label_std=LABEL_SPREAD
    ),
    "more words": {
        "Mean_Data": MEAN, "std data": SPREAD, "mean_label": LABEL_MEAN, "std_label": LABEL_SPREAD, "n": 3
    },
    "in order": (MEAN, SPREAD, LABEL_MEAN, LABEL_SPREAD),
}  # fmt: skip


def write(path, content, protocol: int = 2):
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("kind", KNOWN)
def test_four_vectors_are_found_and_brought_to_metres(tmp_path, kind):
    content = dict(KNOWN[kind]) if isinstance(KNOWN[kind], OrderedDict) else KNOWN[kind]
    found = read_norm(write(tmp_path / "norm.pkl", content), 45)
    expected = {
        "input_mean": MEAN, "input_std": SPREAD, "target_mean": LABEL_MEAN, "target_std": LABEL_SPREAD
    }  # fmt: skip
    assert list(found) == list(expected)
    for name, vector in expected.items():
        torch.testing.assert_close(found[name], torch.from_numpy(vector / 1000).float())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, r"has no data mean, data std, label mean, label std: a dict with 'data' and 'label'"),
        ({"data": {"mean": MEAN, "std": SPREAD}}, r"has no label mean, label std: .* cannot be used"),
        ([MEAN, SPREAD], "has no data mean"),
        (5, "has no data mean"),
        (
            (MEAN[:3], SPREAD, LABEL_MEAN, LABEL_SPREAD),
            r"data mean should be 45 finite numbers, and is 3 from -50",
        ),
        (
            (MEAN, 0 * SPREAD, LABEL_MEAN, LABEL_SPREAD),
            r"data std should be 45 finite numbers, above 0, and is 45",
        ),
        ((MEAN * np.nan, SPREAD, LABEL_MEAN, LABEL_SPREAD), "data mean should be 45 finite numbers"),
        (("text", SPREAD, LABEL_MEAN, LABEL_SPREAD), "data mean is no vector of numbers"),
    ],
)
def test_other_contents_are_named(tmp_path, content, words):
    with pytest.raises(ValueError, match=rf"norm\.pkl.*{words}"):
        read_norm(write(tmp_path / "norm.pkl", content), 45)


def test_nothing_in_the_file_is_run(tmp_path, capsys):
    class Harmful:
        def __reduce__(self):
            return (print, ("this must not be printed",))

    with pytest.raises(ValueError, match=r"only numpy arrays are allowed"):
        read_norm(write(tmp_path / "norm.pkl", {"data": Harmful()}), 45)
    assert not capsys.readouterr().out


# --- where it lies -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        "models/refiner/norm.pkl",
        "models/refiner/data/norm.pkl",
        "models/norm.pkl",
        "data/norm.pkl",
        "data/h36m/norm.pkl",
    ],
)
def test_it_is_found_where_the_authors_keep_it(tmp_path, place):
    weights = tmp_path / "models" / "refiner" / "refiner.pth.tar"
    for folder in (weights.parent, (tmp_path / place).parent):
        folder.mkdir(parents=True, exist_ok=True)
    assert find_norm(weights) is None
    (tmp_path / place).write_bytes(b"")
    assert find_norm(weights) == (tmp_path / place).resolve()


def test_the_nearest_is_taken_and_two_equally_near_are_not(tmp_path):
    weights = tmp_path / "models" / "refiner.pth.tar"
    for place in ("models", "data", "data/h36m", "data/mpii"):
        (tmp_path / place).mkdir()
    for place in ("data/h36m", "data/mpii"):
        (tmp_path / place / "norm.pkl").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"h36m.norm.pkl and .*mpii.norm.pkl are both near .*beside the weights"
    ):
        find_norm(weights)
    for place in ("data", "models"):
        (tmp_path / place / "norm.pkl").write_bytes(b"")
        assert find_norm(weights) == (tmp_path / place / "norm.pkl").resolve()
