"""Execute an activity, and turn its result or exception into the outcome to report to SWF."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from attrs import frozen

from floto.core.errors import PayloadsNeeded, ServiceFault
from floto.core.payloads import payload, reference
from floto.core.payloads.reference import Store
from floto.core.payloads.stored import limit_of
from floto.core.spec.activity_timeouts import Timeouts, split_timeouts
from floto.core.spec.decider_spec import CODEC
from floto.core.spec.tasks import TaskCodec
from floto.core.state.failures import CHECKPOINT, TRACEBACK, joined_details
from floto.core.swf.limits import REASON_LIMIT
from floto.core.swf.reserved_names import NOT_SERVED
from floto.core.swf.service import PolledActivityTask, ReportsActivities
from floto.core.visible import encodable, shorten_middle
from floto.files import OWN_FILES
from floto.runtime.retrying import refusal
from floto.runtime.workers.activities import Activities, RegisteredFunction
from floto.runtime.workers.running_activity import Canceled, RunningActivity, running
from floto.runtime.workers.storing import DroppedAtStop

log = logging.getLogger("floto.activity")

#: Characters of a traceback in the details of a failure; the last frames are kept.
_TRACEBACK_LIMIT = 8_000
#: A traceback with less room than this, in characters, is omitted.
_LEAST_TRACEBACK = 200
#: Directories of the frames with which the traceback of an activity begins: floto's own, and asyncio's.
_OTHER_FILES = (OWN_FILES, str(Path(os.__file__).parent / "asyncio") + os.sep)
#: Characters of the details of a task that is given back; they are in the history once for each time.
_GIVEN_BACK_LIMIT = 500


@frozen
class Completed:
    """The activity returned; ``result`` is JSON."""

    result: str

    def report(self, service: ReportsActivities, token: str) -> None:
        """Tell the service."""
        service.respond_activity_task_completed(token, self.result)


@frozen
class Failed:
    """The activity raised an exception, or could not be run."""

    reason: str
    details: str

    def report(self, service: ReportsActivities, token: str) -> None:
        """Tell the service."""
        service.respond_activity_task_failed(token, self.reason, self.details)


@frozen
class Stopped:
    """The activity stopped after a cancel request."""

    details: str | None

    def report(self, service: ReportsActivities, token: str) -> None:
        """Tell the service."""
        service.respond_activity_task_canceled(token, self.details)


Outcome = Completed | Failed | Stopped


#: Called with the time-outs of an activity as soon as they are read from its input.
OnTimeouts = Callable[[Timeouts], None]


def perform(
    found: RegisteredFunction,
    current: RunningActivity,
    codec: TaskCodec = CODEC,
    payloads: Store | None = None,
    on_timeouts: OnTimeouts = lambda _timeouts: None,
) -> Outcome:
    """Run an activity task; return its outcome, also for every exception.

    Raises ``DroppedAtStop`` if the worker is stopped while ``payloads`` is unavailable: that is no failure.
    """
    try:
        with running(current):
            value = found(_context(current.task, payloads, on_timeouts))
            return Completed(_encoded(found, value, codec, payloads))
    except DroppedAtStop:
        raise
    except BaseException as error:  # noqa: BLE001 - sys.exit() in an activity is a failure like any other
        # The outcome is reported also where a handler of the user's raises.
        with contextlib.suppress(Exception):
            _log(current, error)
        return _raised(current, error)


def _log(current: RunningActivity, error: BaseException) -> None:
    if isinstance(error, Canceled) and current.cancel_requested:
        log.info("activity %s stopped: %s", current.id, shorten_middle(_message(error), payload.LIMIT))
    else:
        frames = _frames_of_activity(error.__traceback__) or error.__traceback__
        log.warning("activity %s failed", current.id, exc_info=(type(error), error, frames))


def _context(task: PolledActivityTask, payloads: Store | None, on_timeouts: OnTimeouts) -> Any:
    """Return the context of an activity; call ``on_timeouts`` as soon as its time-outs are read."""
    context, timeouts = split_timeouts(payload.loads(task.input))
    on_timeouts(timeouts)
    if context is None:
        return {}
    if not reference.is_stored(context):
        return _resolved(context, task, payloads)
    # If the whole context is stored, it may contain the time-outs.
    context, stored = split_timeouts(_resolved(context, task, payloads))
    if stored != Timeouts():
        on_timeouts(stored)
    return context


def _resolved(context: Any, task: PolledActivityTask, payloads: Store | None) -> Any:
    # Before the activity starts: it gets plain values that it may copy and change, and a missing or damaged
    # value fails the task with its name instead of raising at the first access.
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
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        msg = f"a generator must return a list of tasks, not {value!r:.80}"
        raise TypeError(msg)
    return reference.dumps([codec.unstructure(task) for task in value], what, payloads)


def unknown(activities: Activities, task: PolledActivityTask, identity: str, *, sole: bool) -> Failed:
    """Return the outcome of a task that this worker has no function for.

    Another worker may have one, so the task is given back, which does not count as an attempt. If this is the
    ``sole`` worker, the task fails.
    """
    kind = task.activity_type
    known = ", ".join(f"{known.name} {known.version}" for known in activities.types) or "none"
    problem = f"no activity {kind.name!r} version {kind.version!r} is registered with this worker"
    if sole:
        return Failed("UnknownActivity", shorten_middle(f"{problem}; registered: {known}", payload.LIMIT))
    return Failed(
        NOT_SERVED, shorten_middle(f"{problem} ({identity}); registered: {known}", _GIVEN_BACK_LIMIT)
    )


def refused(error: ServiceFault) -> Failed:
    """Return the outcome of an activity whose report the service refuses as malformed."""
    return Failed("ReportRefused", refusal(error))


def _raised(current: RunningActivity, error: BaseException) -> Outcome:
    checkpoint = current.last_details
    spare = len(CHECKPOINT) + len(TRACEBACK) + len(checkpoint) if checkpoint else 0
    message = shorten_middle(_message(error), payload.LIMIT - spare)
    if isinstance(error, Canceled) and current.cancel_requested:
        return Stopped(message or None)
    room = payload.LIMIT - len(message) - max(spare, len(TRACEBACK))
    details = joined_details(message, _traceback(error, room), checkpoint)
    return Failed(shorten_middle(type(error).__name__, REASON_LIMIT), details)


def _traceback(error: BaseException, room: int) -> str:
    """Return the last lines of an exception's traceback, from the first frame of the activity on.

    A traceback contains no values of variables, so it discloses no more of the environment than the message.
    """
    limit = min(room, _TRACEBACK_LIMIT)
    frames = _frames_of_activity(error.__traceback__)
    if frames is None or limit < _LEAST_TRACEBACK:
        return ""
    try:
        lines = traceback.format_exception(type(error), error, frames)
    except Exception:  # noqa: BLE001 - the failure is reported without a traceback
        return ""
    text = encodable("".join(lines))
    message = _message(error)
    if len(message) > _LEAST_TRACEBACK:
        # The details begin with the message already, and it must leave room for the frames.
        text = text.replace(message, shorten_middle(message, _LEAST_TRACEBACK))
    return text if len(text) <= limit else _last_lines(text, limit)


def _last_lines(text: str, limit: int) -> str:
    head = "... earlier frames omitted ...\n"
    rest = text[-(limit - len(head)) :]
    return head + rest[rest.find("\n") + 1 :]


def _frames_of_activity(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_OTHER_FILES):
        frames = frames.tb_next
    return frames


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the failure is reported without its message
        text = "its message cannot be shown"
    return encodable(text)
