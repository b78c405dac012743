"""Getting started: an activity, a worker that runs it, a decider beside it, and a workflow.

Nothing is needed: the run is recorded in ``hello_world.db``. ``FLOTO_SERVICE=aws:eu-west-1 python
examples/hello_world.py`` runs the same on Amazon SWF.
"""

from __future__ import annotations

import os
import threading

import floto
import floto.api
from floto.decider import Decider
from floto.specs import ActivityTask, DeciderSpec


@floto.activity(name="simple_activity", version="v1")
def simple_activity() -> str:
    """Say it."""
    print("Hello, world!")
    return "said"


def main() -> None:
    """Register what is needed, start a workflow, and work until it is done."""
    service = os.environ.get("FLOTO_SERVICE") or "sqlite:///hello_world.db"
    swf = floto.api.Swf(service)
    swf.domains.register_domain("floto_test")
    workflow_type = floto.api.WorkflowType(domain="floto_test", name="hello_world", version="v1")
    swf.register_workflow_type(workflow_type)
    activity_type = floto.api.ActivityType(domain="floto_test", name="simple_activity", version="v1")
    swf.register_activity_type(activity_type)

    decider_spec = DeciderSpec(
        domain="floto_test",
        task_list="simple_decider",
        activity_task_list="hello_world_atl",
        activity_tasks=[ActivityTask(name="simple_activity", version="v1")],
        terminate_decider_after_completion=True,
    )
    decider = Decider(decider_spec=decider_spec, service=service).run(separate_process=True)
    worker = floto.ActivityWorker(domain="floto_test", task_list="hello_world_atl", service=service)

    execution = swf.start_workflow_execution(
        domain="floto_test",
        workflow_type_name=workflow_type.name,
        workflow_type_version=workflow_type.version,
        task_list="simple_decider",
    )
    print(f"started {execution.workflow_id} on {service}", flush=True)
    thread = threading.Thread(target=worker.run)
    thread.start()
    # It ends with the workflow, as the spec says.
    decider.wait()
    worker.stop()
    thread.join()
    info = swf.latest_execution(domain="floto_test", workflow_id=execution.workflow_id)
    print(execution.workflow_id, info and info.close_status)


if __name__ == "__main__":
    main()
