"""A trained method on test instants: 3D from every single view, and, where it refines 2D, how well."""

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
    """Whether a method offers `refine(batch) -> MultiView`, with better 2D joints from all views."""
    return callable(getattr(method, "refine", None))


@torch.no_grad()
def measure(
    method: Method[Any], data: InMemory, *, rates: bool = False, batch_size: int = 256
) -> dict[str, float]:
    """The monocular metrics of `training.scoring`, and `mirrored_percent`.

    With `rates`, and where the method refines 2D, also `jdr_<group>_before`, `_after` and `_seen_after`:
    percent of 2D joints detected in the input, in what `refine` makes of it, and in that without the
    joints it filled, which could hide harm done to others. The method sees its inputs alone;
    `refine` sees all views at once, and never the truth. It runs on the device of its weights."""
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
    """Pixels; NaN for joints that were not seen."""
    return torch.where(batch.confidence[..., None] > 0, batch.joints2d, torch.nan)


def refined_detections(method: Any, batch: MultiView) -> Float[Tensor, "*batch views joints 2"]:
    """Pixels after refinement; NaN for joints that were not seen and were not found by it either."""
    refined = method.refine(batch.only(method.needs - TRUTH))
    moved = (refined.joints2d != batch.joints2d).any(dim=-1)
    return torch.where((moved | (batch.confidence > 0))[..., None], refined.joints2d, torch.nan)


def _named(metric: JDR, when: str) -> dict[str, float]:
    rates = metric.compute()
    return {f"jdr_{group}_{when}": float(rates[group]) for group in RATES}
