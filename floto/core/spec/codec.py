"""Specs to JSON and back: each object carries a ``type`` tag that a ``Codec`` knows.

A tag is only ever looked up in the codec's table. Nothing that data names is imported.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import cached_property
from types import NoneType
from typing import Any, NoReturn

import attrs
from attrs import evolve, field, frozen
from cattrs import (
    AttributeValidationNote,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
)
from cattrs.gen import make_dict_structure_fn
from cattrs.preconf.json import JsonConverter, make_converter

from floto.core.errors import SpecError
from floto.core.payloads.reference import Store
from floto.core.payloads.stored import Payloads, read_result
from floto.core.spec import graph
from floto.core.spec.retry import RetryStrategy
from floto.core.spec.tasks import Task, is_task
from floto.core.swf.identifiers import shown

#: A time-out in seconds, "NONE" for never, None for what the registered type says.
Timeout = int | str | None

_Reader = Callable[[Any, Any], Any]


@frozen
class Codec:
    """Writes and reads specs by a table of tags; immutable, ``with_type`` gives a larger one."""

    types: Mapping[str, type]
    #: Where deciders read stored values from, and whether they store what is too long for SWF.
    payloads: Payloads | None = field(default=None, eq=False)

    def with_payloads(self, store: Store | None) -> Codec:
        """Return this codec with a store for what is too long for SWF; None is no store.

        ``decide``, ``expand``, ``replay``, ``compare`` and ``explain`` read stored values through it.
        """
        return evolve(self, payloads=None if store is None else Payloads(store))

    def with_type(self, tag: str, cls: type) -> Codec:
        """This codec, and one more frozen attrs class (a task kind, a strategy), under ``tag`` in JSON."""
        if not attrs.has(cls):
            raise SpecError((f"{cls.__qualname__} must be a frozen attrs class to be read and written",))
        if tag in self.types:
            raise SpecError((f"the tag {tag!r} is taken by {self.types[tag].__qualname__}",))
        return evolve(self, types={**self.types, tag: cls})

    @property
    def store(self) -> Store | None:
        """The store that ``with_payloads`` was given."""
        return None if self.payloads is None else self.payloads.store

    def unstructure(self, value: Any) -> Any:
        """The JSON form of a spec, a task, a strategy or a list of them; raises ``SpecError``."""
        try:
            return self._converter.unstructure(value)
        except RecursionError:
            raise SpecError(("specs of children are nested too deeply to be written",)) from None

    def tasks(self, value: Any) -> tuple[Task, ...]:
        """Return the tasks of a JSON list, or of the list that a reference stands for.

        Raises ``SpecError`` with every problem, and what ``floto.core.payloads.stored.read`` raises.
        """
        tasks: tuple[Task, ...] = self._read(
            tuple[Task, ...], read_result(value, "the list of tasks", self.payloads)
        )
        return tasks

    def structure(self, value: Any) -> Any:
        """The object that a tagged JSON object stands for; raises ``SpecError`` with every problem."""
        return self._read(object, value)

    def dumps(self, value: Any) -> str:
        """A spec as JSON text, keys sorted; raises ``SpecError``."""
        try:
            return json.dumps(self.unstructure(value), sort_keys=True, indent=4, ensure_ascii=False)
        except RecursionError:
            raise SpecError(("specs of children are nested too deeply to be written",)) from None

    def loads(self, text: str | bytes) -> Any:
        """The object that JSON text stands for; raises ``SpecError`` with every problem."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise SpecError((f"this is not JSON: {error}",)) from None
        return self.structure(value)

    def _read(self, cls: Any, value: Any) -> Any:
        try:
            return self._converter.structure(value, cls)
        except RecursionError:
            raise SpecError(("$: is nested too deeply",)) from None
        except Exception as error:
            raise SpecError(_problems(error)) from error

    @cached_property
    def _converter(self) -> JsonConverter:
        converter = make_converter()
        converter.register_structure_hook_func(lambda cls: cls == Timeout, _timeout)
        for primitive, hook in _STRICT.items():
            converter.register_structure_hook(primitive, hook)
        converter.register_structure_hook_func(lambda cls: cls == tuple[str, ...], _texts)
        by_tag: dict[str, _Reader] = {}
        converter.register_structure_hook_func(
            lambda cls: cls in (object, Task, RetryStrategy), lambda value, _: _tagged(value, by_tag)
        )
        converter.register_structure_hook_func(
            lambda cls: cls == tuple[Task, ...], lambda value, _: _task_list(value, by_tag)
        )
        converter.register_unstructure_hook_func(attrs.has, _refuse_unknown)
        # cattrs looks hooks up when it makes a reader: those of the classes come last.
        for tag, cls in self.types.items():
            attrs.resolve_types(cls)
            converter.register_unstructure_hook(cls, _writer(tag, cls, converter))
            reader = _typed(
                make_dict_structure_fn(
                    cls, converter, _cattrs_forbid_extra_keys=True, _cattrs_use_alias=True
                ),
                tag,
                cls,
            )
            converter.register_structure_hook(cls, reader)
            by_tag[tag] = reader
        return converter


