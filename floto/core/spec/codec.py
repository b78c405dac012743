"""The JSON form of specs: each object carries a ``type`` tag that a ``Codec`` knows.

Tags are looked up in the codec's table only; data never causes an import.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
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

from floto.core import strict_json
from floto.core.errors import SpecError, Unwritable
from floto.core.payloads.reference import Store
from floto.core.payloads.stored import Payloads, read_result
from floto.core.spec import graph
from floto.core.spec.description import described
from floto.core.spec.retry import RetryStrategy
from floto.core.spec.rules.joins import JoinOption
from floto.core.spec.rules.task_rules import FIXED_DEFAULT
from floto.core.spec.rules.wait_limits import OnTimeout
from floto.core.spec.tasks import Task, is_task
from floto.core.swf.identifiers import shown

#: A time-out in seconds; "NONE" for no time-out, None for the default of the registered type.
Timeout = int | str | None
#: True, False or "always".
Repeat = bool | str

_Reader = Callable[[Any, Any], Any]

#: The methods of retry strategies and of joins.
_METHODS = ("delay", "verdict")

#: Tables of tags whose converters are kept, because the reader of each class is compiled.
_CONVERTERS = 32


@frozen
class Codec:
    """A writer and reader of specs with a table of tags; immutable, ``with_type`` returns an extended one."""

    types: Mapping[str, type]
    #: The store of values that are too long for SWF; None if values are not stored.
    payloads: Payloads | None = field(default=None, eq=False)

    def with_payloads(self, store: Store | None) -> Codec:
        """Return this codec with a store for values that are too long for SWF.

        ``decide``, ``expand``, ``replay``, ``compare`` and ``explain`` read stored values through it.

        Args:
            store: The store; None removes it.
        """
        return evolve(self, payloads=None if store is None else Payloads(store))

    def with_type(self, tag: str, cls: type) -> Codec:
        """Return this codec with one more class.

        Args:
            tag: The value of ``type`` in the JSON of its objects.
            cls: A frozen attrs class, such as a kind of task or a retry strategy.

        Raises:
            SpecError: if ``cls`` is not an attrs class or has a field ``type``, or the tag is already in use.
        """
        _need_attrs(cls)
        if tag in self.types:
            raise SpecError((f"the tag {tag!r} is already used by {self.types[tag].__qualname__}",))
        if any(each.alias == "type" for each in attrs.fields(cls)):
            raise SpecError((f"{cls.__qualname__} has a field 'type', where its tag is written; rename it",))
        return evolve(self, types={**self.types, tag: cls})

    @property
    def store(self) -> Store | None:
        """The store of ``with_payloads``; None if there is none."""
        return None if self.payloads is None else self.payloads.store

    def unstructure(self, value: Any) -> Any:
        """Return the JSON form of a spec, a task, a strategy or a list of them. Raises ``SpecError``."""
        try:
            return self._converter.unstructure(value)
        except RecursionError:
            raise SpecError(("specs of children are nested too deeply to be written",)) from None

    def tasks(self, value: Any) -> tuple[Task, ...]:
        """Return the tasks of a JSON list, or of a reference to a stored list.

        Args:
            value: The list or the reference.

        Raises:
            SpecError: with every problem of the tasks.
            PayloadError: if the stored list is missing or damaged.
            PayloadsNeeded: if the list is stored, and this codec has no store.
            PayloadsUnavailable: while the store cannot be reached.
        """
        tasks: tuple[Task, ...] = self._read(
            tuple[Task, ...], read_result(value, "the list of tasks", self.payloads)
        )
        return tasks

    def structure(self, value: Any) -> Any:
        """Return the object that a tagged JSON object represents. Raises ``SpecError`` with every problem."""
        return self._read(object, value)

    def dumps(self, value: Any) -> str:
        """Return a spec as JSON text with sorted keys. Raises ``SpecError``."""
        try:
            return json.dumps(self.unstructure(value), sort_keys=True, indent=4, ensure_ascii=False)
        except RecursionError:
            raise SpecError(("specs of children are nested too deeply to be written",)) from None

    def described(self, value: Any) -> str:
        """Return the text of ``dumps``, with the classes and fields of objects whose class has no tag.

        It cannot be read again, and is the same in every process. Raises ``SpecError``.
        """
        converter = _converter_of(tuple(self.types.items()), refuses=False)
        try:
            plain = converter.unstructure(value)
            return json.dumps(plain, sort_keys=True, indent=4, ensure_ascii=False, default=described)
        except Exception as error:
            # Of a class of a user's, any.
            raise SpecError((f"the spec cannot be described: {error!r}",)) from error

    def loads(self, text: str | bytes) -> Any:
        """Return the object that JSON text represents. Raises ``SpecError`` with every problem."""
        try:
            value = strict_json.loads(text)
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
        return _converter_of(tuple(self.types.items()))


@lru_cache(maxsize=_CONVERTERS)
def _converter_of(types: tuple[tuple[str, type], ...], *, refuses: bool = True) -> JsonConverter:
    """Return the converter of a table of tags; it refuses objects of other classes, or leaves them."""
    converter = make_converter()
    unknown = _refuse_unknown if refuses else _leave
    converter.register_structure_hook_func(lambda cls: cls == Timeout, _timeout)
    converter.register_structure_hook_func(lambda cls: cls == Repeat, _repeat)
    for primitive, hook in _STRICT.items():
        converter.register_structure_hook(primitive, hook)
    converter.register_structure_hook_func(lambda cls: cls == tuple[str, ...], _strings)
    readers = _Readers(dict(types), converter)
    converter.register_structure_hook_func(
        lambda cls: cls in (object, Task, RetryStrategy), lambda value, _: _tagged(value, readers)
    )
    converter.register_structure_hook_func(
        lambda cls: cls == tuple[Task, ...], lambda value, _: _task_list(value, readers)
    )
    converter.register_structure_hook_func(
        lambda cls: cls in (JoinOption, OnTimeout),
        lambda value, _: _tagged(value, readers) if isinstance(value, Mapping) else value,
    )
    converter.register_unstructure_hook_func(_needs_tag, unknown)
    tags = {cls: tag for tag, cls in types}
    converter.register_structure_hook_factory(lambda cls: cls in tags, lambda cls: readers.of(tags[cls]))
    for tag, cls in types:
        converter.register_unstructure_hook(cls, _writer(tag, cls, converter, unknown))
    return converter


@frozen
class _Readers:
    """The readers of tagged objects; each is compiled when the first object of its tag is read."""

    types: Mapping[str, type]
    converter: JsonConverter
    _made: dict[str, _Reader] = field(factory=dict, init=False)

    def of(self, tag: str) -> _Reader:
        """Return the reader of a tag."""
        reader = self._made.get(tag)
        if reader is None:
            reader = self._made[tag] = self._make(tag, self.types[tag])
        return reader

    def _make(self, tag: str, cls: type) -> _Reader:
        attrs.resolve_types(cls)
        structure: _Reader = make_dict_structure_fn(
            cls, self.converter, _cattrs_forbid_extra_keys=True, _cattrs_use_alias=True
        )
        return _typed(structure, tag, cls)


def _writer(
    tag: str, cls: Any, converter: JsonConverter, unknown: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    fields = [
        (
            field.name,
            field.alias or field.name,
            field.default,
            FIXED_DEFAULT.items() <= field.metadata.items(),
        )
        for field in attrs.fields(cls)
        if field.init
    ]

    def write(value: Any) -> Any:
        if type(value) is not cls:
            return unknown(value)
        out = {"type": tag}
        for name, key, default, is_fixed in fields:
            item = getattr(value, name)
            # Omit empty and fixed defaults only: other defaults may change, and a saved spec must not.
            if not ((is_fixed or item in (None, ())) and item == default):
                out[key] = converter.unstructure(item)
        return out

    return write


def _needs_tag(cls: Any) -> bool:
    """Return True for the classes of objects that cannot be read from their fields alone."""
    return attrs.has(cls) or any(callable(getattr(cls, method, None)) for method in _METHODS)


def _need_attrs(cls: type) -> None:
    if not attrs.has(cls):
        raise Unwritable((f"{cls.__qualname__} must be a frozen attrs class to be read and written",))


def _refuse_unknown(value: Any) -> NoReturn:
    _need_attrs(type(value))
    raise SpecError((f"{type(value).__qualname__} is not registered; give it a tag with Codec.with_type",))


def _leave(value: Any) -> Any:
    return value


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


def _tagged(value: Any, readers: _Readers) -> Any:
    tag = _object(value).get("type")
    if not isinstance(tag, str) or tag not in readers.types:
        msg = f"type {shown(tag)} is not known; it must be one of {', '.join(sorted(readers.types))}"
        raise ValueError(msg)
    return readers.of(tag)(value, None)


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        msg = f"must be an object, not {shown(value)}"
        raise TypeError(msg)
    return value


def _task(value: Any, readers: _Readers) -> Task:
    task = _tagged(value, readers)
    if not is_task(task):
        msg = f"must be a task, not a {type(task).__name__}"
        raise TypeError(msg)
    return task


def _task_list(value: Any, readers: _Readers) -> tuple[Task, ...]:
    if not isinstance(value, list | tuple):
        msg = f"must be a list of tasks, not {shown(value)}"
        raise TypeError(msg)
    tasks: list[Task] = []
    found: list[str] = []
    unread: set[str] = set()
    for position, item in enumerate(value):
        try:
            tasks.append(_task(item, readers))
        except Exception as error:  # noqa: BLE001 - every error of one task is a problem of the list
            found += _problems(error, f"$[{position}]")
            id_ = item.get("id_") if isinstance(item, Mapping) else None
            if isinstance(id_, str):
                unread.add(id_)
    if found:
        raise SpecError((*found, *graph.problems(tasks, known=unread)))
    return tuple(tasks)


def _strings(value: Any, _: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        msg = f"must be a list, not {shown(value)}"
        raise TypeError(msg)
    return tuple(_string(item, str) for item in value)


def _repeat(value: Any, _: Any) -> Any:
    # The spec checks the string.
    return value if isinstance(value, str) else _boolean(value, bool)


def _timeout(value: Any, _: Any) -> Any:
    # The task checks its time-outs and its tolerance, which has the same type, with its id in the message.
    return value


def _string(value: Any, _: Any) -> str:
    if not isinstance(value, str):
        msg = f"must be a string, not {shown(value)}"
        raise TypeError(msg)
    return value


def _integer(value: Any, _: Any) -> int:
    if type(value) is not int:
        msg = f"must be an integer, not {shown(value)}"
        raise TypeError(msg)
    return value


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        msg = f"must be a number, not {shown(value)}"
        raise TypeError(msg)
    number: float = value
    return number


def _boolean(value: Any, _: Any) -> bool:
    if type(value) is not bool:
        msg = f"must be true or false, not {shown(value)}"
        raise TypeError(msg)
    return value


def _null(value: Any, _: Any) -> None:
    if value is not None:
        msg = f"must be null, not {shown(value)}"
        raise TypeError(msg)


_STRICT: dict[type, _Reader] = {str: _string, int: _integer, float: _number, bool: _boolean, NoneType: _null}


def _problems(error: BaseException, path: str = "$") -> list[str]:
    """Return one line per problem, each with its JSON path."""
    if not isinstance(error, ClassValidationError | IterableValidationError):
        return [_with_path(line, path) for line in _explain(error)]
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


def _with_path(problem: str, path: str) -> str:
    # Nested problems already carry a JSON path starting with ``$``; join it to ours.
    return f"{path}{problem[1:]}" if problem.startswith("$") else f"{path}: {problem}"
