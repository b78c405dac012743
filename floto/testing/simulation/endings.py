"""The outcome of each attempt: the user's, by task id or type name, else success, unless a fault occurs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve

from floto.core.engine.deadlines import LONGEST_RUN
from floto.core.payloads import payload
from floto.core.spec.activity_timeouts import without_timeouts
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.rules.wait_limits import wait_limit_of
from floto.core.spec.tasks import Task, TaskCodec, is_task
from floto.core.state.failures import joined_details
from floto.core.state.state import Kind
from floto.core.swf.events import ActivityTaskScheduled, WorkflowExecutionStarted
from floto.core.swf.reserved_names import NOT_SERVED, SPEC_KEY
from floto.core.swf.service import PolledActivityTask
from floto.core.user_calls import caller
from floto.core.visible import encodable, shorten_middle
from floto.simulated_activity import SimulatedActivity, calling
from floto.testing.simulation.activity_names import activity_names
from floto.testing.simulation.fault_injector import FaultInjector
from floto.testing.simulation.outcomes import (
    SUCCESS,
    USUAL,
    ActivitiesError,
    Activity,
    Ending,
    How,
    Outcome,
    times_out,
)
from floto.testing.simulation.result import AttemptKey
from floto.testing.simulation.timeouts import NoSuchTimeout, possible_timeouts, seconds, timeout_after_crash

#: Returns the spec of a child; None if it has none.
FindSpec = Callable[[], DeciderSpec | None]

#: The end of the wait for a signal that does not arrive.
_NEVER = Ending(how=How.TIMES_OUT)


class Endings:
    """Decides how attempts end, and records it in ``noted``.

    Args:
        activities: Outcomes and functions by task id, or else by the name of the type.
        given: Recorded endings of another simulation; they take precedence.
        codec: Codec for tasks that functions of generators return.
        injector: Decides which faults occur.
        spec: The spec of the main run.
        children: Specs of children that carry none, by type name.
    """

    def __init__(  # noqa: PLR0913 - the parts of a simulation
        self,
        activities: Mapping[str, Activity],
        given: Mapping[AttemptKey, Ending],
        codec: TaskCodec,
        injector: FaultInjector,
        *,
        spec: DeciderSpec,
        children: Mapping[str, DeciderSpec],
    ) -> None:
        for name, activity in activities.items():
            _check(name, activity)
        self._activities, self._given, self._codec, self._injector = activities, given, codec, injector
        self._children = children
        #: The names that belong to activities rather than to types of children with a spec, or to signals.
        self._taken = activity_names((spec, *children.values()), children) if activities else frozenset()
        self.noted: dict[AttemptKey, Ending] = {}
        #: The task ids and type names that were looked up.
        self.looked_up: set[str] = set()

    @property
    def has_any(self) -> bool:
        """True if ``activities`` has any entries."""
        return bool(self._activities)

    def of_activity(self, key: AttemptKey, data: ActivityTaskScheduled) -> Ending | None:
        """Return how an attempt ends, or None where a function is to be called."""
        ending = self._given.get(key)
        if ending is None and not self._injector.is_done:
            ending = self._not_served() or self._timed_out(data) or self._failed(key)
        return self._note(
            key, ending or self._declared(key, self._find(key.task_id, data.activity_type.name))
        )

    def is_given(self, key: AttemptKey, type_name: str, spec: FindSpec) -> bool:
        """Return True if an outcome or a function is given for a child.

        Args:
            key: The attempt that started the child.
            type_name: The name of the child's type.
            spec: Returns the child's spec.
        """
        return key in self._given or self._find_of_child(key.task_id, type_name, spec) is not None

    def of_child(self, key: AttemptKey, start: WorkflowExecutionStarted, spec: FindSpec) -> Ending:
        """Return how a child ends that runs no spec; raises ``NoSuchTimeout`` if it cannot time out.

        Args:
            key: The attempt that started the child.
            start: The data of the child's WorkflowExecutionStarted event.
            spec: Returns the child's spec.
        """
        entry = self._find_of_child(key.task_id, start.workflow_type.name, spec)
        ending = self._given.get(key) or self._failed(key) or self._declared(key, entry)
        if ending is None:
            ending = self._call(key.task_id, entry, start.input)
        lasts = seconds(start.execution_start_to_close_timeout)
        if ending.how is How.TIMES_OUT and (lasts is None or lasts >= LONGEST_RUN.total_seconds()):
            raise NoSuchTimeout(key.task_id, ending.timeout_type, (), Kind.CHILD)
        self._note(key, ending)
        return ending

    def of_signal(self, task: Task) -> Ending | None:
        """Return how the wait of a task for its signal ends; None if that is not given.

        Raises:
            ActivitiesError: The outcome is not one of a signal.
        """
        signal_name = task.key[1]
        self.looked_up |= {task.id_, signal_name}
        name = task.id_ if task.id_ in self._activities else signal_name
        given = self._activities.get(name)
        if given is None or (name != task.id_ and name in self._taken):
            return None
        where = f"activities[{name!r}] is for signal {signal_name!r} of task {task.id_!r}"
        if given in (times_out(), times_out(None)):
            if wait_limit_of(task) is None:
                msg = f"{where}: it is {given!r}, and task {task.id_!r} has no timeout; set its timeout"
                raise ActivitiesError(msg)
            return _NEVER
        if not isinstance(given, Outcome) or given.first or given.last.how is not How.SUCCEEDS:
            msg = f"{where}, and must be returns(...), takes(...) or times_out(), not {given!r:.80}"
            raise ActivitiesError(msg)
        return given.last

    def signal_input(self, task: Task) -> Any:
        """Return the input of the signal that a task waits for."""
        ending = self.of_signal(task)
        return {"said": task.key[1]} if ending is None or ending.value is USUAL else ending.value

    def call(self, key: AttemptKey, task: PolledActivityTask) -> Ending:
        """Call the function of an activity as a worker does, and return how the attempt ends."""
        activity = SimulatedActivity(task)
        with calling(activity):
            function = self._find(key.task_id, task.activity_type.name)
            ending = self._call(key.task_id, function, task.input)
        if activity.details and ending.how is How.FAILS:
            ending = evolve(ending, details=_with_checkpoint(ending.details, activity.details))
        self._note(key, ending)
        return ending

    def text(
        self,
        ending: Ending,
        task_id: str,
        input: str | None = None,
        default_tasks: Sequence[Task] | None = None,
    ) -> str:
        """Return the result of an attempt as JSON text; raises ``PayloadError``.

        Args:
            ending: How the attempt ends.
            task_id: Id of the task.
            input: The text of its input.
            default_tasks: What a generator returns by default; None if the task is not a generator.
        """
        value = _default_result(task_id, input, default_tasks) if ending.value is USUAL else ending.value
        value = self._plain(value)
        return payload.dumps(value, f"the result of task {task_id!r}")

    def _note(self, key: AttemptKey, ending: Ending | None) -> Ending | None:
        if ending is not None:
            self.noted[key] = ending
        return ending

    def _not_served(self) -> Ending | None:
        if self._injector.occurs("gives_back"):
            return Ending(how=How.FAILS, reason=NOT_SERVED, details="a worker of another version")
        return None

    def _timed_out(self, data: ActivityTaskScheduled) -> Ending | None:
        possible = possible_timeouts(data)
        if possible and self._injector.occurs("times_out"):
            names = tuple(possible)
            return Ending(how=How.TIMES_OUT, timeout_type=names[self._injector.choices.pick(len(names))])
        if "HEARTBEAT" in possible and self._injector.occurs("loses_heartbeat"):
            return Ending(how=How.TIMES_OUT, timeout_type="HEARTBEAT", is_late=True)
        if self._injector.occurs("loses_worker"):
            noticed = timeout_after_crash(possible)
            if noticed is None:
                return Ending(how=How.FAILS, reason="Lost", details="its worker died")
            return Ending(how=How.TIMES_OUT, timeout_type=noticed)
        return None

    def _failed(self, key: AttemptKey) -> Ending | None:
        for fault, reason in (("fails", "Passing"), ("fails_for_good", "Final")):
            if self._injector.occurs(fault):
                return Ending(how=How.FAILS, reason=reason, details=f"attempt {key.attempt}")
        return None

    def _declared(self, key: AttemptKey, given: Activity | None) -> Ending | None:
        if given is None:
            return SUCCESS
        return given.ending(key.attempt) if isinstance(given, Outcome) else None

    def _find(self, task_id: str, type_name: str) -> Activity | None:
        self.looked_up |= {task_id, type_name}
        named = self._activities.get(task_id)
        return self._activities.get(type_name) if named is None else named

    def _find_of_child(self, task_id: str, type_name: str, spec: FindSpec) -> Activity | None:
        """Return the entry that applies to a child, if its names do not belong to activities."""
        found = self._find(task_id, type_name)
        inner = None if found is None else spec()
        if inner is None:
            return found
        nested = activity_names((inner,), self._children)
        if task_id in self._activities and task_id not in nested:
            return self._activities[task_id]
        # A generator may have returned the child, so that ``_taken`` lacks the names in its spec.
        return None if type_name in self._taken | nested else self._activities.get(type_name)

    def _call(self, task_id: str, function: Activity | None, input: str | None) -> Ending:
        call = caller(function) if callable(function) else None
        if call is None:
            return SUCCESS
        try:
            value = call(_context(input))
            value = asyncio.run(_awaited(value)) if inspect.isawaitable(value) else value
            ending = Ending(value=self._plain(value))
            self.text(ending, task_id)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - any error of the function is a failure of the attempt
            return Ending(how=How.FAILS, reason=type(error).__name__, details=_message(error))
        return ending

    def _plain(self, value: Any) -> Any:
        """Return a function's result with the tasks in it as JSON."""
        if not isinstance(value, list | tuple | Iterator):
            return value
        return [self._codec.unstructure(each) if is_task(each) else each for each in value]


