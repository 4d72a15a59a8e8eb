"""The settings of a run as one frozen value, with its checks, and that value as JSON."""

import importlib
import math
import sys
import types
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import torch

from coview.data.augment import Augment
from coview.data.base import DataConfig
from coview.data.batching import Batching, Shuffled
from coview.data.label_budget import ShownLabels
from coview.data.pseudo_labels.labels import PseudoConfig
from coview.errors import InputError
from coview.methods.shared.base import Method, MethodConfig
from coview.skeletons import H36M_17, SKELETONS, Skeleton, named_skeleton
from coview.training.precision import Precision
from coview.training.stored_names import import_path, renamed_fields, stored_name

# Fields that an earlier run may predict, and the settings that name it.
_LABELS = frozenset({"pseudo3d", "pseudo_covariance", "pseudo_cameras"})  # what `pseudo` makes
_EARLIER = {"base_point": "base_from", "first_guess": "first_from"}


@dataclass(frozen=True)
class Recipe:
    """Method × data × optimiser. Equal recipes give equal runs on equal machines."""

    # what is trained: a method and its settings
    method: MethodConfig
    # the data set and its settings
    data: DataConfig
    # number of updates of the weights
    steps: int
    # highest learning rate of Adam
    learning_rate: float = 1e-4
    # L2 penalty, added to the gradient (not decoupled)
    weight_decay: float = 1e-5
    # instants per update, each with all of its views
    batch_size: int = 32
    # gradient accumulation: equal parts that a batch is cut into, for batches that do not fit in memory at once
    accumulate: int = 1
    # gradient clipping: largest norm of all gradients as one vector; 0: none
    clip_norm: float = 0.0
    # which instants form a batch
    batching: Batching = field(default_factory=Shuffled)
    # which training instants show their labels
    labels: ShownLabels = field(default_factory=ShownLabels)
    # how batches are varied; nothing by default
    augment: Augment = field(default_factory=Augment)
    # of the learning rate over the steps; drops: ×0.1 after 30, 60 and 90 % of them
    schedule: Literal["constant", "cosine", "drops"] = "drops"
    # steps over which the learning rate rises to its highest
    warm_up: int = 0
    # shares of the run, above 0 up to 1, at which the method decides between solutions that gradients cannot tell
    # apart, such as the mirror image in depth
    resolve_ambiguity_at: tuple[float, ...] = (1.0,)
    # steps between rows of the history
    log_every: int = 50
    # steps between looks at the validation data; 0: only when finished
    validate_every: int = 0
    # of initial weights, batches and everything else that is random
    seed: int = 0
    # initial weights: the folder of a run, or released:PATH for a file of its authors; "": random ones
    init: str = ""
    # folder of a run that predicts `base_point`, where a method needs one
    base_from: Path | None = None
    # folder of a run that predicts `first_guess`, for a second stage
    first_from: Path | None = None
    # folder of a run whose 2D network, frozen, says where joints are in training views whose 2D labels are not shown
    joints2d_from: Path | None = None
    # labels that the views of the training data determine by themselves; cameras "none": no such labels are made
    pseudo: PseudoConfig = field(default_factory=lambda: PseudoConfig(cameras="none"))
    # auto: a GPU where there is one; else cpu, cuda or mps
    device: str = "auto"
    # how many of them; each works through its part of every batch, in a process of its own
    devices: int = 1
    # of several devices, how they agree on gradients: Lightning's "ddp", or the same where not every parameter
    # takes part in every update (auto)
    strategy: Literal["auto", "ddp"] = "auto"
    # of the networks while they learn; losses, rotations and weights are float32 anyway. bf16 is for a GPU
    # and is refused where the hardware has no arithmetic for it, because emulation is slower than float32
    precision: Precision = "32"
    # torch.compile of the losses, or, for methods on images, of their networks (for a GPU); needs a C++ compiler.
    # Begins 15 to 60 s later; on a CPU the losses of 128 instants then take 10 ms instead of 12, so it pays after
    # some 10 000 steps. What is drawn stays the same
    compile: bool = False

    def __post_init__(self) -> None:
        _check_finite(self, "")
        for name in ("steps", "batch_size", "accumulate", "log_every", "devices"):
            if getattr(self, name) < 1:
                raise InputError(f"Recipe: {name} must be at least 1, got {getattr(self, name)}.")
        if self.precision not in get_args(Precision):
            raise InputError(f"Recipe: precision is '32' or 'bf16', got {self.precision!r}.")
        if not self.learning_rate > 0:
            raise InputError(f"Recipe: learning_rate must be above 0, got {self.learning_rate}.")
        for name in ("weight_decay", "clip_norm", "warm_up", "validate_every"):
            if getattr(self, name) < 0:
                raise InputError(f"Recipe: {name} cannot be negative, got {getattr(self, name)}.")
        if self.batch_size % (self.accumulate * self.devices):
            raise InputError(
                f"Recipe: batch_size {self.batch_size} cannot be cut into {self.accumulate * self.devices} equal parts "
                f"(accumulate {self.accumulate} on each of devices {self.devices})."
            )
        if any(not 0 < share <= 1 for share in self.resolve_ambiguity_at):
            raise InputError(
                f"Recipe: resolve_ambiguity_at holds shares of the run, above 0 up to 1, got "
                f"{self.resolve_ambiguity_at}."
            )

    @property
    def needs(self) -> frozenset[str]:
        """Fields that training reads; nothing is loaded and no memory taken to find out."""
        return self.unbuilt().needs | self.augment.reads | self.batching.reads

    def unbuilt(self) -> Method[Any]:
        """The method without memory for its weights, to ask what it declares."""
        with torch.device("meta"):
            return self.method.build(H36M_17)


