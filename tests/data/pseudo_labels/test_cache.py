import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from coview.body.pose_prior import PosePrior
from coview.data.pseudo_labels import labels as module
from coview.data.pseudo_labels.cache import kept_in, prior_from, prior_row, provenance, rig_from, rig_row
from coview.data.pseudo_labels.config import PseudoConfig
from coview.data.pseudo_labels.labels import pseudo_labels
from coview.data.pseudo_labels.rigs import CalibratedRig
from coview.data.synthetic.recordings import detect, random_motion, ring_cameras
from coview.sample import MultiView
from coview.skeletons import H36M_17

GIVEN = PseudoConfig(cameras="given", prior=0)


def recording(frames: int = 120) -> MultiView:
    cameras = ring_cameras(3)
    joints = random_motion(frames, seed=0)
    pixels, confidence = detect(joints, cameras, seed=0)
    return MultiView(
        H36M_17,
        cameras=cameras.expand(frames, 3),
        joints2d=pixels,
        confidence=confidence,
        rig=torch.arange(frames) % 2,
    )


KILLED = """
import importlib, itertools, sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from coview.data.pseudo_labels import labels as module
tests = importlib.import_module(sys.argv[3])

module._BLOCK = 20
block_of_labels, numbers = module.block_of_labels, itertools.count()

def stopping_after_three(*arguments):
    if next(numbers) >= 3:
        threading.Event().wait()
    return block_of_labels(*arguments)

module.block_of_labels = stopping_after_three
module.pseudo_labels(tests.recording(), tests.GIVEN, folder=Path(sys.argv[1]), workers=2)
"""


def shards(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*/labels_*.safetensors")}


def test_killed_and_started_again_it_goes_on(tmp_path: Path, monkeypatch):
    here = Path(__file__)
    running = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), str(here.parent), here.stem])
    try:
        while len(shards(tmp_path)) < 3 and running.poll() is None:  # the test's own timeout ends it at last
            time.sleep(0.02)
    finally:
        running.kill()
    assert running.wait() == -signal.SIGKILL
    before = shards(tmp_path)
    assert len(before) == 3

    monkeypatch.setattr(module, "_BLOCK", 20)
    made, quick = [], module.block_of_labels
    monkeypatch.setattr(module, "block_of_labels", lambda *given: made.append(1) or quick(*given))
    resumed = pseudo_labels(recording(), GIVEN, folder=tmp_path, workers=2)
    assert len(made) == 6 - len(before)
    after = shards(tmp_path)
    assert len(after) == 6
    assert all(after[name] == stamp for name, stamp in before.items())
    alone = pseudo_labels(recording(), GIVEN, workers=1)
    for name in ("joints3d", "covariance", "inliers"):
        assert torch.equal(getattr(resumed, name).nan_to_num(), getattr(alone, name).nan_to_num())
    assert torch.equal(resumed.cameras.cam_from_world, alone.cameras.cam_from_world)
    assert resumed.facts == alone.facts


def test_any_number_of_threads_and_workers_gives_the_same_to_the_bit(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 20)
    seen, before, made = recording(600), torch.get_num_threads(), []
    for threads, workers in ((1, 1), (2, 1), (2, 2)):
        torch.set_num_threads(threads)
        try:
            made.append(pseudo_labels(seen, PseudoConfig(cameras="given"), workers=workers))
        finally:
            torch.set_num_threads(before)
    for other in made[1:]:
        for name in ("joints3d", "covariance", "inliers"):
            assert torch.equal(getattr(other, name).nan_to_num(), getattr(made[0], name).nan_to_num()), name
        assert other.facts == made[0].facts


def test_the_name_follows_settings_and_data_and_nothing_else(tmp_path: Path):
    seen = recording()
    about = provenance(seen, GIVEN)
    assert provenance(recording(), GIVEN) == about
    assert provenance(seen, replace(GIVEN, min_confidence=0.5)) != about
    nudged = seen.joints2d.clone()
    nudged[7, 1, 3, 0] += 1e-3
    assert provenance(seen.replaced(joints2d=nudged), GIVEN) != about
    moved = replace(seen.cameras, cam_from_world=seen.cameras.cam_from_world + 0.1)
    assert provenance(seen.replaced(cameras=moved), GIVEN) != about
    people = PseudoConfig()
    assert provenance(seen.replaced(cameras=moved), people) == provenance(seen, people)
    own = kept_in(tmp_path, about)
    assert own is not None
    assert json.loads((own / "provenance.json").read_text()) == about
    assert kept_in(None, about) is None


def test_rigs_and_priors_come_back_to_the_bit():
    cameras = ring_cameras(3).to(torch.float64)
    rig = CalibratedRig(
        cameras, 12.3, torch.rand(17).double(), torch.rand(3).double(), {"scale": "± 2 m", "n": [1, 2.5]}
    )
    back = rig_from(rig_row(rig), 0)
    assert torch.equal(back.cameras.cam_from_world, cameras.cam_from_world)
    assert torch.equal(back.sigma, rig.sigma)
    assert (back.threshold, back.facts) == (rig.threshold, rig.facts)
    prior = PosePrior(torch.rand(2, 17, 3), torch.rand(2, 51, 51), ((4, 1), (11, 14)))
    same = prior_from(prior_row(prior))
    assert same is not None
    assert torch.equal(same.covariances, prior.covariances)
    assert same.across == prior.across
    assert prior_from(prior_row(None)) is None


def test_facts_without_end_are_refused():
    cameras = ring_cameras(2).to(torch.float64)
    rig = CalibratedRig(
        cameras, 1.0, torch.ones(17).double(), torch.ones(3).double(), {"names": "x" * 20_000}
    )
    with pytest.raises(ValueError, match="Split the data"):
        rig_row(rig)
