"""Where the root joint is, by a model that needs no such guess: what volumetric methods begin with.

Predicted once for each instant, and kept beside the weights that predicted it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as as_safetensors
from torch import Tensor

from coview.data.base import Instants
from coview.formats.atomic import write_bytes
from coview.methods.base import Method, WorldPose
from coview.progress import progress
from coview.sample import MultiView
from coview.skeletons import Skeleton
from coview.training.batches import InOrder, at_once

FOLDER = "base_points"  # in the folder of the run that predicts


@dataclass(frozen=True)
class Guesser:
    """A trained method that finds people by itself."""

    path: Path  # of its run: where guesses are kept
    method: Method[Any]
    skeleton: Skeleton
    identity: str  # what its predictions depend on, as text

    def guess(
        self, data: Instants, identity: str, device: torch.device, root: str
    ) -> Float[Tensor, "instants 3"]:
        """The joint `root` of every instant: metres, world, on the CPU; NaN where it was not found.

        `identity` says which data, as text; with the model's, the number of instants and the bytes of the first
        and last it names the file that is read instead of predicting again. ValueError where the data lacks what
        the model reads, or where the model has no poses in the world or no such joint."""
        if missing := sorted(self.method.inputs - data.fields):
            raise ValueError(
                f"base_from: {self.path} predicts the root joint from {', '.join(missing)} too, which this data does "
                f"not have. Choose a run whose method reads only: {', '.join(sorted(data.fields))}."
            )
        joint = self.skeleton.index(root)
        path = (
            self.path / FOLDER / f"{_digest(self.identity, identity, data, self.method.inputs)}.safetensors"
        )
        kept = _kept(path, len(data))
        if kept is None:
            kept = torch.cat(list(self._roots(data.only(self.method.inputs), device, joint)))
            write_bytes(path, as_safetensors({"base_point": kept}))
        return kept

    @torch.no_grad()
    def _roots(self, data: Instants, device: torch.device, joint: int) -> Iterator[Tensor]:
        batches = InOrder(data, at_once(data))
        method = self.method.to(device).eval()
        for batch in progress(batches, total=len(batches), what=f"base points by {self.path.name}"):
            predicted = method(batch.to(device).only(method.inputs))
            if not isinstance(predicted, WorldPose):
                raise ValueError(
                    f"base_from: {self.path} holds a {type(method).__name__}, which does not find people in the world. "
                    f"Name a run of a method that does, as AlgebraicTriangulation."
                )
            yield predicted.joints3d[:, joint].float().cpu().contiguous()
        method.cpu()


def _kept(path: Path, instants: int) -> Tensor | None:
    """What was predicted before; None where it was not, or where the file is damaged."""
    if not path.is_file():
        return None
    try:
        found = load_file(path)["base_point"]
    except (SafetensorError, OSError, KeyError):
        return None
    return found if found.shape == (instants, 3) else None


def _digest(model: str, data: str, instants: Instants, read: frozenset[str]) -> str:
    digest = hashlib.sha256(f"{model}\n{data}\n{len(instants)}".encode())
    if len(instants):
        for part in (instants[:1], instants[len(instants) - 1 :]):
            for name in sorted(read - {"cameras"}):
                digest.update(_bytes(part, name))
    return digest.hexdigest()[:20]


def _bytes(part: MultiView, name: str) -> bytes:
    held: Tensor = part.held(name)
    content: bytes = held.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
    return content
