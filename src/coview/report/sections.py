"""Sections of the report: each takes the content of a session and returns HTML, empty where there is none."""

import base64
import math
from collections.abc import Sequence

from markupsafe import Markup

from coview.report.chart import line_chart
from coview.report.embedding_map import embedding_figure
from coview.report.evidence import SessionEvidence
from coview.report.html import render_html, setting
from coview.report.measures import Agreement, agreements, bones, coverage, views_used
from coview.report.overlay import encode, instants, overlays
from coview.report.people import further_people
from coview.report.runs import RunSummary
from coview.report.scene import make_scene
from coview.report.verdict import Headline, Line, remarks

# provenance for programs; remarks are listed for themselves
_INNER = ("fingerprint", "hash", "input", "notes")
_MOST_CAMERAS, _MOST_PICTURES = 16, 24


def headline_section(
    title: str, subtitle: str, headlines: Sequence[Headline], lines: Sequence[Line]
) -> Markup:
    """Title, headline numbers and findings.

    Args:
        title: Title of the page.
        subtitle: Line below it.
        headlines: Numbers.
        lines: Findings.

    Returns:
        HTML.
    """
    return render_html("header", title=title, subtitle=subtitle, headlines=headlines, lines=lines)


def scene_section(evidence: SessionEvidence) -> Markup:
    """The animated 3D scene, in a frame that holds a document of its own.

    Args:
        evidence: Content of the session.

    Returns:
        HTML.
    """
    if evidence.poses is None:
        return _absent("scene", "In 3D", "No 3D joints yet: run `coview reconstruct`.")
    try:
        others = further_people(evidence.session, len(evidence.poses.points))
        scene = make_scene(evidence.poses, evidence.cameras, evidence.session.camera_names, others)
    except ModuleNotFoundError as error:
        return _absent("scene", "In 3D", str(error))
    return render_html(
        "scene",
        scene=scene,
        data=base64.b64encode(scene.html.encode()).decode("ascii"),
        frames=evidence.frames,
        speed=evidence.session.fps / scene.step,
        cameras_known=evidence.cameras is not None,
    )


