"""Wrong members of users' own kinds of task, strategies and joins are problems of the spec."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, cast

import pytest
from attrs import field, frozen, make_class

import floto
from floto import ActivityTask, DeciderSpec, SpecError
from floto.core.state.state import Kind
from floto.extend import NO_RESULT, Ruled, SiblingLimits, WaitLimit


@frozen(kw_only=True)
class Own:
    """A kind of task without faults."""

    id_: Any = "t"
    requires: Any = ()
    retry_strategy: Any = None

    @property
    def key(self) -> Any:
        return Kind.ACTIVITY, self.id_

    def start(self, _given: Any) -> Any:
        return None

    def result(self, _item: Any) -> Any:
        return NO_RESULT


def own(**members: Any) -> Any:
    """Return a task of a kind with other members; a function of the task stands for a property."""
    properties = {name: property(get) if callable(get) else get for name, get in members.items()}
    return make_class("K", {}, bases=(Own,), class_body=properties, frozen=True)()


def raises(error: Exception) -> Callable[[Any], Any]:
    def read(_self: Any) -> Any:
        raise error

    return read


@frozen(kw_only=True)
class NoMethods(Ruled):
    """A kind whose author forgot what it starts."""

    id_: str = "t"
    requires: tuple[str, ...] = ()
    retry_strategy: floto.RetryStrategy | None = None

    @property
    def key(self) -> Any:
        return Kind.ACTIVITY, self.id_


@frozen
class Nameless:
    """A kind whose id cannot be computed, without a retry strategy."""

    requires: tuple[str, ...] = ()

    @property
    def id_(self) -> Any:
        return {"a": "b"}["n"]

    @property
    def key(self) -> Any:
        return Kind.ACTIVITY, self.id_

    def start(self, _given: Any) -> Any:
        return None

    def result(self, _item: Any) -> Any:
        return NO_RESULT


@frozen
class Named(Nameless):
    """A kind without a retry strategy."""

    id_: str = "t"


@frozen
class Broken:
    """A strategy and a join whose check raises an error."""

    limit: Any = field(default="7")

    def delay(self, _retry: Any) -> Any:
        return None

    def verdict(self, _tally: Any) -> Any:
        return None

    def problems(self) -> Any:
        return ["too many"] if self.limit > 3 else ()


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "id raises": (Nameless, "a task of Nameless: id_ of Nameless raised KeyError: 'n'"),
    "id": (lambda: Own(id_=None), "task None: id_ must be a string, not None"),
    "key raises": (lambda: own(key=raises(ValueError("no"))), "task 't': key of K raised ValueError: no"),
    "key": (lambda: own(key=lambda self: self.id_), "task 't': key must be a Kind and an id, such as "),
    "key's id": (lambda: own(key=lambda _: (Kind.ACTIVITY, 5)), "task 't': key must be a Kind and an id"),
    "key's kind": (lambda: own(key=lambda _: ("job", "t")), "task 't': key must be a Kind and an id"),
    "requires a string": (lambda: Own(requires="ab"), "task 't': requires must be a tuple of ids, not 'ab'"),
    "requires none": (lambda: Own(requires=None), "task 't': requires must be a tuple of ids, not None"),
    "requires once": (lambda: Own(requires=iter("a")), "task 't': requires must be a tuple of ids, not <"),
    "requires a task": (
        lambda: Own(requires=(Own(),)),
        "task 't': requires must be a tuple of ids, not (Own",
    ),
    "strategy": (lambda: Own(retry_strategy="3"), "task 't': retry_strategy must have a method delay(retry)"),
    "strategy's field": (
        lambda: Own(retry_strategy=floto.InstantRetry("3")),  # type: ignore[arg-type]
        "task 't': retry_strategy: retries must be an integer of 0 or more, not '3'",
    ),
    "strategy's check": (
        lambda: Own(retry_strategy=Broken()),
        "task 't': retry_strategy: problems of Broken raised TypeError: ",
    ),
    "join's check": (
        lambda: ActivityTask(id_="t", name="n", version="1", join=Broken()),
        "task 't': join: problems of Broken raised TypeError: ",
    ),
    "check": (
        lambda: own(problems=lambda _: lambda: "bad"),
        "task 't': problems of K must return a list of strings, not 'bad'",
    ),
    "check of nothing": (
        lambda: own(problems=lambda _: lambda: None),
        "task 't': problems of K raised TypeError",
    ),
    "limits": (
        lambda: own(sibling_limits=lambda _: SiblingLimits(max_in_flight=0), generated=lambda _: lambda: ()),
        "task 't': sibling_limits: max_in_flight must be an integer from 1, or None, not 0",
    ),
    "limits raise": (
        lambda: own(sibling_limits=raises(ValueError("no"))),
        "task 't': sibling_limits of K raised ValueError: no",
    ),
    "wait": (
        lambda: own(wait_limit=lambda _: WaitLimit(-1)),
        "task 't': wait_limit: seconds must be an integer from 0 to 99,999,999, not -1",
    ),
    "end of a wait": (
        lambda: own(wait_limit=lambda _: WaitLimit(1, "explode")),
        "task 't': wait_limit: on_timeout must be 'fail', 'skip' or Result(value), not 'explode'",
    ),
    "no method": (lambda: own(start=lambda _: 3), "task 't': start must be a method, not 3"),
    "no methods": (
        NoMethods,
        "task 't': NoMethods must define the method start\ntask 't': NoMethods must define the method result",
    ),
}


@pytest.mark.parametrize(("make", "said"), WRONG.values(), ids=WRONG)
def test_wrong_member_is_a_problem_of_the_spec_that_names_the_task(
    make: Callable[[], Any], said: str
) -> None:
    with pytest.raises(SpecError) as caught:
        DeciderSpec(activity_tasks=[make()])
    assert str(caught.value).startswith(said)


def test_kind_without_a_retry_strategy_is_a_problem() -> None:
    with pytest.raises(
        SpecError, match="task 't': Named must have a member retry_strategy, None for no retries"
    ):
        DeciderSpec(activity_tasks=[cast("Any", Named())])


def test_own_kind_as_undo_is_checked() -> None:
    task = ActivityTask(id_="a", name="a", version="1", undo=own(key=lambda _: "t"))
    with pytest.raises(SpecError, match="task 't': key must be a Kind and an id"):
        DeciderSpec(activity_tasks=[task])


def test_kind_without_faults_and_members_of_the_same_name_for_something_else() -> None:
    task = own(wait_limit=lambda _: 5, sibling_limits=lambda _: "none", key=lambda _: ("activity", "t"))
    assert DeciderSpec(activity_tasks=[task, Own(id_="u", requires=["t"])]).plan.requires == ((), (0,))


def test_requires_may_be_a_set() -> None:
    task = Own(requires=frozenset({"a", "b"}))
    spec = DeciderSpec(activity_tasks=[Own(id_="a"), Own(id_="b"), task])
    assert sorted(spec.plan.requires[2]) == [0, 1]


def test_member_may_be_that_of_a_wrapped_task() -> None:
    @frozen(kw_only=True)
    class Wrapper:
        wrapped: Any
        id_: str = "t"
        requires: tuple[str, ...] = ()
        key, start, result = Own.key, Own.start, Own.result

        def __getattr__(self, name: str) -> Any:
            return getattr(self.wrapped, name)

    good, wrong = Own(retry_strategy=floto.InstantRetry(3)), Own(retry_strategy="3")
    assert DeciderSpec(activity_tasks=[cast("Any", Wrapper(wrapped=good))]).activity_tasks
    with pytest.raises(SpecError, match="task 't': retry_strategy must have a method"):
        DeciderSpec(activity_tasks=[cast("Any", Wrapper(wrapped=wrong))])


def test_check_of_members_takes_few_calls_for_each_task() -> None:
    # With inspect.getattr_static for each member, 10,000 tasks took ten times as long as without a check.
    tasks, calls = [Own(id_=str(number)) for number in range(100)], 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        DeciderSpec(activity_tasks=tasks)
    finally:
        sys.setprofile(before)
    assert calls < 100 * len(tasks)
