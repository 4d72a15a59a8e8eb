"""The LightningModule that trains any method, giving it only the fields that it declares."""

import math
import time
from typing import Any

import torch
from jaxtyping import Float
from lightning import LightningModule
from torch import Tensor

from coview.data.base import Instants
from coview.data.loading import Batches, InOrder, at_once
from coview.errors import InputError
from coview.methods.shared.base import Fact, Method
from coview.sample import MultiView
from coview.training.checkpoint_io import RUN, fast_forwarded
from coview.training.evaluation.scoring import Score
from coview.training.gradient_accumulation import Parts
from coview.training.optimisation import IN_A_ROW, Guard, parameter_groups
from coview.training.processes import gathered, same_everywhere
from coview.training.recipe import Recipe

# training instants that a method may read to resolve ambiguities
_AMBIGUITY_INSTANTS = 256
# torch 2.13 fails on a tensor indexed by randperm with it
_COMPILED: dict[str, Any] = {"pattern_matcher": False}


# between the seeds of two parts of one step; a prime, far from the factor of the recipe's seed
_PART = 7_368_787


class Diverged(InputError, RuntimeError):
    """The loss or its gradients are not finite: settings or data are to be changed, found out while running."""


def check_finite(method: Method[Any], recipe: Recipe) -> None:
    """Check that all weights are finite.

    Args:
        method: The method after training.
        recipe: Its recipe, for the message.

    Raises:
        Diverged: A weight is NaN or infinite.
    """
    broken = [name for name, weight in method.state_dict().items() if not bool(weight.isfinite().all())]
    if broken:
        raise Diverged(
            f"after the last update {len(broken)} weights are not finite, for example {broken[0]}. The run is of no "
            f"use; use a smaller learning_rate than {recipe.learning_rate}, or look at the data."
        )