def _check(name: str, activity: Any) -> None:
    if not isinstance(activity, Outcome) and (not callable(activity) or caller(activity) is None):
        problem = "must be an outcome such as fails(2), or a function that takes 'context' or nothing"
        msg = f"activities[{name!r}] {problem}, not {activity!r:.80}"
        raise ActivitiesError(msg)


def _context(input: str | None) -> Any:
    """Return the context in an input, without the time-outs for a worker and the spec for a decider."""
    context = without_timeouts(payload.loads(input))
    if isinstance(context, dict):
        context = {name: value for name, value in context.items() if name != SPEC_KEY}
    return context or {}


async def _awaited(value: Any) -> Any:
    return await value


def _default_result(task_id: str, input: str | None, default_tasks: Sequence[Task] | None) -> Any:
    """Return a default result that names the task; for a generator, tasks: those in its input come first."""
    context = payload.loads(input)
    given = context.get("activity_task") if isinstance(context, dict) else None
    if isinstance(given, dict) and "tasks" in given and (given["tasks"] or not default_tasks):
        return given["tasks"]
    return {"by": task_id} if default_tasks is None else default_tasks


def _with_checkpoint(message: str, checkpoint: str) -> str:
    """Return the details of a failure as a worker reports them: the next attempt finds the checkpoint."""
    room = payload.LIMIT - len(joined_details("", "", checkpoint))
    return joined_details(shorten_middle(message, room), "", checkpoint)


def _message(error: BaseException) -> str:
    return encodable(str(error))
