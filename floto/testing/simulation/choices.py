"""Every choice of a simulation is a number, and 0 is the usual: all goes well and in turn."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from attrs import frozen

#: The numbers of the choices of a simulation; those that are missing are 0, the default.
Script = tuple[int, ...]
#: Whether something happens is asked of one number of so many.
_SIDES = 256


@frozen
class Taken:
    """A number that was asked for, and how many different answers there were."""

    number: int
    options: int
    #: What was to happen or not, where that was asked.
    of: str = ""


class Choices:
    """Answers from a script of numbers; when that is over, each is 0.

    ``taken`` notes the numbers in their plainest form: they are a script of the same answers.
    """

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._numbers = iter(numbers)
        self.taken: list[Taken] = []

    @classmethod
    def seeded(cls, seed: int) -> Choices:
        """Random answers without end, the same for a seed in any process."""
        return cls(_random(seed))

    @classmethod
    def of(cls, seed: int, script: Iterable[int] | None) -> Choices:
        """Those of a script, or of a seed where there is none."""
        return cls.seeded(seed) if script is None else cls(script)

    @property
    def script(self) -> tuple[int, ...]:
        """The numbers that give these answers again."""
        return tuple(taken.number for taken in self.taken)

    def pick(self, options: int) -> int:
        """Which of so many options, counted from 0; no number is taken where there is no choice."""
        if options <= 1:
            return 0
        number = next(self._numbers, 0) % options
        self.taken.append(Taken(number, options))
        return number

    def happens(self, rate: float, of: str = "") -> bool:
        """Whether something happens that does so at a rate of 0 to 1; no number is taken for 0 and 1."""
        if rate <= 0 or rate >= 1:
            return rate >= 1
        happens = next(self._numbers, 0) % _SIDES >= _SIDES * (1 - rate)
        self.taken.append(Taken(_SIDES - 1 if happens else 0, 2, of))
        return happens


def _random(seed: int) -> Iterator[int]:
    numbers = random.Random(seed)  # noqa: S311 - for variety, not for secrets
    while True:
        yield numbers.getrandbits(16)
