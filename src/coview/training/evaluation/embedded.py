"""Retrieval metrics of an embedding, and its two-dimensional map as a table."""

import csv
import io
from pathlib import Path

import torch
from torch import Tensor

from coview.formats.io.atomic import write_text
from coview.methods.shared.base import CanonicalPoses
from coview.metrics.embedding_map import embedding_map
from coview.metrics.retrieval import EmbeddedViews, retrieval
from coview.representations.canonical_pose import canonical_pose
from coview.sample import MultiView
from coview.skeletons import Skeleton

# read besides the ground truth, to know which instants are the same
WHERE = frozenset({"subject", "sequence", "time"})
MAP = "embedding.csv"  # in the run's folder, beside evaluation.json


class Embedded:
    """Embeddings of a data set with their truth, gathered batch by batch."""

    def __init__(self, skeleton: Skeleton) -> None:
        self.skeleton = skeleton
        self._parts: list[EmbeddedViews] = []

    def update(self, predicted: CanonicalPoses, batch: MultiView) -> None:
        """Add a batch; ignored where it lacks subject, sequence or time.

        Args:
            predicted: Predictions that hold an embedding per view.
            batch: The batch they were made from, with `joints3d`.
        """
        if batch.fields >= WHERE:
            fields = (predicted.embedding, batch.joints3d, batch.subject, batch.sequence, batch.time)
            self._parts.append(EmbeddedViews(*(field.cpu() for field in fields)))

    def compute(self) -> dict[str, float]:
        """The retrieval metrics of `metrics.retrieval`; empty where nothing was added."""
        return retrieval(self._whole()) if self._parts else {}

    def write_map(self, path: Path) -> None:
        """Write the embedding's two principal coordinates as CSV: x, y, group of poses, view.

        Nothing is written where no view has both a complete pose and a finite embedding.

        Args:
            path: File to write.
        """
        if not self._parts:
            return
        views = self._whole()
        poses = canonical_pose(views.joints3d, self.skeleton)
        if not bool((poses.isfinite().flatten(1).all(dim=-1) & _whole(views.embedding)).any()):
            return
        drawn = embedding_map(views.embedding, poses)
        text = io.StringIO()
        text.write(f"# {drawn.kept_percent:.0f} percent of the variance; places have no unit\n")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["x", "y", "group", "view"])
        for (x, y), group, view in zip(
            drawn.place.tolist(), drawn.group.tolist(), drawn.view.tolist(), strict=True
        ):
            writer.writerow([f"{x:.4f}", f"{y:.4f}", group, view])
        write_text(path, text.getvalue())

    def _whole(self) -> EmbeddedViews:
        columns = zip(*(vars(part).values() for part in self._parts), strict=True)
        return EmbeddedViews(*(torch.cat(column) for column in columns))


def how_retrieved(metrics: dict[str, float]) -> dict[str, str]:
    """Definitions of the retrieval metrics, in words.

    Args:
        metrics: Metrics by name; others than retrieval metrics are left out.

    Returns:
        Name -> definition.
    """
    return {name: words for name in metrics if (words := _words(name))}


def _words(name: str) -> str:
    gallery = (
        "of the other subjects' views, other cameras"
        if name.startswith("others_")
        else "of other cameras' views"
    )
    kind, _, count = name.rpartition("_at_")
    if name.endswith("_chance_mm"):
        return f"mean PA-MPJPE of any {gallery}: what guessing gives"
    if name == "hit_chance_percent_at_1":
        return "the same for an answer drawn at random"
    return {
        "retrieval_pa_mpjpe_mm": f"mean PA-MPJPE of the poses of the {count} {gallery} nearest in the embedding",
        "others_pa_mpjpe_mm": f"mean PA-MPJPE of the poses of the {count} {gallery} nearest in the embedding",
        "retrieval_least_mm": f"the least that {count} {gallery} can give: the nearest true poses",
        "others_least_mm": f"the least that {count} {gallery} can give: the nearest true poses",
        "hit_percent": f"percent of queries with a view within 0.1 s among the {count} nearest of other cameras",
    }.get(kind, "")


def _whole(embedding: Tensor) -> Tensor:
    return embedding.isfinite().flatten(1).all(dim=-1)
