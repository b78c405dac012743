"""Random programs of SWF's operations: the engine on SQLite answers as the pure model in memory does."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from floto import History, fold
from floto.adapters import model
from floto.adapters.sqlite.operations import SqliteOperations
from floto.core.engine.api.tasks import IDLE
from floto.core.engine.stores.memory_store import MemoryStore
from floto.core.errors import ServiceFault
from floto.testing.invariants.law import check_history
from tests.integration.contract.clock import T0, Clock
from tests.integration.contract.engine_operations import EngineOperations
from tests.property.api_requests import DOMAINS, FULL_ACTIVITY, FULL_WORKFLOW, REQUESTS, decisions

#: How often each operation was answered, and how often it was refused.
ANSWERED: Counter[str] = Counter()
REFUSED: Counter[str] = Counter()

#: In seconds: the longest that a run may be open.
YEAR = 365 * 86_400

Request = dict[str, Any]
Outcome = dict[str, Any] | tuple[str, str]


class OnFile:
    """The engine on SQLite, alternately through two services on one file; either may be reopened."""

    def __init__(self, clock: Clock, path: Path) -> None:
        self._clock, self._path, self._ids = clock, path, itertools.count()
        self._services = [self._open(), self._open()]

    def _open(self) -> SqliteOperations:
        return SqliteOperations(
            self._path,
            clock=self._clock,
            durability="normal",
            poll_seconds=0,
            run_ids=lambda: f"run {next(self._ids)}",
        )

    def call(self, operation: str, request: Request) -> dict[str, Any]:
        self._services.reverse()
        return self._services[0].call(operation, request)

    def reopen(self) -> None:
        self._services[0].close()
        self._services[0] = self._open()

    def close(self) -> None:
        for service in self._services:
            service.close()


def outcome(service: EngineOperations | OnFile, operation: str, request: Request) -> Outcome:
    """Return the response of a call, or its fault."""
    try:
        return service.call(operation, request)
    except ServiceFault as fault:
        return fault.code, fault.message


class Programs(RuleBasedStateMachine):
    """Every call is made to both; the answers must be equal, and so must the histories at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._clock = Clock()
        self._directory = tempfile.TemporaryDirectory(prefix="floto-operations-")
        self._file = OnFile(self._clock, Path(self._directory.name) / "db")
        ids = itertools.count()
        self._memory = EngineOperations(MemoryStore(), self._clock, run_ids=lambda: f"run {next(ids)}")
        self._runs: dict[str, tuple[str, str]] = {}
        self._seen: dict[str, list[Any]] = {}
        self._tasks: dict[str, list[str]] = {operation: [] for operation in IDLE}
        self._spent: list[tuple[str, Request]] = []
        self._pages: list[tuple[str, Request]] = []

    def teardown(self) -> None:
        try:
            read: set[str] = set()
            # Histories contain children that no call has returned before.
            while unread := self._runs.keys() - read:
                for run_id in sorted(unread):
                    self._read(*self._runs[run_id], run_id)
                read |= unread
            self._check_that_all_runs_end()
        finally:
            self._file.close()
            self._directory.cleanup()

    def _check_that_all_runs_end(self) -> None:
        """A run that is open ends at its deadline at the latest."""
        self._clock.advance(YEAR)
        for domain in DOMAINS:
            request = {"domain": domain, "startTimeFilter": {"oldestDate": T0}}
            assert self._call("CountOpenWorkflowExecutions", request) == {"count": 0, "truncated": False}

    def _call(self, operation: str, request: Request) -> Outcome:
        answer = outcome(self._file, operation, request)
        assert answer == outcome(self._memory, operation, request)
        (ANSWERED if isinstance(answer, dict) else REFUSED)[operation] += 1
        if isinstance(answer, dict):
            self._note(operation, request, answer)
        return answer

    def _note(self, operation: str, request: Request, answer: dict[str, Any]) -> None:
        if "runId" in answer:
            self._runs[answer["runId"]] = (request["domain"], request["workflowId"])
        for event in answer.get("events", ()):
            self._note_child(request.get("domain", ""), event)
        if answer.get("taskToken"):
            self._tasks[operation].append(answer["taskToken"])
        if "nextPageToken" in answer:
            self._pages.append((operation, {**request, "nextPageToken": answer["nextPageToken"]}))

    def _note_child(self, domain: str, event: Mapping[str, Any]) -> None:
        started = event.get("childWorkflowExecutionStartedEventAttributes", {}).get("workflowExecution")
        if started is not None:
            self._runs[started["runId"]] = (domain, started["workflowId"])

    def _read(self, domain: str, workflow_id: str, run_id: str) -> None:
        """Compare the histories of a run, and each with what was read of it before."""
        execution = {"workflowId": workflow_id, "runId": run_id}
        answer = self._call("GetWorkflowExecutionHistory", {"domain": domain, "execution": execution})
        if isinstance(answer, tuple):
            assert answer[0] == "UnknownResourceFault", "a history may only be forgotten"
            return
        history = History.from_swf(answer["events"])
        check_history(history)
        fold(history)
        before = self._seen.get(run_id, [])
        assert answer["events"][: len(before)] == before, "what was written has changed"
        self._seen[run_id] = answer["events"]

    @initialize()
    def register(self) -> None:
        for domain in DOMAINS:
            self._call("RegisterDomain", {"name": domain, "workflowExecutionRetentionPeriodInDays": "3"})
            self._call("RegisterWorkflowType", {"domain": domain, **FULL_WORKFLOW})
            self._call("RegisterActivityType", {"domain": domain, **FULL_ACTIVITY})

    @rule(data=st.data(), operations=st.lists(st.sampled_from(sorted(REQUESTS)), min_size=1, max_size=6))
    def anything(self, data: st.DataObject, operations: list[str]) -> None:
        for operation in operations:
            self._call(operation, data.draw(REQUESTS[operation]))

    @rule(workflow=st.sampled_from(["w", "x"]))
    def look_around(self, workflow: str) -> None:
        """Signal and read any run that there is."""
        run = {"domain": "d", "workflowId": workflow}
        self._call("SignalWorkflowExecution", {**run, "signalName": "hello"})
        for run_id, (domain, workflow_id) in list(self._runs.items()):
            execution = {"workflowId": workflow_id, "runId": run_id}
            self._call("DescribeWorkflowExecution", {"domain": domain, "execution": execution})
        span = {"domain": "d", "startTimeFilter": {"oldestDate": T0}}
        for kind, verb in itertools.product(("Open", "Closed"), ("List", "Count")):
            self._call(f"{verb}{kind}WorkflowExecutions", span)
        for kind in ("Activity", "Decision"):
            self._call(f"CountPending{kind}Tasks", {"domain": "d", "taskList": {"name": "l"}})
        self._call("TerminateWorkflowExecution", run)

    @rule(changes=st.lists(st.sampled_from(["Deprecate", "Undeprecate"]), min_size=1, max_size=3))
    def change_a_domain(self, changes: list[str]) -> None:
        for verb in changes:
            self._call(f"{verb}Domain", {"name": "e"})
            self._call("DescribeDomain", {"name": "e"})
            self._call("ListDomains", {"registrationStatus": "DEPRECATED"})
        arn = {"resourceArn": "arn:aws:swf:us-east-1:000000000000:/domain/e"}
        self._call("TagResource", {**arn, "tags": [{"key": "1", "value": "2"}]})
        self._call("ListTagsForResource", arn)
        self._call("UntagResource", {**arn, "tagKeys": ["1", "2"]})

    @rule(kind=st.sampled_from(["Activity", "Workflow"]), domain=st.sampled_from(DOMAINS))
    def replace_a_type(self, kind: str, domain: str) -> None:
        """Deprecated, brought back, deleted and registered again: it is another type of the same name."""
        full = FULL_ACTIVITY if kind == "Activity" else FULL_WORKFLOW
        named = {"name": full["name"], "version": full["version"]}
        for verb in ("Deprecate", "Describe", "Undeprecate", "Deprecate", "Delete"):
            self._call(f"{verb}{kind}Type", {"domain": domain, f"{kind.lower()}Type": named})
        self._call(f"Register{kind}Type", {"domain": domain, **full})
        self._call(f"Describe{kind}Type", {"domain": domain, f"{kind.lower()}Type": named})
        self._call(f"List{kind}Types", {"domain": domain, "registrationStatus": "REGISTERED"})

    @rule(
        workflow=st.sampled_from(["w", "x"]),
        domain=st.sampled_from(DOMAINS),
        role=st.sampled_from([{}, {"lambdaRole": "arn:aws:iam::0:role/r"}]),
    )
    def start(self, workflow: str, domain: str, role: Request) -> None:
        type_ = {"name": FULL_WORKFLOW["name"], "version": FULL_WORKFLOW["version"]}
        request = {"domain": domain, "workflowId": workflow, "workflowType": type_, **role}
        self._call("StartWorkflowExecution", request)

    @rule(
        operation=st.sampled_from(sorted(IDLE)),
        domain=st.sampled_from(DOMAINS),
        task_list=st.sampled_from(["l", "m"]),
        page=st.sampled_from([{}, {"maximumPageSize": 2}]),
    )
    def poll(self, operation: str, domain: str, task_list: str, page: Request) -> None:
        request = {"domain": domain, "taskList": {"name": task_list}}
        self._call(operation, request | (page if operation == "PollForDecisionTask" else {}))

    @rule(
        chosen=st.lists(decisions, max_size=3),
        override=st.sampled_from(
            [
                {},
                {"taskList": {"name": "m"}},
                {"taskList": {"name": "m"}, "taskListScheduleToStartTimeout": "5"},
            ]
        ),
    )
    def decide(self, chosen: list[Request], override: Request) -> None:
        """Respond to the latest claimed decision task, or a new one."""
        if not self._tasks["PollForDecisionTask"]:
            self._poll("PollForDecisionTask")
        for token in self._tasks["PollForDecisionTask"][-1:]:
            self._answer(
                "RespondDecisionTaskCompleted", {"taskToken": token, "decisions": chosen, **override}
            )

    @rule(
        operation=st.sampled_from(
            [
                "RespondActivityTaskCompleted",
                "RespondActivityTaskFailed",
                "RespondActivityTaskCanceled",
                "RecordActivityTaskHeartbeat",
            ]
        ),
        details=st.sampled_from([{}, {"details": "half way"}]),
    )
    def work(self, operation: str, details: Request) -> None:
        if not self._tasks["PollForActivityTask"]:
            self._poll("PollForActivityTask")
        for token in self._tasks["PollForActivityTask"][-1:]:
            given = {} if operation.endswith("Completed") else details
            self._answer(operation, {"taskToken": token, **given})

    def _poll(self, operation: str) -> None:
        for domain, name in itertools.product(DOMAINS, ("l", "m")):
            self._call(operation, {"domain": domain, "taskList": {"name": name}})

    @rule(
        domain=st.sampled_from(DOMAINS),
        workflow=st.sampled_from(["w", "x"]),
        outcomes=st.lists(st.sampled_from(["Completed", "Failed", "Canceled"]), min_size=1, max_size=3),
    )
    def run_activities(self, domain: str, workflow: str, outcomes: list[str]) -> None:
        """A run that gets somewhere: random steps alone seldom do."""
        named = {"name": "full", "version": "1"}
        self._call(
            "StartWorkflowExecution", {"domain": domain, "workflowId": workflow, "workflowType": named}
        )
        self._poll("PollForDecisionTask")
        for number, token in enumerate(self._tasks["PollForDecisionTask"][:]):
            attributes = {"activityType": named, "activityId": str(number)}
            decision = {
                "decisionType": "ScheduleActivityTask",
                "scheduleActivityTaskDecisionAttributes": attributes,
            }
            self._answer("RespondDecisionTaskCompleted", {"taskToken": token, "decisions": [decision]})
        self._poll("PollForActivityTask")
        for outcome_, token in zip(outcomes, self._tasks["PollForActivityTask"][:], strict=False):
            self._answer("RecordActivityTaskHeartbeat", {"taskToken": token, "details": "half way"})
            self._answer(f"RespondActivityTask{outcome_}", {"taskToken": token})
        self._call("RequestCancelWorkflowExecution", {"domain": domain, "workflowId": workflow})

    def _answer(self, operation: str, request: Request) -> None:
        answer = self._call(operation, request)
        if isinstance(answer, dict) and operation != "RecordActivityTaskHeartbeat":
            self._spent.append((operation, request))
            for tokens in self._tasks.values():
                with suppress(ValueError):
                    tokens.remove(request["taskToken"])

    @rule(number=st.integers(0, 99))
    def answer_again(self, number: int) -> None:
        if self._spent:
            operation, request = self._spent[number % len(self._spent)]
            answer = self._call(operation, request)
            assert isinstance(answer, tuple)
            assert answer[0] == "UnknownResourceFault", "a token counts once"

    @rule(number=st.integers(0, 99), other=st.sampled_from([{}, {}, {"domain": "e"}, {"maximumPageSize": 1}]))
    def next_page(self, number: int, other: Request) -> None:
        if self._pages:
            operation, request = self._pages[number % len(self._pages)]
            self._call(operation, {**request, **{name: other[name] for name in other if name in request}})

    @rule(seconds=st.sampled_from([0.2, 1, 6, 61, 3_601, 86_400, 4 * 86_400]))
    def wait(self, seconds: float) -> None:
        self._clock.advance(seconds)

    @rule()
    def reopen(self) -> None:
        self._file.reopen()

    @rule(number=st.integers(0, 99))
    def read(self, number: int) -> None:
        if self._runs:
            run_id = sorted(self._runs)[number % len(self._runs)]
            self._read(*self._runs[run_id], run_id)


def test_20_engine_on_sqlite_responds_like_the_pure_engine() -> None:
    """Invariants 17 to 20, over every operation of SWF."""
    run_state_machine_as_test(
        Programs,
        settings=settings(
            max_examples=120,
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
    assert set(model.OPERATIONS) - set(ANSWERED) == set(), "never answered"
    assert sum(REFUSED.values()) > 0
