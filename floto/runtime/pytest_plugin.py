"""A pytest plugin: saved histories as tests, an engine on a fresh file, and simulations.

pytest loads this module wherever floto is installed, so it imports the rest of floto only when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from floto.core.replay.saved_history import Saved
    from floto.core.spec.codec import Codec
    from floto.core.spec.decider_spec import DeciderSpec
    from floto.core.swf.service import Service
    from floto.testing import Simulation

_DIRECTORIES, _SPECS, _CODEC = "--floto-histories", "floto_specs", "floto_codec"
#: Earlier versions collect only the inner one of two directories, of which one is in the other.
_LEAST_PYTEST = 9


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take ``--floto-histories``; ``floto_specs`` and ``floto_codec`` in the configuration."""
    parser.getgroup("floto").addoption(
        _DIRECTORIES,
        action="append",
        default=[],
        metavar="DIR",
        help="Replay the saved histories in DIR as tests: floto must decide what was recorded. "
        "The option floto_specs names the spec of a workflow type; default: the spec saved with the history.",
    )
    parser.addini(
        _SPECS,
        type="linelist",
        default=[],
        help="Specs of histories, one a line: NAME:VERSION = FILE.py:name or PATTERN.json = FILE.py:name",
    )
    parser.addini(
        _CODEC,
        default="",
        help="Codec that knows types of your own, or has the store of long values: FILE.py:name",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Add the directories of histories to the paths that pytest collects."""
    if config.getoption(_DIRECTORIES) and pytest.version_tuple < (_LEAST_PYTEST,):
        version = pytest.__version__
        msg = f"{_DIRECTORIES} needs pytest {_LEAST_PYTEST}: pytest {version} may leave out other tests"
        raise pytest.UsageError(msg)
    for directory in _directories(config):
        if not directory.is_dir():
            msg = f"{_DIRECTORIES}: {directory} is not a directory"
            raise pytest.UsageError(msg)
        if str(directory) not in config.args:
            config.args.append(str(directory))


def _directories(config: pytest.Config) -> Iterator[Path]:
    for name in config.getoption(_DIRECTORIES) or ():
        yield (config.invocation_params.dir / name).resolve()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a file in one of the directories whose name ends like that of a history."""
    path = file_path.resolve()
    if not any(path.is_relative_to(each) for each in _directories(parent.config)):
        return None
    from floto.runtime.cli.source import ENDINGS

    return HistoryFile.from_parent(parent, path=file_path) if path.name.endswith(ENDINGS) else None


class HistoryFile(pytest.File):
    """A saved history."""

    def collect(self) -> Iterable[pytest.Item]:
        """Yield one test, which replays the history."""
        yield HistoryItem.from_parent(self, name="replay")


class Diverged(Exception):
    """The recorded decisions differ from those that the spec decides now."""


class HistoryItem(pytest.Item):
    """A test that the spec of a workflow still decides a saved history as it was recorded."""

    def runtest(self) -> None:
        """Replay the history; raise ``Diverged`` with the first difference."""
        from floto.core.replay.recorded_progress import recorded_progress
        from floto.core.replay.replay import replay
        from floto.core.visible import visible
        from floto.runtime.connect import saved_history

        saved, codec = saved_history(self.path), self._codec()
        source, spec = self._spec(saved, codec)
        divergence = replay(spec, saved.history, codec).divergence
        if divergence is not None:
            recorded_progress(spec, saved.history, codec)
            msg = f"{visible(self.path.name)} differs from {visible(source)}\n{divergence}"
            raise Diverged(msg)

    def _codec(self) -> Codec:
        """Return the codec that the configuration names, else floto's own."""
        from floto.core.spec.decider_spec import CODEC
        from floto.runtime.loading import load_codec

        source = self.config.getini(_CODEC)
        return load_codec(_located(source, self.config.rootpath)) if source else CODEC

    def _spec(self, saved: Saved, codec: Codec) -> tuple[str, DeciderSpec]:
        """Return the spec, and its source, from the configuration, else from the saved history."""
        from floto.core.visible import visible
        from floto.runtime.loading import load_spec, spec_with

        type_ = f"{saved.history.start.workflow_type.name}:{saved.history.start.workflow_type.version}"
        named = named_specs(self.config.getini(_SPECS))
        source = next((named[each] for each in named if fnmatch(self.path.name, each)), named.get(type_))
        if source is not None:
            return source, load_spec(_located(source, self.config.rootpath), codec)
        found = spec_with(saved, codec)
        if found is None:
            msg = (
                f"no spec is known for {visible(type_)}: "
                f"add a line '{visible(type_)} = FILE.py:name' to floto_specs, "
                "or save the history with its spec (floto history --spec)"
            )
            raise pytest.UsageError(msg)
        return "the spec that it names", found

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the message of an expected failure without floto's own traceback."""
        from floto.core.errors import FlotoError
        from floto.core.visible import visible_lines

        if isinstance(excinfo.value, Diverged | FlotoError | pytest.UsageError):
            return visible_lines(str(excinfo.value))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the file and a title."""
        return self.path, 0, f"replay of {self.path.name}"


def named_specs(lines: Iterable[str]) -> dict[str, str]:
    """Parse the lines of ``floto_specs``: specs by ``NAME:VERSION`` of a type or by pattern of file names.

    Raises ``pytest.UsageError`` for a line of another form.
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
    """Resolve the file of a source against the directory of the configuration file."""
    is_file = source.endswith(".json") or source.rpartition(":")[0].endswith(".py")
    return str(root / source) if is_file else source


@pytest.fixture
def floto_service(tmp_path: Path) -> Iterator[Service]:
    """Provide the embedded engine on a fresh file: a ``Service`` for ``floto.run``, deciders and workers."""
    from floto.runtime.connect import connect

    service = connect(f"sqlite:///{tmp_path / 'floto.db'}")
    yield service
    service.close()


_SIMULATIONS: pytest.StashKey[list[Simulation]] = pytest.StashKey()


@pytest.fixture
def floto_simulator(request: pytest.FixtureRequest) -> Callable[..., Simulation]:
    """Provide ``floto.testing.simulate``; the report of a failed test shows its timelines."""
    from floto.testing import simulate

    made: list[Simulation] = request.node.stash.setdefault(_SIMULATIONS, [])

    def simulated(*args: Any, **kwargs: Any) -> Simulation:
        made.append(simulate(*args, **kwargs))
        return made[-1]

    return simulated


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the timelines of a failed test's simulations to its report."""
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
