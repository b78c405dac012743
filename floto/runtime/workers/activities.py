"""The registry of activity functions: ``@floto.activity`` and ``@floto.generator``."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from attrs import frozen

from floto.core.errors import FlotoError
from floto.core.swf.identifiers import shown
from floto.core.swf.shapes import ActivityType
from floto.core.user_calls import caller

F = TypeVar("F", bound=Callable[..., Any])


class ActivityError(FlotoError, TypeError):
    """A function that cannot be registered as an activity."""


@frozen
class RegisteredFunction:
    """A function and the activity type that it implements."""

    type: ActivityType
    function: Callable[..., Any]
    #: Calls the function with the context, positionally or by keyword, or without it, as its signature asks.
    call: Callable[[Any], Any]
    generates: bool = False

    def __call__(self, context: Any) -> Any:
        """Call the function with a context; return its result, for an ``async def`` that of its coroutine."""
        result = self.call(context)
        return _awaited(result) if inspect.isawaitable(result) else result


def _awaited(result: Awaitable[Any]) -> Any:
    import asyncio  # noqa: PLC0415 - only activities that are coroutines need it

    async def awaited() -> Any:
        return await result

    return asyncio.run(awaited())


class Activities:
    """A registry of activities by name and version. Its decorators return the function unchanged."""

    def __init__(self) -> None:
        #: Functions by type, then by domain.
        self._known: dict[ActivityType, dict[str | None, RegisteredFunction]] = {}

    def activity(self, *, name: str, version: str, domain: str | None = None) -> Callable[[F], F]:
        """Return a decorator that registers a function as an activity.

        The function has one parameter, ``context``, or none. A worker calls it in a thread of its own.

        Args:
            name: Name of the activity type.
            version: Version of the activity type.
            domain: Workers of this domain prefer this function over others of the same name and version.
                Other workers use it if there is no function without a domain.

        Raises:
            ActivityError: if the name or version is not valid, if the function has other parameters, or if
                another function is registered for the type.
        """
        return self._decorator(ActivityType(name, version), domain, generates=False)

    def generator(self, *, name: str, version: str, domain: str | None = None) -> Callable[[F], F]:
        """Return a decorator that registers a function that returns or yields tasks as a generator.

        Args:
            name: As for ``activity``.
            version: As for ``activity``.
            domain: As for ``activity``.

        Raises:
            ActivityError: as ``activity`` does.
        """
        return self._decorator(ActivityType(name, version), domain, generates=True)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Forget, after the block, what was registered in it; in the block, forget what was before it."""
        known, self._known = self._known, {}
        try:
            yield
        finally:
            self._known = known

    def find(self, activity_type: ActivityType, domain: str | None = None) -> RegisteredFunction | None:
        """Return the function of a type: for the domain, else without a domain, else any; or None."""
        known = self._known.get(activity_type, {})
        return known.get(domain) or known.get(None) or next(iter(known.values()), None)

    @property
    def types(self) -> tuple[ActivityType, ...]:
        """All registered types, sorted by name and version."""
        return tuple(sorted(self._known, key=lambda known: (known.name, known.version)))

    def _decorator(
        self, activity_type: ActivityType, domain: str | None, *, generates: bool
    ) -> Callable[[F], F]:
        _check_type(activity_type)

        def register(function: F) -> F:
            call = _caller(activity_type, function)
            self._add(RegisteredFunction(activity_type, function, call, generates), domain)
            return function

        return register

    def _add(self, new: RegisteredFunction, domain: str | None) -> None:
        known = self._known.setdefault(new.type, {})
        old = known.get(domain)
        if old is not None and not _same_definition(old.function, new.function):
            module, _, name = _definition(old.function)
            where = f"{module}.{name}"
            msg = f"{_name(new.type)} is registered already, as {where}; give one of them another version"
            raise ActivityError(msg)
        known[domain] = new


def _name(activity_type: ActivityType) -> str:
    return f"activity {activity_type.name!r} version {activity_type.version!r}"


def _check_type(activity_type: ActivityType) -> None:
    for what, text in (("name", activity_type.name), ("version", activity_type.version)):
        if not isinstance(text, str) or not text:
            msg = f"an activity needs a {what}: @floto.activity(name='...', version='...'), not {text!r}"
            raise ActivityError(msg)


def _definition(function: Callable[..., Any]) -> tuple[str, str, str]:
    code = getattr(inspect.unwrap(function), "__code__", None)
    qualname = getattr(function, "__qualname__", type(function).__qualname__)
    return str(function.__module__), "" if code is None else str(code.co_filename), qualname


def _same_definition(old: Callable[..., Any], new: Callable[..., Any]) -> bool:
    """Return True if ``new`` is ``old`` imported or defined again, and so replaces it."""
    (old_module, old_file, old_name), (module, file, name) = _definition(old), _definition(new)
    return name == old_name and (module == old_module or (bool(file) and file == old_file))


def _caller(activity_type: ActivityType, function: Callable[..., Any]) -> Callable[[Any], Any]:
    call = caller(function)
    if call is None:
        name = f"{getattr(function, '__name__', repr(function))}{inspect.signature(function)}"
        msg = f"{_name(activity_type)}: an activity takes 'context' or nothing, but this is {name}"
        raise ActivityError(msg)
    return call


def as_activities(value: object) -> Activities:
    """Return a value that is a registry of activities. Raises ``TypeError`` for others."""
    if not isinstance(value, Activities):
        msg = f"activities must be a floto.Activities, whose decorators register them, not {shown(value)}"
        raise TypeError(msg)
    return value


#: The registry of ``@floto.activity`` and ``@floto.generator``, and the default of workers.
DEFAULT = Activities()

activity = DEFAULT.activity
generator = DEFAULT.generator
