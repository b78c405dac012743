"""The blocks of ``integration/seed_blocks.txt`` with types: checked with everything else, never run."""

from __future__ import annotations

from typing import Any

import floto
import floto.api
import floto.decider
from floto.decider import Decider, DynamicDecider
from floto.specs import ActivityTask, ChildWorkflow, DeciderSpec, Generator, Task, Timer
from floto.specs.retry_strategy import ExponentialBackoff, InstantRetry, RetryStrategy

activity_task_a = ActivityTask(name="ActivityA", version="v1")
activity_task_b = ActivityTask(name="ActivityB", version="v1")
activity_task_c = ActivityTask(name="ActivityC", version="v1", requires=[activity_task_a, activity_task_b])

decider_spec = DeciderSpec(
    domain="your_domain",
    task_list="your_decider_task_list",
    activity_task_list="your_activity_task_list",
    activity_tasks=[activity_task_a, activity_task_b, activity_task_c],
)

Decider(decider_spec=decider_spec).run()
Decider(decider_spec=decider_spec.to_json()).run(separate_process=False)
with DynamicDecider("your_domain", "your_decider_task_list").run(separate_process=True) as process:
    process.terminate()

timer_30 = Timer(id_="Timer30", delay_in_seconds=30, requires=[activity_task_a])
activity_task_b = ActivityTask(name="ActivityB", version="v1", requires=[timer_30])
timer_3600 = Timer(id_="Timer3600", delay_in_seconds=3600)

retry_strategy = InstantRetry(retries=3)
activity_task = ActivityTask(name="ActivityA", version="v1", retry_strategy=retry_strategy)
activity_task = ActivityTask(name="ActivityA", version="v1", input={"filenames": ["a.in", "b.in"]})
activity_task = ActivityTask(id_="MyUniqueIdForActivityA", name="ActivityA", version="v1")


@floto.activity(name="ActivityA", version="v1")
def activity_a(context: dict[str, Any]) -> dict[str, str]:
    print("Running ActivityA")  # noqa: T201 - as in the block
    print(context)  # noqa: T201 - as in the block
    return {"your": "result_activity_a"}


@floto.activity(name="ActivityB", version="v1")
def activity_b() -> dict[str, str]:
    print("Running ActivityB")  # noqa: T201 - as in the block
    return {"your": "result_activity_b"}


worker = floto.ActivityWorker(domain="floto_test", task_list="your_activity_task_list")
worker.run()
worker = floto.ActivityWorker(
    domain="floto_test", task_list="your_activity_task_list", task_heartbeat_in_seconds=20
)

floto.decider.Daemon(domain="floto_test", task_list="floto_daemon").run()

floto.api.Swf().start_workflow_execution(
    domain="floto_test",
    workflow_type_name="floto_daemon_type",
    workflow_type_version="v1",
    task_list="floto_daemon",
    workflow_id="floto_daemon",
)

decider_spec = DeciderSpec(activity_tasks=[activity_task_a])
child_workflow_spec = {"decider_spec": decider_spec}

# Send a signal to the daemon and initiate a child workflow
floto.api.Swf().signal_workflow_execution(
    domain="floto_test",
    workflow_id="floto_daemon",
    signal_name="startChildWorkflowExecution",
    input=child_workflow_spec,
)

swf = floto.api.Swf()
swf.domains.register_domain("floto_test")

workflow_type = floto.api.WorkflowType(domain="floto_test", name="my_workflow_type", version="v1")
swf.register_workflow_type(workflow_type)

activity_type = floto.api.ActivityType(
    domain="floto_test", name="simple_activity", version="v1", default_task_heartbeat_timeout=30
)
swf.register_activity_type(activity_type)

execution: floto.WorkflowExecution = swf.start_workflow_execution(
    domain="floto_test",
    workflow_type_name=workflow_type.name,
    workflow_type_version=workflow_type.version,
    task_list="decider_task_list",
)

# What the prose names beside them.
strategies: list[RetryStrategy] = [retry_strategy, ExponentialBackoff(retries=3)]
tasks: list[Task] = [
    activity_task,
    timer_3600,
    Generator(name="g", version="v1", retry_strategy=strategies[1]),
    ChildWorkflow(workflow_type_name="c", workflow_type_version="v1", spec=decider_spec),
]
