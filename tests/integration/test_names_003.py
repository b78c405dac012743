"""A program with the names of floto 0.0.3, as its examples use them, on a file and on ``floto server``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import floto
from floto.core.swf import events as e
from floto.core.swf.shapes import WorkflowExecution
from tests.integration.playing import SERVICES
from tests.integration.test_server import environment

#: Declares, registers, works and starts; starts again while the run is open; prints what came of it.
PROGRAM = """
import json
import threading

import floto
import floto.api
import floto.decider
import floto.decorators
import floto.specs
import floto.specs.retry_strategy
import floto.specs.task

domain = 'floto_test'
swf = floto.api.Swf()
swf.domains.register_domain(domain)
flow = floto.api.WorkflowType(domain=domain, name='demo_flow', version='v2',
                              default_task_start_to_close_timeout='20')
swf.register_workflow_type(flow)
for name in ('demo_step1', 'demo_step2'):
    swf.register_activity_type(floto.api.ActivityType(domain=domain, name=name, version='v4',
                                                      default_task_heartbeat_timeout='20'))

@floto.activity(domain=domain, name='demo_step1', version='v4')
def step1(context):
    return {'result': context['workflow']['start_val']}

@floto.activity(domain=domain, name='demo_step2', version='v4')
def step2(context):
    return {'result': sum(v['result'] for k, v in context.items() if 'demo_step1' in k)}

retry = floto.specs.retry_strategy.InstantRetry(retries=2)
first = floto.specs.task.ActivityTask(domain=domain, name='demo_step1', version='v4', retry_strategy=retry)
second = floto.specs.task.ActivityTask(domain=domain, name='demo_step2', version='v4', requires=[first])
spec = floto.specs.DeciderSpec(domain=domain, task_list='demo_step_decisions',
                               default_activity_task_list='demo_step_activities',
                               terminate_decider_after_completion=True, activity_tasks=[first, second])
# The spec passes through its JSON, which has the domains too.
decider = floto.decider.Decider(decider_spec=spec.to_json())

start = dict(domain=domain, workflow_type_name=flow.name, workflow_type_version=flow.version,
             task_list='demo_step_decisions', input={'start_val': 55})
response = swf.start_workflow_execution(**start)
try:
    swf.start_workflow_execution(**start)
except floto.ServiceFault as fault:
    refusal = fault.code

worker = floto.ActivityWorker(domain=domain, task_list='demo_step_activities',
                              task_heartbeat_in_seconds=10, identity='DemoWorker')
thread = threading.Thread(target=worker.run, daemon=True)
thread.start()
decider.run()
# Its poll, which the server holds for a minute, ends with the process.
worker.stop()
print(json.dumps([response['runId'], refusal, first.id_, second.id_]))
"""


@pytest.mark.parametrize("kind", ["embedded", "server"])
def test_program_with_the_names_of_floto_003_runs(kind: str, tmp_path: Path) -> None:
    with SERVICES[kind](tmp_path) as url:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=tmp_path,
            env=environment(FLOTO_SERVICE=url),
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        run_id, refusal, first, second = json.loads(done.stdout)
        assert refusal == "WorkflowExecutionAlreadyStartedFault"
        # Task ids are those of floto 0.0.3, whose example has these two.
        assert first == "demo_step1:v4:floto_test:2be88ca424"
        assert second == "demo_step2:v4:floto_test:41c9c82a1d"
        service = floto.connect(url, "floto_test")
        history = service.history(WorkflowExecution("demo_flow_v2", run_id))
        service.close()
    end = history[-1].data
    assert isinstance(end, e.WorkflowExecutionCompleted)
    assert end.result == '{"demo_step2:v4:floto_test:41c9c82a1d":{"result":55}}'
