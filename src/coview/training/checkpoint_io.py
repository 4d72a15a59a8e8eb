"""Lightning's checkpoints in coview's format: weights and moments as safetensors, the rest as JSON, no pickle."""

from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.plugins.io import CheckpointIO

from coview.training.checkpoint import Checkpoint, flat_state, nested_state

# Where a `Learner` leaves what only it knows, in the checkpoint that Lightning hands around.
RUN = "run"
_PREFIX = "method."  # of every weight: the method is the learner's only module


class SafetensorsIO(CheckpointIO):
    """How `Trainer.save_checkpoint` writes, and `Trainer.fit(ckpt_path=...)` reads.

    Of what Lightning would pickle, the file keeps weights, moments, step, seconds and facts. The settings of the
    optimiser follow from the recipe, and the counters of the loops from the step (`Learner.on_load_checkpoint`): so
    a file does not depend on the version of Lightning, and those of earlier versions of coview are read as well."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint of Lightning in coview's format, atomically.

        Args:
            checkpoint: What `Trainer.dump_checkpoint` made, with the learner's own part under `RUN`.
            path: File to write.
            storage_options: Not used.
        """
        Checkpoint(
            step=checkpoint["global_step"],
            seconds=checkpoint[RUN]["seconds"],
            weights={name.removeprefix(_PREFIX): weight for name, weight in checkpoint["state_dict"].items()},
            optimiser=flat_state(checkpoint["optimizer_states"][0]["state"]),
            facts=checkpoint[RUN]["facts"],
        ).save(Path(path))

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a file of `save_checkpoint` into the form that Lightning expects.

        Args:
            path: File to read.
            map_location: Not used: tensors are read to the CPU.
            weights_only: Not used: nothing is pickled.

        Returns:
            The checkpoint; the learner adds loops and settings of the optimiser (`Learner.on_load_checkpoint`).

        Raises:
            InputError: The file is not a checkpoint of coview.
        """
        stored = Checkpoint.load(Path(path))
        return {
            "pytorch-lightning_version": lightning.__version__,
            "epoch": 0,
            "global_step": stored.step,
            "state_dict": {_PREFIX + name: weight for name, weight in stored.weights.items()},
            "optimizer_states": [{"state": nested_state(stored.optimiser)}],
            "lr_schedulers": [],
            RUN: {"seconds": stored.seconds, "facts": stored.facts},
        }

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint, if there is one.

        Args:
            path: File to delete.
        """
        Path(path).unlink(missing_ok=True)


def fast_forwarded(loop: dict[str, Any], step: int, parts: int) -> dict[str, Any]:
    """The state of Lightning's fit loop between two updates.

    Args:
        loop: `Trainer.fit_loop.state_dict()` of a run that has not begun.
        step: Updates done.
        parts: Batches of the loader per update (`accumulate_grad_batches`).

    Returns:
        The same with its counters as they are after `step` updates; what a loader with state holds is put there too."""
    batches = step * parts
    _count(loop["epoch_loop.batch_progress"], batches)
    _count(loop["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"], step)
    _count(loop["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["zero_grad"], step)
    # the only epoch is under way
    for progress in loop["epoch_progress"].values():
        progress |= {"ready": 1, "started": 1}
    loop["epoch_loop.state_dict"] |= {"_batches_that_stepped": step}
    loop["state_dict"] |= {"combined_loader": [{"step": step}]}
    return loop


def _count(progress: dict[str, Any], value: int) -> None:
    for counters in (progress["total"], progress["current"]):
        counters |= dict.fromkeys(counters, value)
