"""Initialises a method from released weights or another run, and reports what became of every weight.

The released weights of Learnable Triangulation [Iskakov19] have their joints in the order of LEARNABLE_17, those of
EpipolarPose [Kocabas19] in that of EPIPOLAR_16 or H36M_17; joints are brought to the method's own order by name.
Nothing is left unsaid: every name ends in exactly one list."""

from collections import Counter
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor, nn

from coview.errors import InputError
from coview.formats.weights.released_weights import VOLUMES, ReleasedWeights
from coview.networks.backbone import trunk_shapes
from coview.skeletons import EPIPOLAR_16, H36M_17, LEARNABLE_17, Skeleton

# Released names to ours, and what they are; any other name in a file is ignored and listed.
KEY_MAP = {
    "backbone.conv1": ("backbone.conv1", "first convolution, blue-green-red"),
    "backbone.bn1": ("backbone.bn1", "its normalisation"),
    "backbone.layer1": ("backbone.layer1", "residual blocks, a quarter of the image"),
    "backbone.layer2": ("backbone.layer2", "residual blocks, an eighth"),
    "backbone.layer3": ("backbone.layer3", "residual blocks, a sixteenth"),
    "backbone.layer4": ("backbone.layer4", "residual blocks, a thirty-second"),
    "backbone.deconv_layers": ("backbone.deconv_layers", "back to a quarter"),
    "backbone.final_layer": ("backbone.final_layer", "heat maps, one per joint"),
    "backbone.alg_confidences": ("backbone.alg_confidences", "confidences, one per joint"),
    "backbone.vol_confidences": ("backbone.vol_confidences", "confidences, one per feature channel"),
    "process_features.0": ("process_features.0", "features for the volume"),
    "volume_net.front_layers": ("volume_net.front_layers", "first layers of V2V"),
    "volume_net.encoder_decoder": ("volume_net.encoder_decoder", "V2V"),
    "volume_net.back_layers": ("volume_net.back_layers", "last layers of V2V"),
    "volume_net.output_layer": ("volume_net.output_layer", "volumes, one per joint"),
}
# Of EpipolarPose's pose network, whose files hold it bare, and of its refinement unit with its normalisation file.
EPIPOLAR_MAP = {
    **{name: KEY_MAP[name] for name in KEY_MAP if name.startswith("backbone.") and "confidences" not in name},
    "backbone.conv1": ("backbone.conv1", "first convolution, red-green-blue"),
    "backbone.final_layer": ("backbone.final_layer", "volumes, 64 layers per joint: channel j·64 + z"),
}
REFINER_MAP = {
    "refiner.w1": ("refiner.w1", "pose to features"),
    "refiner.batch_norm1": ("refiner.batch_norm1", "their normalisation"),
    "refiner.linear_stages.0": ("refiner.linear_stages.0", "first stage"),
    "refiner.w2": ("refiner.w2", "its pose"),
    "refiner.w3": ("refiner.w3", "that pose to features"),
    "refiner.batch_norm3": ("refiner.batch_norm3", "their normalisation"),
    "refiner.linear_stages.1": ("refiner.linear_stages.1", "second stage"),
    "refiner.w4": ("refiner.w4", "the refined pose"),
    "input_mean": ("input_mean", "of the poses to refine, metres"),
    "input_std": ("input_std", "their standard deviation"),
    "target_mean": ("target_mean", "of the labels, metres"),
    "target_std": ("target_std", "their standard deviation"),
}
_MAPS = {"learnable": KEY_MAP, "epipolar": EPIPOLAR_MAP, "refiner": REFINER_MAP}
_AUTHORS = {
    "learnable": "Learnable Triangulation",
    "epipolar": "EpipolarPose",
    "refiner": "EpipolarPose's refiner",
}
# Ours, with one channel per joint, or one for every layer of its volume, along the first axis.
_PER_JOINT = (
    "backbone.final_layer.",
    "backbone.alg_confidences.head.4.",
    "volume_net.output_layer.",
    "depth_layer.",
)
_COLOURS, _HEAT_MAPS = "backbone.conv1.weight", "backbone.final_layer."


@dataclass(frozen=True)
class Source:
    """Initial weights."""

    # what they are
    words: str
    tensors: dict[str, Tensor]
    # whose joints the channels are
    skeleton: Skeleton
    # the colour order of the images; None: the same as the method's, or none
    bgr: bool | None
    # whose names go through a map: one of _MAPS, or nobody's
    released: str = ""
    # joints may be fewer or more: the loader's rule for 2D files holds
    only_backbone: bool = False

    # what the user should know
    notes: tuple[str, ...] = ()

    @staticmethod
    def of_file(words: str, file: ReleasedWeights) -> "Source":
        """Released weights as a source of initial values.

        The joints of Learnable Triangulation are LEARNABLE_17, however many channels a file of the 2D network has.

        Args:
            words: What the file is, for messages.
            file: The weights.

        Returns:
            The source.
        """
        skeleton = EPIPOLAR_16 if file.of == "refiner" else LEARNABLE_17
        if file.of == "epipolar":
            skeleton = {16: EPIPOLAR_16, 17: H36M_17}[VOLUMES[len(file.tensors[f"{_HEAT_MAPS}weight"])]]
        return Source(words, file.tensors, skeleton, file.bgr, file.of, file.only_backbone, file.notes)


