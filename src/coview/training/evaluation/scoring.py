"""Scores predictions against the ground truth: which metrics, in which frame, over which joints."""

import json
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torchmetrics import Metric

from coview.data.base import Instants
from coview.data.loading import at_once
from coview.formats.io.atomic import write_text
from coview.methods.shared.base import (
    CameraPoses,
    CanonicalPoses,
    ImagePoses,
    Method,
    MetricCameraPoses,
    WorldPose,
)
from coview.metrics.detection import ImageError
from coview.metrics.running import (
    CPS,
    MPJPE,
    NAUC,
    NMPJPE,
    NPCK,
    PMPJPE,
    PSS,
    CentredMPJPE,
    Coverage,
    OppositeShare,
    RelativeMPJPE,
)
from coview.metrics.structure_score import SHIPPED, shipped_centres
from coview.representations.canonical_pose import canonical_pose
from coview.sample import MultiView
from coview.skeletons import Skeleton
from coview.training.evaluation.embedded import WHERE, Embedded, how_retrieved

AnyPoses = WorldPose | CameraPoses | ImagePoses | CanonicalPoses
TRUTH = frozenset({"joints3d", "cameras"})  # what scoring reads and methods do not see


def monocular_metrics(skeleton: Skeleton) -> dict[str, Metric]:
    """Metrics for root-centred poses of unknown scale in camera axes; every view counts as one test.

    Args:
        skeleton: Skeleton of the poses.

    Returns:
        Name -> metric, empty.
    """
    root = skeleton.root_index
    centres = {k: shipped_centres(k) for k in SHIPPED}
    structure = {f"pss_{k}": PSS(fitted) for k, fitted in centres.items() if fitted.fits(skeleton)}
    return {
        "n_mpjpe_mm": NMPJPE(root),
        "p_mpjpe_mm": PMPJPE(),
        "n_pck_150": NPCK(root, 150.0),
        "n_auc": NAUC(root),
        "cps": CPS(),
        **structure,
        "opposite_percent": OppositeShare(root),
        "coverage_percent": Coverage(),
    }


def metric_monocular_metrics(skeleton: Skeleton) -> dict[str, Metric]:
    """Metrics for root-centred poses in metres in camera axes: as `monocular_metrics`, and MPJPE without scaling.

    Args:
        skeleton: Skeleton of the poses.

    Returns:
        Name -> metric, empty.
    """
    return {"mpjpe_mm": CentredMPJPE(skeleton.root_index), **monocular_metrics(skeleton)}


def canonical_metrics(skeleton: Skeleton) -> dict[str, Metric]:
    """Metrics for poses in the canonical heading; every view counts as one test.

    They have names of their own, because the azimuth needs no estimate there.

    Args:
        skeleton: Skeleton of the poses.

    Returns:
        Name -> metric, empty.
    """
    root = skeleton.root_index
    return {
        "canonical_n_mpjpe_mm": NMPJPE(root),
        "canonical_mpjpe_mm": CentredMPJPE(root),
        "p_mpjpe_mm": PMPJPE(),
        "coverage_percent": Coverage(),
    }


def world_metrics(skeleton: Skeleton) -> dict[str, Metric]:
    """Metrics for poses in metres in the world frame.

    Args:
        skeleton: Skeleton of the poses.

    Returns:
        Name -> metric, empty.
    """
    return {
        "mpjpe_mm": MPJPE(),
        "mpjpe_relative_mm": RelativeMPJPE(skeleton.root_index),
        "p_mpjpe_mm": PMPJPE(),
        "coverage_percent": Coverage(),
    }


def image_metrics() -> dict[str, Metric]:
    """Metrics for 2D poses in pixels: of the refined joints, and of the input detections for the same joints."""
    return {"image_px": ImageError(), "detected_px": ImageError()}


