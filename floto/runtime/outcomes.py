"""What came of an activity, in the words SWF has for it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any

from attrs import frozen

from floto.core import payload, reference
from floto.core.errors import PayloadsNeeded
from floto.core.ports import ActivityTask, Service
from floto.core.reference import Store
from floto.core.specs import CODEC
from floto.core.stored import limit_of
from floto.core.tasks import TaskCodec
from floto.runtime.activities import Activities, Canceled, Registered, RunningActivity, running

log = logging.getLogger("floto.activity")

#: Characters SWF takes in the reason of a failure.
REASON_LIMIT = 256


@frozen
class Completed:
    """The activity returned; ``result`` is JSON text."""

    result: str

    def report(self, service: Service, token: str) -> None:
        """Tell the service."""
        service.respond_activity_task_completed(token, self.result)


@frozen
class Failed:
    """The activity raised, or could not be run."""

    reason: str
    details: str

    def report(self, service: Service, token: str) -> None:
        """Tell the service."""
        service.respond_activity_task_failed(token, self.reason, self.details)


@frozen
class Stopped:
    """The activity stopped because it was asked to."""

    details: str | None

    def report(self, service: Service, token: str) -> None:
        """Tell the service."""
        service.respond_activity_task_canceled(token, self.details)


Outcome = Completed | Failed | Stopped


def perform(
    activities: Activities, current: RunningActivity, codec: TaskCodec = CODEC, payloads: Store | None = None
) -> Outcome:
    """Run an activity task; whatever happens in it becomes its outcome."""
    found = activities.find(current.task.activity_type)
    if found is None:
        return _unknown(activities, current.task)
    try:
        with running(current):
            value = found(_context(current.task, payloads))
            return Completed(_encoded(found, value, codec, payloads))
    except BaseException as error:  # noqa: BLE001 - sys.exit() in an activity is a failure like any other
        return _raised(current, error)


def _context(task: ActivityTask, payloads: Store | None) -> Any:
    context = payload.loads(task.input)
    if context is None:
        return {}
    # Before the activity begins: it gets plain values, to copy and to write, and what is missing or
    # damaged fails the task by name instead of raising wherever the activity first looks at it.
    if payloads is not None:
        budget = reference.Budget(f"the input of task {task.activity_id!r}", size=limit_of(payloads))
        return reference.resolved(context, payloads.get, budget)
    wanted = next(reference.stored(context), None)
    if wanted is not None:
        what = f"the input of task {task.activity_id!r}"
        raise PayloadsNeeded(what, json.dumps(wanted))
    return context


def _encoded(found: Registered, value: Any, codec: TaskCodec, payloads: Store | None) -> str:
    what = f"the result of activity {found.type.name!r} version {found.type.version!r}"
    if not found.generates:
        return reference.dumps(value, what, payloads)
    if not isinstance(value, Iterable):
        msg = f"a generator returns a list of tasks, not {value!r:.80}"
        raise TypeError(msg)
    return reference.dumps([codec.unstructure(task) for task in value], what, payloads)


def _unknown(activities: Activities, task: ActivityTask) -> Failed:
    known = ", ".join(f"{known.name} {known.version}" for known in activities.types) or "none"
    name, version = task.activity_type.name, task.activity_type.version
    log.error("task %s: no activity %r version %r is registered", task.activity_id, name, version)
    details = f"no activity {name!r} version {version!r} is registered with this worker; registered: {known}"
    return Failed("UnknownActivity", cut(details, payload.LIMIT))


def _raised(current: RunningActivity, error: BaseException) -> Outcome:
    message = cut(_message(error), payload.LIMIT)
    if isinstance(error, Canceled) and current.cancel_requested:
        log.info("activity %s stopped: %s", current.id, message)
        return Stopped(message or None)
    log.warning("activity %s failed", current.id, exc_info=error)
    return Failed(cut(type(error).__name__, REASON_LIMIT), message)


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an error that cannot be shown must not cost the task its report
        text = "its message cannot be shown"
    return text.encode(errors="replace").decode()


def cut(text: str, limit: int) -> str:
    """A text of at most ``limit`` characters: its beginning and its end, where most messages say it all."""
    if len(text) <= limit:
        return text
    gap = f" ... {len(text):,} characters ... "
    head = (limit - len(gap)) * 3 // 4
    return text[:head] + gap + text[len(text) - (limit - len(gap) - head) :]
