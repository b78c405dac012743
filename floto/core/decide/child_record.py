"""What a child that goes on in a redriven run keeps of its last run, in the input that it starts with."""

from __future__ import annotations

from attrs import evolve

from floto.core.payloads import payload
from floto.core.payloads.stored import Payloads, StoredText, marked
from floto.core.state.redriven import with_redriven, written_record
from floto.core.swf.decisions import StartChildWorkflowExecution


def with_record(
    decision: StartChildWorkflowExecution, text: str | None, payloads: Payloads | None
) -> StartChildWorkflowExecution | None:
    """Return the decision that starts a child with what it keeps beside its context.

    The fold of the child has no store, so what it keeps is never stored; its context may be.

    Args:
        decision: The decision that starts the child from its beginning.
        text: What the child keeps, as JSON text.
        payloads: The store; None if values are not stored.

    Returns:
        The decision; None if what is kept does not fit, or the text was not written by floto.
    """
    record = written_record(text)
    if record is None:
        return None
    what = f"the input of child {decision.workflow_id!r}"
    context = payload.loads(decision.input)
    behind = decision.input.parts if isinstance(decision.input, StoredText) else ()
    fitting = payload.packed(payload.plain_text(with_redriven(context, record), what))
    if fitting is None and payloads is not None and not behind:
        behind = (payload.plain_text(context, what),)
        stored = with_redriven(marked(behind[0], payloads), record)
        fitting = payload.packed(payload.plain_text(stored, what))
    if fitting is None:
        return None
    return evolve(decision, input=StoredText.of(fitting, behind) if behind else fitting)
