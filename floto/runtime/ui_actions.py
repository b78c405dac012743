"""The actions of the pages on a service: each as a command line, and carried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from attrs import define

from floto.core import strict_json
from floto.core.decide.schedule import PAUSE, RESUME, TRIGGER
from floto.core.errors import FlotoError, ServiceFault, UnknownResource
from floto.core.payloads import payload
from floto.core.replay.redrive.redrive import redrive
from floto.core.replay.redrive.redrive_plan import Redrive
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.state.fold import state_of
from floto.core.state.state import State
from floto.core.swf import wire
from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.core.swf.shapes import WorkflowExecution
from floto.pages.source import Act
from floto.runtime.cli.redrive import why_not_started
from floto.runtime.cli.signal_cancel import why_not_open
from floto.runtime.cli.target import Target, still_open
from floto.runtime.connect import domain_of
from floto.runtime.retrying import retry_read, retry_write
from floto.runtime.runs.needs import needs
from floto.runtime.runs.redriving import (
    ALREADY_STARTED,
    last_complete,
    start_redriven,
    why_not_redriven,
    with_children,
)
from floto.runtime.runs.run_request import new_workflow_id
from floto.runtime.schedules import ScheduleError, latest

Words = tuple[tuple[str, ...], tuple[str, ...]]
_SIGNALS = {"pause": PAUSE, "resume": RESUME, "trigger": TRIGGER}


@define
class ActionRefused(FlotoError):
    """An action that cannot be carried out, and why."""

    problem: str

    def __str__(self) -> str:
        """Return the problem."""
        return self.problem


class Acted(Protocol):
    """The service that actions are carried out on."""

    @property
    def client(self) -> Any:
        """The client, with boto3's methods."""
        ...

    @property
    def codec(self) -> Codec:
        """Reads specs and generated tasks."""
        ...

    def target(self, domain: str) -> Target:
        """Return a domain of the service."""
        ...

    def history(self, domain: str, run: WorkflowExecution) -> tuple[Event, ...]:
        """Return the events of a run."""
        ...

    def spec_of(self, history: History) -> DeciderSpec | None:
        """Return the spec of a run, if it is known."""
        ...


def _start(on: Acted, act: Act) -> tuple[str, str]:
    values = act.values
    workflow_id = values.get("new_workflow_id") or new_workflow_id()
    reply = on.target(act.domain).write(
        "start_workflow_execution",
        workflowId=workflow_id,
        workflowType={"name": values.get("type", ""), "version": values.get("version", "")},
        taskList={"name": values["task_list"]} if "task_list" in values else None,
        input=_input(values.get("input")),
        tagList=values["tags"].split() if "tags" in values else None,
    )
    return workflow_id, reply["runId"]


def _tell(on: Acted, act: Act, method: str, **request: Any) -> tuple[str, str]:
    there, run_id = on.target(act.domain), act.run_id or None
    try:
        there.write(method, workflowId=act.workflow_id, runId=run_id, **request)
    except UnknownResource as fault:
        raise ActionRefused(why_not_open(there, act.workflow_id, run_id)) from fault
    return act.workflow_id, act.run_id


def _signal(on: Acted, act: Act) -> tuple[str, str]:
    name, text = act.values.get("name", ""), _input(act.values.get("input"))
    return _tell(on, act, "signal_workflow_execution", signalName=name, input=text)


def _cancel(on: Acted, act: Act) -> tuple[str, str]:
    return _tell(on, act, "request_cancel_workflow_execution")


def _terminate(on: Acted, act: Act) -> tuple[str, str]:
    given = {name: act.values.get(name) for name in ("reason", "details")}
    return _tell(on, act, "terminate_workflow_execution", **given)


def planned(on: Acted, act: Act) -> tuple[Redrive, DeciderSpec, State]:
    """Return the plan of a redrive, its spec, and the state of the earlier run.

    Raises ``ActionRefused`` if the run has no tasks, or its spec is not known, and ``UnknownRun``.
    """

    def read(run: WorkflowExecution) -> History:
        return History(on.history(act.domain, run), run)

    info = on.target(act.domain).find(act.workflow_id, act.run_id or None)["executionInfo"]
    last = read(wire.read(WorkflowExecution, info["execution"]))
    state = state_of(last)
    if (problem := why_not_redriven(state)) is not None:
        raise ActionRefused(problem)
    spec = on.spec_of(last)
    if spec is None:
        problem = "the run carries no spec; name it with --spec, here or with floto redrive"
        raise ActionRefused(problem)
    history = last_complete(last, read)
    plan = partial(redrive, spec, history, rerun=act.values.get("rerun", "").split(), codec=on.codec)
    return with_children(lambda children: plan(children=children), read), spec, state


