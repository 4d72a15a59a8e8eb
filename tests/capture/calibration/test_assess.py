import pytest
import torch

from coview.capture.calibration.assess import finish, triangulated
from coview.capture.judgement.judgement import RefusedError
from coview.formats.calibration.calibration import Calibration


def test_good_cameras_are_written_and_described(generated):
    session, calibration = generated
    done = finish(session, calibration, None)
    assert done.path.is_file()
    assert done.judgement is not None
    assert done.judgement.words == "good"
    assert [fit.name for fit in done.fits] == list(session.camera_names)
    assert min(fit.agreement for fit in done.fits) > 0.9
    assert triangulated(session, calibration, 0.3, None, 1).points.isfinite().any()


def test_cameras_that_are_refused_are_not_written_unless_forced(generated):
    session, calibration = generated
    exchanged = Calibration(calibration.names, calibration.cameras[torch.tensor([1, 0, 2, 3])])
    with pytest.raises(RefusedError, match="fit if exchanged"):
        finish(session, exchanged, None)
    assert not session.calibration_path.exists()
    finish(session, exchanged, None, force=True)
    assert "because of --force" in session.calibration().provenance["judgement"]