def truth_for(predicted: AnyPoses, batch: MultiView) -> Float[Tensor, "*batch joints dims"]:
    """The ground truth in the frame of a prediction.

    Args:
        predicted: The prediction, whose class decides the frame.
        batch: The batch it was made from, with `joints3d`, and `cameras` unless the prediction is in the world frame.

    Returns:
        Metres in the world frame; metres, root-centred, in each camera's axes or in the canonical heading; or pixels.
        NaN where the truth is not known.
    """
    if isinstance(predicted, WorldPose):
        return batch.joints3d
    if isinstance(predicted, ImagePoses):
        return batch.cameras.project(batch.joints3d[..., None, :, :])
    if isinstance(predicted, CanonicalPoses):
        canonical = canonical_pose(batch.joints3d, batch.skeleton)[..., None, :, :]
        return canonical.expand_as(predicted.joints3d)
    root = batch.joints3d[..., batch.skeleton.root_index, None, :]
    centred = (batch.joints3d - root)[..., None, :, :]
    return centred @ batch.cameras.rotation.mT


_METRICS = {  # the first kind that fits
    WorldPose: world_metrics,
    MetricCameraPoses: metric_monocular_metrics,
    CameraPoses: monocular_metrics,
    CanonicalPoses: canonical_metrics,
}


class Score:
    """Running metrics of one method; the kind of prediction decides which."""

    def __init__(self, skeleton: Skeleton) -> None:
        self.skeleton = skeleton
        self.metrics: dict[str, Metric] = {}
        self.embedded = Embedded(skeleton)
        # joints whose ground truth was known in any pose
        self._scored = torch.zeros(len(skeleton), dtype=torch.bool)

    def update(self, predicted: AnyPoses, batch: MultiView) -> None:
        """Add a batch to the running metrics.

        Args:
            predicted: Predictions for the batch.
            batch: The batch, with its ground truth.
        """
        if isinstance(predicted, ImagePoses):
            return self._update_images(predicted, batch)
        self._scored |= known_somewhere(batch.joints3d).cpu()
        if not self.metrics:
            make = next(make for kind, make in _METRICS.items() if isinstance(predicted, kind))
            self.metrics = {n: m.to(predicted.joints3d.device) for n, m in make(self.skeleton).items()}
        truth = truth_for(predicted, batch)
        for metric in self.metrics.values():
            metric.update(predicted.joints3d, truth)
        if isinstance(predicted, CanonicalPoses):
            self.embedded.update(predicted, batch)

    def _update_images(self, predicted: ImagePoses, batch: MultiView) -> None:
        if not self.metrics:
            self.metrics = {n: m.to(predicted.joints2d.device) for n, m in image_metrics().items()}
        truth = truth_for(predicted, batch)
        detected = torch.where(predicted.joints2d.isfinite(), batch.joints2d, torch.nan)
        self.metrics["image_px"].update(predicted.joints2d, truth)
        self.metrics["detected_px"].update(detected, truth)

    @property
    def unscored(self) -> tuple[str, ...]:
        """Joints whose ground truth was known in no pose, so that no metric counts them."""
        return tuple(
            joint
            for joint, scored in zip(self.skeleton.joints, self._scored.tolist(), strict=True)
            if not scored
        )

    def compute(self) -> dict[str, float]:
        """Metrics by name, rounded to four decimals; empty where nothing was added."""
        found = {name: float(metric.compute()) for name, metric in self.metrics.items()}
        return {name: round(value, 4) for name, value in (found | self.embedded.compute()).items()}


def known_somewhere(poses: Float[Tensor, "*batch joints 3"]) -> Bool[Tensor, "joints"]:
    """Which joints are finite in at least one pose.

    Args:
        poses: Poses; NaN where a joint is not known.

    Returns:
        One flag per joint.
    """
    return poses.isfinite().all(dim=-1).flatten(0, -2).any(dim=0)


def score(method: Method[Any], data: Instants, batch_size: int = 0) -> dict[str, float]:
    """Metrics of a method over a data set; the method is given its inputs alone.

    Args:
        method: The method; it runs on the device of its weights.
        data: Data with the ground truth.
        batch_size: Instants at once; 0: as many as their images allow.

    Returns:
        Name -> value.
    """
    return scored(method, data, batch_size).compute()


