"""The choices of a simulation: each is a number, and 0 is the default (no fault, the default order)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from attrs import frozen

#: The numbers of the choices of a simulation; those that are missing are 0, the default.
Script = tuple[int, ...]
#: ``happens`` compares a number modulo this with its rate.
_SIDES = 256


@frozen
class Taken:
    """A choice that was made: the number, and how many options there were."""

    number: int
    options: int
    #: The name of the fault that was to happen or not; empty for other choices.
    of: str = ""


class Choices:
    """Makes choices from a script of numbers; when the script is used up, each choice is 0.

    ``taken`` records the choices in their plainest form: as a script they give the same choices again.

    Args:
        numbers: The script; a number is taken modulo the count of options.
    """

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._numbers = iter(numbers)
        self.taken: list[Taken] = []

    @classmethod
    def seeded(cls, seed: int) -> Choices:
        """Return random choices without end, the same for a seed in any process."""
        return cls(_random(seed))

    @classmethod
    def of(cls, seed: int, script: Iterable[int] | None) -> Choices:
        """Return the choices of a script, or of a seed where the script is None."""
        return cls.seeded(seed) if script is None else cls(script)

    @property
    def script(self) -> tuple[int, ...]:
        """The numbers that give the same choices again."""
        return tuple(taken.number for taken in self.taken)

    def pick(self, options: int) -> int:
        """Choose one of ``options`` options, counted from 0; one option or none takes no number."""
        if options <= 1:
            return 0
        number = next(self._numbers, 0) % options
        self.taken.append(Taken(number, options))
        return number

    def happens(self, rate: float, of: str = "") -> bool:
        """Return True if something with a probability of ``rate`` happens; rates 0 and 1 take no number.

        Args:
            rate: Probability from 0 to 1.
            of: The name of the fault, for ``taken``.
        """
        if rate <= 0 or rate >= 1:
            return rate >= 1
        happens = next(self._numbers, 0) % _SIDES >= _SIDES * (1 - rate)
        self.taken.append(Taken(_SIDES - 1 if happens else 0, 2, of))
        return happens


def _random(seed: int) -> Iterator[int]:
    numbers = random.Random(seed)  # noqa: S311 - for variety, not for secrets
    while True:
        yield numbers.getrandbits(16)
