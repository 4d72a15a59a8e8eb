"""Checkpoints to resume a run from: weights and optimiser state as safetensors, the rest as JSON metadata.

Nothing is pickled. One file, replaced atomically: a kill at any moment leaves the older one.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save as as_safetensors
from torch import Tensor, nn

from coview.errors import InputError
from coview.formats.io.atomic import write_bytes


@dataclass(frozen=True)
class Checkpoint:
    """A run after `step` updates."""

    step: int
    # of training so far
    seconds: float
    weights: dict[str, Tensor]
    # "number of the parameter/name of the state": tensor
    optimiser: dict[str, Tensor]
    # what the method said about itself
    facts: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the checkpoint as one safetensors file, atomically.

        Args:
            path: File to write; one that is there is replaced.
        """
        tensors = {f"weights/{name}": tensor for name, tensor in self.weights.items()}
        tensors |= {f"optimiser/{name}": tensor for name, tensor in self.optimiser.items()}
        words = {"state": json.dumps({"step": self.step, "seconds": self.seconds, "facts": self.facts})}
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        write_bytes(path, as_safetensors(plain, metadata=words))

    def check_fits(self, method: nn.Module, steps: int, path: Path) -> None:
        """Check that a method can resume from this checkpoint.

        Args:
            method: The method of the recipe, newly built.
            steps: Updates of the whole run.
            path: The checkpoint's file, for the message.

        Raises:
            InputError: A weight is missing, unknown or of another shape, or `step` lies beyond `steps`.
        """
        stored, wanted = (
            {name: tuple(weight.shape) for name, weight in each.items()}
            for each in (self.weights, method.state_dict())
        )
        strange = [name for name in {**wanted, **stored} if stored.get(name) != wanted.get(name)]
        if strange:
            there, here = (str(each.get(strange[0], "missing")) for each in (stored, wanted))
            words = f"of {len(strange)} weights, {strange[0]} is {there} there and {here} in the method"
        elif not 0 <= self.step <= steps:
            words = f"it is of step {self.step}, and the recipe has {steps}"
        else:
            return
        raise InputError(f"{path} does not fit the recipe beside it: {words}. Train again with --overwrite.")

    @staticmethod
    def load(path: Path) -> "Checkpoint":
        """Read a file that `save` wrote.

        Args:
            path: File to read.

        Returns:
            The checkpoint, its tensors on the CPU.

        Raises:
            InputError: The file is not a checkpoint of coview, or damaged.
        """
        try:
            with safe_open(path, framework="pt") as file:
                state = json.loads(file.metadata()["state"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        except Exception as error:
            # safetensors raises its own class for damage, and TypeError or KeyError for foreign files
            raise InputError(
                f"{path} is no checkpoint of coview: {error}. Train again with --overwrite."
            ) from error
        return Checkpoint(
            step=state["step"],
            seconds=state["seconds"],
            weights=_below("weights/", tensors),
            optimiser=_below("optimiser/", tensors),
            facts=state["facts"],
        )


def flat_state(state: dict[int, dict[str, Any]]) -> dict[str, Tensor]:
    """Flatten an optimiser's state (moments, step counts) to tensors by name.

    Args:
        state: The "state" of `Optimizer.state_dict()`: index of the parameter -> name -> value.

    Returns:
        "index/name" -> tensor.
    """
    return {
        f"{number}/{name}": torch.as_tensor(v) for number, each in state.items() for name, v in each.items()
    }


def nested_state(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """The inverse of `flat_state`.

    Args:
        tensors: "index/name" -> tensor.

    Returns:
        Index of the parameter -> name -> tensor.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        number, name = path.split("/")
        state.setdefault(int(number), {})[name] = tensor
    return state


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
