"""Single-view poses predicted by an earlier run: the input of a refinement unit.

Predicted once for each instant, and kept beside the weights that predicted them."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from coview.data.base import Instants
from coview.errors import InputError
from coview.methods.shared.base import CameraPoses
from coview.skeletons import Skeleton, skeleton_map
from coview.training.root_predictions import Guesser, Question

FOLDER = "first_guesses"  # in the folder of the run that predicts


def first_guesses(
    by: Guesser, data: Instants, identity: str, device: torch.device, skeleton: Skeleton
) -> Float[Tensor, "instants views joints 3"]:
    """Single-view poses by an earlier run, as the initial poses of a refinement method.

    Args:
        by: The earlier run.
        data: Instants to predict.
        identity: What distinguishes this data, as text, as in `Guesser.once`.
        device: Where to compute.
        skeleton: Skeleton of the answer.

    Returns:
        Root-centred poses in each camera's axes, on the CPU; NaN where there is none.

    Raises:
        InputError: The data lacks an input of the run's method, or the method predicts no pose per view.
        UnknownNameError: The run's skeleton does not give the joints of `skeleton`.
    """
    mapped = skeleton_map(by.skeleton, skeleton)

    def poses(predicted: Any) -> Tensor:
        if not isinstance(predicted, CameraPoses):
            raise InputError(
                f"first_from: {by.path} holds a {type(by.method).__name__}, which does not predict a pose for every "
                f"single view. Name a run of a method that does, as CanonPose."
            )
        joints = mapped.apply(predicted.joints3d)
        return joints - joints[..., skeleton.root_index, None, :]

    question = Question("first_guess", "first_from", "first guesses", FOLDER)
    return by.once(question, data, identity, device, poses)
