"""The functions a worker can run, and what a running one may ask about itself."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from attrs import frozen

from floto import logs
from floto.core.errors import FlotoError, ServiceError, ServiceGone, UnknownResource
from floto.core.spec.activity_timeouts import Timeouts
from floto.core.spec.calling import caller
from floto.core.swf import service as ports
from floto.core.swf.shapes import ActivityType, WorkflowExecution
from floto.runtime.retrying import final, is_malformed
from floto.trouble_log import trouble_log_of

F = TypeVar("F", bound=Callable[..., Any])

log = logging.getLogger("floto")

#: SWF takes this many characters with a heartbeat.
_MOST_HEARTBEAT_DETAILS = 2048
#: So many heartbeats in a row that the service is too broken for, and nobody will take the result.
_LAST_BEATS = 3


class Canceled(FlotoError):
    """Raised by an activity that stops because it was asked to; the text becomes the details."""


class NoCurrentActivity(FlotoError, RuntimeError):
    """``floto.current()`` was called in a thread that does not know which activity it works for."""


class ActivityError(FlotoError, TypeError):
    """A function that cannot be registered as an activity."""


@frozen
class RegisteredFunction:
    """A function under the activity type it implements."""

    type: ActivityType
    function: Callable[..., Any]
    #: Passes the context on in the one way the function takes it, if at all.
    call: Callable[[Any], Any]
    generates: bool = False

    def __call__(self, context: Any) -> Any:
        """What the function returns for a context; an ``async def`` is run to its end."""
        result = self.call(context)
        return asyncio.run(_awaited(result)) if inspect.isawaitable(result) else result


async def _awaited(result: Any) -> Any:
    return await result


class Activities:
    """Activities by name and version. The decorators return the function as it is."""

    def __init__(self) -> None:
        #: By type, then by domain.
        self._known: dict[ActivityType, dict[str | None, RegisteredFunction]] = {}

    def activity(self, *, name: str, version: str, domain: str | None = None) -> Callable[[F], F]:
        """Register a function, taking ``context`` or nothing, as an activity.

        ``domain`` tells functions of one name and version apart, for the workers of each domain; a worker of
        another domain, or of none, uses it where there is no other. Raises ``ActivityError``.
        """
        return self._decorator(ActivityType(name, version), domain, generates=False)

    def generator(self, *, name: str, version: str, domain: str | None = None) -> Callable[[F], F]:
        """Register a function that returns (or yields) tasks as a generator, as ``activity`` does."""
        return self._decorator(ActivityType(name, version), domain, generates=True)

    def find(self, activity_type: ActivityType, domain: str | None = None) -> RegisteredFunction | None:
        """Return the activity of a type: that of a domain, else that of no domain, else any; or None."""
        known = self._known.get(activity_type, {})
        return known.get(domain) or known.get(None) or next(iter(known.values()), None)

    @property
    def types(self) -> tuple[ActivityType, ...]:
        """Every registered type, by name and version."""
        return tuple(sorted(self._known, key=lambda known: (known.name, known.version)))

    def _decorator(
        self, activity_type: ActivityType, domain: str | None, *, generates: bool
    ) -> Callable[[F], F]:
        _check_type(activity_type)

        def register(function: F) -> F:
            call = _caller(activity_type, function)
            self._add(RegisteredFunction(activity_type, function, call, generates), domain)
            return function

        return register

    def _add(self, new: RegisteredFunction, domain: str | None) -> None:
        known = self._known.setdefault(new.type, {})
        old = known.get(domain)
        if old is not None and not _same_definition(old.function, new.function):
            where = f"{_home(old.function)[0]}.{_home(old.function)[2]}"
            msg = f"{_name(new.type)} is registered already, as {where}; give one of them another version"
            raise ActivityError(msg)
        known[domain] = new


def _name(activity_type: ActivityType) -> str:
    return f"activity {activity_type.name!r} version {activity_type.version!r}"


def _check_type(activity_type: ActivityType) -> None:
    for what, text in (("name", activity_type.name), ("version", activity_type.version)):
        if not isinstance(text, str) or not text:
            msg = f"an activity needs a {what}: @floto.activity(name='...', version='...'), not {text!r}"
            raise ActivityError(msg)


def _home(function: Callable[..., Any]) -> tuple[str, str, str]:
    code = getattr(inspect.unwrap(function), "__code__", None)
    qualname = getattr(function, "__qualname__", type(function).__qualname__)
    return str(function.__module__), "" if code is None else str(code.co_filename), qualname


def _same_definition(old: Callable[..., Any], new: Callable[..., Any]) -> bool:
    """Whether ``new`` is ``old`` imported or defined again, which replaces it as in any module."""
    (old_module, old_file, old_name), (module, file, name) = _home(old), _home(new)
    return name == old_name and (module == old_module or (bool(file) and file == old_file))


def _caller(activity_type: ActivityType, function: Callable[..., Any]) -> Callable[[Any], Any]:
    call = caller(function)
    if call is None:
        name = f"{getattr(function, '__name__', repr(function))}{inspect.signature(function)}"
        msg = f"{_name(activity_type)}: an activity takes 'context' or nothing, but this is {name}"
        raise ActivityError(msg)
    return call


#: Where ``@floto.activity`` and ``@floto.generator`` register, and workers look by default.
DEFAULT = Activities()

activity = DEFAULT.activity
generator = DEFAULT.generator


class RunningActivity:
    """The activity task that the calling code works on.

    ``record`` sends a heartbeat; ``on_lost`` is called once, in whatever thread, when the service has
    closed the task or its time is over, so that nobody waits for its result.
    """

    def __init__(
        self,
        task: ports.PolledActivityTask,
        record: Callable[[str, str | None], bool],
        on_lost: Callable[[RunningActivity], None] = lambda _activity: None,
    ) -> None:
        self._record, self._on_lost = record, on_lost
        self._began = time.monotonic()
        self._details: str | None = None
        self._broken = 0
        self.task = task
        #: Whether this activity should stop: somebody asked for it, or nobody waits for it any more.
        self.cancel_requested = False
        #: Whether the service has closed the task; its result will be dropped.
        self.gone = False
        #: Whether the result is on its way: a beat that is refused from now on says nothing.
        self.reporting = False
        #: Whether the service has closed the task while it ran.
        self.lost_to_service = False
        #: What the worker knows of the task's time-outs.
        self.timeouts = Timeouts()
        #: 1 for the first attempt at the task; None until its input is read.
        self.attempt: int | None = None

    @property
    def id(self) -> str:
        """The task's id in the spec."""
        return self.task.activity_id

    @property
    def execution(self) -> WorkflowExecution:
        """The run this activity belongs to."""
        return self.task.execution

    def logged(self) -> AbstractContextManager[None]:
        """Give the records that are logged inside the block the fields of this attempt."""
        run = self.execution
        return logs.context(run.workflow_id, run.run_id, self.id, self.attempt)

    def heartbeat(self, details: str | None = None) -> bool:
        """Say that the work goes on, with a note of at most 2,048 characters; True if it should stop."""
        if details is not None:
            # Half of a surrogate pair cannot be sent.
            self._details = details.encode(errors="replace").decode()[:_MOST_HEARTBEAT_DETAILS]
        self.beat()
        return self.cancel_requested

    def beat(self) -> bool:
        """Send the latest note again; False if the service could not be told."""
        try:
            asked = self._record(self.task.token, self._details)
        except UnknownResource:
            self.lost_to_service = not self.reporting
            self.lose("the service has closed it")
            return True
        except ServiceGone:
            self.lose("the service is gone")
            return True
        except ServiceError as error:
            if self._details is not None and is_malformed(error):
                log.warning("activity %s: the service refuses the note of a heartbeat (%s)", self.id, error)
                self._details = None
                return self.beat()
            self._broken = self._broken + 1 if final(error) else 0
            if self._broken >= _LAST_BEATS:
                self.lose(str(error))
                return True
            trouble_log_of(self._record).failed(
                "heartbeats", "activity %s: heartbeat failed (%s)", self.id, error
            )
            return False
        self._broken = 0
        trouble_log_of(self._record).over("heartbeats")
        if asked:
            self.cancel_requested = True
        return True

    def drop(self) -> None:
        """Ask the activity to stop: nobody waits for its result any more."""
        self.gone = self.cancel_requested = True

    @property
    def is_over(self) -> bool:
        """Return True if the start-to-close time-out that the worker knows is over."""
        limit = self.timeouts.start_to_close
        return limit is not None and time.monotonic() - self._began > limit

    def lose(self, why: str) -> None:
        """Give the task up: the service does not take its result any more."""
        was_gone, is_reporting = self.gone, self.reporting
        self.drop()
        if not is_reporting and not was_gone:
            log.warning("activity %s: %s; its result will be dropped", self.id, why)
            self._on_lost(self)


