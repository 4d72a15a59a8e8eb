"""Root positions predicted by an earlier run: where volumetric methods centre their volume.

Predicted once for each instant, and kept beside the weights that predicted it."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from coview.data.base import Instants
from coview.data.loading import InOrder, at_once
from coview.errors import InputError
from coview.formats.io.tensor_cache import keep, kept
from coview.methods.shared.base import Method, WorldPose
from coview.progress import progress
from coview.sample import MultiView
from coview.skeletons import Skeleton

FOLDER = "base_points"  # in the folder of the run that predicts


@dataclass(frozen=True)
class Guesser:
    """A trained method that is asked about every instant, once."""

    # of its run: where guesses are kept
    path: Path
    method: Method[Any]
    skeleton: Skeleton
    # what its predictions depend on, as text
    identity: str

    def guess(
        self, data: Instants, identity: str, device: torch.device, root: str
    ) -> Float[Tensor, "instants 3"]:
        """Position of the root joint in every instant, predicted by the earlier run.

        Args:
            data: Instants to predict.
            identity: What distinguishes this data, as text (see `once`).
            device: Where to compute.
            root: Name of the joint.

        Returns:
            Metres in the world frame, on the CPU; NaN where it was not found.

        Raises:
            InputError: The data lacks an input of the run's method, or the method does not predict in the world frame.
            UnknownNameError: The run's skeleton has no such joint.
        """
        joint = self.skeleton.index(root)

        def root_of(predicted: Any) -> Tensor:
            if not isinstance(predicted, WorldPose):
                raise InputError(
                    f"base_from: {self.path} holds a {type(self.method).__name__}, which does not find people in the "
                    f"world. Name a run of a method that does, as AlgebraicTriangulation."
                )
            return predicted.joints3d[:, joint]

        return self.once(
            Question("base_point", "base_from", "the root joint", FOLDER), data, identity, device, root_of
        )

    def once(
        self,
        question: "Question",
        data: Instants,
        identity: str,
        device: torch.device,
        pick: Callable[[Any], Tensor],
    ) -> Float[Tensor, "instants *numbers"]:
        """A tensor per instant taken from the run's predictions, computed once and kept in the run's folder.

        The kept file is named by a hash of the run, `identity`, the number of instants and the inputs (of images, the
        first and the last).

        Args:
            question: Which field is predicted, and where answers are kept.
            data: Instants to predict.
            identity: What distinguishes this data, as text.
            device: Where to compute.
            pick: Takes the wanted tensor from a prediction.

        Returns:
            The picked tensors of all instants, on the CPU.

        Raises:
            InputError: The data lacks an input of the run's method.
        """
        if missing := sorted(self.method.inputs - data.fields):
            raise InputError(
                f"{question.setting}: {self.path} predicts {question.words} from {', '.join(missing)} too, which this "
                f"data does not have. Choose a run whose method reads only: {', '.join(sorted(data.fields))}."
            )
        name = _digest(self.identity, identity, data, self.method.inputs)
        path = self.path / question.folder / f"{name}.safetensors"
        answers = (kept(path) or {}).get(question.field)
        if answers is None or len(answers) != len(data):
            with torch.no_grad():
                answers = torch.cat(
                    list(self._answers(data.only(self.method.inputs), device, pick, question))
                )
            keep(path, {question.field: answers})
        return answers

    def _answers(
        self, data: Instants, device: torch.device, pick: Callable[[Any], Tensor], question: "Question"
    ) -> Iterator[Tensor]:
        batches = InOrder(data, at_once(data))
        method = self.method.to(device).eval()
        what = f"{question.words} by {self.path.name}"
        for batch in progress(batches, total=len(batches), what=what):
            yield pick(method(batch.to(device).only(method.inputs))).float().cpu().contiguous()
        method.cpu()


@dataclass(frozen=True)
class Question:
    """What is asked of a trained method, and where answers are kept."""

    # of MultiView that the answers become
    field: str
    # of a recipe that names the run
    setting: str
    words: str
    # in that of the run
    folder: str


def _digest(model: str, data: str, instants: Instants, read: frozenset[str]) -> str:
    digest = hashlib.sha256(f"{model}\n{data}\n{len(instants)}".encode())
    if len(instants):
        parts = []
        # a method of images alone, on data that reads them from disk, has nothing small
        if names := (read - {"images", "cameras"}) & instants.fields:
            parts.append((instants.only(names)[: len(instants)], names))
        if "images" in read:
            pictures = instants.only(frozenset({"images"}))
            parts += [
                (pictures[part], pictures.fields) for part in (slice(1), slice(len(instants) - 1, None))
            ]
        for part, names in parts:
            for name in sorted(names):
                digest.update(_bytes(part, name))
    return digest.hexdigest()[:20]


def _bytes(part: MultiView, name: str) -> bytes:
    tensor: Tensor = part.stored(name)
    content: bytes = tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
    return content