@dataclass
class Report:
    """What became of every name, on both sides."""

    source: str
    # weights of the method that were set
    used: list[str] = field(default_factory=list)
    # names of the source, and why
    ignored: dict[str, str] = field(default_factory=dict)
    # names of both whose shapes differ
    mismatched: dict[str, str] = field(default_factory=dict)
    # weights of the method that keep their own initialisation
    started: list[str] = field(default_factory=list)
    # weights, among those used, of which some joints keep theirs
    partial: list[str] = field(default_factory=list)
    # what the user should know
    notes: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, object]:
        """For init.json."""
        return asdict(self)

    def summary(self) -> str:
        """One line of counts."""
        return (
            f"from {self.source}: {len(self.used)} weights used, {len(self.ignored)} ignored, "
            f"{len(self.mismatched)} of another shape, {len(self.started)} initialised anew"
        )

    def lines(self) -> list[str]:
        """The summary, then the names by module, then notes."""
        groups = {
            "used": self.used,
            "ignored": self.ignored,
            "other shape": self.mismatched,
            "anew": self.started,
        }
        named = [f"  {title}: {_collapsed(list(names))}" for title, names in groups.items() if names]
        return [self.summary(), *named, *(f"  {note}" for note in self.notes)]


def initialise(method: nn.Module, skeleton: Skeleton, source: Source, *, bgr: bool = False) -> Report:
    """Copy into a method those weights of a source that match by name and shape.

    Channels of joints are brought to the method's order. Where the colour orders differ, the channels of the first
    convolution are reversed.

    Args:
        method: The method, changed in place.
        skeleton: Skeleton of the method.
        source: The initial weights.
        bgr: Whether the method's images are blue, green, red.

    Returns:
        What became of every weight.

    Raises:
        InputError: No weight fits, the residual networks differ in depth or width, or the channels of joints cannot be
            matched.
    """
    check_depth(method, source)
    report, state = Report(source.words, notes=list(source.notes)), method.state_dict()
    offered = _mapped(source, report)
    rows = check_joints(method, skeleton, source)
    for name, tensor in offered.items():
        if name not in state:
            report.ignored[name] = "this method has no such weight"
            continue
        given = _per_joint(name, tensor, state[name], rows, source, report)
        if given is None:
            report.mismatched[name] = f"{len(tensor)} channels there, of joints that nobody names"
            continue
        if given.shape != state[name].shape:
            report.mismatched[name] = f"{_shape(tensor)} there, {_shape(state[name])} here"
            continue
        if name == _COLOURS and source.bgr is not None and source.bgr != bgr:
            given = given.flip(1)
            report.notes.append(_turned(source.bgr))
        with torch.no_grad():
            state[name].copy_(given)
        report.used.append(name)
    taken = set(report.used)
    report.started = [name for name in state if name not in taken]
    if not report.used:
        raise InputError(
            f"nothing in {source.words} fits {type(method).__name__}: none of its {len(source.tensors)} names has the "
            f"shape that is needed ({_collapsed(list(source.tensors))}). Is it a file of another method, or of "
            f"another depth?"
        )
    return report


def _mapped(source: Source, report: Report) -> dict[str, Tensor]:
    """The source by our names; what is not in the map goes into the report."""
    if not source.released:
        return source.tensors
    found = {}
    modules = _MAPS[source.released]
    for name, tensor in source.tensors.items():
        module = next((theirs for theirs in modules if f"{name}.".startswith(f"{theirs}.")), None)
        if module is None:
            report.ignored[name] = f"not a name of {_AUTHORS[source.released]}"
        else:
            found[modules[module][0] + name.removeprefix(module)] = tensor
    return found


def check_depth(method: nn.Module, source: Source) -> None:
    """Refuse weights of a residual network of another depth or width: most of the method would stay random.

    Args:
        method: The method.
        source: The initial weights.

    Raises:
        InputError: Naming the depth and width of both.
    """
    theirs, ours = trunk_shapes(source.tensors), trunk_shapes(method.state_dict())
    for name in sorted(theirs.keys() & ours.keys()):
        found, wanted = theirs[name], ours[name]
        if found != wanted:
            depth = f" --method.depth {found.depth}" if found.depth != wanted.depth and found.depth else ""
            width = f" --method.trunk {found.channels}" if found.channels != wanted.channels else ""
            remedy = f"Build the method with{depth}{width}, or name" if depth or width else "Name"
            raise InputError(
                f"{source.words} holds a {found}, and this method has a {wanted}: some names are the same in both, and "
                f"the rest would stay random. {remedy} weights of a {wanted}."
            )


