"""A contract that the teams concerned have to approve."""

from typing import Any

from floto import ActivityTask, DeciderSpec, Generator, Signal


def reviewers(context: dict[str, Any]) -> Any:
    """A wait for the word of each reviewer."""
    team = context["activity_task"]["team"]
    return [
        Signal(id_=f"{team}-{role}", signal_name=f"approved by {role}")
        for role in (("lead", "clerk") if team == "law" else ("lead",))
    ]


activities = {"reviewers": reviewers}

draft = ActivityTask(name="draft", version="1", id_="draft")
teams = [
    Generator(name="reviewers", version="1", id_=f"reviewers-{team}", input={"team": team}, requires=[draft])
    for team in ("law", "sales")
]
translate = ActivityTask(name="translate", version="1", id_="translate", requires=[draft])
sign = ActivityTask(name="sign", version="1", id_="sign", requires=[*teams, translate])
archive = ActivityTask(name="archive", version="1", id_="archive", requires=[sign])

spec = DeciderSpec(activity_tasks=[draft, *teams, translate, sign, archive])
