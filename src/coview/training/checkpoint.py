"""What a killed run needs to go on: weights and optimiser state as safetensors, the rest as JSON inside.

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

from coview.formats.io.atomic import write_bytes


@dataclass(frozen=True)
class Checkpoint:
    """A run after `step` updates."""

    step: int
    seconds: float  # of training so far
    weights: dict[str, Tensor]
    optimiser: dict[str, Tensor]  # "number of the parameter/name of the state": tensor
    facts: dict[str, Any] = field(default_factory=dict)  # what the method said about itself

    def save(self, path: Path) -> None:
        """Write atomically."""
        tensors = {f"weights/{name}": tensor for name, tensor in self.weights.items()}
        tensors |= {f"optimiser/{name}": tensor for name, tensor in self.optimiser.items()}
        words = {"state": json.dumps({"step": self.step, "seconds": self.seconds, "facts": self.facts})}
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        write_bytes(path, as_safetensors(plain, metadata=words))

    def give_to(self, method: nn.Module, steps: int, path: Path) -> None:
        """Let a method go on from these weights, for `steps` in all; ValueError naming `path` where they do not fit."""
        try:
            method.load_state_dict(self.weights)
            if not 0 <= self.step <= steps:
                raise ValueError(f"it is of step {self.step}, and the recipe has {steps}")
        except (RuntimeError, ValueError) as error:
            words = " ".join(" ".join(str(error).splitlines()[:2]).split()).rstrip(".")
            raise ValueError(
                f"{path} does not fit the recipe beside it: {words}. Train again with --overwrite."
            ) from error

    @staticmethod
    def load(path: Path) -> "Checkpoint":
        """Read a file of `save`; ValueError naming it where it is something else."""
        try:
            with safe_open(path, framework="pt") as file:
                state = json.loads(file.metadata()["state"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        except Exception as error:
            # safetensors raises its own class for damage, and TypeError or KeyError for foreign files
            raise ValueError(
                f"{path} is no checkpoint of coview: {error}. Train again with --overwrite."
            ) from error
        return Checkpoint(
            step=state["step"],
            seconds=state["seconds"],
            weights=_below("weights/", tensors),
            optimiser=_below("optimiser/", tensors),
            facts=state["facts"],
        )


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's memory (moments, step counts) with flat names."""
    state = optimiser.state_dict()["state"]
    return {
        f"{number}/{name}": torch.as_tensor(v) for number, each in state.items() for name, v in each.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give an optimiser the memory that `optimiser_tensors` took; its settings stay as they are."""
    state: dict[int, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        number, name = path.split("/")
        state.setdefault(int(number), {})[name] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
