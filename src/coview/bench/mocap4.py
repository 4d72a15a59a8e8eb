"""`coview bench mocap4`: recipes × inputs × cameras × seeds, trained, measured on three rings, kept in one table.

A run folder per training under `out`; whatever is finished there is not trained again, and what was
interrupted goes on. docs/results/mocap4.md says what is measured.
"""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import torch

from coview import recipes
from coview.bench.machine import commit, forget_peak, machine, peak_mb
from coview.bench.measure import measure
from coview.bench.outlook import Outlook
from coview.bench.results import COLUMNS, KEY, Row, key_of, put_rows, read_rows
from coview.data.base import InMemory
from coview.data.mocap.clips import data_folder, read_clips
from coview.data.mocap.mocap4 import INPUTS, VIEWS, Mocap4Config, Ring
from coview.errors import InputError, UnknownNameError
from coview.formats.io.atomic import write_text
from coview.formats.io.text import read_json
from coview.methods.mcss import McssConfig
from coview.methods.mcss_lifting import McssLiftingConfig
from coview.metrics.detection import head_size_rule
from coview.skeletons import Skeleton
from coview.training.device import check_device
from coview.training.evaluation.scoring import how_scored
from coview.training.recipe import Recipe
from coview.training.run import load_run, train
from coview.training.run_folder import CHECKPOINT, RECORD, difference

RINGS: tuple[Ring, ...] = get_args(Ring)
WITH_RATES: Ring = "same"  # where 2D refinement is judged: the views it learned with
_CANONICAL = (McssConfig, McssLiftingConfig)
COST = "cost.json"  # of a run: what its training took, and on which machine

Tell = Callable[[str], None]
_Tests = Callable[[Mocap4Config, Ring], InMemory]


@dataclass(frozen=True)
class Settings:
    """What to run; empty means all that there is."""

    # default: every recipe whose name ends in _mocap4
    recipes: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ("exact", "detected")
    # cameras that training sees
    views: tuple[int, ...] = (VIEWS,)
    seeds: tuple[int, ...] = (0, 1, 2)
    rings: tuple[str, ...] = RINGS
    out: Path = Path("runs/bench")
    results: Path = Path("results/mocap4.csv")
    # prepared motion; default: where `coview data prepare` puts it
    folder: Path | None = None
    # default: each recipe's own
    steps: int | None = None
    # of the network; default: each recipe's own
    width: int | None = None
    # default: each recipe's own
    device: str | None = None
    # train again where a folder holds a run of a recipe that was changed since
    overwrite: bool = False


@dataclass(frozen=True)
class Job:
    """One training."""

    name: str
    input: str
    recipe: Recipe
    # the recipe's
    data: Mocap4Config
    folder: Path

    @property
    def width(self) -> int | str:
        """Width of the network; empty where the method has none."""
        return getattr(self.recipe.method, "width", "")

    @property
    def words(self) -> str:
        """The job in words: recipe, input, seed, cameras."""
        cameras = "" if self.data.views == VIEWS else f" from {self.data.views} cameras"
        return f"{self.name} {self.input} seed {self.recipe.seed}{cameras}"

    @property
    def finished(self) -> bool:
        """Whether the folder holds a finished run."""
        return (self.folder / RECORD).is_file()

    @cached_property
    def stale(self) -> bool:
        """Whether the folder holds a run with other settings."""
        return bool(difference(self.folder, self.recipe))

    def key(self, ring: str) -> tuple[str, ...]:
        """Key of the job's row in the table.

        Args:
            ring: Cameras of the test.

        Returns:
            The cells, in the order of `KEY`.
        """
        recipe = self.recipe
        numbers = (str(self.width), str(recipe.steps), str(self.data.views))
        return (self.name, self.input, str(recipe.seed), ring, *numbers)


def run_mocap4(settings: Settings, tell: Tell) -> list[str]:
    """Train and measure whatever the table lacks.

    Ctrl-C leaves everything resumable.

    Args:
        settings: What to run.
        tell: Is given one line per run.

    Returns:
        Runs that failed (loss not finite, out of memory), in words; the others are not affected.

    Raises:
        UnknownNameError: Before any training: a recipe is not known.
        InputError: Before any training: an input, a ring or a seed is not known, a recipe is of other data, or a folder
            holds another run.
        MissingFileError: The data is not prepared.
    """
    _check_names(settings)
    jobs = plan(settings)
    _check_jobs(jobs, settings)
    outlook, failures, code = Outlook(tell, len(jobs)), [], commit()
    tests = _tests()
    for number, job in enumerate(jobs):
        try:
            new = _train(job, settings, code)
            rows = _measured(job, settings, tests, new)
        except RuntimeError as error:
            failures.append(f"{job.words}: {error}")
            tell(f"[{number + 1}/{len(jobs)}] {failures[-1]}")
            continue
        seconds = float(read_json(job.folder / RECORD)["seconds"])
        outlook.done(job.name, job.recipe.steps, seconds)
        left = [(other.name, other.recipe.steps) for other in jobs[number + 1 :] if not other.finished]
        outlook.line(number, f"{job.words}: {_result(rows, seconds, new)}", left)
    return failures