def check_fields(recipe: Recipe, available: frozenset[str]) -> None:
    """Check that data and earlier runs provide every field that the method reads in training.

    Args:
        recipe: The recipe.
        available: Fields of the training data.

    Raises:
        InputError: Naming field, method and data: one is missing, or an earlier run predicts one that is not read.
    """
    _check_size(recipe)
    available |= recipe.labels.added(available)
    needed = _with_shown(recipe)
    predicted = {name for name, setting in _EARLIER.items() if getattr(recipe, setting)}
    for name in sorted(predicted - needed):
        raise InputError(
            f"{_EARLIER[name]} is given, and {type(recipe.method).__name__} as it is set reads no {name}. Leave it out."
        )
    provided = available
    needed, available = _with_labels(recipe, needed, available)
    missing = sorted(needed - available - predicted)
    if missing:
        setting = _EARLIER.get(missing[0], "").replace("_", "-") if len(missing) == 1 else ""
        way_out = f", or name a run that predicts it with --{setting}" if setting else ""
        if set(missing) <= _LABELS:
            way_out = ", or have them made from the 2D joints with --pseudo.cameras people"
        remedies = " ".join(filter(None, map(recipe.data.remedy, missing)))
        raise InputError(
            f"{type(recipe.method).__name__} needs {', '.join(repr(name) for name in missing)}, which "
            f"{type(recipe.data).__name__} does not provide; it has: {', '.join(sorted(provided))}. "
            + (remedies or f"Choose other data, or settings of the method that do without{way_out}.")
        )


def numerics_notes(recipe: Recipe, *, released: bool = False) -> tuple[str, ...]:
    """What the user should know where numerics of released code and ours are mixed: half a pixel, or swapped colours.

    Args:
        recipe: The recipe.
        released: Whether its weights are those of a paper's authors.

    Returns:
        Sentences; none where method, data and weights go together.
    """
    method, data = (getattr(each, "released_numerics", None) for each in (recipe.method, recipe.data))
    notes = []
    if released and method is False:
        notes.append(
            "these weights were trained with the numerics of their authors' code, and the method has ours: errors are "
            "not those published. Add --method.released-numerics."
        )
    if None not in (method, data) and method != data:
        more, less = ("method", "data") if method else ("data", "method")
        notes.append(
            f"{more}.released_numerics is set and {less}.released_numerics is not: crops and network differ by up to "
            f"half a pixel of the picture. Set both (--{less}.released-numerics), or neither."
        )
    return tuple(notes)


def _with_shown(recipe: Recipe) -> frozenset[str]:
    """What training reads, and what says whose labels are shown. ValueError for labels that cannot be hidden."""
    labels, name = recipe.labels, type(recipe.method).__name__
    if labels.some2d and {"joints2d", "confidence"} & recipe.unbuilt().inputs:
        raise InputError(
            f"labels.split2d and share2d hide 2D joints, and {name} sees 2D joints at test time: they are no labels to "
            f"it. Leave both as they are."
        )
    if (labels.some3d or labels.some2d) and (recipe.base_from or recipe.first_from):
        raise InputError(
            "labels hides some, and base_from or first_from names a run that would be shown the rest. Leave out one "
            "of the two."
        )
    return recipe.needs | labels.reads


