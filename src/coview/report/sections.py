"""The parts of the page. Each takes the evidence and gives HTML; an empty string where it has nothing."""

import base64
import math
from collections.abc import Sequence
from typing import Any

from coview.report.chart import line_chart
from coview.report.embedding_map import embedding_figure
from coview.report.evidence import Evidence
from coview.report.html import (
    bar,
    definitions,
    jpeg,
    number,
    paragraph,
    percent,
    section,
    stacked,
    table,
    text,
)
from coview.report.measures import Agreement, agreements, bones, coverage, views_used
from coview.report.overlay import Overlay, encode, instants, overlays
from coview.report.people import further_people
from coview.report.runs import Evaluation, Run
from coview.report.scene import make_scene
from coview.report.verdict import Headline, Line

_INNER = ("fingerprint", "hash", "input")  # provenance for programs, not for people
_MARKS = {"good": "✓", "fair": "!", "poor": "✗", "note": "i"}
_MOST_CAMERAS, _MOST_PICTURES = 16, 24


def headline_section(title: str, subtitle: str, headlines: list[Headline], lines: list[Line]) -> str:
    """Title, the few numbers that matter, and the verdicts."""
    cards = "".join(f"<div><b>{text(h.value)}</b><span>{text(h.meaning)}</span></div>" for h in headlines)
    return (
        f"<header><h1>{text(title)}</h1><p>{text(subtitle)}</p>"
        f'<div class="cards">{cards}</div>{verdict_list(lines)}</header>'
    )


def verdict_list(lines: Sequence[Line]) -> str:
    """Verdicts, each with its mark."""
    items = "".join(
        f'<li class="{line.tone}"><i aria-hidden="true">{_MARKS[line.tone]}</i>{text(line.words)}</li>'
        for line in lines
    )
    return f'<ul class="verdict">{items}</ul>'


def scene_section(evidence: Evidence) -> str:
    """The animated skeleton and the cameras, in a frame that holds its own document."""
    if evidence.poses is None:
        return section("scene", "In 3D", paragraph("No 3D joints yet: run `coview reconstruct`.", "absent"))
    try:
        others = further_people(evidence.session, len(evidence.poses.points))
        scene = make_scene(evidence.poses, evidence.cameras, evidence.session.camera_names, others)
    except ModuleNotFoundError as error:
        return section("scene", "In 3D", paragraph(str(error), "absent"))
    speed = evidence.session.fps / scene.step
    which = (
        f"Frames {scene.first} to {scene.last - 1} of {evidence.frames}, {speed:g} per second (real speed). "
    )
    cameras = "" if evidence.cameras is not None else "Where the cameras stand is not known. "
    hint = "Drag to turn, scroll to approach, right-drag to move. A floor square is half a metre; z is up."
    data = base64.b64encode(scene.html.encode()).decode("ascii")
    return section(
        "scene",
        "In 3D",
        '<iframe id="scene-frame" title="animated 3D skeleton and cameras"></iframe>',
        f'<script type="text/plain" id="scene-data">{data}</script>',
        _legend(),
        paragraph(which + cameras + hint, "small"),
    )


