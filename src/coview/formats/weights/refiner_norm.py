"""norm.pkl: the means and standard deviations that EpipolarPose's released refinement unit was trained with."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError
from coview.formats.io.damage import reader
from coview.formats.io.untrusted import read_pickle

NORM = "norm.pkl"
# folders above that of the weights in which it is looked for, too
_ABOVE = 3
_MILLIMETRES = 1000.0
# What is kept under which words; `data` is what the network sees, `label` what it was taught.
_WANTED = {
    "input_mean": ("data", "mean"),
    "input_std": ("data", "std"),
    "target_mean": ("label", "mean"),
    "target_std": ("label", "std"),
}


def find_norm(weights: Path) -> Path | None:
    """The normalisation file that belongs to the weights of a refinement unit.

    The authors ship it in the archive of their data, and their code reads it from there: it is looked for beside the
    weights, in a folder `data` there or in a folder of `data`, and in the same places of the three folders above.

    Args:
        weights: File of the weights.

    Returns:
        The nearest file; None where there is none.

    Raises:
        InputError: Two are equally near.
    """
    beside = weights.resolve().parent
    for folder in (beside, *list(beside.parents)[:_ABOVE]):
        for pattern in (NORM, f"data/{NORM}", f"data/*/{NORM}"):
            found = [path for path in sorted(folder.glob(pattern)) if path.is_file()]
            if len(found) > 1:
                raise InputError(
                    f"{found[0]} and {found[1]} are both near {weights}, and one of them belongs to it. Put the right "
                    f"one beside the weights."
                )
            if found:
                return found[0]
    return None


@reader("the statistics of a refinement unit")
def read_norm(path: Path, numbers: int) -> dict[str, Float[Tensor, "numbers"]]:
    """Read the means and standard deviations of the refinement unit's inputs and targets.

    The file is a dict whose keys hold "data" or "label" and "mean" or "std", in one or two levels, or a list of the
    four vectors in this order. Nothing in it is executed.

    Args:
        path: The file; its numbers are millimetres.
        numbers: Length of each vector, 3 × joints.

    Returns:
        input_mean, input_std, target_mean, target_std: metres, shape (numbers,), x y z joint by joint.

    Raises:
        ValueError: It is neither form, a vector is not of `numbers` finite numbers, or a standard deviation is not
            above 0.
    """
    content = read_pickle(path)
    found = _in_order(content) if isinstance(content, list | tuple) else dict(_by_name(content, ""))
    missing = [" ".join(words) for name, words in _WANTED.items() if name not in found]
    if missing:
        raise InputError(
            f"{path} has no {', '.join(missing)}: a dict with 'data' and 'label', each with 'mean' and 'std', or these "
            f"four vectors in a list, are needed. Without them the refinement unit cannot be used."
        )
    return {name: _vector(found[name], f"{path}: {' '.join(_WANTED[name])}", numbers) for name in _WANTED}


def _in_order(content: list[Any] | tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(_WANTED, content, strict=True)) if len(content) == len(_WANTED) else {}


def _by_name(content: Any, above: str) -> Iterator[tuple[str, Any]]:
    """Our names and what lies under theirs, however the two levels are cut."""
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        words = f"{above} {key}".lower()
        if isinstance(value, dict) and not above:
            yield from _by_name(value, words)
        for name, wanted in _WANTED.items():
            if all(word in words for word in wanted) and not isinstance(value, dict):
                yield name, value


def _vector(value: Any, where: str, numbers: int) -> Tensor:
    try:
        vector = np.asarray(value, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where} is no vector of numbers: {error}.") from error
    sound = np.isfinite(vector).all() and (not where.endswith("std") or (vector > 0).all())
    if len(vector) != numbers or not sound:
        raise InputError(
            f"{where} should be {numbers} finite numbers{', above 0' if where.endswith('std') else ''}, and is "
            f"{len(vector)} from {vector.min(initial=np.inf):.4g} to {vector.max(initial=-np.inf):.4g}. Is it the file "
            f"of these weights?"
        )
    return torch.from_numpy(vector / _MILLIMETRES).float()
