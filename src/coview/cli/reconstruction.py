"""Commands on a recording whose cameras are known: reconstruct, export, report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from coview.cli.arguments import OptionalFile, OptionalRun, SessionFolder
from coview.cli.ending import UsageError
from coview.cli.say import note, say
from coview.errors import InputError

if TYPE_CHECKING:
    from coview.capture.reconstruction.reconstruct import Reconstructed


def reconstruct(
    session: SessionFolder,
    /,
    *,
    method: Literal["detections", "algebraic", "volumetric"] = "detections",
    person: int | None = None,
    weights: OptionalRun = None,
    min_confidence: float = 0.3,
    threshold: Annotated[float | None, arg(metavar="PIXELS")] = None,
    solver: Literal["linear", "reprojection"] | None = None,
    max_gap: Annotated[int | None, arg(metavar="FRAMES")] = None,
    smooth: Annotated[float | None, arg(metavar="HERTZ")] = None,
    refine: bool = False,
    at_once: Annotated[int | None, arg(metavar="FRAMES")] = None,
    device: Literal["auto", "cpu", "cuda", "mps"] | None = None,
    overwrite: bool = False,
    force: bool = False,
) -> None:
    """Find a session's 3D joints, in metres: from its 2D joints, or with a trained model in its videos.

    Args:
        session: Folder with a calibration.
        method: `detections` triangulates the 2D joints and tells a covariance; `algebraic` and `volumetric`
            look at the videos, cut to the person by the 2D joints, and write a result of their own.
        person: Of `detections`: only this person (`coview associate` lists them); default: everybody in view.
        weights: Of models of images: run of such a model (`coview train algebraic_rendered`).
        min_confidence: Leave out detections less confident than this, in [0, 1].
        threshold: Of `detections`: pixels beyond which one is wrong rather than poor; default from the recording.
        solver: Of `detections`: `linear` (the default) is the weighted DLT that other tools compute; `reprojection`
            the maximum-likelihood point.
        max_gap: Interpolate gaps of up to this many frames; default 10.
        smooth: Cut-off of a zero-phase Butterworth low-pass in Hz; none by default.
        refine: Of `detections`: solve the whole take with constant bones and smooth motion as priors, as rigid and
            as smooth as the take itself shows them; replaces --max-gap and --smooth.
        at_once: Of models of images: frames in memory together; default 4.
        device: Of models of images: where they run; default auto.
        overwrite: Compute again even if the result is there.
        force: Of `detections`: use cameras even if they do not fit what they saw; the result is marked.
    """
    common = {
        "min_confidence": min_confidence,
        "max_gap": 10 if max_gap is None else max_gap,
        "smooth": smooth,
        "overwrite": overwrite,
    }
    if method != "detections":
        _refuse_other_method(
            f"--method detections; {method} has",
            {"--threshold": threshold, "--solver": solver, "--refine": refine or None, "--person": person},
        )
        options = common | {"at_once": 4 if at_once is None else at_once}
        _from_images(session, method, weights, device or "auto", options)
        return
    _refuse_other_method(
        "--method algebraic or volumetric; triangulating detections has",
        {"--weights": weights, "--at-once": at_once, "--device": device},
    )
    if refine and max_gap is not None:
        raise UsageError("--refine fills gaps by itself, from how the take moves: leave --max-gap out.")
    from coview.capture.judgement.of_session import remarks_of
    from coview.capture.reconstruction import reconstruct as stage
    from coview.formats.session.session import Session

    every, failed = stage.reconstruct_everybody(
        Session.load(session),
        person=person,
        threshold=threshold,
        solver=solver or "linear",
        refine=refine,
        force=force,
        **common,
    )
    _say_everybody(every, refine)
    note([*remarks_of(every[0].poses.provenance), *failed])


def _say_everybody(every: "list[Reconstructed]", refine: bool) -> None:
    for done in every:
        if "person" in done.poses.provenance:
            say(f"person          {done.poses.provenance['person']}")
        say(f"joints          {done.found:.1%} of all joints and frames have a 3D position")
        left_out = f"{done.left_out:.1%} of detections left out (beyond {done.threshold_px:.0f} px)"
        say(f"residual        {done.median_px:.1f} px median; {left_out}")
        if refine:
            say(f"refined         {done.poses.provenance['refined']}")
        say(f"poses           {done.path}")
    say(f"judgement       {every[0].poses.provenance.get('judgement', 'none: made before there was one')}")


def _refuse_other_method(whose: str, given: dict[str, object]) -> None:
    """UsageError for a flag that was given although only another method reads it."""
    for flag, value in given.items():
        if value is not None:
            raise UsageError(f"{flag} belongs to {whose} no use for it.")


def _from_images(
    session: Path,
    method: Literal["algebraic", "volumetric"],
    weights: Path | None,
    device: str,
    options: dict[str, Any],
) -> None:
    if weights is None:
        raise InputError(
            f"--method {method} needs --weights RUN: the folder of a trained model of images "
            f"(`coview train {method}_rendered`)."
        )
    from coview.capture.images.model import image_model
    from coview.capture.images.reconstruct import reconstruct_images
    from coview.formats.session.session import Session
    from coview.training.device import check_device, resolved
    from coview.training.prediction.predict import barely_trained
    from coview.training.run import load_run

    check_device(device)
    run = load_run(weights)
    model = image_model(run.method, run.skeleton, run.path, method, released_crops=run.released_crops)
    done = reconstruct_images(Session.load(session), model, device=str(resolved(device)), **options)
    say(f"method          {model.name}, crops of {model.size} px, run {model.weights}")
    say(
        f"joints          {done.found:.1%} of all joints and frames have a 3D position, from {done.views:.1f} views"
    )
    for line in done.lines():
        say(line)
    say(f"poses           {done.path}")
    note([*barely_trained(run), *(done.compared.warnings if done.compared else ())])


def export(
    session: SessionFolder,
    /,
    *,
    to: tuple[Literal["trc", "c3d", "csv", "npz"], ...] = ("trc", "csv", "npz"),
    trc_units: Literal["m", "mm"] = "m",
) -> None:
    """Write the 3D joints in files that other tools read.

    Args:
        session: Folder with reconstructed poses.
        to: Formats. c3d needs the extra `mocap`.
        trc_units: Of lengths in the TRC file, which says them too.
    """
    from coview.capture.export import export_session
    from coview.capture.judgement.of_session import remarks_of
    from coview.formats.session.session import Session

    loaded = Session.load(session)
    for path in export_session(loaded, to, trc_units=trc_units):
        say(f"{path.suffix[1:]:15s} {path}")
    note(remarks_of(loaded.poses3d().provenance))


def report(path: SessionFolder, /, *, out: OptionalFile = None) -> None:
    """One self-contained page that shows what was measured, how well, and what was assumed.

    Args:
        path: A session.
        out: File to write; default: report.html in the session.
    """
    from coview.report.page import write_report

    say(f"report          {write_report(path, out)}")