def overlay_section(evidence: SessionEvidence) -> Markup:
    """Detections and reprojected joints on frames of the videos.

    Args:
        evidence: Content of the session.

    Returns:
        HTML.
    """
    count = len(evidence.session.cameras)
    shown = min(count, _MOST_CAMERAS)
    frames = instants(evidence, max(1, min(3, _MOST_PICTURES // max(shown, 1))))
    if not frames:
        return _absent("overlay", "On the images", "No detections and no 3D joints to draw.")
    pictures = [one for row in overlays(evidence, frames)[:shown] for one in row]
    return render_html(
        "overlay",
        pictures=[(one, base64.b64encode(encode(one.picture)).decode("ascii")) for one in pictures],
        across=len(frames),
        worst=evidence.comparison is not None and len(frames) > 1,
        cut_to=0 if shown == count else shown,
    )


def error_section(evidence: SessionEvidence) -> Markup:
    """Reprojection errors of every camera and every joint.

    Args:
        evidence: Content of the session.

    Returns:
        HTML.
    """
    compared = evidence.comparison
    if compared is None:
        words = "Needs 2D joints, a calibration and 3D joints; not all of them are there yet."
        return _absent("errors", "Reprojection error", words)
    arrays = compared.errors, compared.used, compared.seen
    cameras = agreements(*arrays, evidence.session.camera_names, axis=1)
    joints = agreements(*arrays, evidence.skeleton.joints, axis=2)
    return render_html(
        "errors", cameras=cameras, joints=joints, most_camera=_most(cameras), most_joint=_most(joints)
    )


def _most(rows: Sequence[Agreement]) -> float:
    """The largest median, which the bars are drawn against."""
    finite = [row.pixels.median for row in rows if math.isfinite(row.pixels.median)]
    return max(finite, default=1.0) or 1e-9


def bone_section(evidence: SessionEvidence) -> str:
    """Constancy of bone lengths, and left against right.

    Args:
        evidence: Content of the session.

    Returns:
        HTML; empty without 3D joints.
    """
    if evidence.poses is None:
        return ""
    rows = bones(evidence.poses.points, evidence.skeleton)
    most = max((row.relative_std for row in rows if math.isfinite(row.relative_std)), default=1.0) or 1.0
    return render_html("bones", rows=rows, most=most)


def coverage_section(evidence: SessionEvidence) -> str:
    """How often each joint is valid, and from how many views.

    Args:
        evidence: Content of the session.

    Returns:
        HTML; empty without 3D joints.
    """
    poses = evidence.poses
    if poses is None:
        return ""
    most = len(evidence.session.cameras)
    compared = evidence.comparison
    views = views_used(poses.inliers, None if compared is None else compared.used)
    rows = coverage(poses.points, views, poses.covariance, most, evidence.skeleton.joints)
    titles = [f"{count} view{'' if count == 1 else 's'}" for count in range(most + 1)]
    return render_html("coverage", rows=rows, titles=titles)


def run_section(run: RunSummary) -> Markup:
    """Training curves and evaluations of one run.

    Args:
        run: The run.

    Returns:
        HTML.
    """
    folded = {"The recipe: what decided this run": run.recipe, "What happened": run.record}
    return render_html(
        "run",
        run=run,
        charts=[line_chart(points, name, run.step_name) for name, points in run.curves.items()],
        embeddings=[embedding_figure(dots) for dots in run.embeddings],
        folded=[
            (summary, {name: setting(value) for name, value in told.items()})
            for summary, told in folded.items()
        ],
    )


def assumption_section(evidence: SessionEvidence) -> Markup:
    """Provenance of everything shown, and what was assumed.

    Args:
        evidence: Content of the session.

    Returns:
        HTML.
    """
    session = evidence.session
    recording = {
        "folder": str(session.path),
        "frames": f"{evidence.frames} at {session.fps:g} per second",
        "skeleton in 2D": session.skeleton.name,
        "skeleton in 3D": evidence.skeleton.name,
        **_for_people(session.provenance),
    }
    cameras = {} if evidence.calibration is None else _calibration_words(evidence)
    poses = {} if evidence.poses is None else _for_people(evidence.poses.provenance)
    units = {
        "units": "metres, pixels, seconds",
        "axes": "right-handed world, z up; pixel (0, 0) is a pixel's centre",
    }
    blocks = {
        "Recording": recording,
        "Cameras": cameras | {f"note {index + 1}": note for index, note in enumerate(remarks(evidence))},
        "3D joints": poses,
        "Conventions": units,
    }
    return render_html("assumptions", blocks=blocks)


def _calibration_words(evidence: SessionEvidence) -> dict[str, str]:
    calibration = evidence.calibration
    assert calibration is not None
    placed = calibration.has_extrinsics
    words = {
        "scale": "as in the calibration file",
        "scale uncertainty": "not known"
        if calibration.scale_sigma is None
        else f"± {calibration.scale_sigma:.1%}",
        "gravity": "as in the calibration file: its z axis is taken to point up",
        **_for_people(calibration.provenance),
    }
    if not placed:
        words = {"intrinsics": "known; the extrinsics are not", **_for_people(calibration.provenance)}
    for name, (centre, rotation) in calibration.sigma.items():
        words[f"σ of {name}"] = f"{1000 * centre:.1f} mm, {math.degrees(rotation):.2f}°"
    return words


def _for_people(provenance: dict[str, str]) -> dict[str, str]:
    told = {key: said for key, said in provenance.items() if said and not key.endswith(_INNER)}
    return {key.replace("_", " "): said for key, said in told.items()}


def _absent(name: str, title: str, words: str) -> Markup:
    """A part that says why it is empty."""
    return render_html("absent", name=name, title=title, words=words)
