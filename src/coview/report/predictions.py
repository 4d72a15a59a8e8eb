"""What trained models made of single cameras, beside the multi-view reconstruction: drawn and measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from coview.report.evidence import SessionEvidence
from coview.report.html import render_html
from coview.report.prediction_viewer import Drawn, viewer
from coview.report.verdict import Line, Tone
from coview.training.evaluation.compare import Comparison, camera_from_world, compare, reconstructed
from coview.training.evaluation.scoring import how_scored
from coview.training.prediction.prediction_files import Prediction, find_predictions

_TOLD = ("method", "steps", "trained_on", "run")  # of the provenance; the recipe is in the files
_MEASURES = {"n_mpjpe_mm": "N-MPJPE", "p_mpjpe_mm": "P-MPJPE", "n_pck_150": "N-PCK@150"}


@dataclass(frozen=True)
class ShownModel:
    """All that one run predicted for the session, by camera."""

    name: str
    predictions: dict[str, Prediction]
    # of the cameras that could be compared
    comparisons: dict[str, Comparison]
    # of the same cameras
    drawn: tuple[Drawn, ...]
    # why the others could not
    missing: dict[str, str]

    @property
    def first(self) -> Prediction:
        """The prediction of the first camera."""
        return next(iter(self.predictions.values()))

    @property
    def warnings(self) -> str:
        """Warnings about the model, as stored with its predictions; empty where there are none."""
        return self.first.provenance.get("doubts", "")


def shown_predictions(evidence: SessionEvidence) -> tuple[ShownModel, ...]:
    """The predictions of every model in a session, compared with the reconstruction that it has now.

    Args:
        evidence: Content of the session.

    Returns:
        One per run.
    """
    found = find_predictions(evidence.session.path)
    azimuths = _azimuths(evidence) if found else {}
    return tuple(_shown(name, predictions, evidence, azimuths) for name, predictions in found.items())


def prediction_lines(models: Sequence[ShownModel]) -> list[Line]:
    """Findings about every model, for the top of the page.

    Args:
        models: Predictions of the models.

    Returns:
        One per model that could be compared.
    """
    return [_verdict(model) for model in models if model.comparisons]


def prediction_section(models: Sequence[ShownModel]) -> str:
    """The report's part on single-view predictions: numbers and drawings of every model.

    Args:
        models: Predictions of the models.

    Returns:
        HTML; empty without predictions.
    """
    if not models:
        return ""
    heads = [head for name in _MEASURES.values() for head in (name, "mean pose")]
    return render_html(
        "predictions",
        models=[_shown_model(model) for model in models],
        heads=["camera", *heads, "frames"],
        measures=[(key, *(("mm", 1) if key.endswith("_mm") else ("%", 0))) for key in _MEASURES],
    )


# --- gathering -----------------------------------------------------------------------------------


def _shown(
    name: str, predictions: Sequence[Prediction], evidence: SessionEvidence, azimuths: dict[str, float]
) -> ShownModel:
    comparisons, drawn, missing = {}, [], {}
    for one in predictions:
        try:
            found = _compared(one, evidence, azimuths)
        except ValueError as error:  # predicted before the recording or its reconstruction changed
            found = str(error).rstrip(".")
        if isinstance(found, str):
            missing[one.camera] = found
        else:
            comparisons[one.camera] = found[0]
            drawn.append(found[1])
    return ShownModel(name, {p.camera: p for p in predictions}, comparisons, tuple(drawn), missing)


def _compared(
    prediction: Prediction, evidence: SessionEvidence, azimuths: dict[str, float]
) -> tuple[Comparison, Drawn] | str:
    """The comparison and what to draw of it, or why there is none."""
    session, camera = evidence.session, prediction.camera
    if camera not in session.camera_names:
        return "the session has no camera of that name any more"
    if prediction.provenance.get("tracks_hash", now := session.tracks_fingerprint) != now:
        return "the session's 2D joints changed since it was predicted; run `coview predict` again"
    reference, why = reconstructed(session, camera, prediction.skeleton)
    rotation, _ = camera_from_world(session, camera)
    if reference is None or rotation is None:
        return why
    found = compare(prediction.points, reference, prediction.skeleton)
    return found, Drawn(camera, prediction.points, reference, rotation, azimuths.get(camera, 0.0))


def _azimuths(evidence: SessionEvidence) -> dict[str, float]:
    if evidence.cameras is None or evidence.poses is None:
        return {}
    person = evidence.poses.points.double().nanmedian(dim=0).values.nanmedian(dim=0).values
    x, y, _ = (evidence.cameras.centres.double() - person).unbind(-1)
    return dict(zip(evidence.session.camera_names, torch.atan2(y, x).tolist(), strict=True))


# --- words ---------------------------------------------------------------------------------------


def _verdict(model: ShownModel) -> Line:
    found = model.comparisons
    worse = [camera for camera, one in found.items() if one.warnings]
    errors = [one.model.n_mpjpe_mm for one in found.values()]
    guesses = [one.mean_pose.n_mpjpe_mm for one in found.values()]
    said = (
        f"Model {model.name}, from one camera: N-MPJPE {_between(errors)} against the multi-view "
        f"reconstruction; the session's mean pose has {_between(guesses)}."
    )
    if worse:
        which = "any camera" if len(worse) == len(found) else ", ".join(worse)
        said += f" It is worse than that in N- or P-MPJPE, or mirrored, from {which}."
    tone: Tone = "poor" if len(worse) == len(found) else "fair" if worse or model.warnings else "note"
    return Line(tone, " ".join(filter(None, (said, model.warnings))))


def _between(values: Sequence[float]) -> str:
    low, high = round(min(values)), round(max(values))
    return f"{low} mm" if low == high else f"{low} to {high} mm"


def _shown_model(model: ShownModel) -> dict[str, Any]:
    """What the template says of one model."""
    first = model.first
    told = {key.replace("_", " "): first.provenance.get(key, "not recorded") for key in _TOLD}
    meanings = how_scored(dict.fromkeys(_MEASURES, 0.0), first.skeleton)
    return {
        "name": model.name,
        "warnings": _warnings(model),
        "numbers": model.comparisons,
        "meanings": "; ".join(f"{_MEASURES[key]}: {meaning}" for key, meaning in meanings.items()),
        "viewer": viewer(model.drawn, first.skeleton, first.fps) if model.drawn else "",
        "missing": model.missing,
        "origin": told | {"unit of the files": first.unit, "size from": first.scale_source},
    }


def _warnings(model: ShownModel) -> list[Line]:
    warnings = [Line("poor", model.warnings)] if model.warnings else []
    said = [(camera, words) for camera, one in model.comparisons.items() for words in one.warnings]
    return warnings + [Line("poor", f"{camera}: {words}") for camera, words in said]
