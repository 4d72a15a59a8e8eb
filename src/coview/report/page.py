"""`coview report`: one HTML file that shows what was measured, how well, and what was assumed.

The file asks the network for nothing; its security policy forbids the browser to.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from coview import __version__
from coview.errors import InputError, MissingFileError
from coview.formats.io.atomic import write_text
from coview.formats.session.session import FILE
from coview.report.cameras import camera_lines, camera_section
from coview.report.evidence import SessionEvidence, gather
from coview.report.html import render_html
from coview.report.image_methods import found_in_images, image_lines, image_section
from coview.report.people import people_lines, people_section, told_apart
from coview.report.predictions import prediction_lines, prediction_section, shown_predictions
from coview.report.runs import MARKS, RunSummary, is_run, read_run
from coview.report.sections import (
    assumption_section,
    bone_section,
    coverage_section,
    error_section,
    headline_section,
    overlay_section,
    run_section,
    scene_section,
)
from coview.report.verdict import Headline, Line, judge


def write_report(path: Path, out: Path | None = None) -> Path:
    """Write the report of a session or of a training run; what a session lacks is stated on the page.

    Args:
        path: Folder of the session or the run.
        out: File to write; default: report.html in that folder.

    Returns:
        The file.

    Raises:
        MissingFileError: The folder is neither a session nor a run.
        InputError: There is nothing to show, or a file is damaged.
    """
    path = Path(path)
    if not (path / FILE).is_file() and is_run(path):
        document = run_page(read_run(path))
    elif not (path / FILE).is_file():
        raise MissingFileError(
            f"{path} is neither a session ({FILE} is not there) nor a training run ({' or '.join(MARKS)}). "
            f"Name the folder that `coview import` or `coview train` made."
        )
    else:
        document = session_page(gather(path))
    target = out or path / "report.html"
    write_text(target, document)
    return target


def session_page(evidence: SessionEvidence) -> str:
    """The report of a session.

    Args:
        evidence: Content of the session.

    Returns:
        The HTML document.
    """
    session = evidence.session
    headlines, lines = judge(evidence)
    predicted = shown_predictions(evidence)
    looked = found_in_images(evidence)
    people = told_apart(session)
    lines += camera_lines(evidence) + people_lines(people)
    lines += image_lines(looked) + prediction_lines(predicted) + _model_lines(evidence.runs)
    seconds = evidence.frames / session.fps
    count = len(session.cameras)
    cameras = f"{count} camera{'' if count == 1 else 's'}"
    subtitle = f"{cameras} · {evidence.frames} frames · {seconds:.1f} s at {session.fps:g} fps"
    parts = [
        headline_section(session.name, subtitle, headlines, lines),
        scene_section(evidence),
        overlay_section(evidence),
        camera_section(evidence),
        error_section(evidence),
        bone_section(evidence),
        coverage_section(evidence),
        people_section(session, people),
        image_section(looked),
        prediction_section(predicted),
        *(run_section(run) for run in evidence.runs),
        assumption_section(evidence),
    ]
    return document(session.name, parts)


def run_page(run: RunSummary) -> str:
    """The report of a training run.

    Args:
        run: The run.

    Returns:
        The HTML document.

    Raises:
        InputError: The run has neither curves nor an evaluation.
    """
    if not run.curves and not run.evaluations:
        raise InputError(
            f"run {run.path} has nothing to report yet: neither training curves nor an evaluation. "
            f"Run `coview train` again to finish it."
        )
    steps = max((points[-1][0] for points in run.curves.values()), default=0)
    numbers = {name: value for name, value in _numbers(run).items() if isinstance(value, float)}
    headlines = [Headline(*_measured(name, value)) for name, value in list(numbers.items())[:4]]
    return document(
        run.name,
        [
            headline_section(run.name, f"Training run, {steps:g} {run.step_name}s", headlines, []),
            run_section(run),
        ],
    )


def document(title: str, parts: Sequence[str]) -> str:
    """A self-contained HTML page of some sections.

    Args:
        title: Title of the page.
        parts: The sections, HTML.

    Returns:
        The document.
    """
    return render_html(
        "page", title=title, parts=parts, version=__version__, date=f"{datetime.now():%Y-%m-%d %H:%M}"
    )


def _model_lines(runs: Sequence[RunSummary]) -> list[Line]:
    """What the models of the session reached, as far as they were evaluated."""
    lines = []
    for run in runs:
        millimetres = {
            name: value
            for name, value in _numbers(run).items()
            if name.endswith("mpjpe_mm") and isinstance(value, int | float)
        }
        if millimetres:
            said = ", ".join(f"{_pretty(name)} {float(value):.0f} mm" for name, value in millimetres.items())
            lines.append(Line("note", f"Model {run.name}: {said}."))
    return lines


def _numbers(run: RunSummary) -> dict[str, Any]:
    """Of the first evaluation: the one on the run's own data."""
    return run.evaluations[0].numbers if run.evaluations else {}


def _measured(measure: str, value: float) -> tuple[str, str]:
    """A number with its unit, and its name as people write it."""
    return f"{value:.4g}{' mm' if measure.endswith('_mm') else ''}", _pretty(measure)


def _pretty(measure: str) -> str:
    """`n_mpjpe_mm` as people write it."""
    return measure.removesuffix("_mm").upper().replace("_", "-")