def _redrive(on: Acted, act: Act) -> tuple[str, str]:
    plan, spec, state = planned(on, act)
    url = on.target(act.domain).url
    if (problem := why_not_started(plan, state, url, act.domain)) is not None:
        raise ActionRefused(problem)
    service, needed = domain_of(on.client, act.domain), needs(spec)
    kinds = (plan.start.workflow_type, *needed.workflow_types)
    retry_read(service.prepare, kinds, needed.activity_types)
    try:
        run = start_redriven(plan, service, on.codec.store, retry_read, retry_write)
    except ServiceFault as fault:
        if fault.code != ALREADY_STARTED:
            raise
        raise ActionRefused(still_open(plan.start.workflow_id, url, act.domain)) from fault
    return run.workflow_id, run.run_id


def _tell_schedule(on: Acted, act: Act) -> tuple[str, str]:
    service = domain_of(on.client, act.domain)
    info = latest(service, act.workflow_id)
    if info.close_status is not None:
        problem = f"schedule {act.workflow_id!r} is closed: {info.close_status}"
        raise ScheduleError(problem)
    note = act.values.get("note")
    text = None if note is None else payload.dumps(note, "the note")
    service.signal_workflow_execution(act.workflow_id, _SIGNALS[act.name], text)
    return act.workflow_id, info.execution.run_id


#: Functions that carry the actions out; each returns the workflow id and run id of the run that it concerns.
DO: Mapping[str, Callable[[Acted, Act], tuple[str, str]]] = {
    "start": _start,
    "signal": _signal,
    "cancel": _cancel,
    "terminate": _terminate,
    "redrive": _redrive,
    **dict.fromkeys(_SIGNALS, _tell_schedule),
}


def _input(text: str | None) -> str | None:
    """Return the JSON of a form as SWF gets it. Unlike on a command line, @FILE names no file."""
    if text is None:
        return None
    try:
        return payload.dumps(strict_json.loads(text), "the input")
    except (ValueError, RecursionError) as error:
        problem = f"the input is not JSON: {error}"
        raise ActionRefused(problem) from None


def _run_words(act: Act) -> tuple[str, ...]:
    return (f"{act.workflow_id}@{act.run_id}" if act.run_id else act.workflow_id,)


def _options(act: Act, **names: str) -> tuple[str, ...]:
    return tuple(
        word for name, option in names.items() if name in act.values for word in (option, act.values[name])
    )


def _start_words(act: Act) -> Words:
    kind = ("--type", act.values.get("type", ""), act.values.get("version", ""))
    more = _options(act, new_workflow_id="--workflow-id", input="--input", task_list="--task-list")
    tags = (word for tag in act.values.get("tags", "").split() for word in ("--tag", tag))
    return ("start", *kind, *more, *tags), ()


def _redrive_words(act: Act) -> Words:
    rerun = (word for task in act.values.get("rerun", "").split() for word in ("--rerun", task))
    return ("redrive", *rerun), _run_words(act)


#: The words of the command line of each action, and its positional arguments.
COMMANDS: Mapping[str, Callable[[Act], Words]] = {
    "start": _start_words,
    "signal": lambda act: (
        ("signal", *_options(act, input="--input")),
        (*_run_words(act), act.values.get("name", "")),
    ),
    "cancel": lambda act: (("cancel",), _run_words(act)),
    "terminate": lambda act: (
        ("terminate", *_options(act, reason="--reason", details="--details")),
        _run_words(act),
    ),
    "redrive": _redrive_words,
    "pause": lambda act: (("schedule", "pause", *_options(act, note="--note")), (act.workflow_id,)),
    "resume": lambda act: (("schedule", "resume"), (act.workflow_id,)),
    "trigger": lambda act: (("schedule", "trigger"), (act.workflow_id,)),
}
