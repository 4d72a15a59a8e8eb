import pytest

from coview.cli.calibration import people as calibrate_people
from coview.cli.reconstruction import export, reconstruct
from coview.cli.reconstruction import report as write
from coview.demo import generate


def test_a_recording_from_end_to_end(tmp_path, capsys):
    session = tmp_path / "session"
    generate(session, seed=5, minutes=0.2)
    calibrate_people(session, stature="1.75")
    reconstruct(session, smooth=6.0)
    export(session, to=("trc", "csv", "npz"))
    write(session)
    text = capsys.readouterr().out
    assert "cam_4" in text
    assert "± 2" in text  # the scale's uncertainty, in per cent
    for suffix in ("trc", "csv", "npz"):
        assert list((session / "exports").glob(f"*.{suffix}"))
    assert (session / "report.html").stat().st_size > 100_000


def test_flags_of_the_other_method_are_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"--method algebraic needs --weights RUN.*coview train algebraic_rendered"
    ):
        reconstruct(tmp_path, method="algebraic")
    with pytest.raises(ValueError, match=r"--weights belongs to --method algebraic or volumetric"):
        reconstruct(tmp_path, weights=tmp_path)
    with pytest.raises(ValueError, match=r"--solver belongs to --method detections; volumetric has no use"):
        reconstruct(tmp_path, method="volumetric", weights=tmp_path, solver="reprojection")
    with pytest.raises(ValueError, match=r"--device belongs to --method algebraic or volumetric"):
        reconstruct(tmp_path, device="cpu")
    with pytest.raises(ValueError, match=r"--refine fills gaps by itself.*leave --max-gap out"):
        reconstruct(tmp_path, refine=True, max_gap=5)
    with pytest.raises(FileNotFoundError, match=r"is no run"):
        reconstruct(tmp_path, method="volumetric", weights=tmp_path)
