"""Reading the weights that authors released as PyTorch's .pth, without running code that may be inside."""

import pickle
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from coview.errors import InputError, MissingFileError
from coview.formats.io.damage import reader
from coview.formats.weights.refiner_norm import NORM, find_norm, read_norm

# what methods call the network that 2D files hold bare
_BACKBONE = "backbone."
_HEAT_MAPS, _REFINER = "final_layer.weight", "linear_stages.0.w1.weight"
# channels of EpipolarPose's last layer (64 depths a joint): number of joints
VOLUMES = {16 * 64: 16, 17 * 64: 17}
# Numbers of numpy, which trainings write beside their weights, under its names in numpy 1 and 2.
_SCALAR = np.float64(0).__reduce__()[0]
_NUMBERS: list[Any] = [
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f8", "f4", "i8")),
    *((_SCALAR, f"numpy.{module}.multiarray.scalar") for module in ("core", "_core")),
]
_BROKEN = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
)


@dataclass(frozen=True)
class ReleasedWeights:
    """Released weights under the names that our networks have, and the kind of file they come from."""

    # name in our networks: weights, on the CPU
    tensors: dict[str, Tensor]
    # whether it is a 2D network by itself, whose joints the file does not say
    only_backbone: bool
    # whether its first layer expects blue, green, red
    bgr: bool
    # which method's weights they are: this decides the names and the joints
    of: Literal["learnable", "epipolar", "refiner"] = "learnable"
    # what the user should know
    notes: tuple[str, ...] = ()


@reader("released weights")
def read_released(path: Path) -> ReleasedWeights:
    """Read released weights: Learnable Triangulation, its 2D network, EpipolarPose, its refinement unit, or a ResNet.

    A ResNet is that of simple baselines or of torchvision. "module.", which distributed training puts into names, is
    removed; the names of a 2D network get the prefix "backbone.". A file with a classifier (`fc.weight`) or with a
    volume per joint [Kocabas19] expects RGB, all others BGR [Iskakov19].

    Args:
        path: The .pth file; for the refinement unit, `norm.pkl` is read from where `find_norm` finds it.

    Returns:
        The weights by name, and what they are for.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds anything but named finite tensors.
    """
    if not path.is_file():
        raise MissingFileError(f"no file {path} with released weights. Give it as released:PATH.")
    content = _opened(path)
    tensors = _named(_state(content, path), path)
    if _REFINER in tensors:
        return _refiner(tensors, path)
    only_backbone = not any(name.startswith(_BACKBONE) for name in tensors)
    of_volumes = only_backbone and len(tensors.get(_HEAT_MAPS, ())) in VOLUMES
    if only_backbone:
        tensors = {_BACKBONE + name: tensor for name, tensor in tensors.items()}
    if of_volumes:
        return ReleasedWeights(tensors, only_backbone=False, bgr=False, of="epipolar")
    return ReleasedWeights(tensors, only_backbone, bgr=f"{_BACKBONE}fc.weight" not in tensors)


def _refiner(tensors: dict[str, Tensor], path: Path) -> ReleasedWeights:
    """With the statistics of its poses, where they are found."""
    norm, named = find_norm(path), {f"refiner.{name}": tensor for name, tensor in tensors.items()}
    if norm:
        numbers = tensors["w1.weight"].shape[-1] if "w1.weight" in tensors else 0
        statistics = read_norm(norm, numbers)
        notes = (
            ()
            if norm.parent == path.resolve().parent
            else (f"the statistics of its poses are those of {norm}.",)
        )
        return ReleasedWeights(named | statistics, only_backbone=False, bgr=False, of="refiner", notes=notes)
    note = (
        f"there is no {NORM} beside {path}, nor in data/ there or above: poses are scaled by the statistics of your "
        f"own training data, and until the network has been trained on them its answers mean little."
    )
    return ReleasedWeights(named, only_backbone=False, bgr=False, of="refiner", notes=(note,))


def _opened(path: Path) -> Any:
    """What PyTorch finds in the file; ValueError where it is no file of plain tensors, saying which other it is."""
    with path.open("rb") as file:
        head = file.read(9)
    _check_stored(path)
    if path.suffix == ".safetensors" or head.endswith(b"{"):
        raise InputError(
            f"{path} is a safetensors file, as runs of coview hold; authors' files end in .pth. To begin with a run, "
            f"give its folder, without released: (its joints and colours are written beside its weights)."
        )
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_NUMBERS):
            # about pickles of other protocols, which fail or not by themselves
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except _BROKEN as error:
        # torch's own words are left out: they tell to switch off what keeps this safe
        raise InputError(
            f"{path} was not opened: {_what_it_is(path, head)}. Only PyTorch files (.pth) of plain tensors are read, "
            f"because opening others can run any program; if you know who made it, save its state_dict() again."
        ) from error


def _check_stored(path: Path) -> None:
    """PyTorch packs nothing, and reads packed files all the same: a few bytes could be gigabytes of zeros."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
                raise InputError(
                    f"{path} unpacks to more bytes than it has, which PyTorch's own files never do."
                )


def _what_it_is(path: Path, head: bytes) -> str:
    """Why a file could not be opened, as far as its first bytes tell."""
    if not head:
        return "it is empty; download it again"
    if head.startswith(b"PK") and not zipfile.is_zipfile(path):
        return "its end is missing; download it again"
    if head.startswith((b"PK", b"\x80")):
        return "it is damaged, or holds more than tensors"
    return f"it begins with {head!r}, as no file of PyTorch does"


def _state(content: Any, path: Path) -> dict[str, Tensor]:
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if isinstance(content, dict) and not content:
        raise InputError(f"{path} holds no weights: its dict is empty.")
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, and a dict of named tensors is needed.")
    for name, value in content.items():
        if not (isinstance(name, str) and isinstance(value, Tensor)):
            raise InputError(
                f"{path} holds a {type(value).__name__} called {name!r} among its tensors: it is no state_dict of a "
                f"network. Give the file of the weights alone, not one of a whole training."
            )
        if (
            value.layout != torch.strided
            or value.numel() * value.element_size() > value.untyped_storage().nbytes()
        ):
            raise InputError(f"{path}: the weights {name!r} are of more numbers than the file holds.")
        if not bool(value.isfinite().all()):
            raise InputError(f"{path}: the weights {name!r} are not all finite numbers; the file is damaged.")
    return content


def _named(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    tensors = {name.replace("module.", ""): tensor for name, tensor in state.items()}
    if len(tensors) < len(state):
        raise InputError(f"{path}: two of its names are the same once 'module.' is taken out.")
    return tensors