def check_joints(method: nn.Module, skeleton: Skeleton, source: Source) -> list[int | None]:
    """For every joint of the method, its channel in the source; None where the source has no such joint.

    Args:
        method: The method.
        skeleton: Skeleton of the method.
        source: The initial weights.

    Returns:
        One index per joint.

    Raises:
        InputError: The method's weights are not arranged by joint, and the source has other joints than `skeleton`.
    """
    theirs = source.skeleton
    per_joint = any(name.startswith(_PER_JOINT) for name in method.state_dict())
    if not per_joint and theirs.joints != skeleton.joints:
        raise InputError(
            f"{source.words} has the joints of '{theirs.name}', and this method those of '{skeleton.name}': its "
            f"weights do not say which numbers belong to which joint. Start from a run on the same skeleton; a session "
            f"is trained on that of the run with --data.skeleton {theirs.name}."
        )
    return [theirs.joints.index(joint) if joint in theirs.joints else None for joint in skeleton.joints]


def _per_joint(
    name: str, given: Tensor, own: Tensor, rows: list[int | None], source: Source, report: Report
) -> Tensor | None:
    """Channels by joint, in the method's order; other weights as they are; None where the joints are not known."""
    layers = len(own) // len(rows) if own.ndim else 0  # channels of a joint
    if not name.startswith(_PER_JOINT) or given.shape[1:] != own.shape[1:] or len(own) != layers * len(rows):
        return given
    if layers > 1 or source.released == "epipolar":
        return _by_blocks(name, given, own, rows, source, report)
    two_d = source.only_backbone and name.startswith(_HEAT_MAPS)
    if len(given) != len(source.skeleton) and not two_d:
        return None
    given_rows = [None if row is None or row >= len(given) else row for row in rows]
    answer = own.clone()
    if two_d and len(given) != len(source.skeleton):
        # the authors' loader: everything anew, then the first filters that there are
        nn.init.xavier_uniform_(answer) if answer.dim() > 1 else nn.init.zeros_(answer)
    for joint, row in enumerate(given_rows):
        if row is not None:
            answer[joint] = given[row]
    found = len(given_rows) - given_rows.count(None)
    if found < len(given_rows):
        report.partial.append(name)
    if name.endswith("weight") and (two_d or found < len(given_rows)):
        report.notes.append(_joints(name, found, len(given_rows), len(given), source))
    return answer


def _by_blocks(
    name: str, given: Tensor, own: Tensor, rows: list[int | None], source: Source, report: Report
) -> Tensor:
    """As many channels of each joint as its volume has layers; weights of other numbers of layers as they are.

    A heat map fills every layer of its joint's volume: columns and rows are then known, and only depth is to learn."""
    answer = own.unflatten(0, (len(rows), -1)).clone()
    flat = name.startswith(_HEAT_MAPS) and len(given) == len(source.skeleton) and not source.only_backbone
    if not flat and len(given) * len(rows) != len(own) * len(source.skeleton):
        return given
    theirs = given.unflatten(0, (len(source.skeleton), -1))
    if flat and name.endswith("weight"):
        report.notes.append(
            f"{name.removesuffix('.weight')}: a heat map of the source fills all {answer.shape[1]} layers of its joint"
        )
    for joint, row in enumerate(rows):
        if row is not None:
            answer[joint] = theirs[row]
    found = len(rows) - rows.count(None)
    if found < len(rows):
        report.partial.append(name)
    if name.endswith("weight") and found < len(rows):
        report.notes.append(_joints(name, found, len(rows), len(source.skeleton), source))
    return answer.flatten(0, 1)


def _joints(name: str, found: int, joints: int, channels: int, source: Source) -> str:
    module = name.removesuffix(".weight")
    words = f"{module}: {found} of {joints} joints start from filters of the source, which has {channels}"
    if source.only_backbone:
        words += (
            f"; the file does not name its joints, and the first are taken for those of {source.skeleton.name}. "
            f"Heat maps mean nothing before they were trained on"
        )
    return f"{words}."


def _turned(bgr: bool) -> str:
    theirs, ours = ("BGR", "RGB") if bgr else ("RGB", "BGR")
    words = f"the weights expect {theirs} and this method gives {ours}: the first convolution's colours were reordered."
    if bgr:
        words += (
            " Mean and standard deviation of the colours, half pixels and the released DLT still differ, so errors are "
            "not those published; to have these, without training, build the method with --method.released-numerics."
        )
    return words


def _shape(tensor: Tensor) -> str:
    return " × ".join(str(size) for size in tensor.shape) or "one number"


def _collapsed(names: list[str], most: int = 16) -> str:
    """Names by module, the first two parts, with their numbers."""
    counts = Counter(
        ".".join(name.split(".")[:2]) if name.count(".") > 1 else name.split(".")[0] for name in names
    )
    shown = [f"{module} {count}" for module, count in counts.items()]
    return ", ".join(shown[:most] + [f"and {len(shown) - most} more"] * (len(shown) > most))
