"""Training steps of CanonPose beside a plain implementation of the same losses, written as in the paper.

    OMP_WAIT_POLICY=passive python benchmarks/lifting.py [--threads 2] [--steps 40] [--without-compile]

Both train the faithful network (axis-angle, orthographic) with Adam on the same 12 000 instants x 4 views,
and both must give the same loss (within 1e-4). The plain one (plain_canonpose.py) has a data set of single
samples and a data loader that collates them, calls the network view by view, and adds up the losses in
Python loops over pairs of views and over rigs: each pair for the whole batch at once ("pairs"), or sample by
sample, like the slow twin in tests/methods/test_canonpose.py ("samples, pairs"). Its Adam is torch's default.
Ours runs as users run it, with Lightning's overhead. A ratio is the median milliseconds per step of "pairs"
over those of the row; loss_ms is the loss alone, forward and backward. Each method has its own process;
the peak memory is beyond that of the data. With a GPU everything is measured there too. Appends rows to
results/lifting.csv. First-time compilation is first_step_s, and no part of the median.
Target: 5 times the throughput of the plain implementation.
"""

import argparse
import itertools
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path

import torch
from plain_canonpose import VIEWS, Lifted, by_pairs, by_samples, lifted_plainly
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from coview.bench.machine import commit, forget_peak, machine, peak_mb
from coview.bench.results import append_rows
from coview.data.base import DataConfig, InMemory
from coview.data.synthetic.recordings import SyntheticConfig
from coview.methods.canonpose import CanonPose, CanonPoseConfig
from coview.representations.cross_view_poses import permutation_within
from coview.sample import MultiView
from coview.skeletons import H36M_17
from coview.training.learner import Learner
from coview.training.recipe import Recipe
from coview.training.run import train

RESULTS = Path(__file__).resolve().parents[1] / "results" / "lifting.csv"
COLUMNS = ["date", "commit", "machine", "seed", "method", "device", "width", "batch", "steps", "step_ms"]
COLUMNS += ["instants_per_s", "ratio", "epoch_s", "loss_ms", "loss_ratio", "first_step_s", "peak_mb"]
INSTANTS, RIGS = 12_000, 4
SAMPLES, PAIRS, OURS, COMPILED = "plain: samples, pairs", "plain: pairs", "coview", "coview compiled"
TARGET = 5.0


@dataclass(frozen=True)
class Case:
    """One method in one setting."""

    method: str
    device: str
    width: int
    batch: int
    steps: int
    threads: int


@dataclass(frozen=True)
class Measured:
    """What a process answers."""

    step: float  # median seconds
    steps: int
    loss: float  # median seconds of the loss alone, forward and backward
    first: float  # seconds until the first step was done
    peak_mb: float
    machine: str


# --- data ----------------------------------------------------------------------------------------


@lru_cache
def instants() -> MultiView:
    """Every joint seen, as in the paper; confidences and rigs drawn."""
    made = SyntheticConfig(instants=1500, subjects=4).train().instants
    whole = torch.isfinite(made.joints2d).flatten(1).all(dim=1).nonzero()[:, 0]
    made = made[whole[torch.arange(INSTANTS) % len(whole)]]
    generator = torch.Generator().manual_seed(0)
    confidence = 0.3 + 0.7 * torch.rand(made.joints2d.shape[:-1], generator=generator)
    rig = torch.randint(RIGS, (INSTANTS,), generator=generator)
    return MultiView(
        H36M_17,
        joints2d=made.joints2d,
        confidence=confidence,
        image_size=made.image_size.contiguous(),
        rig=rig,
    )


@dataclass(frozen=True)
class Bench(DataConfig):
    """Those instants, without a truth to evaluate with."""

    @property
    def provides(self) -> frozenset[str]:
        return instants().fields

    def train(self) -> InMemory:
        return InMemory(instants())

    def validation(self) -> InMemory:
        return InMemory(instants()[:2])


class Single(Dataset):
    """One sample at a time: the root at the origin, the norm one, view by view."""

    def __len__(self) -> int:
        return INSTANTS

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        sample, found = instants(), {}
        for view in range(VIEWS):
            joints = sample.joints2d[index, view] - sample.joints2d[index, view, H36M_17.root_index]
            found[f"joints_{view}"] = joints / joints.norm()
            found[f"confidence_{view}"] = sample.confidence[index, view]
        return {**found, "rig": sample.rig[index]}


LOOPS = {PAIRS: by_pairs, SAMPLES: by_samples}

# --- measuring -----------------------------------------------------------------------------------


def built(case: Case) -> CanonPose:
    torch.manual_seed(0)
    return CanonPoseConfig(width=case.width).build(H36M_17).to(case.device)


def now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def plain_steps(case: Case) -> list[float]:
    """Times at which steps ended, the first of them the start."""
    method = built(case)
    rate = 1e-4
    optimiser = torch.optim.Adam(method.parameters(), lr=rate, weight_decay=1e-5)
    times = [now(case.device)]
    for batch in DataLoader(Single(), case.batch, shuffle=True):
        batch = {name: tensor.to(case.device) for name, tensor in batch.items()}
        total = LOOPS[case.method](lifted_plainly(method, batch))
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        times.append(now(case.device))
        if len(times) > case.steps:
            return times
    return times