_CURRENT: ContextVar[RunningActivity] = ContextVar("floto_running_activity")


def current() -> RunningActivity:
    """Return the activity task that this code runs in.

    Outside of a worker, where an activity is a plain function to be tested, it is a stand-in that is never
    asked to stop. A thread that an activity starts does not know the activity, because Python gives new
    threads no context: pass it what ``current()`` returned, or start it with
    ``contextvars.copy_context().run``, which also gives its log records their fields.

    Raises:
        NoCurrentActivity: in such a thread: heartbeats of a stand-in would reach nobody.
    """
    found = _CURRENT.get(None)
    if found is not None:
        return found
    if _under_way and threading.current_thread() is not threading.main_thread():
        msg = (
            f"thread {threading.current_thread().name!r} does not know which activity it works for; call "
            "floto.current() in the activity and pass on what it returns, or start the thread with "
            "contextvars.copy_context().run"
        )
        raise NoCurrentActivity(msg)
    return RunningActivity(_NO_TASK, lambda _token, _details: False)


#: The activities that run in this process.
_under_way: dict[RunningActivity, None] = {}


_NO_TASK = ports.PolledActivityTask(
    token="",
    execution=WorkflowExecution("", ""),
    activity_id="",
    activity_type=ActivityType("", ""),
    started_event_id=0,
)


@contextmanager
def running(activity: RunningActivity) -> Iterator[None]:
    """Make ``current()`` answer with ``activity``."""
    mark = _CURRENT.set(activity)
    _under_way[activity] = None
    try:
        yield
    finally:
        del _under_way[activity]
        _CURRENT.reset(mark)
