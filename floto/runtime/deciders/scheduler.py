"""The scheduler: decides for schedules, and for the runs that they start."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from floto.core.decide.child_requests import recorded_problem
from floto.core.decide.schedule import SCHEDULE_LIST, SCHEDULE_TYPE, view_schedule
from floto.core.errors import SpecError, UnknownResource
from floto.core.payloads.reference import Store
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC
from floto.core.spec.nested_specs import nested
from floto.core.spec.schedule import with_schedules
from floto.core.state.state import State
from floto.core.swf.decisions import Decision
from floto.core.swf.service import Service
from floto.runtime.argument_checks import checked_codec
from floto.runtime.deciders.daemon import Daemon
from floto.runtime.retrying import persist
from floto.runtime.workers.worker import POLL_SECONDS

if TYPE_CHECKING:
    from floto.runtime.metrics.metrics import Metrics

log = logging.getLogger("floto")

#: Reason of a run that a later fire of its schedule terminates.
_REASON = "overlap: a later fire of the schedule"


class Scheduler(Daemon):
    """Decides for the schedules on a task list, and for the runs with specs that they start.

    Run several schedulers, and stop or kill any of them: each fire still starts one run. For the arguments,
    see ``Daemon``.
    """

    type_: ClassVar = SCHEDULE_TYPE

    def __init__(  # noqa: PLR0913 - all of them are optional and named
        self,
        domain: str | None = None,
        task_list: str = SCHEDULE_LIST,
        *,
        service: Service | str | None = None,
        identity: str | None = None,
        codec: Codec = CODEC,
        payloads: Store | str | None = None,
        poll_seconds: float = POLL_SECONDS,
        metrics: Metrics | None = None,
    ) -> None:
        super().__init__(
            domain,
            task_list,
            service=service,
            identity=identity,
            codec=with_schedules(checked_codec(codec)),
            payloads=payloads,
            poll_seconds=poll_seconds,
            metrics=metrics,
        )

    def _decide(self, state: State) -> Sequence[Decision]:
        found = view_schedule(state, codec=self._codec)
        for workflow_id in found.terminate:
            # Before the response: a crash in between repeats the decision.
            with suppress(UnknownResource):
                persist(self._stop, self._service.terminate_workflow_execution, workflow_id, _REASON)
        for decision in found.decisions:
            if problem := recorded_problem(decision):
                log.warning("schedule %s: a signal has no effect: %s", state.execution, problem)
        return found.decisions

    def _lists(self, state: State) -> Iterable[str]:
        # Runs may be open that an earlier run of the schedule has started.
        with suppress(SpecError):
            spec = view_schedule(state, codec=self._codec).schedule.spec
            if spec is not None:
                own = state.start.task_list.name
                names = dict.fromkeys(name for _, name in nested(spec, own) if name and name != own)
                return dict.fromkeys([*super()._lists(state), *names])
        return super()._lists(state)
