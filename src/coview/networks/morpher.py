"""The residual network that maps 2D poses of one skeleton definition to another. [Wandt21], skeleton morphing"""

from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn

from coview.errors import InputError, MissingFileError
from coview.networks.lifter import Residual

# of the weights in a run of SkeletonMorphing
_PREFIX = "morpher."


class Morpher(nn.Module):
    """2D poses W to W + g(W), root-centred and of unit norm.

    Initialised as the identity (ours: g's last layer is zero).

    Args:
        joints: number of joints.
        width: of the hidden layers."""

    def __init__(self, joints: int, width: int) -> None:
        super().__init__()
        self.entry = nn.Linear(2 * joints, width)
        self.inner = nn.Sequential(Residual(width), Residual(width))
        self.exit = nn.Linear(width, 2 * joints)
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)

    def forward(self, joints2d: Float[Tensor, "*batch joints 2"]) -> Float[Tensor, "*batch joints 2"]:
        """Morphed poses of about unit norm, in the same unit. The root may leave the origin.

        Args:
            joints2d: root-centred, of unit norm."""
        # planar: all x, then all y, as in the lifter
        change = self.exit(self.inner(self.entry(joints2d.mT.flatten(-2))))
        return joints2d + change.unflatten(-1, (2, -1)).mT


def load_morpher(run: Path, joints: int) -> Morpher:
    """The frozen network of a finished run of SkeletonMorphing.

    Args:
        run: run folder.
        joints: number of joints that it must have.

    Raises:
        FileNotFoundError: `run` holds no finished run.
        ValueError: it is a run of another method or of another number of joints."""
    from safetensors.torch import load_file

    if not (run / "run.json").is_file():
        raise MissingFileError(
            f"{run} holds no finished run of SkeletonMorphing (run.json is not there), and a model that morphs "
            f"its input cannot do without. Train it with `coview train skeleton_morphing --out {run}`."
        )
    weights = load_file(run / "weights.safetensors")
    own = {name.removeprefix(_PREFIX): value for name, value in weights.items() if name.startswith(_PREFIX)}
    if "entry.weight" not in own:
        raise InputError(f"{run} is a run of another method: SkeletonMorphing is needed to morph skeletons.")
    width, numbers = own["entry.weight"].shape
    if numbers != 2 * joints:
        raise InputError(
            f"{run} morphs poses of {numbers // 2} joints, and these have {joints}. Train it on the skeleton of "
            f"the lifter."
        )
    morpher = Morpher(joints, width)
    # assigned, so that it works where nothing is given memory
    morpher.load_state_dict(own, assign=True)
    return morpher.requires_grad_(False)
