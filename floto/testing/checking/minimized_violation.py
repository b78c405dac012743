"""The error that ``check`` raises: a violation with the smallest case that still shows it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from attrs import define, field

from floto.core.errors import SpecError
from floto.core.visible import shell_command
from floto.files import write_file
from floto.testing.invariants.violation import Violation
from floto.testing.printing.reproduction import Reproduction
from floto.testing.printing.source import ReportWriter


@define(eq=False)
class MinimizedViolation(Violation):
    """A violation that ``check`` found and minimised; ``str`` explains it."""

    reproduction: Reproduction = field(kw_only=True)
    #: Path of the pytest file, once it is saved.
    saved: Path | None = field(default=None, kw_only=True)

    @classmethod
    def of(cls, violation: Violation, reproduction: Reproduction) -> MinimizedViolation:
        """Return a violation with the reproduction of its smallest case."""
        return cls(
            violation.invariant,
            violation.sentence,
            violation.spec,
            violation.history,
            violation.decisions,
            violation.codec,
            reproduction=reproduction,
        )

    def as_pytest(self) -> str:
        """Return a pytest file that fails for as long as the invariant is broken.

        Kinds, strategies, activities and properties of your own are imported from where they are declared.

        Raises:
            SpecError: One of them cannot be imported, such as one that is declared in a function.
        """
        return self.reproduction.as_pytest()

    def timeline(self) -> str:
        """Return a timeline in plain characters: up to the decision, or of every execution."""
        return self.reproduction.timeline()

    def save(self, path: str | Path | None, directory: Path) -> None:
        """Write the pytest file to a path, relative to ``directory``; None writes none."""
        if path is None:
            return
        try:
            text = self.as_pytest()
        except SpecError:
            return
        # The violation matters more than the file, which is printed where it cannot be written.
        with suppress(OSError):
            write_file(directory / path, text.encode())
            self.saved = Path(path)

    def __str__(self) -> str:
        """Return the problem, the timeline, and how to reproduce it."""
        spec, again = self._reproduced()
        parts = [super().__str__(), spec, self.timeline(), again]
        if self.reproduction.note:
            parts.append(self.reproduction.note)
        if not self.reproduction.is_smallest:
            parts.append("There may be a smaller case: the budget was used up (shrink_budget).")
        return "\n\n".join(part for part in parts if part)

    def _reproduced(self) -> tuple[str, str]:
        """Return the smallest spec, unless the file shows it, and how to reproduce the violation."""
        if self.saved is not None:
            return self._spec(), f"To see it again: {shell_command('pytest', arguments=[str(self.saved)])}"
        try:
            return "", f"To see it again, as a file for pytest:\n\n{self.as_pytest()}"
        except SpecError as error:
            return self._spec(), f"It cannot be written as a file for pytest: {error}"

    def _spec(self) -> str:
        """Return the smallest spec as code; nothing if it is nested too deeply for that."""
        with suppress(RecursionError):
            return ReportWriter().assigned("spec", self.reproduction.spec)
        return ""
