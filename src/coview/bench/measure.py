"""Measures a trained method on test instants: 3D from every single view, and refined 2D joints."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from coview.bench.results import RATES, WHENS
from coview.data.base import InMemory
from coview.methods.shared.base import CameraPoses, Method
from coview.metrics.detection import JDR
from coview.metrics.mirror import MirroredShare
from coview.sample import MultiView
from coview.training.evaluation.scoring import TRUTH, Score, truth_for


def refines(method: Method[Any]) -> bool:
    """Whether a method refines 2D joints: it offers `refine(batch) -> MultiView`.

    Args:
        method: The method.

    Returns:
        True where it does.
    """
    return callable(getattr(method, "refine", None))


@torch.no_grad()
def measure(
    method: Method[Any], data: InMemory, *, rates: bool = False, batch_size: int = 256
) -> dict[str, float]:
    """Monocular metrics of a trained method, the share of mirrored poses, and detection rates of refined 2D joints.

    The method is given its inputs alone and runs on the device of its weights; `refine` reads all views at once, and
    never the ground truth. `jdr_<group>_seen_after` leaves out joints that refinement filled in, which could hide
    damage to others.

    Args:
        method: The method.
        data: Test instants with the ground truth.
        rates: Whether to measure joint detection rates, where the method refines 2D joints.
        batch_size: Instants at once.

    Returns:
        Metrics of `training.evaluation.scoring`, `mirrored_percent`, and with `rates` `jdr_<group>_before`, `_after`
        and `_seen_after` in percent.
    """
    device, root = next(method.parameters()).device, data.skeleton.root_index
    running, mirror = Score(data.skeleton), MirroredShare(root).to(device)
    rated = {when: JDR(data.skeleton).to(device) for when in WHENS}
    method.eval()
    for batch in data.batches(batch_size):
        batch = batch.to(device)
        predicted = method(batch.only(method.inputs))
        running.update(predicted, batch)
        if isinstance(predicted, CameraPoses):
            mirror.update(predicted.joints3d, truth_for(predicted, batch))
        if rates and refines(method):
            truth = batch.cameras.project(batch.joints3d[:, None])
            refined = refined_detections(method, batch)
            rated["before"].update(detections(batch), truth)
            rated["after"].update(refined, truth)
            rated["seen_after"].update(
                torch.where(batch.confidence[..., None] > 0, refined, torch.nan), truth
            )
    found = running.compute()
    if mirror.update_called:
        found["mirrored_percent"] = float(mirror.compute())
    if not (rates and refines(method)):
        return found
    return found | {
        name: rate for when, metric in rated.items() for name, rate in _named(metric, when).items()
    }


def detections(batch: MultiView) -> Float[Tensor, "*batch views joints 2"]:
    """The detected 2D joints of a batch.

    Args:
        batch: The batch.

    Returns:
        Pixels; NaN where the confidence is 0.
    """
    return torch.where(batch.confidence[..., None] > 0, batch.joints2d, torch.nan)


def refined_detections(method: Any, batch: MultiView) -> Float[Tensor, "*batch views joints 2"]:
    """The 2D joints of a batch after refinement.

    Args:
        method: A method that refines.
        batch: The batch.

    Returns:
        Pixels; NaN for joints that were neither detected nor filled in.
    """
    refined = method.refine(batch.only(method.needs - TRUTH))
    moved = (refined.joints2d != batch.joints2d).any(dim=-1)
    return torch.where((moved | (batch.confidence > 0))[..., None], refined.joints2d, torch.nan)


def _named(metric: JDR, when: str) -> dict[str, float]:
    rates = metric.compute()
    return {f"jdr_{group}_{when}": float(rates[group]) for group in RATES}
