"""Names in conditions that the context of their task never has."""

from __future__ import annotations

from attrs import evolve

from floto import DeciderSpec
from floto.core.spec.rules.condition_names import name_warnings
from tests.unit.recorder import generator, spec, task


def test_name_that_no_context_has_is_named_with_what_it_has() -> None:
    own = spec(task("load"), task("send", "load", when="lod.rows && workflow.x"))
    (warning,) = name_warnings(own)
    assert warning == (
        "task 'send': the context of its condition lod.rows && workflow.x never has 'lod', which is null; "
        "it has workflow, load"
    )


def test_ids_that_a_generator_may_return_are_not_known() -> None:
    assert not list(name_warnings(spec(generator("g"), task("a", "g", when="part.ok"))))


def test_cleanup_tasks_and_undos_have_failures_and_what_they_undo() -> None:
    undo = task("refund", when="pay.id && failures.send && order")
    own = DeciderSpec(
        activity_tasks=[evolve(task("pay"), undo=undo), task("send", "pay")],
        on_failure=[task("tell", when="failures.send"), task("note", "tell", when="send")],
    )
    told, undone = name_warnings(own)
    assert told.startswith("task 'note': the context of its condition send never has 'send'")
    assert undone.endswith("never has 'order', which is null; it has workflow, failures, pay")
