"""An approval with a deadline: without an answer in time, the request is escalated."""

from __future__ import annotations

from typing import Any

import floto
from floto.specs import ActivityTask, DeciderSpec, Result, Signal

spec = DeciderSpec(
    activity_tasks=[
        ActivityTask(id_="ask", name="ask", version="1"),
        Signal(
            id_="answer",
            signal_name="answer",
            requires="ask",
            timeout=3,
            on_timeout=Result({"approved": False, "by": "the deadline"}),
        ),
        ActivityTask(id_="pay", name="pay", version="1", requires="answer", when="answer.approved"),
        # Without the parentheses, "!" would be of the answer, and not of its field.
        ActivityTask(
            id_="escalate", name="escalate", version="1", requires="answer", when="!(answer.approved)"
        ),
    ],
)


@floto.activity(name="ask", version="1")
def ask(context: dict[str, Any]) -> None:
    """Ask for the approval."""
    print(f"may we pay {context['workflow']['amount']}?", flush=True)


@floto.activity(name="pay", version="1")
def pay(context: dict[str, Any]) -> str:
    """Pay what was approved."""
    return f"paid, approved by {context['answer']['by']}"


@floto.activity(name="escalate", version="1")
def escalate(context: dict[str, Any]) -> str:
    """Give the request to somebody else."""
    return f"escalated, denied by {context['answer']['by']}"
