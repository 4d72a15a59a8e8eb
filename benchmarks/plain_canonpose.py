"""The losses of CanonPose written plainly, as in the paper: what benchmarks/lifting.py compares ours with.

The network is called view by view; losses are added up in Python loops over pairs of views and over rigs.
"""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from coview.geometry.rotations import rotation_from_axis_angle
from coview.methods.canonpose import CanonPose

VIEWS = 4


@dataclass(frozen=True)
class Lifted:
    """Per view: pose "batch joints 3", rotation "batch 3 3", what was seen "batch joints 2", confidence."""

    pose: list[Tensor]
    rotation: list[Tensor]
    seen: list[Tensor]
    confidence: list[Tensor]
    rig: Tensor

    def sample(self, index: int) -> "Lifted":
        """A batch of one."""
        one = slice(index, index + 1)
        lists = ([tensor[one] for tensor in each] for each in self.each_view())
        return Lifted(*lists, rig=self.rig[one])

    def each_view(self) -> tuple[list[Tensor], ...]:
        return self.pose, self.rotation, self.seen, self.confidence


def lifted_plainly(method: CanonPose, batch: dict[str, Tensor]) -> Lifted:
    """The network, called for one view after the other."""
    seen = [batch[f"joints_{view}"] for view in range(VIEWS)]
    confidence = [batch[f"confidence_{view}"] for view in range(VIEWS)]
    answers = [method.lifter(joints, weights) for joints, weights in zip(seen, confidence, strict=True)]
    pose = [pose - pose[:, method.root, None] for pose, _ in answers]
    return Lifted(pose, [rotation_from_axis_angle(n) for _, n in answers], seen, confidence, batch["rig"])


def error(pose: Tensor, rotation: Tensor, seen: Tensor, confidence: Tensor) -> Tensor:
    """ℓ of the paper: mean over poses "batch joints 3" turned by "batch 3 3"."""
    image = (pose @ rotation.mT)[..., :2]
    image = image / image.square().mean(dim=(-2, -1), keepdim=True).sqrt()
    seen = seen / seen.square().mean(dim=(-2, -1), keepdim=True).sqrt()
    return (confidence[..., None] * (image - seen).abs()).mean()


def by_pairs(lifted: Lifted, orders: list[Tensor] | None = None) -> Tensor:
    """The paper's three terms, pair by pair and rig by rig; each pair for the whole batch."""
    x, r, w, c = lifted.each_view()
    total = sum(error(x[v], r[v], w[v], c[v]) for v in range(VIEWS)) / VIEWS
    for a, b in itertools.permutations(range(VIEWS), 2):
        total = total + error(x[a], r[b], w[b], c[b]) / (VIEWS - 1)
    for a in range(VIEWS):
        for rig in lifted.rig.unique():
            members = (lifted.rig == rig).nonzero()[:, 0]
            if len(members) < 2:
                continue
            drawn = members[torch.randperm(len(members), device=members.device)]
            partner = drawn if orders is None else orders[a][members]
            for b in range(VIEWS):
                if b != a:
                    relative = r[b][partner] @ r[a][partner].mT
                    turn = relative @ r[a][members]
                    wrong = error(x[a][members], turn, w[b][members], c[b][members])
                    total = total + 0.1 * wrong / (VIEWS - 1)
    return total


def by_samples(lifted: Lifted, orders: list[Tensor] | None = None) -> Tensor:
    """The same, and sample by sample."""
    count = len(lifted.rig)
    each = [lifted.sample(index) for index in range(count)]
    total = torch.zeros((), device=lifted.rig.device)
    for one in each:
        x, r, w, c = one.each_view()
        for a, b in itertools.product(range(VIEWS), repeat=2):
            share = 1 / VIEWS if a == b else 1 / (VIEWS - 1)
            total = total + share * error(x[a], r[b], w[b], c[b]) / count
    for a, rig in itertools.product(range(VIEWS), lifted.rig.unique()):
        members = (lifted.rig == rig).nonzero()[:, 0].tolist()
        if len(members) < 2:
            continue
        drawn = [members[i] for i in torch.randperm(len(members)).tolist()]
        partners = drawn if orders is None else orders[a][members].tolist()
        for index, partner in zip(members, partners, strict=True):
            x, r, w, c = each[index].each_view()
            other = each[partner].rotation
            for b in range(VIEWS):
                if b != a:
                    wrong = error(x[a], other[b] @ other[a].mT @ r[a], w[b], c[b])
                    total = total + 0.1 * wrong / (VIEWS - 1) / len(members)
    return total
