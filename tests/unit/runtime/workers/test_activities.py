"""Registering activities."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

import floto
from floto.core.swf.shapes import ActivityType
from floto.runtime.workers.activities import Activities, ActivityError


def called(function: Any, context: Any = "the context") -> Any:
    activities = Activities()
    activities.activity(name="a", version="1")(function)
    found = activities.find(ActivityType("a", "1"))
    assert found is not None
    return found(context)


def by_keyword(*, context: Any) -> Any:
    return context


def with_default(context: Any = None) -> Any:
    return context


def optional(times: int = 3) -> Any:
    return times


async def waits(context: Any) -> Any:
    return context


class Callable:
    def __call__(self, anything: Any) -> Any:
        return anything


@pytest.mark.parametrize(
    ("function", "returned"),
    [
        (lambda context: context, "the context"),
        (lambda anything: anything, "the context"),
        (lambda: "nothing", "nothing"),
        (lambda *args: args, ()),
        (by_keyword, "the context"),
        (with_default, "the context"),
        (optional, 3),
        (waits, "the context"),
        (Callable(), "the context"),
        (partial(lambda x, y: (x, y), 1), (1, "the context")),
    ],
)
def test_activity_function_takes_a_context_or_no_argument(function: Any, returned: Any) -> None:
    assert called(function) == returned


@pytest.mark.parametrize("function", [lambda a, b: (a, b), lambda *, b: b, lambda context, b: (context, b)])
def test_function_with_more_arguments_is_refused_by_the_decorator(function: Any) -> None:
    with pytest.raises(
        ActivityError, match="activity 'a' version '1': an activity takes 'context' or nothing"
    ):
        called(function)


@pytest.mark.parametrize(("name", "version"), [("", "1"), ("a", ""), (None, "1"), ("a", 1)])
def test_an_activity_needs_a_name_and_a_version(name: Any, version: Any) -> None:
    with pytest.raises(ActivityError, match="an activity needs a"):
        Activities().activity(name=name, version=version)


def test_the_decorators_return_the_function() -> None:
    activities = Activities()

    def function() -> None:
        pass

    assert activities.activity(name="a", version="1")(function) is function
    assert activities.generator(name="g", version="1")(function) is function
    assert activities.types == (ActivityType("a", "1"), ActivityType("g", "1"))


def test_two_functions_of_one_name_and_version_are_refused() -> None:
    activities = Activities()
    activities.activity(name="a", version="1")(by_keyword)
    with pytest.raises(ActivityError, match=r"registered already, as .*by_keyword; give one of them another"):
        activities.activity(name="a", version="1")(with_default)
    activities.activity(name="a", version="2")(with_default)


def test_functions_of_one_type_are_distinguished_by_domain() -> None:
    activities = Activities()
    kind = ActivityType("a", "1")
    activities.activity(domain="one", name="a", version="1")(lambda: "of one")
    for domain in (None, "one", "two"):
        # The only one there is.
        assert found_in(activities, kind, domain) == "of one"
    activities.activity(name="a", version="1")(lambda: "of any")
    activities.generator(domain="two", name="a", version="1")(lambda: "of two")
    assert [found_in(activities, kind, domain) for domain in ("one", "two", "three", None)] == [
        "of one",
        "of two",
        "of any",
        "of any",
    ]
    assert activities.types == (kind,)


def found_in(activities: Activities, kind: ActivityType, domain: str | None) -> Any:
    found = activities.find(kind, domain)
    assert found is not None
    return found({})


def test_reimported_file_replaces_its_registrations() -> None:
    source = "@activity(name='a', version='1')\ndef f(): return {0}\n"
    activities = Activities()
    for number in (1, 2):
        names = {"activity": activities.activity, "__name__": f"module{number}"}
        exec(compile(source.format(number), "same_file.py", "exec"), names)  # noqa: S102 - as an import does
    found = activities.find(ActivityType("a", "1"))
    assert found is not None
    assert found({}) == 2


@pytest.mark.parametrize("given", [{"work": len}, [len], None])
def test_something_else_than_a_registry_is_a_type_error(given: Any) -> None:
    with pytest.raises(TypeError, match=r"must be a floto\.Activities"):
        floto.run(floto.DeciderSpec(), activities=given)
    with pytest.raises(TypeError, match=r"must be a floto\.Activities"):
        floto.ActivityWorker(activities=given, service="memory:")
