"""A trained method that finds joints in images, checked before a session's videos are decoded for it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from coview.errors import InputError
from coview.methods.shared.base import Method
from coview.networks.folding import folded
from coview.skeletons import Skeleton

Kind = Literal["algebraic", "volumetric"]
KINDS: tuple[Kind, ...] = ("algebraic", "volumetric")
# fields that tell where a volume is to be placed
_ROOTS = frozenset({"base_point", "joints3d"})
# what a session with videos can give
_KNOWN = frozenset({"images", "cameras"}) | _ROOTS


@dataclass(frozen=True)
class ImageModel:
    """A trained method that reads crops of one size and their cameras and predicts joints in the world."""

    # the trained method, in evaluation mode
    method: Method[Any]
    # joints that it predicts
    skeleton: Skeleton
    # volumetric models read a root, algebraic ones do not
    kind: Kind
    # width and height of a crop, pixels
    size: int
    # the run's folder
    weights: Path
    # hash that changes with the weights and the settings
    digest: str
    # whether it was trained on crops as the authors' code makes them
    released_crops: bool = False

    @property
    def needs_root(self) -> bool:
        """Whether it must be told where the root joint is, more or less."""
        return bool(self.method.inputs & _ROOTS)

    @property
    def name(self) -> str:
        """Name of the method's class."""
        return type(self.method).__name__


def image_model(
    method: Method[Any],
    skeleton: Skeleton,
    weights: Path,
    kind: Kind,
    *,
    released_crops: bool | None = None,
) -> ImageModel:
    """Check and prepare a trained method for use on a session's videos.

    Its normalisations are multiplied into its convolutions, in place.

    Args:
        method: The method.
        skeleton: The joints that it predicts.
        weights: Folder of its run.
        kind: The kind that it must be: volumetric are those that read a root.
        released_crops: Whether it was trained on crops as the authors' code makes them; None: if its numerics are those
            of released weights.

    Returns:
        The model, in evaluation mode.

    Raises:
        InputError: Where it does not read images, reads what a session cannot give, or is of the other kind.
    """
    name, inputs = type(method).__name__, method.inputs
    if "images" not in inputs:
        raise InputError(
            f"{weights} is a run of {name}, which reads {', '.join(sorted(inputs))} and no images. Use "
            f"`coview predict` for models of 2D joints; here give --weights a run of a model of images."
        )
    if unmet := sorted(inputs - _KNOWN):
        raise InputError(
            f"{weights} is a run of {name}, which reads {', '.join(unmet)}: a session's videos have none."
        )
    found: Kind = "volumetric" if inputs & _ROOTS else "algebraic"
    if found != kind:
        raise InputError(f"{weights} is a run of {name}: use --method {found} with it, not {kind}.")
    size = getattr(getattr(method, "config", None), "size", None)
    if not isinstance(size, int):
        raise InputError(f"{weights}: {name} does not say for crops of which size it was trained.")
    digest = _digest(method)
    if released_crops is None:
        released_crops = bool(getattr(getattr(method, "config", None), "released_numerics", False))
    ready = folded(method.eval(), in_place=True)
    return ImageModel(ready, skeleton, kind, size, Path(weights), digest, released_crops)


def _digest(method: Method[Any]) -> str:
    """Hash of the settings and the weights."""
    digest = hashlib.sha256(repr(getattr(method, "config", "")).encode())
    for name, tensor in sorted(method.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