def plan(settings: Settings) -> list[Job]:
    """Every training, seed by seed, so that a benchmark stopped early has one seed of everything.

    Args:
        settings: What to run.

    Returns:
        The jobs, in order.

    Raises:
        InputError: A recipe cannot be compared in this benchmark.
    """
    names = settings.recipes or tuple(name for name in recipes.names() if compared(name))
    return [
        _job(name, kind, seed, views, settings)
        for seed in settings.seeds
        for views in settings.views
        for kind in settings.inputs
        for name in names
    ]


def compared(name: str) -> bool:
    """Whether a recipe learns from this data and predicts poses in camera axes.

    Args:
        name: Name of the recipe.

    Returns:
        True where it is part of the benchmark by default.
    """
    return name.endswith("_mocap4") and not isinstance(recipes.load(name).method, _CANONICAL)


def _job(name: str, kind: str, seed: int, views: int, settings: Settings) -> Job:
    recipe = recipes.load(name)
    if isinstance(recipe.method, _CANONICAL):
        raise InputError(
            f"recipe '{name}' predicts canonical poses, and the benchmark compares poses in camera axes, which have an "
            f"azimuth to find: the numbers would not be alike. Measure it with benchmarks/mcss.py."
        )
    if not isinstance(recipe.data, Mocap4Config):
        raise InputError(
            f"recipe '{name}' learns from {type(recipe.data).__name__}, and numbers of the benchmark compare "
            f"only where all learn from Mocap4Config. Choose among the recipes ending in _mocap4."
        )
    # the noise keeps its seed, so that every run is tested on the same pixels
    folder = settings.folder or recipe.data.folder
    data = replace(recipe.data, noise=INPUTS[kind], folder=folder, views=views)
    method = recipe.method
    if settings.width is not None:
        method = replace(method, width=settings.width)
    recipe = replace(
        recipe,
        data=data,
        method=method,
        seed=seed,
        steps=recipe.steps if settings.steps is None else settings.steps,
        device=settings.device or recipe.device,
    )
    width = getattr(method, "width", 0)
    run = f"{kind}_seed{seed}_width{width}_steps{recipe.steps}{'' if views == VIEWS else f'_views{views}'}"
    return Job(name, kind, recipe, data, settings.out / name / run)


def _check_names(settings: Settings) -> None:
    for what, given, valid in (("input", settings.inputs, INPUTS), ("ring", settings.rings, RINGS)):
        unknown = [name for name in given if name not in valid]
        if unknown or not given:
            raise InputError(f"mocap4 has no {what} '{''.join(unknown[:1])}'. Known: {', '.join(valid)}.")
    for what, number in (("steps", settings.steps), ("width", settings.width)):
        if number is not None and number < 1:
            raise InputError(f"{what} must be at least 1, got {number}. Leave it out for each recipe's own.")
    if not settings.views or len(set(settings.views)) < len(settings.views):
        raise InputError(
            f"views are different numbers of cameras, at least one number; got {settings.views}."
        )
    if not settings.seeds or min(settings.seeds) < 0 or len(set(settings.seeds)) < len(settings.seeds):
        raise InputError(f"seeds are different whole numbers from 0 up, at least one; got {settings.seeds}.")


def _check_jobs(jobs: list[Job], settings: Settings) -> None:
    """What would otherwise come to light hours later."""
    if not jobs:
        raise UnknownNameError(
            "no recipe whose name ends in _mocap4 comes with this version; name one with --recipes."
        )
    for folder in {data_folder(job.data.folder) for job in jobs}:
        read_clips(folder, "train")
    read_rows(settings.results)
    for device in {job.recipe.device for job in jobs if not job.finished}:
        check_device(device)
    stale = [job for job in jobs if job.stale]
    if stale and not settings.overwrite:
        raise InputError(
            f"{stale[0].folder} (and {len(stale) - 1} more) holds a run of '{stale[0].name}' with other settings: "
            f"the recipe was changed since. Train these again with --overwrite, or choose another folder with --out."
        )