def our_steps(case: Case) -> list[float]:
    times: list[float] = []
    begin, end = Learner.on_train_start, Learner.on_train_batch_end

    def begun(self: Learner) -> None:
        begin(self)
        times.append(now(case.device))

    def ended(self: Learner, *given: object) -> None:
        end(self, *given)
        times.append(now(case.device))

    Learner.on_train_start, Learner.on_train_batch_end = begun, ended
    recipe = Recipe(
        method=CanonPoseConfig(width=case.width),
        data=Bench(),
        steps=case.steps + 1,  # the last one looks for the mirror too, and is left out
        batch_size=case.batch,
        device=case.device,
        compile=case.method == COMPILED,
    )
    with tempfile.TemporaryDirectory() as folder:
        train(recipe, Path(folder) / "run", progress=False, checkpoint_seconds=1e9)
    return times[:-1]


def loss_seconds(case: Case) -> float:
    """Median of the loss alone, forward and backward, from a finished prediction."""
    batch = instants()[: case.batch].to(case.device)
    method = built(replace(case, width=16))
    lifted = method(batch.only(method.inputs))
    pose = lifted.canonical.detach().requires_grad_()
    rotation = lifted.ray_from_canonical.detach().requires_grad_()
    if case.method in LOOPS:
        loops = LOOPS[case.method]

        def loss() -> Tensor:
            lists = (list(t.unbind(1)) for t in (pose, rotation, lifted.observed.joints, batch.confidence))
            return loops(Lifted(*lists, rig=batch.rig))
    else:
        ours = method.losses
        if case.method == COMPILED:
            ours = Learner(
                method, Recipe(CanonPoseConfig(), Bench(), steps=1, compile=True), InMemory(batch)
            )._losses

        def loss() -> Tensor:
            predicted = replace(lifted, canonical=pose, ray_from_canonical=rotation)
            return torch.stack(list(ours(predicted, batch).values())).sum()

    return median_of(lambda: loss().backward(), case)


def median_of(work: Callable[[], object], case: Case) -> float:
    work()
    seconds = []
    for _ in range(max(3, case.steps // 2)):
        began = now(case.device)
        work()
        seconds.append(now(case.device) - began)
    return statistics.median(seconds)


def measure(case: Case) -> Measured:
    torch.set_num_threads(case.threads)
    if case.method == SAMPLES:
        case = replace(case, steps=max(3, case.steps // 10))
    instants()
    forget_peak()  # making the data takes more than holding it
    before = peak_mb(case.device)
    times = plain_steps(case) if case.method in LOOPS else our_steps(case)
    seconds = [later - earlier for earlier, later in itertools.pairwise(times)]
    settled = seconds[max(1, len(seconds) // 5) :]
    peak = peak_mb(case.device) - before
    loss = loss_seconds(case)
    return Measured(statistics.median(settled), len(settled), loss, seconds[0], peak, machine(case.device))


def check_same_loss(device: str) -> None:
    """Ours and both plain ones, from one prediction and the same permutations, within 1e-4."""
    batch = instants()[:32].to(device)
    case = Case(OURS, device, 64, 32, 1, 1)
    method = built(case)
    torch.manual_seed(1)
    with torch.no_grad():
        ours = float(sum(method.losses(method(batch.only(method.inputs)), batch).values()))
        torch.manual_seed(1)
        orders = [permutation_within(batch.rig) for _ in range(VIEWS)]
        single = Single()
        samples = {name: torch.stack([single[i][name] for i in range(32)]).to(device) for name in single[0]}
        lifted = lifted_plainly(method, samples)
        for name, loops in LOOPS.items():
            plain = float(loops(lifted, orders))
            assert abs(ours - plain) < 1e-4, f"{name}: {plain}, ours: {ours}"


def alone(case: Case) -> Measured:
    """In a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, case).result()


# --- results -------------------------------------------------------------------------------------


def row(case: Case, found: Measured, plain: Measured) -> dict[str, object]:
    values = [
        date.today().isoformat(), commit(), found.machine, 0, case.method, case.device, case.width,
        case.batch, found.steps, f"{1000 * found.step:.2f}", f"{case.batch / found.step:.0f}",
        f"{plain.step / found.step:.2f}", f"{found.step * INSTANTS / case.batch:.1f}",
        f"{1000 * found.loss:.2f}", f"{plain.loss / found.loss:.2f}", f"{found.first:.1f}",
        f"{found.peak_mb:.0f}",
    ]  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--widths", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--without-compile", action="store_true")
    parser.add_argument("--dry", action="store_true", help="write no rows")
    given = parser.parse_args()
    methods = [PAIRS, SAMPLES, OURS] + ([] if given.without_compile else [COMPILED])
    for device in ["cpu"] + (["cuda"] if torch.cuda.is_available() else []):
        check_same_loss(device)
        for width, batch in itertools.product(given.widths, given.batches):
            cases = [Case(m, device, width, batch, given.steps, given.threads) for m in methods]
            found = [alone(case) for case in cases]
            rows = [row(case, each, found[0]) for case, each in zip(cases, found, strict=True)]
            if not given.dry:
                append_rows(RESULTS, COLUMNS, rows)
            for line in rows:
                print("  ".join(f"{key}={value}" for key, value in line.items() if key not in COLUMNS[:4]))
            for name, plain in zip(methods[:2], found[:2], strict=True):
                ratio = plain.step / found[2].step
                print(f"coview is {ratio:.1f} x '{name}' (target {TARGET}: {ratio >= TARGET})", flush=True)


if __name__ == "__main__":
    main()
