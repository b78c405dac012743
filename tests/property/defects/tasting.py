"""Bread, whose dough is a workflow of its own that must be done within the morning."""

from floto import ActivityTask, ChildWorkflow, DeciderSpec, InstantRetry, Timer

_HOUR = 3600

knead = ActivityTask(name="knead", version="1", id_="knead", retry_strategy=InstantRetry(1))
rise = Timer(id_="rise", delay_in_seconds=12 * _HOUR, requires=[knead])
fold = ActivityTask(name="fold", version="1", id_="fold", requires=[rise])

dough = ChildWorkflow(
    workflow_type_name="dough",
    workflow_type_version="1",
    id_="dough",
    execution_start_to_close_timeout=4 * _HOUR,
    spec=DeciderSpec(activity_tasks=[knead, rise, fold]),
)
heat = ActivityTask(name="heat", version="1", id_="heat")
bake = ActivityTask(name="bake", version="1", id_="bake", requires=[dough, heat])
clean = ActivityTask(name="clean", version="1", id_="clean", requires=[bake])
sell = ActivityTask(name="sell", version="1", id_="sell", requires=[bake])

spec = DeciderSpec(activity_tasks=[dough, heat, bake, clean, sell])