class Learner(LightningModule):
    """Glue: losses, optimiser, history. What step `n` does depends on the recipe and `n` alone."""

    def __init__(self, method: Method[Any], recipe: Recipe, data: Instants) -> None:
        super().__init__()
        self.method, self.recipe = method, recipe
        self.data = data.only(method.needs | recipe.augment.reads | recipe.batching.reads)
        self.batches = Batches(self.data, recipe.batch_size, recipe.seed, 0, recipe.steps, recipe.batching)
        self.facts: dict[str, Fact] = {}
        # whether weights, moments and facts are all those of `step`, so that a checkpoint may be made of them
        self.consistent = False
        self._sums, self._diagnostics = Sums(), Sums()
        self._guard, self._skipped = Guard(), 0
        self._ambiguity_steps = ambiguity_steps(recipe)
        # not the network of joints: its products are slower compiled than called. Of images, it is all that counts
        compiled = recipe.compile and "images" not in method.needs
        self._losses = torch.compile(method.losses, options=_COMPILED) if compiled else method.losses
        self._score = Score(data.skeleton)
        self._earlier = 0.0
        self._started = time.monotonic()

    @property
    def step(self) -> int:
        """Updates done, counting those before an interruption."""
        return self.global_step

    @property
    def seconds(self) -> float:
        """Of training, counting those before an interruption."""
        return self._earlier + time.monotonic() - self._started

    def fit_statistics(self) -> None:
        """Let the method look at the training data once, where it asks for that."""
        if type(self.method).fit_statistics is not Method.fit_statistics:
            self.method.fit_statistics(InOrder(self.data, at_once(self.data)))

    def train_dataloader(self) -> Parts:
        """The batches of all steps, cut into what this process works through at a time."""
        return Parts(self.batches, self.recipe.accumulate, self.global_rank, self.trainer.world_size)

    def forward(self, batch: MultiView) -> Any:
        """Predict from the method's inputs alone."""
        return self.method(batch.only(self.method.inputs))

    def training_step(self, batch: MultiView, batch_idx: int) -> Tensor:
        """The sum of the loss terms of one part of a batch.

        The random generators are seeded by step and part, so that a resumed run draws what an uninterrupted one draws.
        """
        accumulate = self.recipe.accumulate
        step, part = self.step, self.global_rank * accumulate + batch_idx % accumulate
        self.method.progress = step / self.recipe.steps
        # seeded by the step, so that a run interrupted and resumed draws what it would have drawn
        reseed(self.recipe.seed * 1_000_003 + step + part * _PART, self.device)
        batch = self.recipe.augment(batch).only(self.method.needs)
        terms = self._losses(self(batch), batch)
        values = torch.stack(list(terms.values()))
        self._sums.add(tuple(terms), values.detach())
        if diagnostics := self.method.diagnostics:
            self._diagnostics.add(tuple(diagnostics), torch.stack(list(diagnostics.values())).detach())
        return values.sum()

    def on_train_batch_start(self, batch: MultiView, batch_idx: int) -> None:
        """Set the learning rate of the coming update."""
        rate = learning_rate(self.recipe, self.step)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate * group["factor"]

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradients, and have the update skipped where they are not finite; one norm serves both.

        Args:
            optimizer: The optimiser whose parameters hold the gradients.
            gradient_clip_val: Largest norm of all gradients as one vector; None or 0: unlimited.
            gradient_clip_algorithm: Not used: always by norm.
        """
        self.consistent = False
        self._guard.check(optimizer, gradient_clip_val or 0.0)

    def on_train_batch_end(self, outputs: Any, batch: MultiView, batch_idx: int) -> None:
        """After each update: resolve ambiguities and log a row, at the steps where these are due."""
        if (batch_idx + 1) % self.recipe.accumulate:
            return
        step = self.step
        if step in self._ambiguity_steps:
            self._resolve_ambiguity()
        if step % self.recipe.log_every == 0 or step == self.recipe.steps:
            self._log_row()
        self.consistent = True

    def validation_step(self, batch: MultiView, _: int) -> None:
        """Add a batch to the validation metrics."""
        self._score.update(self(batch), batch)

    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics."""
        scores = {f"validation/{name}": value for name, value in self._score.compute().items()}
        self._score = Score(self.data.skeleton)
        self._log({"seconds": round(self.seconds, 3), **scores})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam with the recipe's settings and the method's rates per module."""
        rate, decay = self.recipe.learning_rate, self.recipe.weight_decay
        return torch.optim.Adam(parameter_groups(self.method), lr=rate, weight_decay=decay, fused=True)

    def on_train_start(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()
        self.consistent = True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add seconds and facts, which only the learner knows, to the checkpoint.

        Args:
            checkpoint: The checkpoint being made.
        """
        self._note_skipped()
        checkpoint[RUN] = {"seconds": self.seconds, "facts": dict(self.facts)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore seconds and facts, and put where Lightning looks for it what follows from recipe and step.

        Args:
            checkpoint: What `SafetensorsIO.load_checkpoint` read.
        """
        self._earlier, self.facts = checkpoint[RUN]["seconds"], dict(checkpoint[RUN]["facts"])
        settings = self.configure_optimizers().state_dict()["param_groups"]
        checkpoint["optimizer_states"][0]["param_groups"] = settings
        loop = self.trainer.fit_loop.state_dict()
        checkpoint["loops"] = {
            "fit_loop": fast_forwarded(loop, checkpoint["global_step"], self.recipe.accumulate)
        }

    def _note_skipped(self) -> int:
        """Keep the number of updates left out among the facts; how many were left out since the last time."""
        skipped, longest = self._guard.counts()
        if longest >= IN_A_ROW:
            raise Diverged(
                f"the gradients of {longest} updates in a row were not finite (step {self.step}). The weights are as "
                f"they were before these; use a smaller learning_rate than {self.recipe.learning_rate}, set clip_norm, "
                f"or look at the data."
            )
        new, self._skipped = skipped - self._skipped, skipped
        if new:
            self.facts["skipped_updates"] = int(self.facts.get("skipped_updates", 0)) + new
        return new

    def _resolve_ambiguity(self) -> None:
        # a few hundred instants of images are not moved to the device for nothing
        if type(self.method).resolve_ambiguity is Method.resolve_ambiguity:
            return
        size = min(_AMBIGUITY_INSTANTS, len(self.data))
        index = torch.linspace(0, len(self.data) - 1, size).round().long()
        seen = self.data[index.to(self.device)].to(self.device).only(self.method.needs)
        training = self.method.training
        self.method.eval()  # what is decided is how it predicts, not how it learns
        facts = self.method.resolve_ambiguity(seen)
        self.method.train(training)
        same_everywhere(self.method.state_dict())
        # a bit that was set once stays set: the run should say that weights were changed
        kept = {n: bool(self.facts.get(n)) or v for n, v in facts.items() if isinstance(v, bool)}
        self.facts |= facts | kept

    def _log_row(self) -> None:
        means, diagnostics = self._sums.means(), self._diagnostics.means()
        self._sums, self._diagnostics = Sums(), Sums()
        if not math.isfinite(means["loss"]):
            raise Diverged(
                f"the loss is {means['loss']} after {self.step} steps: {means}. The run cannot recover from "
                f"this; use a smaller learning_rate than {self.recipe.learning_rate}, or look at the data."
            )
        rate = learning_rate(self.recipe, self.step - 1)
        row = {"seconds": round(self.seconds, 3), "learning_rate": rate, "loss": means.pop("loss")}
        if skipped := self._note_skipped():
            row["skipped"] = skipped
        diagnostics.pop("loss")  # the sum of unlike things
        row |= {f"watch/{name}": value for name, value in diagnostics.items()}
        self._log(row | {f"train/{name}": value for name, value in means.items()})

    def _log(self, values: dict[str, float]) -> None:
        # not `self.log`: it makes float32 tensors of them, and costs some 50 µs a step and value
        for logger in self.loggers:
            logger.log_metrics(values, step=self.step)


class Sums:
    """Loss terms added up between two rows of the history, a few small operations per step.

    Steps whose loss is not finite are passed over: their updates are left out as well."""

    def __init__(self) -> None:
        self._steps: Tensor | None = None
        self._sums: dict[tuple[str, ...], Tensor] = {}  # a method may begin another stage between two rows

    def add(self, names: tuple[str, ...], values: Float[Tensor, "terms"]) -> None:
        """Add the terms of one step.

        Args:
            names: Names of the terms.
            values: The terms, in the same order, detached.
        """
        finite = values.isfinite().all()
        counted, earlier = torch.where(finite, values, 0.0), self._sums.get(names)
        self._sums[names] = counted if earlier is None else earlier.add_(counted)
        self._steps = finite.long() if self._steps is None else self._steps.add_(finite)

    def means(self) -> dict[str, float]:
        """Of every term over these steps of all processes, and of their sum as "loss"; NaN without any.

        Waits for the device, and for the other processes."""
        means: dict[str, float] = {}
        own = int(self._steps) if self._steps is not None else 0
        parts = gathered((own, {names: sums.tolist() for names, sums in self._sums.items()}))
        steps = sum(count for count, _ in parts)
        for names, sums in (each for _, part in parts for each in part.items()):
            for name, value in zip(names, sums, strict=True):
                means[name] = means.get(name, 0.0) + (value / steps if steps else math.nan)
        return {"loss": sum(means.values(), 0.0), **means}


def reseed(seed: int, device: torch.device) -> None:
    """Seed the random generators of the CPU and of one device.

    As `torch.manual_seed`, which also records a stack trace for every accelerator that is not in use: 1 ms per call.

    Args:
        seed: The seed.
        device: The device that computes.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def learning_rate(recipe: Recipe, step: int) -> float:
    """The learning rate of the update that follows `step` updates: warm-up times schedule.

    Args:
        recipe: Rate, warm-up, schedule and number of steps.
        step: Updates done.

    Returns:
        The rate of parameters whose factor is 1.
    """
    share = step / recipe.steps
    rising = min(1.0, (step + 1) / (recipe.warm_up + 1))
    if recipe.schedule == "cosine":
        falling = 0.5 * (1 + math.cos(math.pi * share))
    elif recipe.schedule == "drops":
        falling = 0.1 ** sum(share >= drop for drop in (0.3, 0.6, 0.9))
    else:
        falling = 1.0
    return recipe.learning_rate * rising * falling


def ambiguity_steps(recipe: Recipe) -> frozenset[int]:
    """The steps after which the method resolves ambiguities that gradients cannot.

    Args:
        recipe: Its `resolve_ambiguity_at` holds shares of the run.

    Returns:
        Numbers of updates, from 1 up.
    """
    return frozenset(max(1, round(share * recipe.steps)) for share in recipe.resolve_ambiguity_at)
