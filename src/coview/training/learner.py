"""The only LightningModule: carries any method through training, showing it only what it declares."""

import math
import time
from typing import Any

import torch
from jaxtyping import Float
from lightning import LightningModule
from torch import Tensor

from coview.data.base import InMemory
from coview.methods.base import Fact, Method
from coview.sample import MultiView
from coview.training.checkpoint import Checkpoint, optimiser_tensors, restore_optimiser
from coview.training.history import History
from coview.training.recipe import Recipe
from coview.training.scoring import Score

_REVISED_WITH = 256  # training instants that a method may look at to revise itself
_COMPILED: dict[str, Any] = {
    "pattern_matcher": False
}  # torch 2.13 fails on a tensor indexed by randperm with it


class Diverged(ValueError, RuntimeError):
    """The loss is not finite: settings or data to be changed by the caller, found out while running."""


class Learner(LightningModule):
    """Glue: losses, optimiser, history. What step `n` does depends on the recipe and `n` alone."""

    def __init__(
        self, method: Method[Any], recipe: Recipe, data: InMemory, begun: Checkpoint | None = None
    ) -> None:
        super().__init__()
        self.method, self.recipe, self.begun = method, recipe, begun
        self.data = data.only(method.needs | recipe.augment.reads)
        self.first_step = begun.step if begun else 0
        self.facts: dict[str, Fact] = dict(begun.facts) if begun else {}
        self.history = History()
        self._sums = Sums()
        self._revised_at = revised_at(recipe)
        # not the network: its products are slower compiled than called, and hooks and names stay out of it
        self._losses = torch.compile(method.losses, options=_COMPILED) if recipe.compile else method.losses
        self._score = Score(data.skeleton)
        self._earlier = begun.seconds if begun else 0.0
        self._started = time.monotonic()

    @property
    def step(self) -> int:
        """Updates done, counting those before an interruption."""
        return self.first_step + self.global_step

    @property
    def seconds(self) -> float:
        """Of training, counting those before an interruption."""
        return self._earlier + time.monotonic() - self._started

    def forward(self, batch: MultiView) -> Any:
        return self.method(batch.only(self.method.inputs))

    def training_step(self, batch: MultiView, _: int) -> Tensor:
        step = self.step
        self.method.progress = step / self.recipe.steps
        # seeded by the step, so that a run interrupted and resumed draws what it would have drawn
        reseed(self.recipe.seed * 1_000_003 + step, self.device)
        batch = self.recipe.augment(batch).only(self.method.needs)
        terms = self._losses(self(batch), batch)
        values = torch.stack(list(terms.values()))
        self._sums.add(tuple(terms), values.detach())
        return values.sum()

    def on_train_batch_start(self, batch: MultiView, batch_idx: int) -> None:
        rate = learning_rate(self.recipe, self.step)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def on_train_batch_end(self, outputs: Any, batch: MultiView, batch_idx: int) -> None:
        step = self.step
        if step in self._revised_at:
            self._revise()
        if step % self.recipe.log_every == 0 or step == self.recipe.steps:
            self._log_row()

    def validation_step(self, batch: MultiView, _: int) -> None:
        self._score.update(self(batch), batch)

    def on_validation_epoch_end(self) -> None:
        scores = {f"validation/{name}": value for name, value in self._score.compute().items()}
        self._score = Score(self.data.skeleton)
        if self.history.rows and self.history.rows[-1]["step"] == self.step:
            self.history.rows[-1].update(scores)
        else:
            self.history.rows.append({"step": self.step, "seconds": round(self.seconds, 3), **scores})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        rate, decay = self.recipe.learning_rate, self.recipe.weight_decay
        return torch.optim.Adam(self.method.parameters(), lr=rate, weight_decay=decay, fused=True)

    def on_train_start(self) -> None:
        self._started = time.monotonic()
        if self.begun:
            restore_optimiser(self.trainer.optimizers[0], self.begun.optimiser)

    def checkpoint(self) -> Checkpoint:
        """The run as it is now."""
        memory = optimiser_tensors(self.trainer.optimizers[0])
        return Checkpoint(self.step, self.seconds, self.method.state_dict(), memory, dict(self.facts))

    def _revise(self) -> None:
        size = min(_REVISED_WITH, len(self.data))
        index = torch.linspace(0, len(self.data) - 1, size).round().long()
        seen = self.data[index.to(self.device)].to(self.device).only(self.method.needs)
        training = self.method.training
        self.method.eval()  # what is decided is how it predicts, not how it learns
        facts = self.method.revise(seen)
        self.method.train(training)
        # a bit that was set once stays set: the run should say that weights were changed
        kept = {n: bool(self.facts.get(n)) or v for n, v in facts.items() if isinstance(v, bool)}
        self.facts |= facts | kept

    def _log_row(self) -> None:
        means = self._sums.means()
        self._sums = Sums()
        if not math.isfinite(means["loss"]):
            raise Diverged(
                f"the loss is {means['loss']} after {self.step} steps: {means}. The run cannot recover from "
                f"this; use a smaller learning_rate than {self.recipe.learning_rate}, or look at the data."
            )
        rate = learning_rate(self.recipe, self.step - 1)
        row = {
            "step": self.step,
            "seconds": round(self.seconds, 3),
            "learning_rate": rate,
            "loss": means.pop("loss"),
        }
        self.history.rows.append(row | {f"train/{name}": value for name, value in means.items()})


class Sums:
    """Loss terms added up between two rows of the history, one small operation per step."""

    def __init__(self) -> None:
        self.steps = 0
        self._sums: dict[tuple[str, ...], Tensor] = {}  # a method may begin another stage between two rows

    def add(self, names: tuple[str, ...], values: Float[Tensor, "terms"]) -> None:
        """The terms of one step."""
        held = self._sums.get(names)
        self._sums[names] = values.clone() if held is None else held.add_(values)
        self.steps += 1

    def means(self) -> dict[str, float]:
        """Of every term over all steps, and of their sum as "loss"; waits for the device."""
        means: dict[str, float] = {}
        for names, sums in self._sums.items():
            for name, value in zip(names, sums.tolist(), strict=True):
                means[name] = means.get(name, 0.0) + value / self.steps
        return {"loss": sum(means.values()), **means}


def reseed(seed: int, device: torch.device) -> None:
    """As `torch.manual_seed`, for the processor and `device` alone.

    The original writes down a stack trace for each kind of accelerator that is not in use: 1 ms."""
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Of the update that follows `step` updates."""
    share = step / recipe.steps
    rising = min(1.0, (step + 1) / (recipe.warm_up + 1))
    if recipe.schedule == "cosine":
        falling = 0.5 * (1 + math.cos(math.pi * share))
    elif recipe.schedule == "drops":
        falling = 0.1 ** sum(share >= drop for drop in (0.3, 0.6, 0.9))
    else:
        falling = 1.0
    return recipe.learning_rate * rising * falling


def revised_at(recipe: Recipe) -> frozenset[int]:
    """Steps after which the method may revise itself."""
    return frozenset(max(1, round(share * recipe.steps)) for share in recipe.revise_at)
