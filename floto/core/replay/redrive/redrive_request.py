"""The start request of a redriven run: the user's input, with what the run keeps beside it.

What is kept is in the input as it is, or else compressed, or else with references in place of long values (if
the codec has a store), or else in parts, each of which is the input of a signal that follows the start.
"""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator
from typing import Any

from attrs import evolve

from floto.core.decide.progress import Progress
from floto.core.errors import HistoryError, PayloadError
from floto.core.payloads import payload
from floto.core.payloads.reference import is_stored
from floto.core.payloads.stored import Payloads, StoredText, read
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import run_settings
from floto.core.spec.fingerprint import spec_tags
from floto.core.spec.task_lists import own_list
from floto.core.state.carried_signals import own_input_of, shortened_text
from floto.core.state.redriven import Redriven, parts_record, with_redriven
from floto.core.swf.reserved_names import COMPRESSED, SPEC_KEY, SPEC_TAG
from floto.core.swf.service import StartRequest

_WHAT = "the input of the redriven run"
#: Maximum characters of the text in one part; the rest of what SWF takes is for its frame.
PART_LIMIT = 32_000


def request(
    progress: Progress, codec: Codec, kept: Redriven, workflow_id: str | None
) -> tuple[StartRequest, tuple[str, ...]]:
    """Return the start request of a redriven run, and the inputs of the signals that must follow it.

    Args:
        progress: The progress of the old run by the new spec.
        codec: Writes the new spec.
        kept: What the new run keeps.
        workflow_id: Workflow id of the new run; None for that of the old run.

    Raises:
        HistoryError: if neither the history nor ``workflow_id`` names the run.
        PayloadError: if the input cannot be read, or what is kept does not fit.
    """
    state, start = progress.state, progress.state.start
    before = state.execution.workflow_id if state.execution else workflow_id
    if before is None:
        raise HistoryError(None, "the history does not name its run: pass execution= or workflow_id=")
    new_id = before if workflow_id is None else workflow_id
    text, parts = _travel(_own_value(progress, codec), kept, codec.payloads)
    name = start.task_list.name
    tags = start.tag_list or ()
    timeout, policy = run_settings(progress.spec)
    return StartRequest(
        workflow_id=new_id,
        workflow_type=start.workflow_type,
        task_list=own_list(new_id) if name == own_list(before) else name,
        input=text,
        execution_timeout=timeout or start.execution_start_to_close_timeout,
        decision_timeout=start.task_start_to_close_timeout,
        child_policy=policy or start.child_policy,
        tags=tuple(_tags(tags, progress, codec)),
        priority=start.task_priority,
        lambda_role=start.lambda_role,
    ), parts


def _tags(tags: Collection[str], progress: Progress, codec: Codec) -> Iterator[str]:
    """Yield the tags of the old run, with the digest of the new spec if they have that of the old one."""
    for tag in tags:
        yield from spec_tags(progress.spec, codec) if tag.startswith(SPEC_TAG) else (tag,)


def _own_value(progress: Progress, codec: Codec) -> Any:
    """Return the user's input, with the new spec if it has a spec."""
    start = progress.state.start
    own = own_input_of(start)
    value = read(own, "the workflow's input", codec.payloads) if is_stored(own) else own
    if isinstance(value, dict) and SPEC_KEY in value:
        return {**value, SPEC_KEY: codec.unstructure(progress.spec)}
    return own


#: The input of a run, and the inputs of the signals that must follow its start.
Traveling = tuple[str, tuple[str, ...]]
Form = Callable[[Any, Redriven, Payloads | None], Traveling | None]


def _travel(own: Any, kept: Redriven, payloads: Payloads | None) -> Traveling:
    """Return the input of the new run, and the signals, in the first form that fits."""
    for form in FORMS:
        found = form(own, kept, payloads)
        if found is not None:
            return found
    raise PayloadError(_WHAT, payload.too_long(payload.plain_text(own, _WHAT)))


def _packed(own: Any, record: dict[str, Any]) -> str | None:
    return payload.packed(payload.plain_text(with_redriven(own, record), _WHAT))


def inline(own: Any, kept: Redriven, _: Payloads | None) -> Traveling | None:
    """Return the input with all that is kept, compressed if it is long; None if that is too long."""
    text = _packed(own, kept.to_json())
    return None if text is None else (text, ())


def by_reference(own: Any, kept: Redriven, payloads: Payloads | None) -> Traveling | None:
    """Return the input with references in place of long values; None without a store, or if too long."""
    if payloads is None:
        return None
    values: list[str] = []
    own, kept = _shortened(own, kept, payloads, values)
    text = _packed(own, kept.to_json())
    return None if text is None else (StoredText.of(text, values), ())


def in_parts(own: Any, kept: Redriven, payloads: Payloads | None) -> Traveling | None:
    """Return the input with the number of parts, and the parts; None if the user's input is too long."""
    values: list[str] = []
    if payloads is not None:
        own, kept = _shortened(own, kept, payloads, values)
    parts = tuple(_parts(kept))
    text = _packed(own, parts_record(kept.run_id, kept.number, len(parts)))
    return None if text is None else (StoredText.of(text, values) if values else text, parts)


#: The forms in which what is kept travels, the one to prefer first.
FORMS: tuple[Form, ...] = (inline, by_reference, in_parts)


def _shortened(own: Any, kept: Redriven, payloads: Payloads, values: list[str]) -> tuple[Any, Redriven]:
    """Return the input and what is kept with references in place of long values, which join ``values``."""

    def short(text: str | None) -> str | None:
        return text and shortened_text(text, payloads, values)

    tasks = tuple(
        evolve(each, data=evolve(each.data, result=short(each.data.result)))
        if hasattr(each.data, "result")
        else each
        for each in kept.tasks
    )
    signals = tuple(evolve(each, input=short(each.input)) for each in kept.signals)
    own_text = payload.plain_text(own, _WHAT)
    own = own if is_stored(own) else payload.loads(shortened_text(own_text, payloads, values))
    return own, evolve(kept, tasks=tasks, signals=signals)


def _parts(kept: Redriven) -> Iterator[str]:
    data = payload.plain_text(kept.to_json(), _WHAT).encode()
    if len(data) > payload.UNPACKED_LIMIT:
        problem = f"keeps {len(data):,} bytes of results; at most {payload.UNPACKED_LIMIT:,} can be kept"
        raise PayloadError(_WHAT, f"{problem} without a store (payloads=, --payloads)")
    text = COMPRESSED + b64encode(zlib.compress(data, 9)).decode()
    for number, at in enumerate(range(0, len(text), PART_LIMIT), start=1):
        yield payload.plain_text({"part": number, "text": text[at : at + PART_LIMIT]}, _WHAT)
