"""Uses of the public names as people write them: type-checked with everything else, never run."""

from __future__ import annotations

from typing import Any

from attrs import frozen

import floto
from floto import ActivityTask, ChildWorkflow, DeciderSpec, FixedDelay, Generator, InstantRetry, Signal, Timer
from floto.payloads import DirectoryStore, S3Store, Store


@frozen
class Mine:
    seconds: float

    def delay(self, retry: floto.Retry) -> float | None:
        return self.seconds if retry.failure.reason == "OSError" else None


first = ActivityTask(name="a", version="v1", input={"files": ["a.in", "b.in"]}, retry_strategy=Mine(3))
strategies = [InstantRetry(retries=3), FixedDelay(1.5, 2)]
second = ActivityTask(name="b", version="v1", requires=[first, "t"], retry_strategy=strategies[0])
tasks = [
    first,
    second,
    Timer(id_="t", delay_in_seconds=30, requires=[first]),
    Signal(id_="s", signal_name="approve", requires=[first]),
    Generator(name="g", version="v1", heartbeat_timeout=30, start_to_close_timeout="NONE"),
    ChildWorkflow(
        workflow_type_name="c", workflow_type_version="v1", spec=DeciderSpec(activity_tasks=[first])
    ),
]
spec = DeciderSpec(domain="d", task_list="decide", activity_task_list="work", activity_tasks=tasks)
cleaning = DeciderSpec(
    activity_tasks=tasks, on_failure=[second], on_cancel=(Timer(id_="x", delay_in_seconds=1),)
)
again: DeciderSpec = DeciderSpec.from_json(spec.to_json())


@floto.activity(name="a", version="v1")
def activity(context: dict[str, Any]) -> dict[str, int]:
    return {"n": len(context)}


@floto.activity(name="b", version="v1")
async def other() -> str:
    return "done"


@floto.generator(name="g", version="v1")
def generate() -> list[ActivityTask]:
    return [ActivityTask(name="a", version="v1")]


def followed(history: floto.History) -> floto.Progress:
    progress: floto.Progress = floto.begin(spec)
    return progress.observe(history.events)


def decide(events: list[dict[str, Any]]) -> int:
    history = floto.History.from_swf(events, floto.WorkflowExecution("w", "r"))
    state = floto.fold(history)
    found = [floto.decide(spec, history), floto.decide(spec, state), floto.decide(followed(history))]
    return sum(map(len, found)) + len(history) + activity({})["n"]


def keep(path: str, bucket: str) -> Any:
    stores: list[Store] = [DirectoryStore(path), S3Store(bucket, "prefix"), S3Store(bucket, limit=2**20)]
    reference: dict[str, Any] = stores[0].put({"large": [1, 2, 3]})
    floto.ActivityWorker(task_list="work", service="memory:", payloads=stores[1])
    return [stores[0].get(reference), floto.run(spec, payloads=stores[0])]


def look_back(path: str) -> bool:
    history = floto.History.load(path)
    history.save(f"{path}.gz")
    found = floto.replay(spec, history).divergence
    text: str | None = history.start.input
    failures = [
        event.data.reason
        for event in history.events
        if isinstance(event.data, floto.events.ActivityTaskFailed)
    ]
    reasons: list[str | None] = [text, *failures]
    told = floto.explain(spec, history, at=1)["a"].conditions
    return found is None and not told and all(reasons) and floto.compare(spec, again, [history]).is_safe


def told(result: floto.Replay, explanation: floto.Explanation, comparison: floto.Comparison) -> list[str]:
    divergence: floto.Divergence | None = result.divergence
    steps: tuple[floto.Step, ...] = result.steps
    conditions: list[floto.Condition] = [
        each for task in explanation.tasks.values() for each in task.conditions
    ]
    verdicts: list[floto.Verdict] = [each.verdict for each in comparison.histories]
    return [*map(str, [divergence, *steps, *conditions]), *verdicts]


def inputs(state: floto.State, service: floto.Service, run_id: str) -> list[str | None]:
    start = state.started
    found = [None if start is None else start.data.input]
    found += [event.data.input for events in state.signals.values() for event in events]
    info: floto.ExecutionInfo | None = service.latest_execution(run_id)
    events: tuple[floto.Event[floto.EventData], ...] = () if info is None else service.history(info.execution)
    found += [
        event.data.input for event in events if isinstance(event.data, floto.events.WorkflowExecutionStarted)
    ]
    item: floto.Item | None = state.items.get((floto.Kind.ACTIVITY, "a"))
    return found if item is None or item.status is floto.Status.SCHEDULED else []
