"""Label budgets: which training instants show their labels. Hidden labels are NaN, so that nothing can read them.

Splits and counts are nested: a smaller one is contained in every larger one, so a learning curve only adds labels.
The literature's sizes on Human3.6M are 49, 496, 2500, 5000 and 25 000 instants of S1, then the splits "s1", "s15",
"s156" and "all".
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from coview.data.base import Instants
from coview.errors import InputError

Split = Literal["all", "s156", "s15", "s1"]
# number of subjects of each split, which is named after Human3.6M's training subjects
_PEOPLE = {"s156": 3, "s15": 2, "s1": 1}


@dataclass(frozen=True)
class ShownLabels:
    """Which training instants keep their 3D joints, and which their 2D joints; by default all.

    First by subject: the first one, two or three in the data's order, or all. Then a count or a share of the instants
    that have a label, evenly spread over them; the same instants in every view."""

    # subjects whose 3D joints are shown: all, or the first three, two or one
    split: Split = "all"
    # number of instants with 3D joints; 0: as many as `share` says
    count: int = 0
    # share of these subjects' instants with 3D joints
    share: float = 1.0
    # subjects whose 2D joints are shown, for methods that do not read 2D joints at test time
    split2d: Split = "all"
    # share of these subjects' instants with 2D joints
    share2d: float = 1.0

    def __post_init__(self) -> None:
        for name in ("share", "share2d"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(
                    f"ShownLabels: {name} is a share, above 0 to 1 (not per cent), got {getattr(self, name)}."
                )
        if self.count < 0 or (self.count and self.share < 1):
            raise InputError(
                f"ShownLabels: count is 0 or more, and goes without a share; got {self.count} and {self.share}."
            )

    @property
    def some3d(self) -> bool:
        """Whether some 3D joints are hidden."""
        return self.split != "all" or self.count > 0 or self.share < 1

    @property
    def some2d(self) -> bool:
        """Whether some 2D joints are hidden."""
        return self.split2d != "all" or self.share2d < 1

    @property
    def reads(self) -> frozenset[str]:
        """Fields of the data that the choice depends on."""
        return frozenset({"subject"}) if {self.split, self.split2d} != {"all"} else frozenset()

    def added(self, available: frozenset[str]) -> frozenset[str]:
        """The fields that `shown` adds to data.

        Args:
            available: fields of the data."""
        says = {"joints3d": "labelled", "joints2d": "labelled2d"}
        return frozenset(name for field, name in says.items() if field in available)

    def shown(self, data: Instants) -> Instants:
        """The data with `labelled` and `labelled2d` for the joints that it has, and with all other labels hidden.

        Args:
            data: training instants.

        Raises:
            ValueError: more labels are asked for than there are."""
        new: dict[str, Any] = {}
        if "joints3d" in data.fields:
            joints3d = _whole(data, "joints3d")
            there = joints3d.isfinite().all(dim=-1).any(dim=-1)
            new["labelled"] = _chosen(data, there, self.split, self.share, self.count)
            if self.some3d:
                new["joints3d"] = joints3d.masked_fill(~new["labelled"][:, None, None], torch.nan)
        if "joints2d" in data.fields:
            joints2d = _whole(data, "joints2d")
            there = joints2d.isfinite().all(dim=-1).any(dim=-1)
            chosen = _chosen(data, there.any(dim=-1), self.split2d, self.share2d)
            new["labelled2d"] = there & chosen[:, None]
            if self.some2d:
                hidden = ~chosen[:, None, None]
                new["joints2d"] = joints2d.masked_fill(hidden[..., None], torch.nan)
                if "confidence" in data.fields:
                    new["confidence"] = _whole(data, "confidence").masked_fill(hidden, 0.0)
        return data.replaced(**new) if new else data


def even_order(count: int) -> Int[Tensor, "count"]:
    """0 … count-1 in van der Corput order (bits reversed), every beginning of which is evenly spread.

    The first half, quarter, eighth … have a uniform stride.

    Args:
        count: how many numbers."""
    bits = max(1, (count - 1).bit_length())
    number = torch.arange(2**bits)
    turned = sum(((number >> bit) & 1) << (bits - 1 - bit) for bit in range(bits))
    assert isinstance(turned, Tensor)
    return turned[turned < count]


def _chosen(
    data: Instants, there: Bool[Tensor, "instants"], split: Split, share: float, count: int = 0
) -> Bool[Tensor, "instants"]:
    """Which of the labelled instants show their label."""
    if split != "all":
        subject = _whole(data, "subject")
        first = list(dict.fromkeys(subject.tolist()))[: _PEOPLE[split]]
        there = there & torch.isin(subject, subject.new_tensor(first))
    candidates = there.nonzero().flatten()
    if count > len(candidates):
        raise InputError(
            f"ShownLabels: {count} labelled instants are asked for, and split '{split}' of this data has "
            f"{len(candidates)}. Ask for fewer, or for a larger split."
        )
    wanted = count or max(1, round(share * len(candidates)))
    chosen = torch.zeros_like(there)
    chosen[candidates[even_order(len(candidates)).to(candidates.device)[:wanted]]] = True
    return chosen


def _whole(data: Instants, name: str) -> Tensor:
    """One field of all instants."""
    values: Tensor = data.only(frozenset({name}))[: len(data)].stored(name)
    return values
