"""Progress of a benchmark, and the time that it still takes."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import mean

from coview.progress import duration


class Outlook:
    """Estimates the time that the remaining runs take from the pace of those done."""

    def __init__(self, tell: Callable[[str], None], total: int) -> None:
        self.tell, self.total = tell, total
        self._paces: dict[str, list[float]] = defaultdict(list)  # recipe: seconds per step

    def done(self, recipe: str, steps: int, seconds: float) -> None:
        """Note the duration of a run.

        Args:
            recipe: Name of its recipe.
            steps: Its number of steps.
            seconds: Its duration.
        """
        self._paces[recipe].append(seconds / steps)

    def seconds_left(self, to_come: Sequence[tuple[str, int]]) -> float:
        """Estimated duration of the remaining runs, at the pace of their recipes; of new ones, at the mean pace.

        Args:
            to_come: Recipe and steps of each.

        Returns:
            Seconds; NaN where no run is done yet.
        """
        every = [pace for paces in self._paces.values() for pace in paces]
        if not every:
            return float("nan") if to_come else 0.0
        return sum(steps * mean(self._paces.get(recipe) or every) for recipe, steps in to_come)

    def line(self, number: int, words: str, to_come: Sequence[tuple[str, int]]) -> None:
        """Tell that a run is done, and how long the rest will take.

        Args:
            number: Index of the run, from 0.
            words: What to say of it.
            to_come: Recipe and steps of each remaining run.
        """
        left = f"; about {duration(self.seconds_left(to_come))} to go" if to_come else ""
        self.tell(f"[{number + 1}/{self.total}] {words}{left}")
