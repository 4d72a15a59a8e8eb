"""Commands on data sets: `coview data prepare` and `coview data check`."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from coview.cli.arguments import OptionalFolder
from coview.cli.group import run_group
from coview.cli.say import note, say
from coview.errors import InputError

if TYPE_CHECKING:
    from coview.data.mocap.sources import Found

DataSet = Literal["cmu_mocap", "human36m"]


def data(arguments: list[str]) -> None:
    """Data sets: `data prepare NAME SOURCE` makes one ready, `data check NAME [DIR]` verifies it.

    The data sets: docs/howto/data_sets.md."""
    run_group(
        "data",
        {"prepare": prepare, "check": check},
        "Data sets: make one ready from files you downloaded, or verify what is there.",
        arguments,
    )


def prepare(
    dataset: DataSet,
    source: Annotated[Path, arg(metavar="SOURCE")],
    /,
    *,
    out: OptionalFolder = None,
    unit: Literal["cmu", "m", "cm", "mm", "inch"] | None = None,
    fps: float | None = None,
    overwrite: bool = False,
) -> None:
    """Make a data set ready for training, in metres.

    cmu_mocap: motion at 60 frames per second, split by person. Run it again to go on after an interruption, or with
    more files: finished clips are kept. human36m: labels, beside the pictures that h36m-fetch extracted.

    Args:
        dataset: Which data set.
        source: A folder with .asf/.amc, .bvh or .c3d files, at any depth, or a prepared folder to verify and copy;
            for human36m the file human36m-multiview-labels-*.npy.
        out: Folder to make; default: $COVIEW_DATA/<dataset>, else ~/.cache/coview/data/<dataset>. For human36m the
            one that holds the pictures (processed/S1/...).
        unit: Unit of length of the files, where the rule (which is always stated) is wrong; cmu is 1/0.45 inch.
        fps: Frames per second of files that do not say (.amc; default 120); the others keep their own.
        overwrite: Replace what is in the folder.
    """
    if dataset == "human36m":
        _refuse_motion_settings(unit, fps)
        return _prepare_human36m(source, out, overwrite)
    from coview.data.mocap.clips import data_folder
    from coview.data.mocap.folders import check_apart, check_writable, not_used
    from coview.data.mocap.prepare import copy_prepared, is_prepared
    from coview.data.mocap.raw import check_rate
    from coview.data.mocap.sources import find_sources

    check_rate(fps)
    folder = data_folder(out)
    check_apart(source, folder)
    if is_prepared(source):
        note(not_used(source, unit, fps))
        check_writable(folder, out is not None)
        copied = copy_prepared(source, folder, overwrite=overwrite)
        say(f"{'verified and copied' if copied else 'verified, and already there'}   {folder}")
    else:
        found = find_sources(source)
        check_writable(folder, out is not None)
        _convert(found, folder, unit, fps, overwrite)


def _refuse_motion_settings(unit: str | None, fps: float | None) -> None:
    given = [name for name, value in (("--unit", unit), ("--fps", fps)) if value is not None]
    if given:
        raise InputError(f"{' and '.join(given)}: Human3.6M's labels are millimetres at 50 Hz; leave it out.")


def _prepare_human36m(source: Path, out: Path | None, overwrite: bool) -> None:
    from coview.data.human36m.labels import PREPARED, picture_folder
    from coview.data.human36m.prepare import prepare_labels
    from coview.data.mocap.clips import data_folder
    from coview.data.mocap.folders import check_writable

    folder = data_folder(out, "human36m")
    check_writable(folder, out is not None)
    labels = prepare_labels(source, folder, overwrite=overwrite)
    say(f"instants        {len(labels)} of {', '.join(labels.subjects)} in {len(labels.cameras)} views")
    say(f"without a view  {int((~labels.complete).sum())}")
    say(f"prepared        {folder / PREPARED}")
    if not any((picture_folder(folder) / subject).is_dir() for subject in labels.subjects):
        note(
            [
                f"no pictures in {folder} yet: put what h36m-fetch extracted there, then `coview data check human36m`."
            ]
        )


def _convert(
    found: "Found",
    folder: Path,
    unit: Literal["cmu", "m", "cm", "mm", "inch"] | None,
    fps: float | None,
    overwrite: bool,
) -> None:
    from coview.data.mocap.prepare import prepare as convert
    from coview.data.mocap.sources import TEST_SUBJECTS
    from coview.progress import progress

    note(found.passed_over)
    results = []
    steps = convert(found.sources, folder, unit=unit, fps=fps, overwrite=overwrite)
    for result in progress(steps, total=len(found.sources), what="takes"):
        results.append(result)
        name = result.source.name
        if result.problem:
            say(f"{name:16s} not used: {result.problem}")
        else:
            frames = sum(clip["frames"] for clip in result.clips)
            detail = "finished before" if result.kept else "; ".join(result.notes)
            say(f"{name:16s} {result.clips[0]['split']:5s} {frames:6d} frames at 60 fps; {detail}")
    failed = [result for result in results if result.problem]
    tested = ", ".join(sorted(TEST_SUBJECTS, key=int))
    say(f"split           subjects {tested} test, all others train; nobody is in both; val is empty")
    say(f"prepared        {len(results) - len(failed)} of {len(results)} takes   {folder}")
    if failed:
        sys.exit(1)


def check(dataset: DataSet, folder: OptionalFolder = None, /) -> None:
    """Verify a prepared data set.

    cmu_mocap: counts, lengths, metres, finite, rigid bones, not mirrored, upright. human36m: counts, cameras against
    boxes, pictures that are missing.

    Args:
        dataset: Which data set.
        folder: The prepared folder; default: $COVIEW_DATA/<dataset>, else ~/.cache/coview/data/<dataset>.
    """
    if dataset == "human36m":
        return _check_human36m(folder)
    from coview.data.mocap.check import check_folder
    from coview.data.mocap.clips import data_folder

    report = check_folder(data_folder(folder))
    if report.rows:
        say("split  clips people minutes   stature m  bones vary mm  trunk/leg  knees forward mm  up")
    for row in report.rows:
        if not row.clips:
            continue
        low, high = row.stature
        say(
            f"{row.split:6s} {row.clips:5d} {row.subjects:6d} {row.minutes:7.1f}  {low:.2f} to {high:.2f}  "
            f"{row.worst_spread * 1000:13.2f}  {row.least_trunk:9.2f}  {row.least_knee * 1000:16.0f}  {row.up}"
        )
    _verdict(report.notes, report.faults, report.folder)


def _check_human36m(folder: Path | None) -> None:
    from coview.data.human36m.check import check_human36m
    from coview.data.mocap.clips import data_folder

    report = check_human36m(data_folder(folder, "human36m"))
    say("subject  part     clips instants  without a view  joints in boxes  off the middle  pictures missing")
    for row in report.rows:
        say(
            f"{row.subject:8s} {row.part:7s} {row.clips:6d} {row.instants:8d} {row.incomplete:15d}  "
            f"{row.inside * 100:14.1f}%  {row.off * 100:13.1f}%  {row.missing:16d}"
        )
    _verdict(report.notes, report.faults, report.folder)


def _verdict(notes: Iterable[str], faults: Sequence[str], folder: Path) -> None:
    """What a check ends with; leaves the program with an error where there are faults."""
    note(notes)
    for fault in faults:
        say(f"fault  {fault}")
    say(f"verdict: {f'{len(faults)} faults' if faults else 'sound'}   {folder}")
    if faults:
        sys.exit(1)