@torch.no_grad()
def scored(method: Method[Any], data: Instants, batch_size: int = 0) -> Score:
    """Running metrics of a method over a data set, as `score` computes them.

    Args:
        method: The method; it runs on the device of its weights.
        data: Data with the ground truth.
        batch_size: Instants at once; 0: as many as their images allow.

    Returns:
        The metrics, to be computed.
    """
    running = Score(data.skeleton)
    device = next(method.parameters()).device
    was_training = method.training
    method.eval()
    data = data.only(method.inputs | TRUTH | WHERE)
    for batch in data.batches(batch_size or at_once(data)):
        batch = batch.to(device)
        running.update(method(batch.only(method.inputs)), batch)
    method.train(was_training)
    return running


def how_scored(metrics: dict[str, float], skeleton: Skeleton) -> dict[str, str]:
    """Definitions of metrics: joints, alignment and frame of each, so that only like is compared with like.

    Args:
        metrics: Metrics by name.
        skeleton: Skeleton of the scored poses.

    Returns:
        Name -> definition.
    """
    others = len(skeleton) - 1
    world = f"{len(skeleton)} joints of {skeleton.name}, world frame, no alignment"
    camera = f"{others} joints of {skeleton.name} but the root, camera axes, root-aligned, size as predicted"
    words = {
        "mpjpe_mm": camera if "n_mpjpe_mm" in metrics else world,
        "mpjpe_relative_mm": f"{len(skeleton)} joints of {skeleton.name}, each relative to its pose's {skeleton.root}, "
        f"whose own error of zero is counted; world axes, no alignment",
        "n_mpjpe_mm": f"{others} joints of {skeleton.name} but the root, root-aligned, least-squares scaled",
        "canonical_n_mpjpe_mm": f"{others} joints of {skeleton.name} but the root, root-aligned, least-squares scaled; "
        f"canonical heading, not to be compared with n_mpjpe_mm in camera axes, which has an azimuth to find",
        "canonical_mpjpe_mm": f"{others} joints of {skeleton.name} but the root, root-aligned; canonical heading",
        "p_mpjpe_mm": f"{len(skeleton)} joints of {skeleton.name}, similarity alignment without reflection",
        "n_pck_150": f"percent of {others} joints below 150 mm, aligned as n_mpjpe",
        "n_auc": f"percent, mean PCK of {others} joints over 0, 5, … 150 mm, aligned as n_mpjpe",
        "cps": f"0 to 300 mm, {len(skeleton)} joints, aligned as p_mpjpe",
        "opposite_percent": "percent of poses whose n_mpjpe scale is negative",
        "image_px": f"mean distance in pixels of {len(skeleton)} joints from the true 3D joints' projections",
        "detected_px": "the same of the detections, over the joints that image_px counts",
        "coverage_percent": "percent of joints with known truth that were predicted",
    }
    for k in SHIPPED:
        words[f"pss_{k}"] = (
            f"percent of poses nearest to the centre of their truth; {shipped_centres(k).words}"
        )
    return {name: words[name] for name in metrics if name in words} | how_retrieved(metrics)


def write_evaluation(
    path: Path,
    metrics: dict[str, float],
    skeleton: Skeleton,
    data: str,
    instants: int,
    inputs: frozenset[str],
    unscored: tuple[str, ...] = (),
    weights: str = "trained by coview",
) -> None:
    """Write metrics with their definitions and the method's inputs as JSON.

    Args:
        path: File to write.
        metrics: Name -> value; NaN is written as null.
        skeleton: Skeleton of the scored poses.
        data: What was evaluated on, in words.
        instants: Number of evaluated instants.
        inputs: Fields that the method reads; `joints3d` among them means that it is given some of the ground truth.
        unscored: Joints that no metric counts, because their ground truth is not known.
        weights: Where the weights come from, in words.
    """
    finite = {name: None if value != value else value for name, value in metrics.items()}  # JSON has no NaN
    content = {
        "metrics": finite,
        "definitions": how_scored(metrics, skeleton),
        "unscored_joints": list(unscored),
        "data": data,
        "instants": instants,
        "inputs": sorted(inputs),
        "weights": weights,
    }
    write_text(path, json.dumps(content, indent=1))
