"""Training data with pseudo-labels: triangulated poses `pseudo3d`, their covariance and their cameras.

What made them is written beside the run, and, where the truth happens to be known, how far they are from it:
training never sees that."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from coview.data.base import Instants
from coview.data.loading import InOrder, at_once
from coview.data.pseudo_labels.labels import PseudoConfig, PseudoLabels, pseudo_labels
from coview.data.shards import cache_folder
from coview.errors import InputError
from coview.metrics.joint_error import p_joint_error
from coview.progress import progress
from coview.sample import MultiView

FILE = "pseudo_labels.json"  # in the run's folder
_RIGS = 4  # that are told of one by one, and as many poor ones
POOR = 0.6  # share of a view's joints that agree with the others: fewer, and the labels are doubtful
_READ = frozenset({"joints2d", "confidence", "cameras", "rig"})


def with_pseudo(
    config: PseudoConfig, data: Instants, detector: Any = None
) -> tuple[Instants, dict[str, Any]]:
    """The data with pseudo-labels of every instant, and facts about them.

    Args:
        config: How they are made; cameras "none": the data is returned as it is.
        data: Training data with 2D joints, cameras and rig.
        detector: A trained method whose `detections` replace the data's 2D joints, or None.

    Returns:
        The data with `pseudo3d`, `pseudo_covariance` and `pseudo_cameras`; and the facts for pseudo_labels.json.

    Raises:
        InputError: As `pseudo_labels` and `detected` raise.
    """
    if config.cameras == "none":
        return data, {}
    if detector is not None:
        joints2d, confidence = detected(detector, data)
        data = data.replaced(joints2d=joints2d, confidence=confidence)
    made = pseudo_labels(_seen(data), config, folder=cache_folder("pseudo_labels"))
    labelled = data.replaced(
        pseudo3d=made.joints3d, pseudo_covariance=made.covariance, pseudo_cameras=made.cameras
    )
    return labelled, _record(made, data)


def with_detections(data: Instants, detector: Any) -> Instants:
    """The data with a trained method's 2D joints in every view whose own labels are hidden (`labelled2d` False).

    Args:
        data: Data with 2D joints, confidences and `labelled2d`.
        detector: A trained method that detects joints in images.

    Returns:
        The data with joints in all views.

    Raises:
        InputError: The data does not say which labels are hidden, or `detected` raises.
    """
    if not {"joints2d", "confidence", "labelled2d"} <= data.fields:
        raise InputError(
            f"joints2d_from fills in 2D joints beside 2D labels, and this data has only: "
            f"{', '.join(sorted(data.fields))}. Leave it out."
        )
    own = data.only(frozenset({"joints2d", "confidence", "labelled2d"}))[: len(data)].to("cpu")
    joints2d, confidence = detected(detector, data)
    shown = own.labelled2d[..., None]
    return data.replaced(
        joints2d=torch.where(shown[..., None], own.joints2d, joints2d).to(data.device),
        confidence=torch.where(shown, own.confidence, confidence).to(data.device),
    )


def detected(detector: Any, data: Instants) -> tuple[Tensor, Tensor]:
    """2D joints and confidences that a trained method detects in every image.

    Args:
        detector: A trained method that has `detections`.
        data: Data with images.

    Returns:
        Pixels (instants, views, joints, 2) and confidences (instants, views, joints), on the CPU.

    Raises:
        InputError: The method does not detect joints in images, or the data has no images.
    """
    name = type(detector).__name__
    if not hasattr(detector, "detections"):
        raise InputError(
            f"pseudo.detector: a {name} does not see 2D joints by itself. Name a run of RansacTriangulation, as the "
            f"recipe ransac_rendered trains."
        )
    if "images" not in data.fields:
        raise InputError(
            f"pseudo.detector: the {name} reads images, and this data has only: {', '.join(sorted(data.fields))}. "
            f"Leave it out to use the data's own 2D joints."
        )
    found = list(_detections(detector, data.only(frozenset({"images"}))))
    pixels, confidence = zip(*found, strict=True)
    return torch.cat(pixels), torch.cat(confidence)


def _detections(detector: Any, data: Instants) -> Iterator[tuple[Tensor, Tensor]]:
    batches = InOrder(data, at_once(data))
    device = next(detector.parameters()).device
    for batch in progress(batches, total=len(batches), what="2D joints"):
        pixels, confidence = detector.detections(batch.to(device))
        yield pixels.float().cpu(), confidence.float().cpu()


def _seen(data: Instants) -> MultiView:
    """All instants at once, with what labels are made from."""
    return data.only(_READ)[: len(data)].to("cpu")


def _record(made: PseudoLabels, data: Instants) -> dict[str, Any]:
    """Provenance; and the distance from the truth after the best similarity, where the truth is known."""
    facts = {**made.facts, "instants": len(made.joints3d)}
    facts["known_share"] = round(float(made.joints3d.isfinite().all(dim=-1).float().mean()), 4)
    if "joints3d" in data.fields:
        truth = data.only(frozenset({"joints3d"}))[: len(data)].joints3d
        error = float(p_joint_error(made.joints3d, truth.cpu()).nanmean())
        facts["p_mpjpe_mm"] = round(error, 3) if math.isfinite(error) else None  # JSON has no NaN
    return facts


def lines(facts: dict[str, Any]) -> list[str]:
    """Facts about pseudo-labels as lines for the user: coverage, residuals and agreement of each rig.

    Args:
        facts: What `with_pseudo` returned.

    Returns:
        Lines; none where there are no pseudo-labels.
    """
    if not facts:
        return []
    said = [f"labels: {facts['known_share']:.0%} of the joints of {facts['instants']} instants are known"]
    rigs = facts["rigs"]
    poor = [number for number, rig in rigs.items() if min(rig.get("agreement") or [1.0]) < POOR]
    shown = dict.fromkeys([*list(rigs)[:_RIGS], *poor[:_RIGS]])
    for number, rig in ((number, rigs[number]) for number in shown):
        residual = ", ".join(f"{each:.1f}" for each in rig["median_px"])
        words = f"  rig {number}: cameras {rig['cameras']}, residuals {residual} px (median of each view)"
        if agreement := rig.get("agreement"):
            words += f", agreement {', '.join(f'{share:.0%}' for share in agreement)}"
            if min(agreement) < POOR:
                words += (
                    f". POOR: of the joints of view {agreement.index(min(agreement)) + 1} few agree with the other "
                    f"views; is it synchronised, and does the person move? What is learnt from it will be as poor"
                )
        said += [words, f"  rig {number}: scale {rig['scale']}"]
    if len(shown) < len(rigs):
        said.append(
            f"  and {len(rigs) - len(shown)} more rigs; of all {len(rigs)}, {len(poor)} are poor ({FILE})"
        )
    return said