def overlay_section(evidence: Evidence) -> str:
    """Detections and reprojected joints on the frames they belong to."""
    shown = min(len(evidence.session.cameras), _MOST_CAMERAS)
    frames = instants(evidence, max(1, min(3, _MOST_PICTURES // max(shown, 1))))
    if not frames:
        return section(
            "overlay", "On the images", paragraph("No detections and no 3D joints to draw.", "absent")
        )
    rows = overlays(evidence, frames)[:shown]
    pictures = "".join(_picture(one) for row in rows for one in row)
    worst = evidence.comparison is not None and len(frames) > 1
    words = (
        "Rings: what the detector saw. Lines: the 3D skeleton seen through the camera. Under each picture "
        "the median distance between the two, of the detections used. Every picture is cut to the person."
        + (" The last picture of each camera shows the worst instant." if worst else "")
        + ("" if shown == len(evidence.session.cameras) else f" The first {shown} cameras are shown.")
    )
    grid = f'<div class="pictures" style="--across:{len(frames)}">{pictures}</div>'
    return section("overlay", "On the images", _legend(detections=True), grid, paragraph(words, "small"))


def _picture(one: Overlay) -> str:
    image = jpeg(encode(one.picture), f"{one.camera}, frame {one.frame}")
    video = "" if one.on_video else " · no video"
    said = f"<b>{text(one.camera)}</b> frame {one.frame} · {number(one.median_px, 'px')}{video}"
    return f"<figure>{image}<figcaption>{said}</figcaption></figure>"


def error_section(evidence: Evidence) -> str:
    """Reprojection error of every camera and every joint."""
    compared = evidence.comparison
    if compared is None:
        words = "Needs 2D joints, a calibration and 3D joints; not all of them are there yet."
        return section("errors", "Reprojection error", paragraph(words, "absent"))
    arrays = compared.errors, compared.used, compared.seen
    cameras = _agreement_table("camera", agreements(*arrays, evidence.session.camera_names, axis=1))
    joints = _agreement_table("joint", agreements(*arrays, evidence.skeleton.joints, axis=2))
    words = (
        "Distance in the image between a detection and the 3D joint it helped to place. Detections judged "
        "wrong are not counted here; the last column tells how many were kept. Detected: share of all there "
        "could be."
    )
    tables = f'<div class="columns">{cameras}{joints}</div>'
    return section("errors", "Reprojection error", tables, paragraph(words, "small"))


def _agreement_table(what: str, rows: Sequence[Agreement]) -> str:
    most = max((row.pixels.median for row in rows if math.isfinite(row.pixels.median)), default=1.0)
    cells = [
        (
            text(row.name.replace("_", " ") if what == "joint" else row.name),
            bar(row.pixels.median / max(most, 1e-9), number(row.pixels.median, "px")),
            number(row.pixels.high, "px"),
            percent(row.detected),
            percent(row.used),
        )
        for row in rows
    ]
    return table((what, "median", "95%", "detected", "of these used"), cells)


def bone_section(evidence: Evidence) -> str:
    """How constant every bone is, and left against right."""
    if evidence.poses is None:
        return ""
    rows = bones(evidence.poses.points, evidence.skeleton)
    most = max((row.spread for row in rows if math.isfinite(row.spread)), default=1.0) or 1.0
    cells = [
        (
            text(row.name.replace("_", " ")),
            number(100 * row.mean, "cm"),
            bar(
                row.spread / most,
                f"{percent(row.spread, 1)} · {number(1000 * row.spread * row.mean, 'mm', 0)}",
            ),
            "" if not math.isfinite(row.asymmetry) else f"{row.asymmetry:+.1%}",
            str(row.frames),
        )
        for row in rows
    ]
    words = (
        "Spread: standard deviation over the frames, as a share of the length. "
        "Left/right: how much longer the left one is."
    )
    heads = ("bone", "length", "spread", "left/right", "frames")
    return section("bones", "Bone lengths", table(heads, cells), paragraph(words, "small"))


def coverage_section(evidence: Evidence) -> str:
    """How often each joint is known, and from how many views."""
    poses = evidence.poses
    if poses is None:
        return ""
    most = len(evidence.session.cameras)
    compared = evidence.comparison
    views = views_used(poses.inliers, None if compared is None else compared.used)
    rows = coverage(poses.points, views, poses.covariance, most, evidence.skeleton.joints)
    titles = [f"{count} view{'' if count == 1 else 's'}" for count in range(most + 1)]
    cells = [
        (
            text(row.name.replace("_", " ")),
            bar(row.known, percent(row.known)),
            stacked(row.views, titles) if row.views else "not recorded",
            number(1000 * row.sigma, "mm"),
        )
        for row in rows
    ]
    words = (
        f"Views: share of frames in which a joint rests on 0 (pale) to {most} (strong) cameras; with 0 it "
        "was filled in between its neighbours in time, or is not known. σ: standard deviation along the "
        "least certain direction, as far as the noise of the detections explains it; median over frames."
    )
    heads = ("joint", "known", "views", "σ")
    return section("coverage", "Coverage and certainty", table(heads, cells), paragraph(words, "small"))


def run_section(run: Run) -> str:
    """Training curves and evaluation of one run."""
    charts = "".join(line_chart(points, name, run.step_name) for name, points in run.curves.items())
    parts = [
        f'<div class="charts">{charts}</div>' if charts else paragraph("No training curves yet.", "absent")
    ]
    parts += [_evaluation_table(evaluation) for evaluation in run.evaluations]
    parts += [embedding_figure(dots) for dots in run.embeddings]
    if not run.evaluations:
        parts.append(paragraph("Not evaluated yet: run `coview evaluate`.", "absent"))
    for title, told in (("The recipe: what decided this run", run.recipe), ("What happened", run.record)):
        if told:
            words = definitions({name: _value(value) for name, value in told.items()})
            parts.append(f"<details><summary>{title}</summary>{words}</details>")
    return section(f"run-{run.name}", f"Model: {run.name}", *parts)


def _evaluation_table(evaluation: Evaluation) -> str:
    cells = [
        (
            text(name),
            text(_value(value)),
            f'<span class="wrap">{text(evaluation.meanings.get(name, ""))}</span>',
        )
        for name, value in evaluation.numbers.items()
    ]
    about = ", ".join(f"{name}: {_value(value)}" for name, value in evaluation.about.items())
    said = paragraph(f"{evaluation.name}. {about}", "small")
    return table(("measure", "value", "what it is"), cells) + said


def assumption_section(evidence: Evidence) -> str:
    """Where everything came from, and what was taken for granted."""
    session, calibration = evidence.session, evidence.calibration
    recording = {
        "folder": str(session.path),
        "frames": f"{evidence.frames} at {session.fps:g} per second",
        "skeleton in 2D": session.skeleton.name,
        "skeleton in 3D": evidence.skeleton.name,
        **_for_people(session.provenance),
    }
    cameras = {} if calibration is None else _calibration_words(evidence)
    poses = {} if evidence.poses is None else _for_people(evidence.poses.provenance)
    units = {
        "units": "metres, pixels, seconds",
        "axes": "right-handed world, z up; pixel (0, 0) is a pixel's centre",
    }
    blocks = (("Recording", recording), ("Cameras", cameras), ("3D joints", poses), ("Conventions", units))
    parts = "".join(f"<div><h3>{name}</h3>{definitions(words)}</div>" for name, words in blocks if words)
    return section("assumed", "What was assumed", f'<div class="columns">{parts}</div>')


def _calibration_words(evidence: Evidence) -> dict[str, str]:
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
        words = {"lenses": "known; where the cameras stand is not", **_for_people(calibration.provenance)}
    for name, (centre, turn) in calibration.sigma.items():
        words[f"σ of {name}"] = f"{1000 * centre:.1f} mm, {math.degrees(turn):.2f}°"
    return words | {f"note {index + 1}": note for index, note in enumerate(calibration.notes)}


def _for_people(provenance: dict[str, str]) -> dict[str, str]:
    told = {key: said for key, said in provenance.items() if said and not key.endswith(_INNER)}
    return {key.replace("_", " "): said for key, said in told.items()}


def _value(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _legend(*, detections: bool = False) -> str:
    ring = '<span class="ring">detection</span>' if detections else ""
    sides = "".join(f'<span class="{side}">{side}</span>' for side in ("left", "right", "middle"))
    return f'<p class="legend">{sides}{ring}</p>'
