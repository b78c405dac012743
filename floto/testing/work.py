"""What activities, children and signals come to: as somebody says, by task id or type, else well."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve, frozen

from floto.core import payload
from floto.core.calling import caller
from floto.core.errors import FlotoError
from floto.core.tasks import TaskCodec, is_task
from floto.testing.outcomes import SUCCESS, USUAL, Activity, Ending, How, Outcome

_REASON_LIMIT = 256


class ActivitiesError(FlotoError, TypeError):
    """What was given as an activity is neither a function nor an outcome."""


@frozen
class Work:
    """What somebody says of tasks, by task id or else by the name of the type."""

    activities: Mapping[str, Activity]
    codec: TaskCodec

    def __attrs_post_init__(self) -> None:
        for name, given in self.activities.items():
            if not isinstance(given, Outcome) and (not callable(given) or caller(given) is None):
                problem = "must be an outcome such as fails(2), or a function that takes 'context' or nothing"
                msg = f"activities[{name!r}] {problem}, not {given!r:.80}"
                raise ActivitiesError(msg)

    def ending(self, task_id: str, type_name: str, attempt: int) -> Ending | None:
        """How an attempt ends; None where a function is to be called."""
        given = self._given(task_id, type_name)
        if given is None:
            return SUCCESS
        return given.ending(attempt) if isinstance(given, Outcome) else None

    def _given(self, task_id: str, type_name: str) -> Activity | None:
        named = self.activities.get(task_id)
        return self.activities.get(type_name) if named is None else named

    def call(self, task_id: str, type_name: str, input: str | None) -> Ending:
        """What comes of calling the function of a task with its context."""
        function = self._given(task_id, type_name)
        call = caller(function) if callable(function) else None
        if call is None:
            return SUCCESS
        try:
            value = call(payload.loads(input) or {})
            value = asyncio.run(_awaited(value)) if inspect.isawaitable(value) else value
            ending = Ending(value=self._plain(value))
            self.text(ending, task_id, input)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises is its failure
            return Ending(how=How.FAILS, reason=type(error).__name__[:_REASON_LIMIT], details=_message(error))
        return ending

    def _plain(self, value: Any) -> Any:
        """What a function returned, tasks in it as JSON."""
        if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping | set | frozenset):
            value = list(value)
            return [self.codec.unstructure(each) if is_task(each) else each for each in value]
        return value

    def text(self, ending: Ending, task_id: str, input: str | None) -> str:
        """The result of an attempt as JSON text; raises ``PayloadError``."""
        return payload.dumps(self.value(ending, task_id, input), f"the result of task {task_id!r}")

    def value(self, ending: Ending, task_id: str, input: str | None) -> Any:
        """The result of an attempt."""
        return _usual(task_id, input) if ending.value is USUAL else self._plain(ending.value)


async def _awaited(value: Any) -> Any:
    return await value


def _usual(task_id: str, input: str | None) -> Any:
    """Something that names the task; of one that was given tasks, as a generator is, those tasks."""
    context = payload.loads(input)
    given = context.get("activity_task") if isinstance(context, dict) else None
    return given["tasks"] if isinstance(given, dict) and "tasks" in given else {"by": task_id}


def _message(error: BaseException) -> str:
    return str(error).encode(errors="replace").decode()[: payload.LIMIT]


def fitting(ending: Ending) -> Ending:
    """A failure in words that SWF takes."""
    return evolve(ending, reason=ending.reason[:_REASON_LIMIT], details=ending.details[: payload.LIMIT])
