"""Counts the words of a directory's text files: a spec, and nothing else.

floto run examples/wordcount/workflow.py:spec --activities examples/wordcount/activities.py \
        --input '{"directory": "."}'
"""

from __future__ import annotations

from floto import ActivityTask, ChildWorkflow, DeciderSpec, Generator, Timer

# Returns one task for each file; who requires the generator also waits for those.
list_files = Generator(id_="list files", name="list_files", version="1")

pause = Timer(id_="pause", delay_in_seconds=1, requires=[list_files])

total = ActivityTask(id_="total", name="total", version="1", requires=[list_files, pause])

# A child carries its own spec and is decided by the same decider.
report = ChildWorkflow(
    id_="report",
    workflow_type_name="wordcount.report",
    workflow_type_version="1",
    requires=[total],
    spec=DeciderSpec(activity_tasks=[ActivityTask(id_="write report", name="write_report", version="1")]),
)

spec = DeciderSpec(activity_tasks=[list_files, pause, total, report])
