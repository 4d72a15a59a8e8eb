"""A real recording from end to end: a person on a beam, four cameras, detections by OpenPose.

1. With the calibration that came with it: import, reconstruct, export, and compare with Pose2Sim's result.
2. Without: where the cameras stand is found from the person, on the first 50 frames; judged on the last 50.
3. A model for a single camera is trained on the session, with no 3D labels, and used on one camera.

    python examples/02_real_recording.py [OUT] [--data FOLDER]

FOLDER is `balancing` of the Pose2Sim demo (BSD-3); by default ../shared/data/pose2sim_single/balancing.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import torch

from coview.capture.calibrate import calibrate_from_file, calibrate_from_people
from coview.capture.export import export_session
from coview.capture.import_session import import_session
from coview.capture.reconstruct import reconstruct
from coview.formats.trc import read_trc
from coview.geometry.alignment import similarity_alignment
from coview.report.page import write_report
from coview.training.predict import predict
from coview.training.recipe import find_recipe
from coview.training.run import train

DATA = Path(__file__).resolve().parents[2] / "shared/data/pose2sim_single/balancing"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?", type=Path, help="folder to keep; a temporary one by default")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--steps", type=int, default=1500, help="of training")
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"skipped: the recording is not here ({options.data})")
        return
    out = options.out or Path(tempfile.mkdtemp(prefix="coview-example-"))
    try:
        run(options.data, out, options.steps)
    finally:
        if options.out is None:
            shutil.rmtree(out)


def run(data: Path, out: Path, steps: int) -> None:
    given = out / "given"
    import_session(data, given)
    calibrate_from_file(given)
    rebuilt = reconstruct(given)
    written = export_session(given, ["trc"])
    reference = next(data.glob("pose-3d/*0-100.trc"))
    print(f"given calibration: median {compare(written[0], reference):.3f} mm from Pose2Sim's TRC")
    print(f"                   {rebuilt.median_px:.1f} px median residual")

    found = out / "found"
    import_session(data, found)
    calibrated = calibrate_from_people(found, frames=(0, 50), stature=1.75)
    for fit in calibrated.fits:
        print(f"found from people: {fit.name} {fit.median_px:.1f} px, {fit.held_out_px:.1f} px on the last 50 frames")
    theirs = calibrate_from_file(given).calibration.cameras.centres.double()
    ours = calibrated.calibration.cameras.centres.double()
    off = (similarity_alignment(ours, theirs).apply(ours) - theirs).norm(dim=-1)
    print(f"                   centres {100 * float(off.max() / torch.cdist(theirs, theirs).max()):.1f} % of the rig off Qualisys, at most")
    reconstruct(found)

    recipe = find_recipe("canonpose_session", session=found, steps=steps)
    model = train(recipe, found / "models" / "canonpose_session")
    for path in predict(model, found, camera="cam01"):
        print(f"one camera:        {path}")
    print(f"report:            {write_report(found)}")


def compare(ours: Path, reference: Path) -> float:
    """Median distance in mm over the joints and frames that both files hold."""
    a, b = read_trc(ours), read_trc(reference)
    shared = [name for name in b.names if name in a.names]
    first = a.points[:, [a.names.index(name) for name in shared]]
    second = b.points[:, [b.names.index(name) for name in shared]]
    distance = (first - second).norm(dim=-1)
    return 1000 * float(distance[distance.isfinite()].median())


if __name__ == "__main__":
    main()
