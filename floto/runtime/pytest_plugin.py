"""What floto brings to pytest: saved histories as tests, an engine on a fresh file, and simulations.

pytest loads this where floto is installed. Nothing else of floto is imported before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from floto.core.spec.decider_spec import DeciderSpec
    from floto.core.spec.saved_history import Saved
    from floto.core.swf.service import Service
    from floto.testing import Simulation

_DIRECTORIES, _SPECS = "--floto-histories", "floto_specs"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take ``--floto-histories`` on the command line and ``floto_specs`` in the configuration."""
    parser.getgroup("floto").addoption(
        _DIRECTORIES,
        action="append",
        default=[],
        metavar="DIR",
        help="Replay the saved histories in DIR as tests: floto must decide what was recorded. "
        "Which spec a workflow type has is said by floto_specs, else by the history itself.",
    )
    parser.addini(
        _SPECS,
        type="linelist",
        default=[],
        help="The specs of histories, by lines: NAME:VERSION = FILE.py:name, or PATTERN.json = FILE.py:name",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect the directories of histories beside what else was asked for."""
    for directory in _directories(config):
        if not directory.is_dir():
            msg = f"{_DIRECTORIES}: {directory} is no directory"
            raise pytest.UsageError(msg)
        if str(directory) not in config.args:
            config.args.append(str(directory))


def _directories(config: pytest.Config) -> Iterator[Path]:
    for name in config.getoption(_DIRECTORIES) or ():
        yield (config.invocation_params.dir / name).resolve()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A file in one of the directories that ends like a history is a test."""
    path = file_path.resolve()
    if not any(path.is_relative_to(each) for each in _directories(parent.config)):
        return None
    from floto.runtime.cli.source import ENDINGS

    return HistoryFile.from_parent(parent, path=file_path) if path.name.endswith(ENDINGS) else None


class HistoryFile(pytest.File):
    """A saved history."""

    def collect(self) -> Iterable[pytest.Item]:
        """One test: the history is replayed."""
        yield HistoryItem.from_parent(self, name="replay")


class Diverged(Exception):
    """What was recorded is not what would be decided now."""


class HistoryItem(pytest.Item):
    """A saved history that the spec of its workflow must decide again as it was recorded."""

    def runtest(self) -> None:
        """Replay it."""
        from floto.core.replay.replay import replay
        from floto.core.visible import visible
        from floto.runtime.connect import saved_history

        saved = saved_history(self.path)
        source, spec = self._spec(saved)
        divergence = replay(spec, saved.history).divergence
        if divergence is not None:
            msg = f"{visible(self.path.name)} differs from {visible(source)}\n{divergence}"
            raise Diverged(msg)

    def _spec(self, saved: Saved) -> tuple[str, DeciderSpec]:
        """What the configuration says of the workflow type, else what was saved with it, or within."""
        from floto.core.visible import visible
        from floto.runtime.loading import load_spec, spec_with

        start: Any = saved.history.events[0].data
        type_ = f"{start.workflow_type.name}:{start.workflow_type.version}"
        named = named_specs(self.config.getini(_SPECS))
        source = next((named[each] for each in named if fnmatch(self.path.name, each)), named.get(type_))
        if source is not None:
            return source, load_spec(_located(source, self.config.rootpath))
        found = spec_with(saved)
        if found is None:
            msg = (
                f"no spec is known for {visible(type_)}: "
                f"add a line '{visible(type_)} = FILE.py:name' to floto_specs, "
                "or save the history with its spec (floto history --spec)"
            )
            raise pytest.UsageError(msg)
        return "the spec that it names", found

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What a person needs, and no trace of floto's own code."""
        from floto.core.errors import FlotoError
        from floto.core.visible import visible_lines

        if isinstance(excinfo.value, Diverged | FlotoError | pytest.UsageError):
            return visible_lines(str(excinfo.value))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it is."""
        return self.path, 0, f"replay of {self.path.name}"


def named_specs(lines: Iterable[str]) -> dict[str, str]:
    """The specs that the configuration names, by ``NAME:VERSION`` of the workflow type or by names of files.

    Raises ``pytest.UsageError`` for a line that says something else.
    """
    found: dict[str, str] = {}
    for line in lines:
        type_, equals, source = (part.strip() for part in line.partition("="))
        if not equals or not source or not any(each in type_ for each in (":", ".json")):
            msg = (
                f"{_SPECS}: {line!r} must be NAME:VERSION = SPEC or PATTERN.json = SPEC, "
                "where SPEC is FILE.py:name, module:name or FILE.json"
            )
            raise pytest.UsageError(msg)
        found[type_] = source
    return found


def _located(source: str, root: Path) -> str:
    """A file is named from where the configuration is, wherever pytest was started."""
    is_file = source.endswith(".json") or source.rpartition(":")[0].endswith(".py")
    return str(root / source) if is_file else source


@pytest.fixture
def floto_service(tmp_path: Path) -> Iterator[Service]:
    """The embedded engine on a fresh file: a ``Service`` for ``floto.run``, deciders and workers."""
    from floto.runtime.connect import connect

    service = connect(f"sqlite:///{tmp_path / 'floto.db'}")
    yield service
    service.close()


_SIMULATIONS: pytest.StashKey[list[Simulation]] = pytest.StashKey()


@pytest.fixture
def floto_simulator(request: pytest.FixtureRequest) -> Callable[..., Simulation]:
    """``floto.testing.simulate``, whose timelines are shown where the test fails."""
    from floto.testing import simulate

    made: list[Simulation] = request.node.stash.setdefault(_SIMULATIONS, [])

    def simulated(*args: Any, **kwargs: Any) -> Simulation:
        made.append(simulate(*args, **kwargs))
        return made[-1]

    return simulated


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the timelines of what a failed test has simulated."""
    report = yield
    if report.when == "call" and report.failed:
        simulations: list[Simulation] = item.stash.setdefault(_SIMULATIONS, [])
        report.sections += [
            (f"floto simulation {number}", _timelines(made)) for number, made in enumerate(simulations, 1)
        ]
    return report


def _timelines(made: Simulation) -> str:
    from floto.core.replay.timeline import timeline
    from floto.pictures.terminal import text

    return "\n\n".join(
        text(timeline(history), info.execution.workflow_id)
        for history, info in zip(made.histories, made.infos, strict=True)
    )
