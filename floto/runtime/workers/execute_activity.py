"""What came of an activity, in the words SWF has for it."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from attrs import frozen

from floto.core.errors import PayloadsNeeded, ServiceFault
from floto.core.payloads import payload, reference
from floto.core.payloads.reference import Store
from floto.core.payloads.stored import limit_of
from floto.core.spec.activity_timeouts import Timeouts, split
from floto.core.spec.decider_spec import CODEC
from floto.core.spec.tasks import TaskCodec
from floto.core.state.failures import NOT_SERVED, TRACEBACK, with_traceback
from floto.core.swf.service import PolledActivityTask, Service
from floto.runtime.workers.activities import (
    Activities,
    Canceled,
    RegisteredFunction,
    RunningActivity,
    running,
)

log = logging.getLogger("floto.activity")

#: Characters SWF takes in the reason of a failure.
REASON_LIMIT = 256
#: Characters of a refusal that a failure quotes: well below any limit of SWF, however it counts.
_REFUSAL_LIMIT = 4_000
#: Characters of a traceback in the details of a failure: the last frames say most, and histories are long.
_TRACEBACK_LIMIT = 8_000
#: A traceback that would be shorter than this is left out.
_LEAST_TRACEBACK = 200
#: Where floto's own frames are, which lead every traceback of an activity.
_OWN_FILES = str(Path(__file__).parents[1])
#: Characters that say why a task was given back; that may happen often, and histories are read whole.
_GIVEN_BACK_LIMIT = 500


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


#: Called with the time-outs of an activity, as soon as they are read.
Learn = Callable[[Timeouts], None]


def perform(
    found: RegisteredFunction,
    current: RunningActivity,
    codec: TaskCodec = CODEC,
    payloads: Store | None = None,
    learn: Learn = lambda _timeouts: None,
) -> Outcome:
    """Run an activity task; return what came of it, whatever that is."""
    try:
        with running(current):
            value = found(_context(current.task, payloads, learn))
            return Completed(_encoded(found, value, codec, payloads))
    except BaseException as error:  # noqa: BLE001 - sys.exit() in an activity is a failure like any other
        return _raised(current, error)


def _context(task: PolledActivityTask, payloads: Store | None, learn: Learn) -> Any:
    """Return what an activity is given, and tell what its input says of time-outs as soon as it is read."""
    context, timeouts = split(payload.loads(task.input))
    learn(timeouts)
    if context is None:
        return {}
    if not reference.is_stored(context):
        return _resolved(context, task, payloads)
    # Where the whole context is stored, the time-outs may be in it.
    context, stored = split(_resolved(context, task, payloads))
    if stored != Timeouts():
        learn(stored)
    return context


def _resolved(context: Any, task: PolledActivityTask, payloads: Store | None) -> Any:
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


def _encoded(found: RegisteredFunction, value: Any, codec: TaskCodec, payloads: Store | None) -> str:
    what = f"the result of activity {found.type.name!r} version {found.type.version!r}"
    if not found.generates:
        return reference.dumps(value, what, payloads)
    if not isinstance(value, Iterable):
        msg = f"a generator returns a list of tasks, not {value!r:.80}"
        raise TypeError(msg)
    return reference.dumps([codec.unstructure(task) for task in value], what, payloads)


def unknown(activities: Activities, task: PolledActivityTask, identity: str, *, sole: bool) -> Failed:
    """Return the outcome of a task that this worker has no function for.

    Another worker may have it, so the task is given back: an attempt that is not counted. Where this is the
    ``sole`` worker, no other will come, and the task has failed.
    """
    kind = task.activity_type
    known = ", ".join(f"{known.name} {known.version}" for known in activities.types) or "none"
    problem = f"no activity {kind.name!r} version {kind.version!r} is registered with this worker"
    if sole:
        return Failed("UnknownActivity", cut(f"{problem}; registered: {known}", payload.LIMIT))
    return Failed(NOT_SERVED, cut(f"{problem} ({identity}); registered: {known}", _GIVEN_BACK_LIMIT))


def refused(error: ServiceFault) -> Failed:
    """Return the outcome of an activity whose report the service refuses for what it says."""
    message = str(error).encode("ascii", "backslashreplace").decode()
    return Failed("ReportRefused", cut(message, _REFUSAL_LIMIT))


def _raised(current: RunningActivity, error: BaseException) -> Outcome:
    message = cut(_message(error), payload.LIMIT)
    if isinstance(error, Canceled) and current.cancel_requested:
        log.info("activity %s stopped: %s", current.id, message)
        return Stopped(message or None)
    log.warning("activity %s failed", current.id, exc_info=error)
    details = with_traceback(message, _traceback(error, payload.LIMIT - len(message) - len(TRACEBACK)))
    return Failed(cut(type(error).__name__, REASON_LIMIT), details)


def _traceback(error: BaseException, room: int) -> str:
    """Return the last lines of an exception's traceback, from the first frame of the activity on.

    A traceback has no values of variables, so it says nothing of the environment that the message does not.
    """
    limit = min(room, _TRACEBACK_LIMIT)
    frames = _frames_of_activity(error.__traceback__)
    if frames is None or limit < _LEAST_TRACEBACK:
        return ""
    try:
        lines = traceback.format_exception(type(error), error, frames)
    except Exception:  # noqa: BLE001 - an error that cannot be shown must not cost the task its report
        return ""
    text = "".join(lines).encode(errors="replace").decode()
    message = _message(error)
    if len(message) > _LEAST_TRACEBACK:
        # It stands before the traceback already, and must not take the place of the frames.
        text = text.replace(message, cut(message, _LEAST_TRACEBACK))
    return text if len(text) <= limit else _last_lines(text, limit)


def _last_lines(text: str, limit: int) -> str:
    head = "... the frames before are left out ...\n"
    rest = text[-(limit - len(head)) :]
    return head + rest[rest.find("\n") + 1 :]


def _frames_of_activity(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_OWN_FILES):
        frames = frames.tb_next
    return frames


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