def _tests() -> _Tests:
    """Test instants by input and ring; each is made once."""
    made: dict[Mocap4Config, InMemory] = {}

    def tests(data: Mocap4Config, ring: Ring) -> InMemory:
        config = replace(data, ring=ring, split="test", views=VIEWS)  # whatever training sees
        if config not in made:
            made[config] = config.validation()
        return made[config]

    return tests


def _train(job: Job, settings: Settings, code: str) -> bool:
    """Train, and note what it took; False where the run was finished before."""
    overwrite = job.stale and settings.overwrite
    if job.finished and not overwrite:
        return False
    resumed = (job.folder / CHECKPOINT).is_file() and not overwrite
    forget_peak()
    train(job.recipe, job.folder, overwrite=overwrite)
    device = read_json(job.folder / RECORD)["device"]
    cost = {
        "date": date.today().isoformat(),
        "commit": code,
        "machine": machine(device),
        "peak_mb": f"{peak_mb(device):.0f}",
        "notes": "went on after an interruption: peak memory is that of its last part" if resumed else "",
    }
    write_text(job.folder / COST, json.dumps(cost, indent=1))
    return True


def _measured(job: Job, settings: Settings, tests: _Tests, new: bool) -> list[Row]:
    """Rows of a finished run, from the table or, where they are not there, by measuring."""
    there = {key_of(row): row for row in read_rows(settings.results)}
    keys = [job.key(ring) for ring in settings.rings]
    if not new and all(key in there and _whole(there[key]) for key in keys):
        return [there[key] for key in keys]
    run = load_run(job.folder)
    on_gpu = run.record["device"].startswith("cuda") and torch.cuda.is_available()
    method = run.method.to(run.record["device"] if on_gpu else "cpu")
    rows = []
    for ring in RINGS:
        if ring in settings.rings:
            data = tests(job.data, ring)
            numbers = measure(method, data, rates=ring == WITH_RATES and job.data.views == VIEWS)
            rows.append(_row(job, ring, run.record, numbers, data))
    put_rows(settings.results, rows)
    return rows


def _whole(row: Row) -> bool:
    """Whether a row has what is measured today: PSS came later than N-MPJPE."""
    return bool(row.get("pss_50") or not row.get("n_mpjpe_mm"))


def _row(job: Job, ring: Ring, record: dict[str, Any], numbers: dict[str, float], data: InMemory) -> Row:
    """One line of the table, as text; what is not known is blank."""
    cost = job.folder / COST
    row = dict(zip(KEY, job.key(ring), strict=True)) | {
        "parameters": str(record["parameters"]),
        "batch": str(job.recipe.batch_size),
        "precision": job.recipe.precision,
        "seconds": f"{record['seconds']:.1f}",
        "instants": str(len(data)),
        "mirror_flipped": {True: "yes", False: "no"}.get(record["facts"].get("mirror_flipped"), ""),
        "mirrored": {True: "yes", False: "no", None: ""}[is_mirrored(numbers)],
        "joints": f"{len(data.skeleton) - 1} joints of {data.skeleton.name} but the root; P- and CPS all of them",
        "alignment": _alignment(data.skeleton),
        "head_size": head_size_rule(data.skeleton) if "jdr_all_before" in numbers else "",
        "notes": "" if cost.is_file() else "what the training took was not noted",
    }
    row |= {name: "" if math.isnan(value) else f"{value:.3f}" for name, value in numbers.items()}
    row |= read_json(cost) if cost.is_file() else {"date": date.today().isoformat()}
    return {name: row.get(name, "") for name in COLUMNS}


def is_mirrored(numbers: dict[str, float]) -> bool | None:
    """Whether a run converged to a reflection: most poses are mirrored in depth, or opposite.

    Args:
        numbers: Metrics of the run.

    Returns:
        None where neither share is known, as for poses that are not in camera axes.
    """
    shares = [numbers[name] for name in ("mirrored_percent", "opposite_percent") if name in numbers]
    finite = [share for share in shares if not math.isnan(share)]
    return max(finite) > 50 if finite else None


def _alignment(skeleton: Skeleton) -> str:
    words = how_scored({"n_mpjpe_mm": 0.0, "p_mpjpe_mm": 0.0}, skeleton)
    return f"N-: {words['n_mpjpe_mm']}; P-: {words['p_mpjpe_mm']}"


def _result(rows: Iterable[Row], seconds: float, new: bool) -> str:
    errors = " / ".join(f"{row['ring']} {float(row['n_mpjpe_mm'] or 'nan'):.1f}" for row in rows)
    return f"{f'{seconds:.0f} s' if new else 'was there'}, N-MPJPE {errors} mm"
