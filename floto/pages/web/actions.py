"""Actions on runs and schedules: their words, and the fields of their forms."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from floto.pages.source import Act


@frozen(kw_only=True)
class Field:
    """A field of the form of an action."""

    name: str
    label: str
    hint: str = ""
    is_required: bool = False
    is_long: bool = False


@frozen(kw_only=True)
class Action:
    """An action: its words, its fields, and what it is about."""

    name: str
    title: str
    #: What it does, in one sentence.
    text: str
    #: What it is about: "domain", "open run", "closed run", "schedule".
    subject: str
    fields: tuple[Field, ...] = ()
    is_grave: bool = False

    def missing(self, values: Mapping[str, str]) -> bool:
        """Return True if a required value is missing."""
        return any(each.is_required and not values.get(each.name) for each in self.fields)


_JSON = "JSON, as after --input"
ACTIONS: Mapping[str, Action] = {
    action.name: action
    for action in (
        Action(
            name="start",
            title="Start a run",
            text="Starts a run of a registered workflow type; a decider of its task list decides for it.",
            subject="domain",
            fields=(
                Field(name="type", label="Workflow type", hint="its name", is_required=True),
                Field(name="version", label="Version", is_required=True),
                Field(name="input", label="Input", hint=_JSON, is_long=True),
                Field(name="new_workflow_id", label="Workflow id", hint="default: a new one"),
                Field(name="task_list", label="Task list", hint="default: that of the type"),
                Field(name="tags", label="Tags", hint="up to five, with blanks between"),
            ),
        ),
        Action(
            name="signal",
            title="Send a signal",
            text="Sends a signal to the run; its decider gets it with the next decision task.",
            subject="open run",
            fields=(
                Field(name="name", label="Name", is_required=True),
                Field(name="input", label="Input", hint=_JSON, is_long=True),
            ),
        ),
        Action(
            name="cancel",
            title="Request cancellation",
            text="Asks the decider of the run to cancel it: cleanup tasks run, and the run closes.",
            subject="open run",
        ),
        Action(
            name="terminate",
            title="Terminate",
            text="Closes the run at once, without its decider: no cleanup runs, and results are lost.",
            subject="open run",
            fields=(
                Field(name="reason", label="Reason", hint="at most 256 characters"),
                Field(name="details", label="Details", is_long=True),
            ),
            is_grave=True,
        ),
        Action(
            name="redrive",
            title="Redrive",
            text="Starts a new run that keeps what completed, and runs what failed again.",
            subject="closed run",
            fields=(Field(name="rerun", label="Run again, too", hint="task ids, with blanks between"),),
        ),
        Action(
            name="pause",
            title="Pause the schedule",
            text="No fire starts a run until the schedule is resumed; open runs go on.",
            subject="schedule",
            fields=(Field(name="note", label="Note", hint="shown with the schedule"),),
        ),
        Action(
            name="resume",
            title="Resume the schedule",
            text="Fires start runs again; the fires of the pause start nothing.",
            subject="schedule",
        ),
        Action(
            name="trigger",
            title="Start a run of the schedule now",
            text="Starts a run now, as the overlap policy of the schedule allows.",
            subject="schedule",
        ),
    )
}


def act_of(action: Action, domain: str, given: Mapping[str, str]) -> Act:
    """Return an action with the values of its form; other values are left out."""
    values = {each.name: given.get(each.name, "").strip() for each in action.fields}
    return Act(
        name=action.name,
        domain=domain,
        workflow_id=given.get("workflow_id", ""),
        run_id=given.get("run_id", ""),
        values={name: value for name, value in values.items() if value},
    )
