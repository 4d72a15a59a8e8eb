"""Commands on calibration files: `coview calib convert` and `coview calib show`."""

import tempfile
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from coview.cli.arguments import File, Size
from coview.cli.group import run_group
from coview.cli.say import note, say
from coview.errors import InputError

Format = Literal[
    "anipose",
    "caliscope",
    "qualisys",
    "vicon",
    "opencap",
    "easymocap",
    "opencv",
    "colmap",
    "panoptic",
    "biocv",
    "voxelpose",
    "4d_association",
]


def calib(arguments: list[str]) -> None:
    """Calibration files: `calib convert A B` between twelve formats, `calib show FILE`.

    The formats: docs/howto/calibration_files.md."""
    run_group(
        "calib",
        {"convert": convert, "show": show},
        "Calibration files: convert one to the format of another program, or show what it says.",
        arguments,
    )


def convert(
    a: Annotated[Path, arg(metavar="A")],
    b: Annotated[Path, arg(metavar="B")],
    /,
    *,
    to: Format | None = None,
    units: Literal["m", "cm", "mm"] | None = None,
    size: Size = None,
    check: Annotated[Path | None, arg(metavar="RECORDING")] = None,
    overwrite: bool = False,
) -> None:
    """Write a calibration in the format of another program; what that cannot hold is said, or refused.

    Formats: anipose (.toml of anipose, Pose2Sim, FreeMoCap and coview), caliscope (camera_array.toml), qualisys
    (.qca.txt), vicon (.xcp), opencap (folder with Videos/CAMERA/cameraIntrinsicsExtrinsics.pickle), easymocap (folder
    with intri.yml and extri.yml), opencv (folder with one .yml per camera), colmap (folder with cameras.txt and
    images.txt), panoptic (.json), biocv (folder with one .calib per camera), voxelpose and
    4d_association (.json).

    Args:
        a: The calibration: a file, or the folder of formats that have several. Its format is found from its content.
        b: File or folder to write; its name tells the format where it can.
        to: Format of B, where its name does not tell.
        units: Of the lengths in A, where it does not say.
        size: Width and height of the images in pixels, where A does not say.
        check: A session, or a recording with 2D joints; joints are triangulated with the cameras as written and
            projected back, and nothing is written where the cameras do not fit.
        overwrite: Replace what is at B.
    """
    from coview.formats.calibration.calibration import read_calibration
    from coview.formats.calibration.convert import target_format, write_converted

    form = target_format(b, to)
    calibration = read_calibration(a, units=units, sizes={"*": size})
    title, lengths = calibration.read_as
    note([*calibration.notes, "" if lengths in calibration.notes else f"lengths: {lengths}"])
    if check is not None:
        with tempfile.TemporaryDirectory() as trial:
            made = write_converted(calibration, Path(trial).resolve() / b.name, form)
        _checked(made.calibration, check, b)
    done = write_converted(calibration, b, form, overwrite=overwrite)
    note(done.lost)
    say(f"read            {title}, {len(calibration.names)} cameras")
    say(f"read back       within {done.difference_px:.1g} px of the original, over every image")
    say(f"calibration     {b}   ({form.title}, unit {form.unit})")


def _checked(calibration, recording: Path, target: Path) -> None:  # type: ignore[no-untyped-def]
    from coview.capture.calibration.check import check_calibration

    checked = check_calibration(calibration, recording)
    note(checked.notes)
    for fit in checked.fits:
        say(
            f"{fit.name:15s} {fit.median_px:.1f} px median residual, {fit.agreement:.0%} of its detections agree"
        )
    if checked.problem:
        raise InputError(
            f"the cameras do not fit {recording}: {checked.problem}. {target} was not written. The calibration belongs "
            f"to another recording or other cameras, was made for another image size, or was read under a wrong "
            f"convention; convert without --check to look at it."
        )


def show(
    file: File,
    /,
    *,
    units: Literal["m", "cm", "mm"] | None = None,
    size: Size = None,
) -> None:
    """What a calibration says, in metres and OpenCV's conventions.

    Args:
        file: A calibration in any format that `convert` reads.
        units: Of its lengths, where it does not say.
        size: Width and height of the images in pixels, where it does not say.
    """
    from coview.formats.calibration.calibration import read_calibration

    found = read_calibration(file, units=units, sizes={"*": size})
    title, lengths = found.read_as
    note(found.notes)
    say(title if lengths in found.notes else f"{title}; {lengths}")
    for index, name in enumerate(found.names):
        camera = found.cameras[index]
        (width, height), (fx, fy), (cx, cy) = (
            values.tolist() for values in (camera.size, camera.focal, camera.principal_point)
        )
        lens = "fisheye" if bool(camera.fisheye) else "lens"
        numbers = " ".join(f"{value:g}" for value in camera.distortion.tolist())
        say(f"{name:15s} {width:g}×{height:g} px, f {fx:.1f} {fy:.1f}, c {cx:.1f} {cy:.1f}, {lens} {numbers}")
        if found.has_extrinsics:
            place = " ".join(f"{value:.3f}" for value in camera.centres.tolist())
            view = " ".join(f"{value:.3f}" for value in camera.rotation[2].tolist())
            say(f"{'':15s} at {place} m, looking along {view}")
