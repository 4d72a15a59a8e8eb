import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from coview.threads import one_thread

MADE = """
import sys
from hashlib import sha256
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import test_cache
from coview.capture.calibration.from_people import calibrate_from_people
from coview.data.pseudo_labels.labels import pseudo_labels
from coview.demo import generate
from coview.formats.session.session import Session

folder = Path(sys.argv[1])
generate(folder / "session", seed=2, minutes=0.05)
calibrate_from_people(Session.load(folder / "session"), stature=1.75)
written = (folder / "session" / "calibration.toml").read_bytes()
pseudo_labels(test_cache.recording(), test_cache.GIVEN, folder=folder / "cache")
kept = sorted((folder / "cache").rglob("*.safetensors"))
print(sha256(written).hexdigest(), *[path.relative_to(folder) for path in kept])
print(sha256(b"".join(path.read_bytes() for path in kept)).hexdigest())
"""


def test_as_many_threads_as_before():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before

    @one_thread()
    def failing() -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        failing()
    assert torch.get_num_threads() == before


def test_calibrations_and_caches_are_the_same_bytes_with_any_number_of_threads(tmp_path: Path):
    answers = set()
    for threads in ("1", "2", None):
        environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        # paths are written into the provenance: the same folder for all
        command = [sys.executable, "-c", MADE, ".", str(Path(__file__).parent / "data" / "pseudo_labels")]
        folder = tmp_path / "made"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if threads:
            environment["OMP_NUM_THREADS"] = threads
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
        answers.add(done.stdout)
    assert len(answers) == 1, answers
    assert "labels_00000" in answers.pop()
