"""Invariants of the start of a run: its input, and the spec of a child in it."""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve

from floto.core.decide.decide import decide, spec_of
from floto.core.errors import SpecError
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, ChildWorkflow, Timer
from floto.core.swf.history import History
from floto.core.swf.reserved_names import SPEC_KEY
from floto.testing.invariants.expected_decisions import exactly_what_is_called_for
from floto.testing.invariants.violation import broken
from floto.testing.reading.moment import Moment

#: Text that is marked as compressed, and is not.
_UNREADABLE = "floto:zlib:?"
#: Inputs whose spec cannot be read.
_BAD = (_UNREADABLE, json.dumps({SPEC_KEY: CODEC.unstructure(Timer(id_="t", delay_in_seconds=0))}))
#: Inputs that carry no spec.
_NONE = (None, "", "7", '"text"', "[]", "{}", '{"a":1}')
#: Settings that runs may be started with, and simulated ones are not.
_RARELY_SAID: dict[str, Any] = {
    "task_priority": "7",
    "tag_list": ("tag",),
    "lambda_role": "role",
    "child_policy": "ABANDON",
    "task_start_to_close_timeout": "77",
}


def unreadable_input_ends_the_run(moment: Moment) -> None:
    """Each run whose input cannot be read fails at once and says so."""
    if moment.summary.attempts or moment.summary.began is None:
        return
    first, *rest = moment.history.events
    unreadable = evolve(moment.history.start, input=_UNREADABLE)
    history = History((evolve(first, data=unreadable), *rest), moment.history.execution)
    decisions = decide(moment.spec, history, codec=moment.codec)
    exactly_what_is_called_for(Moment(moment.spec, history, decisions, moment.codec))


def all_is_passed_on(moment: Moment) -> None:
    """Each run that repeats itself continues as new with everything that it was started with."""
    if moment.summary.began is None or not moment.spec.repeat_workflow or not moment.closing:
        return
    first, *rest = moment.history.events
    begun = evolve(moment.history.start, **_RARELY_SAID)
    history = History((evolve(first, data=begun), *rest), moment.history.execution)
    decisions = decide(moment.spec, history, codec=moment.codec)
    exactly_what_is_called_for(Moment(moment.spec, history, decisions, moment.codec))


def what_is_no_spec_is_refused(moment: Moment) -> None:
    """Any value that is not a spec, such as its JSON, is refused with an error that says so."""
    text: Any = "{}"
    try:
        decisions = decide(text, moment.history, codec=moment.codec)
    except SpecError:
        return
    broken(f"{text!r} is not a spec, and {decisions!r:.200} is decided")


def specs_of_children_are_read_back(moment: Moment) -> None:
    """Each child's decider reads the very spec that the child was given, and no other input as a spec."""
    for id_, decision in moment.started.items():
        task = moment.known[id_]
        if not isinstance(task, ChildWorkflow):
            continue
        expected, found = task.spec, spec_of(getattr(decision, "input", None), moment.codec)
        if found is not None and expected is not None:
            # A child's activities use the task list of the parent's, unless its spec names one.
            found = evolve(found, default_activity_task_list=expected.default_activity_task_list)
        if found != expected:
            broken(f"task {id_!r} is given a spec that reads as {found!r:.200}, not {expected!r:.200}")
    _check_others(moment.codec)


def _check_others(codec: Codec) -> None:
    for text in _NONE:
        if spec_of(text, codec) is not None:
            broken(f"input {text} carries no spec, and is read as one")
    for text in _BAD:
        try:
            found = spec_of(text, codec)
        except SpecError:
            continue
        broken(f"input {text} carries no readable spec, and is read as {found!r:.200}")
