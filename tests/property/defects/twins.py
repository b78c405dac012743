"""Two accounts that are closed by workflows of their own."""

from floto import ActivityTask, ChildWorkflow, DeciderSpec, FixedDelay

freeze = ActivityTask(name="freeze", version="1", id_="freeze")
closed = [
    ChildWorkflow(
        workflow_type_name="close-account",
        workflow_type_version="1",
        id_=f"close-{account}",
        workflow_id="close-account",
        input={"account": account},
        requires=[freeze],
        retry_strategy=FixedDelay(60, 1),
    )
    for account in ("savings", "shares")
]
transfer = ActivityTask(name="transfer", version="1", id_="transfer", requires=closed)
letter = ActivityTask(name="letter", version="1", id_="letter", requires=[transfer])
survey = ActivityTask(name="survey", version="1", id_="survey", requires=[freeze])

spec = DeciderSpec(activity_tasks=[freeze, *closed, transfer, letter, survey])