def _writer(tag: str, cls: Any, converter: JsonConverter) -> Callable[[Any], dict[str, Any]]:
    fields = [
        (field.name, field.alias or field.name, field.default) for field in attrs.fields(cls) if field.init
    ]

    def write(value: Any) -> dict[str, Any]:
        if type(value) is not cls:
            _refuse_unknown(value)
        out = {"type": tag}
        for name, key, default in fields:
            item = getattr(value, name)
            # Only what says nothing is left out: a default may change, a saved spec must not.
            if not (item in (None, ()) and item == default):
                out[key] = converter.unstructure(item)
        return out

    return write


def _refuse_unknown(value: Any) -> NoReturn:
    raise SpecError((f"{type(value).__qualname__} is not registered; give it a tag with Codec.with_type",))


def _typed(structure: _Reader, tag: str, cls: type) -> _Reader:
    def read(value: Any, _: Any) -> Any:
        if isinstance(value, Mapping) and value.get("type", tag) != tag:
            msg = f"must be a {tag}, not a {shown(value['type'])}"
            raise TypeError(msg)
        fields = {key: item for key, item in _object(value).items() if key != "type"}
        if isinstance(fields.get("requires"), list):
            # floto 0.0.3 wrote a required task as an object with its id.
            fields["requires"] = [
                item.get("id_") if isinstance(item, dict) else item for item in fields["requires"]
            ]
        return structure(fields, cls)

    return read


def _tagged(value: Any, by_tag: Mapping[str, _Reader]) -> Any:
    tag = _object(value).get("type")
    reader = by_tag.get(tag) if isinstance(tag, str) else None
    if reader is None:
        msg = f"type {shown(tag)} is not known; it must be one of {', '.join(sorted(by_tag))}"
        raise ValueError(msg)
    return reader(value, None)


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        msg = f"must be an object, not {shown(value)}"
        raise TypeError(msg)
    return value


def _task(value: Any, by_tag: Mapping[str, _Reader]) -> Task:
    task = _tagged(value, by_tag)
    if not is_task(task):
        msg = f"must be a task, not a {type(task).__name__}"
        raise TypeError(msg)
    return task


def _task_list(value: Any, by_tag: Mapping[str, _Reader]) -> tuple[Task, ...]:
    if not isinstance(value, list | tuple):
        msg = f"must be a list of tasks, not {shown(value)}"
        raise TypeError(msg)
    tasks: list[Task] = []
    found: list[str] = []
    unread: set[str] = set()
    for position, item in enumerate(value):
        try:
            tasks.append(_task(item, by_tag))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one task is one of the problems
            found += _problems(error, f"$[{position}]")
            id_ = item.get("id_") if isinstance(item, Mapping) else None
            if isinstance(id_, str):
                unread.add(id_)
    if found:
        raise SpecError((*found, *graph.problems(tasks, known=unread)))
    return tuple(tasks)


def _texts(value: Any, _: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        msg = f"must be a list, not {shown(value)}"
        raise TypeError(msg)
    return tuple(_text(item, str) for item in value)


def _timeout(value: Any, _: Any) -> Any:
    # What it may be is checked by the task, with the task's name.
    return value


def _text(value: Any, _: Any) -> str:
    if not isinstance(value, str):
        msg = f"must be text, not {shown(value)}"
        raise TypeError(msg)
    return value


def _whole(value: Any, _: Any) -> int:
    if type(value) is not int:
        msg = f"must be a whole number, not {shown(value)}"
        raise TypeError(msg)
    return value


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        msg = f"must be a number, not {shown(value)}"
        raise TypeError(msg)
    number: float = value
    return number


def _truth(value: Any, _: Any) -> bool:
    if type(value) is not bool:
        msg = f"must be true or false, not {shown(value)}"
        raise TypeError(msg)
    return value


def _nothing(value: Any, _: Any) -> None:
    if value is not None:
        msg = f"must be null, not {shown(value)}"
        raise TypeError(msg)


_STRICT: dict[type, _Reader] = {str: _text, int: _whole, float: _number, bool: _truth, NoneType: _nothing}


def _problems(error: BaseException, path: str = "$") -> list[str]:
    """One line per problem, each with its place."""
    if not isinstance(error, ClassValidationError | IterableValidationError):
        return [_placed(line, path) for line in _explain(error)]
    found: list[str] = []
    for inner, note in error.group_exceptions()[0]:
        step = f".{note.name}" if isinstance(note, AttributeValidationNote) else f"[{note.index!r}]"
        found += _problems(inner, path + step)
    for inner in error.group_exceptions()[1]:
        found += _problems(inner, path)
    return found


def _explain(error: BaseException) -> tuple[str, ...]:
    if isinstance(error, SpecError):
        return error.problems
    if isinstance(error, KeyError):
        return ("a required field is missing",)
    if isinstance(error, ForbiddenExtraKeysError):
        return (f"unknown field: {', '.join(sorted(error.extra_fields))}",)
    return (str(error),)


def _placed(problem: str, path: str) -> str:
    # A problem that was found further in begins with the rest of its place.
    return f"{path}{problem[1:]}" if problem.startswith("$") else f"{path}: {problem}"
