import json

import torch

from coview import demo
from coview.formats.session.files import SESSION_FILES
from coview.formats.session.session import Session


def test_the_same_seed_gives_the_same_recording(tmp_path):
    a, b = (demo.generate(tmp_path / name, seed=4, minutes=0.1) for name in ("a", "b"))
    assert torch.equal(a.joints3d, b.joints3d)
    first, second = (Session.load(tmp_path / name).detections().single()[0] for name in ("a", "b"))
    torch.testing.assert_close(first, second, equal_nan=True, rtol=0, atol=0)


def test_no_stage_can_read_the_truth(tmp_path):
    demo.generate(tmp_path, seed=0, minutes=0.1)
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"session.toml", "lenses.toml", *(f"joints2d/cam_{k}.npz" for k in range(1, 5))}
    lenses = (tmp_path / "lenses.toml").read_text()
    assert "\nrotation =" not in lenses
    assert "\ntranslation =" not in lenses


def test_the_whole_story_and_its_summary(tmp_path):
    demo.run_demo(tmp_path, minutes=0.5, steps=150)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert set(summary) == {"calibration", "reconstruction", "model", "seconds"}
    assert set(summary["calibration"]) == {"rotation_error_deg", "centre_error_mm"}
    assert set(summary["model"]) == {"n_mpjpe_mm", "p_mpjpe_mm", "mirror_flipped"}
    assert summary["calibration"]["rotation_error_deg"] < 1
    assert summary["calibration"]["centre_error_mm"] < 30
    assert summary["reconstruction"]["mpjpe_mm"] < 50
    assert (tmp_path / "report.html").stat().st_size > 100_000
    strange = {path.name for path in (tmp_path / "session").iterdir()} - {
        path.name for kind in SESSION_FILES for path in (tmp_path / "session").glob(kind.pattern)
    }
    assert not strange, f"give {strange} a row in formats/session/files.py"
