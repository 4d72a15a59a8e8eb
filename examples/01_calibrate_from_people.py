"""Cameras from people: four lenses are known, their places are not, and a person walks about.

Everything is generated here, so the answer can be compared with the truth.
"""

import tempfile
from pathlib import Path

from coview.capture.calibration.from_people import calibrate_from_people
from coview.capture.reconstruction.reconstruct import reconstruct
from coview.demo import generate
from coview.formats.session.session import Session

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "session"
    truth = generate(path, seed=3, minutes=0.5)
    session = Session.load(path)

    calibrated = calibrate_from_people(session, stature=1.75)
    for fit in calibrated.fits:
        print(
            f"{fit.name}: {fit.median_px:.1f} px median residual, centre ± {1000 * fit.centre_sigma_m:.0f} mm"
        )
    print("scale:", calibrated.calibration.provenance["scale"])

    rebuilt = reconstruct(session, smooth=6.0)
    print(
        f"{rebuilt.found:.1%} of the joints found; {rebuilt.left_out:.1%} of the detections left out as wrong"
    )

    # The distance between two cameras does not depend on the choice of world.
    found, true = (c.centres for c in (calibrated.calibration.cameras, truth.cameras))
    for other in range(1, 4):
        ours, theirs = (found[other] - found[0]).norm(), (true[other] - true[0]).norm()
        print(f"cam_1 to cam_{other + 1}: {ours:.3f} m, truly {theirs:.3f} m")
