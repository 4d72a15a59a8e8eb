"""Motion in the layout that `coview data prepare cmu_mocap` makes, but generated; and a recipe of seconds."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from coview.body.procedural_motion import random_motion
from coview.data.mocap.mocap4 import Mocap4Config
from coview.methods.canonpose import CanonPoseConfig
from coview.skeletons import MOCAP_19
from coview.training.recipe import Recipe

CLIPS = {"train": 3, "val": 1, "test": 2}
FRAMES = 60  # ten instants of a clip


def clip(seed: int) -> np.ndarray:
    """19 joints, y up: the 17 of a generated person, and toes in front of the ankles."""
    body = random_motion(FRAMES, fps=60.0, seed=seed)
    ankles = body[:, [MOCAP_19.index("left_ankle"), MOCAP_19.index("right_ankle")]]
    x, y, z = torch.cat([body, ankles + torch.tensor([0.1, 0.0, -0.05])], dim=1).unbind(-1)
    return torch.stack([x, z, -y], dim=-1).numpy()


def prepare(folder: Path) -> Path:
    entries = []
    for number, (split, count) in enumerate(CLIPS.items()):
        arrays = {f"{split}_{index}": clip(10 * number + index) for index in range(count)}
        np.savez(folder / f"cmu_{split}.npz", **arrays)
        entries += [{"id": i, "split": split, "subject": i, "fps": 60, "frames": FRAMES} for i in arrays]
    meta = {"joints": list(MOCAP_19.joints), "units": "m", "up": "+Y", "clips": entries}
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder


@pytest.fixture(scope="session")
def motion(tmp_path_factory) -> Path:
    """A prepared folder."""
    return prepare(tmp_path_factory.mktemp("motion"))


@pytest.fixture
def tiny(monkeypatch) -> str:
    """The name of a recipe: three steps of a network of width 8."""
    recipe = Recipe(
        method=CanonPoseConfig(width=8), data=Mocap4Config(), steps=3, batch_size=4, device="cpu", log_every=1
    )
    monkeypatch.setitem(sys.modules, "tiny_recipes", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "tiny_recipes.tiny_mocap4", SimpleNamespace(recipe=recipe))
    return "tiny_recipes.tiny_mocap4"