def _with_labels(
    recipe: Recipe, needed: frozenset[str], available: frozenset[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """What must be there, and what will be, once pseudo-labels are made. ValueError where nobody reads them."""
    if recipe.pseudo.cameras == "none":
        return needed, available
    if not needed & _LABELS:
        raise InputError(
            f"pseudo-labels are asked for (pseudo.cameras {recipe.pseudo.cameras!r}), and "
            f"{type(recipe.method).__name__} as it is set reads none. Set --pseudo.cameras none."
        )
    read = {"images"} if recipe.pseudo.detector else {"joints2d", "confidence"}
    return needed | read | {"cameras"}, available | _LABELS


def _check_size(recipe: Recipe) -> None:
    """ValueError where pictures would be made, or read, in a size that the method refuses."""
    wanted = getattr(recipe.method, "size", None)
    sides = [getattr(recipe.data, name, None) for name in ("size", "height")]
    given = [side for side in sides if isinstance(side, int)]
    if isinstance(wanted, int) and given and (max(given) != wanted or any(side % 32 for side in given)):
        raise InputError(
            f"the data's pictures are {' × '.join(map(str, given))} pixels, and "
            f"{type(recipe.method).__name__} is built for a longer side of {wanted} and sides that are "
            f"multiples of 32. Set --data.size and --method.size alike."
        )


def _check_finite(value: Any, where: str) -> None:
    """ValueError naming the first setting, however deep, that is NaN, or infinite where its default is not."""
    for each in fields(value):
        setting, name = getattr(value, each.name), f"{where}{each.name}"
        if is_dataclass(setting) and not isinstance(setting, type):
            _check_finite(setting, f"{name}.")
        endless = isinstance(each.default, float) and math.isinf(each.default)
        for number in setting if isinstance(setting, tuple) else (setting,):
            if isinstance(number, float) and not (math.isfinite(number) or (endless and math.isinf(number))):
                raise InputError(f"Recipe: {name} must be a finite number, got {number}.")


# --- as JSON -------------------------------------------------------------------------------------


def to_plain(value: Any) -> Any:
    """A recipe, or a part of one, as plain values for JSON.

    Dataclasses become dicts with their stored name as "type" (`stored_names`); a skeleton that coview knows becomes its
    name.

    Args:
        value: A dataclass, tuple, list, path, text, number, bool or None.

    Returns:
        Dicts, lists, strings, numbers, None.

    Raises:
        TypeError: The value holds something else.
    """
    if isinstance(value, Skeleton) and value in SKELETONS:
        return value.name
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        parts = {each.name: to_plain(getattr(value, each.name)) for each in fields(value)}
        return {"type": stored_name(kind), **parts}
    if isinstance(value, tuple | list):
        return [to_plain(part) for part in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"a recipe holds dataclasses, tuples, paths, text and numbers, not {type(value).__name__}: {value!r}."
    )


def from_plain(plain: Any, kind: Any) -> Any:
    """The value that `to_plain` wrote, of this or an earlier version.

    Only dataclasses of coview, or of modules that the program has imported itself, are made.

    Args:
        plain: What was read from JSON.
        kind: Type of the value, or a type annotation.

    Returns:
        The value.

    Raises:
        InputError: The value does not fit the type, or names a field that the class does not have.
    """
    if isinstance(plain, dict):
        return _restored(plain, kind)
    if kind is Skeleton:
        return named_skeleton(plain)
    if get_origin(kind) in (Union, types.UnionType):
        options = [option for option in get_args(kind) if option is not type(None)]
        return None if plain is None else from_plain(plain, options[0])
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        kinds = [inner[0]] * len(plain) if inner[-1:] == (Ellipsis,) else inner
        return tuple(from_plain(part, each) for part, each in zip(plain, kinds, strict=True))
    if kind is Path:
        return Path(plain)
    # a number of steps once stood where there is now yes or no
    return kind(plain) if kind is float or (kind is bool and isinstance(plain, int)) else plain


def differences(old: dict[str, Any], new: dict[str, Any], where: str = "") -> str:
    """The fields in which two plain recipes differ, in words.

    Args:
        old: The stored recipe.
        new: The recipe asked for.
        where: Path of the part being compared, ending in a dot; empty at the top.

    Returns:
        "field is A there and B now", joined by semicolons; empty where they are equal.
    """
    kinds = [str(plain.get("type")).rpartition(".")[2] for plain in (old, new)]
    if where and kinds[0] != kinds[1]:  # nothing below can be compared
        return f"{where[:-1]} is {kinds[0]} there and {kinds[1]} now"
    words = []
    for name in sorted(set(old) | set(new)):
        a, b = old.get(name), new.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            words.append(differences(a, b, f"{where}{name}."))
        elif a != b:
            words.append(f"{where}{name} is {str(a) or 'empty'} there and {str(b) or 'empty'} now")
    return "; ".join(word for word in words if word)


def _restored(plain: dict[str, Any], kind: Any) -> Any:
    stored = str(plain.get("type", ""))
    path = import_path(stored)
    found = _named(path)
    if not (isinstance(found, type) and is_dataclass(found) and issubclass(found, kind)):
        raise InputError(
            f"'{stored}' in the recipe is no {getattr(kind, '__name__', kind)}; was it edited by hand?"
        )
    hints = get_type_hints(found)
    today = renamed_fields(stored)
    given = {today.get(name, name): value for name, value in plain.items() if name != "type"}
    unknown = sorted(set(given) - {each.name for each in fields(found)})
    if unknown:
        raise InputError(
            f"{stored} has no {', '.join(unknown)}: the recipe comes from another version of coview."
        )
    return found(**{name: from_plain(value, hints[name]) for name, value in given.items()})


def _named(path: str) -> Any:
    module, _, name = path.rpartition(".")
    if module.partition(".")[0] != "coview" and module not in sys.modules:
        raise InputError(f"the recipe names '{path}', which is not part of coview. Import '{module}' first.")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"the recipe names '{path}', which cannot be found: {error}.") from error
