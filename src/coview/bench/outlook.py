"""How far a bench is, and when it will be done."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import mean

from coview.progress import duration


class Outlook:
    """Learns from what runs took how long those to come will take."""

    def __init__(self, tell: Callable[[str], None], total: int) -> None:
        self.tell, self.total = tell, total
        self._paces: dict[str, list[float]] = defaultdict(list)  # recipe: seconds per step

    def done(self, recipe: str, steps: int, seconds: float) -> None:
        """A run of that recipe took so long."""
        self._paces[recipe].append(seconds / steps)

    def seconds_left(self, to_come: Sequence[tuple[str, int]]) -> float:
        """For runs given as (recipe, steps): at the pace of that recipe, or of all where it is new.

        NaN where nothing is known yet and something is to come."""
        every = [pace for paces in self._paces.values() for pace in paces]
        if not every:
            return float("nan") if to_come else 0.0
        return sum(steps * mean(self._paces.get(recipe) or every) for recipe, steps in to_come)

    def line(self, number: int, words: str, to_come: Sequence[tuple[str, int]]) -> None:
        """Say that run `number` (from 0) is done, and how long the rest will take."""
        left = f"; about {duration(self.seconds_left(to_come))} to go" if to_come else ""
        self.tell(f"[{number + 1}/{self.total}] {words}{left}")
