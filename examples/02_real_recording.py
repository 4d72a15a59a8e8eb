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
from dataclasses import replace
from pathlib import Path

import torch

from coview import recipes
from coview.capture.calibration.from_people import calibrate_from_file, calibrate_from_people
from coview.capture.export import export_session
from coview.capture.importing.import_session import import_session
from coview.capture.reconstruction.reconstruct import reconstruct
from coview.data.session_dataset import RecordedConfig
from coview.formats.motion.trc import read_trc
from coview.geometry.alignment import similarity_alignment
from coview.report.page import write_report
from coview.training.prediction.predict import predict
from coview.training.run import summary_line, train

DATA = Path(__file__).resolve().parents[2] / "shared/data/pose2sim_single/balancing"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
    given = import_session(data, out / "given")
    theirs = calibrate_from_file(given).calibration.cameras.centres
    rebuilt = reconstruct(given)
    written = export_session(given, ["trc"])
    reference = next(data.glob("pose-3d/*0-100.trc"))
    print(f"given calibration  {rebuilt.median_px:.1f} px median residual")
    print(f"                   {compare(written[0], reference):.3f} mm median distance from Pose2Sim's TRC")

    found = import_session(data, out / "found")
    calibrated = calibrate_from_people(found, frames=(0, 50), stature=1.75)
    for fit in calibrated.fits:
        print(
            f"found from people  {fit.name}: {fit.median_px:.1f} px, {fit.held_out_px:.1f} px on the last 50 frames"
        )
    ours = calibrated.calibration.cameras.centres
    off = (similarity_alignment(ours, theirs).apply(ours) - theirs).norm(dim=-1).max()
    diameter = torch.cdist(theirs, theirs).max()
    print(
        f"                   centres at most {100 * float(off / diameter):.1f} % of the rig's diameter off Qualisys"
    )
    rebuilt = reconstruct(found, smooth=6.0)
    print(f"                   {rebuilt.found:.1%} of the joints, {rebuilt.median_px:.1f} px median residual")

    recipe = recipes.load("canonpose_session")
    recipe = replace(recipe, data=RecordedConfig(sessions=(found.path,)), steps=steps)
    model = train(recipe, found.models_dir / "canonpose_session")
    print(f"one camera         {summary_line(model)}")
    for lifted in predict(model, found.path, camera="cam01"):
        print(f"                   {lifted.camera}: {lifted.path}, in units of {lifted.unit}")
    print(f"report             {write_report(found.path)}")


def compare(ours: Path, reference: Path) -> float:
    """Median distance in mm over the joints and frames that both files hold."""
    a, b = read_trc(ours), read_trc(reference)
    shared = [joint for joint in b.skeleton.joints if joint in a.skeleton.joints]
    first, second = (each.points[:, [each.skeleton.index(joint) for joint in shared]] for each in (a, b))
    distance = (first - second).norm(dim=-1)
    return 1000 * float(distance[distance.isfinite()].median())


if __name__ == "__main__":
    main()
