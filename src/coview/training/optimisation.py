"""Parameter groups with learning-rate factors, gradient clipping, and skipping of updates that are not finite."""

from typing import Any

import torch
from torch import nn

from coview.errors import InputError
from coview.methods.shared.base import Method

IN_A_ROW = 20  # updates without finite gradients after which a run has no hope; ours


def parameter_groups(method: Method[Any]) -> list[dict[str, Any]]:
    """Trainable parameters grouped by the learning-rate factor of the innermost module named in `method.rates`.

    Args:
        method: The method; parameters under no named module have factor 1, frozen ones are left out.

    Returns:
        Groups for a torch optimiser, each with its "factor".

    Raises:
        InputError: A rate names no module or parameter of the method, or every parameter is frozen.
    """
    groups: dict[float, list[nn.Parameter]] = {}
    modules = {outer for name, _ in method.named_parameters() for outer in _around(name)}
    if unknown := sorted(set(method.rates) - modules):
        raise InputError(
            f"{type(method).__name__}.rates names {', '.join(unknown)}, which it does not have. "
            f"Its modules: {', '.join(sorted(name for name in modules if '.' not in name))}, and what is in them."
        )
    for name, parameter in method.named_parameters():
        if parameter.requires_grad:
            factor = next((method.rates[outer] for outer in _around(name) if outer in method.rates), 1.0)
            groups.setdefault(factor, []).append(parameter)
    if not groups:
        raise InputError(
            f"{type(method).__name__} has nothing to learn: it has no parameter that is not frozen."
        )
    return [{"params": parameters, "factor": factor} for factor, parameters in groups.items()]


def _around(name: str) -> list[str]:
    """A parameter and the modules that it is in, innermost first."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


class Guard:
    """Looks at the gradients before each update: clips them, and has the update left out where they are not finite.

    Nothing waits for the device: what was left out is counted there."""

    def __init__(self) -> None:
        self._counts = torch.zeros(3)  # left out, left out in a row until now, longest row

    def check(self, optimiser: torch.optim.Optimizer, clip_norm: float = 0.0) -> None:
        """To be called after the backward pass and before the step of a fused optimiser.

        Args:
            optimiser: A fused one, whose parameters hold their gradients.
            clip_norm: Largest Euclidean norm of all gradients as one vector; 0: any."""
        parameters = [each for group in optimiser.param_groups for each in group["params"]]
        gradients = [each.grad for each in parameters if each.grad is not None]
        if not gradients:
            return
        norm = nn.utils.get_total_norm(gradients)
        if clip_norm:
            nn.utils.clip_grads_with_norm_(parameters, clip_norm, norm)
        unusable = (~norm.isfinite()).float()
        # fused optimisers leave weights and moments alone where this is 1, as they do for a GradScaler
        optimiser.found_inf = unusable  # type: ignore[attr-defined]
        skipped, row, longest = self._counts.to(norm.device)
        row = (row + 1) * unusable
        self._counts = torch.stack([skipped + unusable, row, torch.maximum(longest, row)])

    def counts(self) -> tuple[int, int]:
        """Updates left out so far, and the most in a row; waits for the device."""
        skipped, _, longest = self._counts.tolist()
        return int(skipped), int(longest)
