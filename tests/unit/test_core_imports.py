"""The core is pure, and stays so."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import floto
from floto import ActivityTask, DeciderSpec, ExponentialBackoff, History, Task, Timer, extend
from floto.testing import fails, simulate

FORBIDDEN = (
    "boto3",
    "botocore",
    "sqlite3",
    "socket",
    "threading",
    "logging",
    "random",
    "uuid",
    "subprocess",
    "asyncio",
)


def modules_after(statement: str) -> set[str]:
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_a_fresh_interpreter_loads_no_io_with_the_core() -> None:
    # attrs itself loads threading, for repr() of objects that contain themselves; what it
    # brings is not ours to keep out.
    brought = modules_after("import attrs")
    assert not set(FORBIDDEN) - {"threading"} & brought
    loaded = modules_after("import floto.core, floto.core.decide.decide, floto.core.engine.world")
    assert not set(FORBIDDEN) & (loaded - brought)


@pytest.mark.parametrize(
    ("name", "kept_out"),
    [
        ("floto; floto.run, floto.Decider, floto.ActivityWorker", ("boto3", "sqlite3")),
        ("floto.specs", FORBIDDEN),
        ("floto.specs.task, floto.specs.retry_strategy", FORBIDDEN),
        ("floto.decider", ("boto3", "botocore", "sqlite3", "rich", "click")),
        ("floto.api", ("boto3", "botocore", "sqlite3", "rich", "click")),
        ("floto.runtime.cli", ("boto3", "floto.runtime.cli.run", "floto.runtime.connect", "sqlite3")),
        ("floto.runtime.cli.start", ("asyncio", "boto3", "floto.runtime.runs.run", "rich", "sqlite3")),
    ],
)
def test_import_paths_load_only_what_they_need(name: str, kept_out: tuple[str, ...]) -> None:
    assert not set(kept_out) & (modules_after(f"import {name}") - modules_after("import attrs"))


def test_all_public_names_are_importable() -> None:
    import floto  # noqa: PLC0415 - the test is about this import

    assert all(getattr(floto, name) is not None for name in floto.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Flotto'"):
        _ = floto.Flotto


PROGRAM = """
import sys
from floto import DeciderSpec, History, decide
from floto.core.swf import wire
import json
lines = sys.stdin.read().splitlines()
armed = False
impure = {"open", "socket", "subprocess", "os", "sqlite3", "urllib", "import", "exec"}
def audit(event, args):
    if armed and event.split(".")[0] in impure:
        raise RuntimeError(f"decide is not pure: {event} {args}")
pairs = [(DeciderSpec.from_json(a), History.from_swf(json.loads(b))) for a, b in zip(lines[::2], lines[1::2])]
decide(*pairs[0])
sys.addaudithook(audit)
armed = True
answers = [decide(spec, history) for spec, history in pairs]
armed = False
for answer in answers:
    print(json.dumps([wire.decision_to_swf(decision) for decision in answer]))
"""


def test_01_decisions_are_identical_in_every_process() -> None:
    """Other hash seeds, time zones and locales change nothing, and nothing is opened on the way."""
    first = ActivityTask(
        name="work", version="v1", id_="a", retry_strategy=ExponentialBackoff(retries=9, jitter=1)
    )
    tasks: list[Task] = [
        first,
        Timer(id_="t", delay_in_seconds=1),
        ActivityTask(name="work", version="v1", requires=["a", "t"]),
    ]
    spec = DeciderSpec(activity_tasks=tasks, activity_task_list="work")
    spec_text = json.dumps(json.loads(spec.to_json()))
    simulation = simulate(spec, {"a": fails(2)}, {"ä": ["ß", 1.5]})
    lines = []
    for step in simulation.steps:
        raw = [
            {**event, "eventTimestamp": event["eventTimestamp"].timestamp()}
            for event in step.history.to_swf()
        ]
        lines += [spec_text, json.dumps(raw)]
        assert History.from_swf(raw).events == step.history.events
    runs = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            input="\n".join(lines),
            env={"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        for seed, zone, locale in (
            ("0", "UTC", "C"),
            ("1", "Asia/Tokyo", "C.UTF-8"),
            ("77", "America/Lima", "POSIX"),
        )
    ]
    assert [run.stderr for run in runs] == [""] * 3
    outputs = {run.stdout for run in runs}
    assert len(outputs) == 1
    assert outputs.pop().count("decisionType") >= 4


#: Parts of exported objects that users have no name for: they hand them on as they are.
INTERNAL = {
    *("Check", "DecisionTasks", "Lint", "Live", "Override", "Payloads", "RegisteredFunction", "RelatedRun"),
    *("SiblingCount", "SiblingGroups", "TaskTrack", "Track"),
}


def returned(value: Any) -> Iterator[str]:
    """The annotations of what a function returns, or of what the methods and fields of a class do."""
    if inspect.isfunction(value):
        yield str(value.__annotations__.get("return"))
    elif inspect.isclass(value):
        yield from (
            str(each.type) for each in getattr(value, "__attrs_attrs__", ()) if not each.name.startswith("_")
        )
        for name, member in vars(value).items():
            if not name.startswith("_"):
                yield from returned(getattr(member, "fget", None) or getattr(member, "__func__", member))


def test_every_type_that_public_signatures_return_is_exported() -> None:
    """So that users can annotate functions of their own without importing ``floto.core``."""
    lacking = set()
    for value in (getattr(floto, name) for name in floto.__all__):
        for word in re.findall(r"\w+", " ".join(returned(value))):
            named = getattr(sys.modules[getattr(value, "__module__", "floto")], word, None)
            is_ours = inspect.isclass(named) and named.__module__.startswith("floto.")
            if is_ours and named not in [getattr(each, word, None) for each in (floto, extend, floto.events)]:
                lacking.add(word)
    assert lacking == INTERNAL
